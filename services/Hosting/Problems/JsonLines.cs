using System.Buffers;
using System.Collections.Frozen;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization.Metadata;

namespace PartnerPulse.Hosting.Problems;

/// <summary>One line of a body of JSON lines.</summary>
/// <param name="Number">From 1; empty lines count.</param>
/// <param name="Value">What it says; nothing where it cannot be read.</param>
/// <param name="Fault">Why it cannot be read; null where it can.</param>
public readonly record struct JsonLine<T>(long Number, T? Value, FieldFault? Fault);

/// <summary>Bodies with a JSON text a line (NDJSON), read as they pass, in bounded memory.</summary>
public static class JsonLines
{
    /// <summary>The longest line, in bytes without its end.</summary>
    public const int MaxLineBytes = 16 * 1024;

    private static readonly FrozenSet<string> s_types =
        FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "application/x-ndjson", "application/ndjson", "application/jsonl");

    /// <summary>Whether a body of this media type, without parameters, is one.</summary>
    public static bool Are(string mediaType) => s_types.Contains(mediaType);

    /// <summary>
    /// The lines that are not empty. An over-long one is a fault and is passed over in pieces, so that it never fills the memory.
    /// </summary>
    public static async IAsyncEnumerable<JsonLine<T>> ReadAsync<T>(
        PipeReader reader, JsonTypeInfo<T> type, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var number = 0L;
        var skipping = false;
        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            while (!buffer.IsEmpty)
            {
                var end = buffer.PositionOf((byte)'\n');
                var content = end is { } found ? buffer.Slice(0, found) : buffer;
                var tooLong = content.Length > MaxLineBytes;
                if (end is null && !read.IsCompleted && !tooLong)
                {
                    break;
                }

                buffer = end is { } position ? buffer.Slice(buffer.GetPosition(1, position)) : buffer.Slice(buffer.End);
                var goesOn = skipping;
                skipping = (skipping || tooLong) && end is null;
                if (goesOn)
                {
                    continue;
                }

                number++;
                if (tooLong)
                {
                    yield return new JsonLine<T>(number, default, new FieldFault("line", $"is longer than {MaxLineBytes} bytes"));
                }
                else if (Parse(number, content, type) is { } line)
                {
                    yield return line;
                }
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                yield break;
            }
        }
    }

    private static JsonLine<T>? Parse<T>(long number, ReadOnlySequence<byte> content, JsonTypeInfo<T> type)
    {
        var text = (content.IsSingleSegment ? content.FirstSpan : content.ToArray()).TrimEnd((byte)'\r');
        if (text.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0)
        {
            return null;
        }

        var (value, fault) = RequestBody.Parse(text, type);
        return new JsonLine<T>(number, value, fault is { Field: "body" } ? fault with { Field = "line" } : fault);
    }
}
