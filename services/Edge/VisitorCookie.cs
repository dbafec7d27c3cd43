using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>The cookie <c>pp_vid</c>: <c>{id}.{check}</c>, where the check is the first 128 bits of HMAC-SHA256 over the id.</summary>
internal sealed class VisitorCookie : IDisposable
{
    public const string Name = "pp_vid";
    private const int CheckBytes = 16;

    // One for each thread: making one costs as much as the hash.
    private readonly ThreadLocal<IncrementalHash> _hmac;
    private readonly string _attributes;

    public VisitorCookie(IOptions<EdgeOptions> options, SigningKey key)
        : this(options.Value.Cookie, key)
    {
    }

    internal VisitorCookie(CookieOptions options, SigningKey key)
    {
        var secret = key.For("pp_vid");
        _hmac = new ThreadLocal<IncrementalHash>(() => IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, secret));
        IsSet = options.EffectiveMode != CookieMode.Off;
        var domain = options.EffectiveMode == CookieMode.Domain ? $"; Domain={options.Domain!.TrimStart('.')}" : "";
        _attributes = $"; Max-Age={options.Days * 86_400}; Path=/{domain}; SameSite=Lax; HttpOnly{(options.Secure ? "; Secure" : "")}";
    }

    /// <summary>False: the edge remembers nobody.</summary>
    public bool IsSet { get; }

    /// <summary>A visitor id that nobody has.</summary>
    public static string NewId()
    {
        Span<byte> bytes = stackalloc byte[VisitorId.IdLength / 2];
        Randomness.Fill(bytes);
        return Convert.ToHexStringLower(bytes);
    }

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
