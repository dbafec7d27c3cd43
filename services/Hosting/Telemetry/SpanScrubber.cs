using System.Diagnostics;
using OpenTelemetry;

namespace PartnerPulse.Hosting;

/// <summary>
/// Leaves of the spans of libraries what says how the system does, and takes what says whom it is about: paths, queries and statements, in which
/// visitor ids, orders and keys stand. What is not listed here does not leave the process.
/// </summary>
internal sealed class SpanScrubber : BaseProcessor<Activity>
{
    private static readonly HashSet<string> s_kept = new(StringComparer.Ordinal)
    {
        "http.request.method", "http.response.status_code", "http.request.resend_count", "network.protocol.version", "error.type",
        "server.address", "server.port", "db.system.name", "db.namespace", "db.operation.name", "db.response.status_code",
    };

    public override void OnEnd(Activity data)
    {
        if (data.Source.Name == Diagnostics.Name)
        {
            return;
        }

        List<string>? others = null;
        foreach (var (key, _) in data.EnumerateTagObjects())
        {
            if (!s_kept.Contains(key))
            {
                (others ??= []).Add(key);
            }
        }

        foreach (var key in others ?? [])
        {
            data.SetTag(key, null);
        }
    }
}
