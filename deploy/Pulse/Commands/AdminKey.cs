using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Commands;

/// <summary>The administrator's key: <c>PULSE_ADMIN_KEY</c>, else the one that <see cref="RunKeys"/> keeps in the data folder.</summary>
internal static class AdminKey
{
    public const string Variable = "PULSE_ADMIN_KEY";

    /// <summary>Null where there is none yet, or it is another user's.</summary>
    public static string? Find(DataFolder data)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            return given;
        }

        var file = RunKeys.SecretFile(data, "admin");
        try
        {
            return File.Exists(file) ? File.ReadAllText(file).Trim() : null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }
}
