using System.CommandLine;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Commands;

internal static class LogsCommand
{
    public static Command Build()
    {
        var service = new Argument<string?>("service") { Description = "One of those that run, as status names them; all when left out.", Arity = ArgumentArity.ZeroOrOne };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with what is written from now on." };
        var lines = new Option<int>("--lines", "-n") { Description = "Lines from the end of each.", DefaultValueFactory = _ => 40, HelpName = "N" };
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("logs", "Show the logs of the processes.") { service, follow, lines, data, json };
        Examples.Of(command, "./pulse logs", "./pulse logs edge -f", "./pulse logs postgres -n 200");
        command.SetAction((parsed, cancellation) => RunAsync(
            DataFolder.At(parsed.GetValue(data)), parsed.GetValue(service), parsed.GetValue(follow), parsed.GetValue(lines), parsed.GetValue(json), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(DataFolder data, string? service, bool follow, int lines, bool json, CancellationToken cancellation)
    {
        var names = Directory.Exists(data.Logs)
            ? Directory.GetFiles(data.Logs, "*.log").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal).ToList()
            : [];
        if (service is not null && !names.Contains(service))
        {
            Terminal.Fail($"There is no log of '{service}' in {data.Logs}. There are: {string.Join(", ", names)}.");
            return Exit.Failed;
        }

        var shown = service is null ? names : [service];
        var width = shown.Count == 0 ? 0 : shown.Max(name => name.Length);
        void Show(string name, string line) => Console.Out.WriteLine(
            json ? System.Text.Json.JsonSerializer.Serialize(new { service = name, line })
            : shown.Count == 1 ? line
            : $"{name.PadRight(width)} | {line}");

        var ends = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var name in shown)
        {
            var file = data.Log(name);
            ends[name] = new FileInfo(file).Length;
            foreach (var line in LogFiles.Tail(file, lines))
            {
                Show(name, line);
            }
        }

        while (follow)
        {
            await Task.Delay(200, cancellation);
            foreach (var name in shown)
            {
                ends[name] = ShowNew(data.Log(name), ends[name], line => Show(name, line));
            }
        }

        return Exit.Ok;
    }

    /// <summary>Shows the whole lines after <paramref name="from"/> and returns where the next one begins.</summary>
    private static long ShowNew(string file, long from, Action<string> show)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (stream.Length < from)
        {
            // It was cut when it grew too large.
            from = 0;
        }

        stream.Seek(from, SeekOrigin.Begin);
        var buffer = new byte[Math.Min(stream.Length - from, 1024 * 1024)];
        var text = buffer.AsSpan(0, stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false));
        var end = text.LastIndexOf((byte)'\n');
        if (end < 0)
        {
            return from;
        }

        foreach (var line in System.Text.Encoding.UTF8.GetString(text[..end]).Split('\n'))
        {
            show(line);
        }

        return from + end + 1;
    }
}
