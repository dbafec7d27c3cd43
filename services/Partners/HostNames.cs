using System.Buffers;
using System.Globalization;
using PartnerPulse.Hosting;

namespace PartnerPulse.Partners;

/// <summary>Names of hosts and origins of pages, in the form in which browsers and DNS write them.</summary>
internal static class HostNames
{
    private const int MaxName = 253;
    private const int MaxLabel = 63;

    private static readonly SearchValues<char> s_notInOrigin = SearchValues.Create("/\\?#@ ");
    private static readonly IdnMapping s_idn = new() { UseStd3AsciiRules = true };

    /// <summary>The name in lower case and punycode, or why it is none; the reason completes the sentence that begins with the field.</summary>
    public static (string? Host, string? Fault) Read(string text)
    {
        string ascii;
        try
        {
            ascii = s_idn.GetAscii(text.ToLowerInvariant());
        }
        catch (ArgumentException)
        {
            return (null, $"'{text}' is not a host name");
        }

        if (ascii.Length > MaxName || !ascii.Split('.').All(IsLabel))
        {
            return (null, $"'{text}' is not a host name: letters, digits and '-' in parts of 1 to {MaxLabel}, without scheme, port and path");
        }

        // What ends in a number is read as an address: 10.1 is 10.0.0.1.
        return char.IsAsciiDigit(ascii[ascii.LastIndexOf('.') + 1]) ? (null, $"'{text}' is an address in numbers; it must be a host name") : (ascii, null);
    }

    /// <summary>The origin as a browser writes it in <c>Origin</c>, or why it is none.</summary>
    public static (string? Origin, string? Fault) ReadOrigin(string text)
    {
        const string Form = "must be 'https://' with a host and, where it is not the usual one, a port";
        var scheme = text.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? "https"
            : text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? "http"
            : null;
        if (scheme is null || text.AsSpan(scheme.Length + 3).IndexOfAny(s_notInOrigin) >= 0)
        {
            return (null, $"'{text}' {Form}, and nothing else");
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri))
        {
            return (null, $"'{text}' {Form}");
        }

        if (uri.IsLoopback)
        {
            return (uri.AsciiOrigin(), null);
        }

        var (host, fault) = Read(uri.AsciiHost() ?? "");
        return host is null ? (null, fault)
            : scheme == "http" && !host.EndsWith(".localhost", StringComparison.Ordinal) ? (null, $"'{text}' must begin with https://; http is for localhost alone")
            : (uri.AsciiOrigin(), null);
    }

    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= MaxLabel && label[0] != '-' && label[^1] != '-' && label.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-');
}
