namespace PartnerPulse.Pulse.Provisioning;

/// <summary>Installs a server from the distribution, without letting it start a system service.</summary>
internal static class DistributionPackage
{
    public static bool MayInstall => Environment.IsPrivilegedProcess && Shell.Find("apt-get") is not null;

    /// <summary>Null on success, else why not.</summary>
    public static async Task<string?> InstallAsync(string package, Action<string> say, CancellationToken cancellation)
    {
        var apt = Shell.Find("apt-get")!;
        var environment = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["DEBIAN_FRONTEND"] = "noninteractive",
            ["UCF_FORCE_CONFFOLD"] = "1",
        };
        say($"installing the package {package} (no system service is started; ours is private)");
        using var quiet = KeepServicesFromStarting();
        var update = await Shell.RunAsync(apt, ["update", "-q"], cancellation, environment);
        var install = await Shell.RunAsync(apt, ["install", "-y", "-q", "--no-install-recommends", package], cancellation, environment);
        if (!install.Succeeded)
        {
            return $"apt-get install {package} failed: {LastLines(install.Output)}" + (update.Succeeded ? "" : $"; apt-get update failed before it: {LastLines(update.Output)}");
        }

        if (Shell.Find("systemctl") is { } systemctl)
        {
            // Or the next boot would start the system's own. Where there is no systemd running this changes nothing.
            await Shell.RunAsync(systemctl, ["disable", package], cancellation);
        }

        return null;
    }

    /// <summary>
    /// Debian's packages start their service when installed and make a cluster of their own, unless policy-rc.d forbids the
    /// one and createcluster.conf the other. What was there before is left alone; what is made here goes afterwards.
    /// </summary>
    private static Temporary KeepServicesFromStarting()
    {
        var temporary = new Temporary();
        const string policy = "/usr/sbin/policy-rc.d";
        if (!File.Exists(policy))
        {
            temporary.Write(policy, "#!/bin/sh\n# Made by ./pulse while it installs a package; safe to delete.\nexit 101\n");
            File.SetUnixFileMode(policy, (UnixFileMode)0b111_101_101);
        }

        const string cluster = "/etc/postgresql-common/createcluster.conf";
        if (!File.Exists(cluster))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(cluster)!);
            // Stays: it is configuration, and without it the next upgrade would make the cluster after all.
            File.WriteAllText(cluster, "# Made by ./pulse: its cluster is private, the system needs none.\ncreate_main_cluster = false\n");
        }

        return temporary;
    }

    private static string LastLines(string output) => string.Join(" / ", output.Split('\n').Where(line => line.Length > 0).TakeLast(3));

    private sealed class Temporary : IDisposable
    {
        private readonly List<string> _files = [];

        public void Write(string path, string text)
        {
            File.WriteAllText(path, text);
            _files.Add(path);
        }

        public void Dispose() => _files.ForEach(File.Delete);
    }
}
