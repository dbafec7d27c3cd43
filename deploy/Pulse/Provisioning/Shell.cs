using System.ComponentModel;
using System.Diagnostics;

namespace PartnerPulse.Pulse.Provisioning;

internal sealed record ShellResult(int ExitCode, string Output)
{
    public bool Succeeded => ExitCode == 0;
}

/// <summary>Runs short commands and finds programs.</summary>
internal static class Shell
{
    /// <summary>Runs to the end; the output is stdout and stderr together. A program that does not exist is exit code 127.</summary>
    public static async Task<ShellResult> RunAsync(
        string fileName,
        IEnumerable<string> arguments,
        CancellationToken cancellation,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null)
    {
        var start = new ProcessStartInfo(fileName)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? "/",
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string?>(StringComparer.Ordinal))
        {
            start.Environment[name] = value;
        }

        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception missing)
        {
            return new ShellResult(127, missing.Message);
        }

        using (process)
        {
            process.StandardInput.Close();
            var lines = new List<string>();
            void Add(object _, DataReceivedEventArgs line)
            {
                if (line.Data is not null)
                {
                    lock (lines)
                    {
                        lines.Add(line.Data);
                    }
                }
            }

            process.OutputDataReceived += Add;
            process.ErrorDataReceived += Add;
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            try
            {
                await process.WaitForExitAsync(cancellation);
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }

            lock (lines)
            {
                return new ShellResult(process.ExitCode, string.Join('\n', lines));
            }
        }
    }

    /// <summary>Full path of a program on the PATH, or in the folders where system programs lie; null where there is none.</summary>
    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Concat(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/opt/homebrew/bin"])
        .Select(folder => Path.Combine(folder, name))
        .FirstOrDefault(File.Exists);
}
