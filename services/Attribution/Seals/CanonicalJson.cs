using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace PartnerPulse.Attribution.Seals;

/// <summary>
/// The one text of a JSON value, after RFC 8785 (JCS): no white space, members in the order of their names' UTF-16 units, strings with
/// the fewest escapes. Numbers are exact decimals without exponent and without superfluous zeros, where the RFC would round them to a
/// double: amounts have 64 bits. One instance serves one thread.
/// </summary>
internal sealed class CanonicalJson
{
    private const int MaxExponent = 1_000;

    private readonly Stack<List<Member>> _spare = new();
    private readonly ByName _order = new();

    /// <summary>Where a member lies in the text of its object; the name without its quotes.</summary>
    [StructLayout(LayoutKind.Auto)]
    internal readonly record struct Member(int NameStart, int NameEnd, int Start, int End);

    /// <exception cref="JsonException">It is no JSON.</exception>
    public void Write(ReadOnlyMemory<byte> json, IBufferWriter<byte> to)
    {
        var text = Trimmed(json);
        switch (text.Span[0])
        {
            case (byte)'{':
                WriteObject(text, to);
                break;
            case (byte)'[':
                WriteArray(text, to);
                break;
            case (byte)'"':
                WriteText(text.Span, to);
                break;
            case (byte)'t' or (byte)'f' or (byte)'n':
                to.Write(text.Span);
                break;
            default:
                WriteNumber(text.Span, to);
                break;
        }
    }

    /// <summary>The members of an object in canonical order. Give the list back with <see cref="Return"/>.</summary>
    public List<Member> Members(ReadOnlyMemory<byte> json)
    {
        var members = _spare.TryPop(out var spare) ? spare : [];
        var reader = new Utf8JsonReader(json.Span);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = (int)reader.TokenStartIndex + 1;
            var nameEnd = name + reader.ValueSpan.Length;
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            members.Add(new Member(name, nameEnd, start, (int)reader.BytesConsumed));
        }

