using System.Buffers;
using System.Text;

namespace PartnerPulse.Hosting;

/// <summary>
/// The line of a click of a sampled trace: before all its own fields it has <c>"traceparent"</c>, so that it can be told by its first
/// bytes, and taken off again before the click is kept for good. All other lines have no more to them than their click.
/// </summary>
public static class TracedLine
{
    /// <summary>Characters of a W3C trace context of version 00.</summary>
    private const int ContextLength = 55;

    private static ReadOnlySpan<byte> Before => "{\"traceparent\":\""u8;

    private static ReadOnlySpan<byte> After => "\","u8;

    /// <summary>Writes the click with its context.</summary>
    /// <param name="to">The line.</param>
    /// <param name="click">A JSON object that is not empty.</param>
    /// <param name="context">The trace context.</param>
    public static void Write(IBufferWriter<byte> to, ReadOnlySpan<byte> click, string context)
    {
        to.Write(Before);
        _ = Encoding.ASCII.GetBytes(context, to);
        to.Write(After);
        to.Write(click[1..]);
    }

    /// <summary>The same as bytes.</summary>
    public static ReadOnlyMemory<byte> With(ReadOnlyMemory<byte> click, string context)
    {
        var line = new ArrayBufferWriter<byte>(click.Length + Before.Length + ContextLength + After.Length);
        Write(line, click.Span, context);
        return line.WrittenMemory;
    }

    /// <summary>Takes a line apart.</summary>
    /// <param name="line">The line.</param>
    /// <param name="click">The click alone.</param>
    /// <returns>Its context; null where it has none.</returns>
    public static string? Read(ReadOnlyMemory<byte> line, out ReadOnlyMemory<byte> click)
    {
        click = line;
        var bytes = line.Span;
        var end = Before.Length + ContextLength;
        if (!bytes.StartsWith(Before) || bytes.Length < end + After.Length || !bytes[end..].StartsWith(After))
        {
            return null;
        }

        var own = new byte[bytes.Length - end - After.Length + 1];
        own[0] = (byte)'{';
        bytes[(end + After.Length)..].CopyTo(own.AsSpan(1));
        click = own;
        return Encoding.ASCII.GetString(bytes[Before.Length..end]);
    }
}
