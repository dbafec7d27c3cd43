using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>Answers that several use cases give.</summary>
internal static class PartnerProblem
{
    public static ProblemHttpResult Unknown(string id) => Problem.NotFound("id", $"'{id}' is no partner");

    public static ProblemHttpResult UnknownLink(string id, string slug) => Problem.NotFound("slug", $"'{slug}' is no link of the partner '{id}'");

    public static ProblemHttpResult TooBusy(string id) => Problem.Of(
        StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("id", $"'{id}' was changed by others {PartnerLog.MaxTries} times meanwhile"));

    public static string RequiredAddress(this Checks checks, string field, string? value)
    {
        if (string.IsNullOrEmpty(value))
        {
            checks.Add(field, "is required");
            return "";
        }

        return checks.Address(field, value, Names.MaxDestination) ?? "";
    }
}

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
