using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>
/// The cookie <c>pp_vid</c>: <c>{id}.{check}</c>, where the check is the first 128 bits of HMAC-SHA256 over the id; or the word
/// <c>refused</c> of a visitor who does not want to be remembered.
/// </summary>
/// <remarks>
/// It identifies the visitor and nothing else: which partners brought the visitor is in the log. It is set anew by each click,
/// by a link or by a landing, and so lives for <see cref="CookieOptions.Days"/> after the last one; looking at pages never
/// prolongs it.
/// </remarks>
internal sealed class VisitorCookie : IDisposable
{
    public const string Name = "pp_vid";
    private const int CheckBytes = 16;

    // One for each thread: making one costs as much as the hash.
    private readonly ThreadLocal<IncrementalHash> _hmac;
    private readonly byte[] _landingKey;
    private readonly string _attributes;

    public VisitorCookie(IOptions<EdgeOptions> options, SigningKey key)
        : this(options.Value.Cookie, key)
    {
    }

    internal VisitorCookie(CookieOptions options, SigningKey key)
    {
        var secret = key.For("pp_vid");
        _hmac = new ThreadLocal<IncrementalHash>(() => IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, secret));
        _landingKey = key.For("pp_vid of a landing");
        IsSet = options.EffectiveMode != CookieMode.Off;
        var domain = options.EffectiveMode == CookieMode.Domain ? $"; Domain={options.Domain!.TrimStart('.')}" : "";
        _attributes = $"; Max-Age={options.Days * 86_400}; Path=/{domain}; SameSite=Lax; HttpOnly{(options.Secure ? "; Secure" : "")}";
    }

    /// <summary>False: the edge remembers nobody.</summary>
    public bool IsSet { get; }

    /// <summary>Value of the <c>Set-Cookie</c> header that keeps a refusal in the place of an id.</summary>
    public string RefusalHeader => $"{Name}={VisitorId.Refused}{_attributes}";

    /// <summary>Whether a <c>Cookie</c> header says that the visitor refuses to be remembered.</summary>
    public static bool Refuses(Microsoft.Extensions.Primitives.StringValues headers)
    {
        foreach (var header in headers)
        {
            foreach (var range in header.AsSpan().Split(';'))
            {
                if (header.AsSpan()[range].Trim() is Name + "=" + VisitorId.Refused)
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>A visitor id that nobody has.</summary>
    public static string NewId()
    {
        Span<byte> bytes = stackalloc byte[VisitorId.IdLength / 2];
        Randomness.Fill(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    /// <summary>The visitor id of who lands as nobody yet: always the same for one landing, and nothing that its page could make.</summary>
    public string IdOfLanding(string program, string nonce) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(_landingKey, Encoding.UTF8.GetBytes($"{program}\u001F{nonce}")).AsSpan(0, VisitorId.IdLength / 2));

    /// <summary>The visitor that a <c>Cookie</c> header names with a right check; null for anything else.</summary>
    public string? Read(ReadOnlySpan<char> header)
    {
        foreach (var range in header.Split(';'))
        {
            var pair = header[range].Trim();
            if (pair.StartsWith(Name + "=", StringComparison.Ordinal) && Verify(pair[(Name.Length + 1)..]) is { } id)
            {
                return id;
            }
        }

        return null;
    }

    /// <summary>Value of the <c>Set-Cookie</c> header that makes a browser remember <paramref name="id"/>.</summary>
    public string Header(string id)
    {
        Span<char> check = stackalloc char[VisitorId.CheckLength];
        Check(id, check);
        return $"{Name}={id}.{check}{_attributes}";
    }

    public void Dispose() => _hmac.Dispose();

    private string? Verify(ReadOnlySpan<char> value)
    {
        if (value.Length != VisitorId.IdLength + 1 + VisitorId.CheckLength || value[VisitorId.IdLength] != '.' || !Ascii.IsValid(value))
        {
            return null;
        }

        var id = value[..VisitorId.IdLength];
        Span<char> check = stackalloc char[VisitorId.CheckLength];
        Check(id, check);
        return CryptographicOperations.FixedTimeEquals(
            System.Runtime.InteropServices.MemoryMarshal.AsBytes<char>(check),
            System.Runtime.InteropServices.MemoryMarshal.AsBytes(value[(VisitorId.IdLength + 1)..]))
            ? id.ToString()
            : null;
    }

    private void Check(ReadOnlySpan<char> id, Span<char> check)
    {
        Span<byte> text = stackalloc byte[VisitorId.IdLength];
        Encoding.ASCII.GetBytes(id, text);
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        var hmac = _hmac.Value!;
        hmac.AppendData(text);
        hmac.GetHashAndReset(hash);
        Base64Url.EncodeToChars(hash[..CheckBytes], check);
    }
}
