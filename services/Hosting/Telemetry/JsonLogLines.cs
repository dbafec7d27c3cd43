using System.Buffers;
using System.Diagnostics;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace PartnerPulse.Hosting;

/// <summary>
/// What a service says, a line of JSON each, where <c>Pulse:Logs</c> is <c>json</c>: time, level, category, event, message, its values by
/// name, the exception, and the trace and span in which it was said, where there is one. No scopes: the framework's hold paths.
/// </summary>
internal sealed class JsonLogLines(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "pulse-json";

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var line = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(line, s_options))
        {
            json.WriteStartObject();
            json.WriteString("time", time.GetUtcNow());
            json.WriteString("level", logEntry.LogLevel.ToString());
            json.WriteString("category", logEntry.Category);
            json.WriteString("event", logEntry.EventId.Name ?? $"{logEntry.EventId.Id}");
            json.WriteString("message", logEntry.Formatter(logEntry.State, logEntry.Exception));
            if (logEntry.State is IReadOnlyList<KeyValuePair<string, object?>> { Count: > 1 } values)
            {
                json.WriteStartObject("values");
                foreach (var (name, value) in values.Where(value => value.Key != "{OriginalFormat}"))
                {
                    json.WriteString(name, $"{value}");
                }

                json.WriteEndObject();
            }

            if (logEntry.Exception is { } exception)
            {
                json.WriteString("exception", exception.ToString());
            }

            if (Activity.Current is { IdFormat: ActivityIdFormat.W3C } activity)
            {
                json.WriteString("trace", activity.TraceId.ToHexString());
                json.WriteString("span", activity.SpanId.ToHexString());
            }

            json.WriteEndObject();
        }

        textWriter.WriteLine(System.Text.Encoding.UTF8.GetString(line.WrittenSpan));
    }
}
