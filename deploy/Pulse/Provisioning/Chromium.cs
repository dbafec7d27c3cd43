namespace PartnerPulse.Pulse.Provisioning;

/// <summary>
/// A Chromium for the tests of pages: the one that <c>PULSE_CHROMIUM</c> names, else a local one, else the distribution's
/// package. Nothing but tests needs it.
/// </summary>
internal static class Chromium
{
    /// <summary>Path of the program.</summary>
    public const string Variable = "PULSE_CHROMIUM";

    private static readonly string[] s_names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

    /// <summary>The program that is there without installing anything; null where there is none.</summary>
    public static string? Find() =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given ? given : s_names.Select(Shell.Find).FirstOrDefault(path => path is not null);

    /// <exception cref="ProvisioningException">There is none, and none can be had.</exception>
    public static async Task<string> PrepareAsync(Action<string> say, CancellationToken cancellation)
    {
        var program = Find();
        string? failed = null;
        if (program is null && DistributionPackage.MayInstall)
        {
            failed = await DistributionPackage.InstallAsync("chromium", say, cancellation);
            program = Find();
        }

        if (program is null)
        {
            throw new ProvisioningException(
                "There is no Chromium here for the tests of pages. One of these helps: install it (Debian: apt-get install chromium), run as root so " +
                $"that it is installed, or set {Variable} to the path of one." + (failed is null ? "" : $"\n{failed}"));
        }

        return File.Exists(program) ? program : throw new ProvisioningException($"{Variable} is '{program}'; there is no such file.");
    }
}
