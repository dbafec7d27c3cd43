using System.Buffers;
using System.Text;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>What a raw query says of a click.</summary>
/// <param name="Campaign">The utm parameters, decoded; null where there is none.</param>
/// <param name="SubIds">The partner's labels; null where there is none.</param>
/// <param name="Test"><c>pp_test=1</c>.</param>
internal readonly record struct QueryFacts(Campaign? Campaign, IReadOnlyDictionary<string, string>? SubIds, bool Test);

/// <summary>Reading of raw queries. Of parameters that come twice the first counts.</summary>
internal static class QueryText
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The raw query of an address, without the question mark; null where there is none.</summary>
    public static string? Of(string? address)
    {
        if (address is null)
        {
            return null;
        }

        var fragment = address.IndexOf('#', StringComparison.Ordinal);
        var whole = fragment < 0 ? address : address[..fragment];
        var query = whole.IndexOf('?', StringComparison.Ordinal);
        return query < 0 || query + 1 == whole.Length ? null : whole[(query + 1)..];
    }

    /// <param name="query">Without the question mark.</param>
    public static QueryFacts Read(ReadOnlySpan<char> query)
    {
        string? source = null, medium = null, name = null, term = null, content = null;
        Dictionary<string, string>? subIds = null;
        var test = false;
        foreach (var range in query.IsEmpty ? default : query.Split('&'))
        {
            var parameter = query[range];
            var equals = parameter.IndexOf('=');
            if (equals <= 0)
            {
                continue;
            }

            var value = parameter[(equals + 1)..];
            switch (parameter[..equals])
            {
                case "utm_source": source ??= Decode(value); break;
                case "utm_medium": medium ??= Decode(value); break;
                case "utm_campaign": name ??= Decode(value); break;
                case "utm_term": term ??= Decode(value); break;
                case "utm_content": content ??= Decode(value); break;
                case "sub1" or "sub2" or "sub3" or "sub4" or "sub5" or "subId":
                    (subIds ??= new(StringComparer.Ordinal)).TryAdd(parameter[..equals].ToString(), Decode(value));
                    break;
                case "pp_test": test |= value is "1"; break;
                default: break;
            }
        }

        var campaign = source is null && medium is null && name is null && term is null && content is null
            ? null
            : new Campaign { Source = source, Medium = medium, Name = name, Term = term, Content = content };
        return new QueryFacts(campaign, subIds, test);
    }

    /// <summary>The first value of a name that is not empty, as it was sent.</summary>
    public static bool TryFind(ReadOnlySpan<char> query, ReadOnlySpan<char> name, out ReadOnlySpan<char> value)
    {
        foreach (var range in query.IsEmpty ? default : query.Split('&'))
        {
            var parameter = query[range];
            var equals = parameter.IndexOf('=');
            if (equals > 0 && equals + 1 < parameter.Length && SameName(parameter[..equals], name))
            {
                value = parameter[(equals + 1)..];
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>Whether the landing page takes two names for one: it sees <c>utm%5Fsource</c> as <c>utm_source</c>.</summary>
    public static bool SameName(ReadOnlySpan<char> left, ReadOnlySpan<char> right) =>
        left.IndexOfAny('%', '+') < 0 && right.IndexOfAny('%', '+') < 0
            ? left.SequenceEqual(right)
            : Decode(left).Equals(Decode(right), StringComparison.Ordinal);

    /// <summary>
    /// The value as the landing page would read it. One whose bytes are no UTF-8, or that holds U+0000, stays as it was sent:
    /// the log's JSON cannot hold it decoded.
    /// </summary>
    public static string Decode(ReadOnlySpan<char> value) => TryDecode(value, out var text) ? text : value.ToString();

    /// <summary>The same; false for what is no UTF-8 or holds U+0000.</summary>
    public static bool TryDecode(ReadOnlySpan<char> value, out string text)
    {
        text = "";
        if (value.IndexOfAny('%', '+') < 0)
        {
            text = value.ToString();
            return true;
        }

        // Every escape makes one byte of three characters; any other character makes at most three bytes.
        var rented = ArrayPool<byte>.Shared.Rent(value.Length * 3);
        try
        {
            var used = 0;
            for (var i = 0; i < value.Length; i++)
            {
                var c = value[i];
                if (c == '+')
                {
                    rented[used++] = (byte)' ';
                }
                else if (c == '%' && i + 2 < value.Length && char.IsAsciiHexDigit(value[i + 1]) && char.IsAsciiHexDigit(value[i + 2]))
                {
                    var b = byte.Parse(value.Slice(i + 1, 2), System.Globalization.NumberStyles.AllowHexSpecifier);
                    if (b == 0)
                    {
                        return false;
                    }

                    rented[used++] = b;
                    i += 2;
                }
                else if (c < 0x80)
                {
                    rented[used++] = (byte)c;
                }
                else
                {
                    // The two halves of a surrogate pair belong into one call.
                    var units = char.IsHighSurrogate(c) && i + 1 < value.Length && char.IsLowSurrogate(value[i + 1]) ? 2 : 1;
                    used += s_strict.GetBytes(value.Slice(i, units), rented.AsSpan(used));
                    i += units - 1;
                }
            }

            text = s_strict.GetString(rented, 0, used);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
