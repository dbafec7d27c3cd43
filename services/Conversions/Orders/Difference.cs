using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>What a repeated request says differently.</summary>
internal static class Difference
{
    public static IEnumerable<FieldFault> Of(string field, string? recorded, string? asked)
    {
        if (recorded != asked)
        {
            yield return new FieldFault(field, $"is recorded as {Show(recorded)}; this says {Show(asked)}");
        }
    }

    private static string Show(string? value) => value is null ? "absent" : $"'{value}'";
}
