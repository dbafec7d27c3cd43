namespace PartnerPulse.Contracts;

/// <summary>
/// A visitor id, and the value of the cookie <c>pp_vid</c> that carries it: <c>{id}.{check}</c>. A shop's server reads the
/// cookie and may hand on either form; both name the same visitor.
/// </summary>
public static class VisitorId
{
    public const int MaxLength = 64;

    /// <summary>Hexadecimal digits of an id that the edge makes.</summary>
    public const int IdLength = 32;

    /// <summary>Characters of the keyed check in the cookie (base64url of 128 bits).</summary>
    public const int CheckLength = 22;

    /// <summary>What the cookie holds in the place of an id where the visitor refuses to be remembered. It names nobody.</summary>
    public const string Refused = "refused";

    /// <summary>The id in <paramref name="value"/>, which is an id or the whole cookie value; null for <see cref="Refused"/>.</summary>
    public static string? FromIdOrCookie(string value) =>
        value == Refused ? null
        : value.Length == IdLength + 1 + CheckLength && value[IdLength] == '.' && IsMadeByTheEdge(value.AsSpan(0, IdLength))
            ? value[..IdLength]
            : value;

    private static bool IsMadeByTheEdge(ReadOnlySpan<char> id)
    {
        foreach (var c in id)
        {
            if (!char.IsAsciiHexDigitLower(c))
            {
                return false;
            }
        }

        return true;
    }
}
