namespace PartnerPulse.Pulse.Provisioning;

/// <summary>PostgreSQL refuses to run as root; as root it is run as this user.</summary>
internal sealed record UnprivilegedUser(string Name, string Setpriv)
{
    /// <summary>Null where this process is an ordinary user already.</summary>
    /// <exception cref="ProvisioningException">Root, but there is no way to another user.</exception>
    public static async Task<UnprivilegedUser?> FindAsync(CancellationToken cancellation)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return null;
        }

        var setpriv = Shell.Find("setpriv") ?? throw new ProvisioningException(
            "PostgreSQL does not run as root, and setpriv (package util-linux) is missing. Install it, or run as an ordinary user.");
        foreach (var name in new[] { "postgres", "nobody" })
        {
            if ((await Shell.RunAsync("id", ["-u", name], cancellation)).Succeeded)
            {
                return new UnprivilegedUser(name, setpriv);
            }
        }

        throw new ProvisioningException("PostgreSQL does not run as root, and there is no user postgres or nobody. Run as an ordinary user.");
    }

    /// <summary>The command, run as this user. setpriv becomes the command, so the process id stays.</summary>
    public (string FileName, string[] Arguments) Wrap(string fileName, params string[] arguments) =>
        (Setpriv, [$"--reuid={Name}", $"--regid={Group}", "--init-groups", "--", fileName, .. arguments]);

    public async Task<bool> MayEnterAsync(string folder, CancellationToken cancellation)
    {
        var (fileName, arguments) = Wrap("/usr/bin/test", "-x", folder);
        return (await Shell.RunAsync(fileName, arguments, cancellation)).Succeeded;
    }

    public async Task GiveAsync(string path, CancellationToken cancellation)
    {
        var given = await Shell.RunAsync("chown", ["-R", $"{Name}:", path], cancellation);
        if (!given.Succeeded)
        {
            throw new ProvisioningException($"{path} cannot be given to the user {Name}: {given.Output}");
        }
    }

    // Debian's nobody has the group nogroup, others name it nobody.
    private string Group => Name == "nobody" && File.ReadLines("/etc/group").Any(line => line.StartsWith("nogroup:", StringComparison.Ordinal)) ? "nogroup" : Name;
}
