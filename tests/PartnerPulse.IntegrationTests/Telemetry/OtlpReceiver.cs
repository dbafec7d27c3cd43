using System.Collections.Concurrent;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using PartnerPulse.IntegrationTests.Hosting;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>A span as it was received.</summary>
internal sealed record SpanReceived(
    string Service, string Scope, string Trace, string Id, string Parent, string Name, bool Failed, IReadOnlyDictionary<string, string> Attributes, IReadOnlyList<string> LinkedTraces)
{
    public override string ToString() => $"{Service}: {Name} ({Scope}, {Id} under {Parent})";
}

/// <summary>A metric as it was received; of every number only that there is one.</summary>
/// <param name="Kind">Gauge, sum or histogram.</param>
/// <param name="Bounds">Bounds of a histogram's buckets.</param>
internal sealed record MetricReceived(string Service, string Scope, string Name, string Unit, string Description, string Kind, IReadOnlyList<double> Bounds);

/// <summary>
/// Receives OTLP over HTTP as protobuf, as a collector does, and remembers it. Few fields are read and the wire format is simple, so they
/// are read from it by number: opentelemetry/proto/{trace,metrics}/v1 at version 1.
/// </summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<byte[]> _bodies = new();
    private readonly ConcurrentQueue<SpanReceived> _spans = new();
    private readonly ConcurrentDictionary<(string Service, string Name), MetricReceived> _metrics = new();

    private OtlpReceiver(WebApplication app) => _app = app;

    /// <summary>What the services are told, by the standard variables.</summary>
    public IReadOnlyDictionary<string, string?> Variables => new Dictionary<string, string?>(StringComparer.Ordinal)
    {
        ["OTEL_EXPORTER_OTLP_ENDPOINT"] = _app.Urls.Single(),
        ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        ["OTEL_EXPORTER_OTLP_HEADERS"] = "x-tenant=tests",
        ["OTEL_RESOURCE_ATTRIBUTES"] = "deployment.environment.name=tests",
        ["OTEL_BSP_SCHEDULE_DELAY"] = "200",
        ["OTEL_METRIC_EXPORT_INTERVAL"] = "500",
    };

    public IReadOnlyList<SpanReceived> Spans => [.. _spans];

    public IReadOnlyCollection<MetricReceived> Metrics => [.. _metrics.Values];

    /// <summary>Requests that did not have the header that every sender was told.</summary>
    public int WithoutHeader { get; private set; }

    /// <summary>Services that sent without the attribute of the resource that every one was told.</summary>
    public ConcurrentBag<string> WithoutEnvironment { get; } = [];

    public static async Task<OtlpReceiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        var app = builder.Build();
        var receiver = new OtlpReceiver(app);
        app.MapPost("/v1/traces", request => receiver.TakeAsync(request, receiver.ReadSpans));
        app.MapPost("/v1/metrics", request => receiver.TakeAsync(request, receiver.ReadMetrics));
        await app.StartAsync();
        return receiver;
    }

    /// <summary>Waits until a trace has what is asked of it.</summary>
    public async Task<IReadOnlyList<SpanReceived>> UntilAsync(string trace, string fact, Func<IReadOnlyList<SpanReceived>, bool> isTrue)
    {
        IReadOnlyList<SpanReceived> spans = [];
        try
        {
            await Waits.UntilAsync(fact, () =>
            {
                spans = [.. _spans.Where(span => span.Trace == trace)];
                return Task.FromResult(isTrue(spans));
            });
        }
        catch (Exception fault) when (fault is not OutOfMemoryException)
        {
            throw new InvalidOperationException($"{fault.Message}\n{string.Join('\n', spans)}", fault);
        }

        return spans;
    }

    /// <summary>Whether anything that was received holds the text.</summary>
    public bool Holds(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return _bodies.Any(body => body.AsSpan().IndexOf(bytes) >= 0);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeAsync(HttpContext http, Action<ReadOnlyMemory<byte>> read)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body, http.RequestAborted);
        WithoutHeader += http.Request.Headers["x-tenant"] == "tests" ? 0 : 1;
        _bodies.Enqueue(body.ToArray());
        read(body.ToArray());
        http.Response.ContentType = "application/x-protobuf";
    }

    private void ReadSpans(ReadOnlyMemory<byte> request)
    {
        foreach (var (service, scope, items) in Scopes(request))
        {
            foreach (var span in items)
            {
                var fields = span.Fields.ToLookup(field => field.Number);
                _spans.Enqueue(new SpanReceived(
                    service, scope, Hex(fields[1]), Hex(fields[2]), Hex(fields[4]), fields[5].Single().Text,
                    Failed: fields[15].Any(status => status.Fields.Any(field => field is { Number: 3, Value: 2 })),
                    Attributes(fields[9]),
                    [.. fields[13].Select(link => Hex(link.Fields.Where(field => field.Number == 1)))]));
            }
        }
    }

    private void ReadMetrics(ReadOnlyMemory<byte> request)
    {
        foreach (var (service, scope, items) in Scopes(request))
        {
            foreach (var metric in items)
            {
                var fields = metric.Fields.ToLookup(field => field.Number);
                var (kind, data) = fields[5].Any() ? ("gauge", fields[5]) : fields[7].Any() ? ("sum", fields[7]) : ("histogram", fields[9]);
                var bounds = kind != "histogram" ? [] : data.Single().Fields.First(field => field.Number == 1).Fields.Where(field => field.Number == 7).SelectMany(Doubles).ToArray();
                _metrics[(service, Text(fields[1]))] = new MetricReceived(service, scope, Text(fields[1]), Text(fields[3]), Text(fields[2]), kind, bounds);
            }
        }
    }

    /// <summary>Spans and metrics lie alike: a resource, in it scopes, in these the items.</summary>
    private IEnumerable<(string Service, string Scope, IEnumerable<ProtobufField> Items)> Scopes(ReadOnlyMemory<byte> request)
    {
        foreach (var ofResource in ProtobufField.In(request).Where(field => field.Number == 1))
        {
            var attributes = Attributes(ofResource.Fields.Single(field => field.Number == 1).Fields.Where(field => field.Number == 1));
            var service = attributes["service.name"];
            if (attributes.GetValueOrDefault("deployment.environment.name") != "tests")
            {
                WithoutEnvironment.Add(service);
            }

            foreach (var ofScope in ofResource.Fields.Where(field => field.Number == 2))
            {
                var scope = Text(ofScope.Fields.Where(field => field.Number == 1).SelectMany(s => s.Fields).Where(field => field.Number == 1));
                yield return (service, scope, ofScope.Fields.Where(field => field.Number == 2));
            }
        }
    }

    private static Dictionary<string, string> Attributes(IEnumerable<ProtobufField> keyValues) => keyValues
        .Select(pair => pair.Fields.ToLookup(field => field.Number))
        .ToDictionary(pair => Text(pair[1]), pair => string.Join(',', pair[2].SelectMany(value => value.Fields).Select(v => v.Bytes.IsEmpty ? $"{v.Value}" : v.Text)), StringComparer.Ordinal);

    private static IEnumerable<double> Doubles(ProtobufField packed)
    {
        for (var at = 0; at < packed.Bytes.Length; at += sizeof(double))
        {
            yield return BitConverter.ToDouble(packed.Bytes.Span[at..]);
        }
    }

    private static string Text(IEnumerable<ProtobufField> fields) => fields.Select(field => field.Text).SingleOrDefault("");

    private static string Hex(IEnumerable<ProtobufField> fields) => fields.Select(field => Convert.ToHexStringLower(field.Bytes.Span)).SingleOrDefault("");
}