        _order.Text = json;
        members.Sort(_order);
        return members;
    }

    public void Return(List<Member> members)
    {
        members.Clear();
        _spare.Push(members);
    }

    /// <summary>A text in quotes.</summary>
    public static void WriteString(ReadOnlySpan<char> text, IBufferWriter<byte> to)
    {
        to.Write("\""u8);
        Span<byte> utf8 = stackalloc byte[4];
        foreach (var rune in text.EnumerateRunes())
        {
            switch (rune.Value)
            {
                case '"':
                    to.Write("\\\""u8);
                    break;
                case '\\':
                    to.Write("\\\\"u8);
                    break;
                case '\b':
                    to.Write("\\b"u8);
                    break;
                case '\t':
                    to.Write("\\t"u8);
                    break;
                case '\n':
                    to.Write("\\n"u8);
                    break;
                case '\f':
                    to.Write("\\f"u8);
                    break;
                case '\r':
                    to.Write("\\r"u8);
                    break;
                case < 0x20:
                    to.Write(Encoding.ASCII.GetBytes($"\\u{rune.Value:x4}"));
                    break;
                default:
                    to.Write(utf8[..rune.EncodeToUtf8(utf8)]);
                    break;
            }
        }

        to.Write("\""u8);
    }

    /// <summary>Writes a member's name and its colon, as they stand in the object's text.</summary>
    public static void WriteName(ReadOnlySpan<byte> json, Member member, IBufferWriter<byte> to)
    {
        WriteText(json[(member.NameStart - 1)..(member.NameEnd + 1)], to);
        to.Write(":"u8);
    }

    private void WriteObject(ReadOnlyMemory<byte> json, IBufferWriter<byte> to)
    {
        var members = Members(json);
        to.Write("{"u8);
        for (var i = 0; i < members.Count; i++)
        {
            if (i > 0)
            {
                to.Write(","u8);
            }

            WriteName(json.Span, members[i], to);
            Write(json[members[i].Start..members[i].End], to);
        }

        to.Write("}"u8);
        Return(members);
    }

    private void WriteArray(ReadOnlyMemory<byte> json, IBufferWriter<byte> to)
    {
        // The reader may not live across the writing of an element, which may come back here.
        var members = _spare.TryPop(out var spare) ? spare : [];
        var reader = new Utf8JsonReader(json.Span);
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            members.Add(new Member(0, 0, start, (int)reader.BytesConsumed));
        }

        to.Write("["u8);
        for (var i = 0; i < members.Count; i++)
        {
            if (i > 0)
            {
                to.Write(","u8);
            }

            Write(json[members[i].Start..members[i].End], to);
        }

        to.Write("]"u8);
        Return(members);
    }

    private static void WriteText(ReadOnlySpan<byte> quoted, IBufferWriter<byte> to)
    {
        // Control characters stand escaped in valid JSON, so what has no escape needs none.
        if (quoted.Contains((byte)'\\'))
        {
            WriteString(Unescaped(quoted), to);
        }
        else
        {
            to.Write(quoted);
        }
    }

    private static string Unescaped(ReadOnlySpan<byte> quoted)
    {
        var reader = new Utf8JsonReader(quoted);
        reader.Read();
        return reader.GetString()!;
    }

    private static void WriteNumber(ReadOnlySpan<byte> number, IBufferWriter<byte> to)
    {
        if (number.IndexOfAny((byte)'.', (byte)'e', (byte)'E') < 0)
        {
            to.Write(number.SequenceEqual("-0"u8) ? "0"u8 : number);
            return;
        }

        var negative = number[0] == '-';
        var text = Encoding.ASCII.GetString(negative ? number[1..] : number);
        var e = text.IndexOfAny(['e', 'E']);
        var exponent = e < 0 ? 0 : int.Parse(text.AsSpan(e + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        if (exponent is < -MaxExponent or > MaxExponent)
        {
            throw new JsonException($"The number {text} has an exponent beyond {MaxExponent}.");
        }

        var mantissa = e < 0 ? text : text[..e];
        var point = mantissa.IndexOf('.', StringComparison.Ordinal);
        var digits = point < 0 ? mantissa : mantissa.Remove(point, 1);
        var whole = (point < 0 ? mantissa.Length : point) + exponent;
        digits = whole < 0 ? new string('0', -whole) + digits : digits.PadRight(whole, '0');
        whole = Math.Max(whole, 0);
        var before = digits[..whole].TrimStart('0');
        var after = digits[whole..].TrimEnd('0');
        var plain = (before.Length == 0 ? "0" : before) + (after.Length == 0 ? "" : "." + after);
        to.Write(Encoding.ASCII.GetBytes(negative && plain != "0" ? "-" + plain : plain));
    }

    private static ReadOnlyMemory<byte> Trimmed(ReadOnlyMemory<byte> json)
    {
        var trimmed = json.Trim(" \t\r\n"u8);
        return trimmed.IsEmpty ? throw new JsonException("There is no JSON.") : trimmed;
    }

    private sealed class ByName : IComparer<Member>
    {
        public ReadOnlyMemory<byte> Text { get; set; }

        public int Compare(Member x, Member y)
        {
            var a = Text.Span[x.NameStart..x.NameEnd];
            var b = Text.Span[y.NameStart..y.NameEnd];
            return IsPlain(a) && IsPlain(b)
                ? a.SequenceCompareTo(b)
                : string.CompareOrdinal(Unescaped(Text.Span[(x.NameStart - 1)..(x.NameEnd + 1)]), Unescaped(Text.Span[(y.NameStart - 1)..(y.NameEnd + 1)]));
        }

        // Of ASCII the order of bytes is the order of UTF-16 units.
        private static bool IsPlain(ReadOnlySpan<byte> name) => Ascii.IsValid(name) && !name.Contains((byte)'\\');
    }
}
