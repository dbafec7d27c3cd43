using Microsoft.Extensions.Options;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Edge;

/// <summary>When a click counts as kept.</summary>
public enum Durability
{
    /// <summary>When it is on the disk (SQLite <c>synchronous=FULL</c>): survives a power cut.</summary>
    Disk,

    /// <summary>When the operating system has it (<c>synchronous=NORMAL</c>): survives a killed process.</summary>
    Process,
}

/// <summary>When the visitor cookie is set.</summary>
public enum CookieMode
{
    /// <summary>Never: the edge's domain is not the merchant's.</summary>
    Off,

    /// <summary>For <see cref="CookieOptions.Domain"/> and what lies under it.</summary>
    Domain,

    /// <summary>For the edge's own host name alone.</summary>
    Host,
}

/// <summary>Section <c>Edge</c> of the configuration.</summary>
public sealed class EdgeOptions
{
    /// <summary>Name of this edge among others: lower-case letters, digits and <c>-</c>.</summary>
    public string Name { get; set; } = "1";

    /// <summary>Folder of the spool, the catalogue and the signing key. <c>{Pulse:Data}/edge</c> where absent.</summary>
    public string Data { get; set; } = "";

    public Durability Durability { get; set; } = Durability.Disk;

    /// <summary>Bytes of clicks that the spool keeps while the bus is away. About 400 a click.</summary>
    public long SpoolMaxBytes { get; set; } = 8L * 1024 * 1024 * 1024;

    /// <summary>Where an unknown or retired slug leads; a plain 404 where absent.</summary>
    public string? FallbackUrl { get; set; }

    /// <summary>Address under which visitors reach this edge. Partners makes the addresses of links from it.</summary>
    public string? PublicUrl { get; set; }

    /// <summary>The service that publishes links.</summary>
    public PartnersOptions Partners { get; set; } = new();

    /// <summary>File of at least 32 random bytes; the same on all edges. <c>{Data}/signing.key</c> where absent, made where missing.</summary>
    public string SigningKeyFile { get; set; } = "";

    public CookieOptions Cookie { get; set; } = new();

    /// <summary>Largest body of an import, in bytes.</summary>
    public long ImportMaxBytes { get; set; } = 256L * 1024 * 1024;

    /// <summary>
    /// Networks (<c>10.0.0.0/8</c>) and addresses of proxies whose <c>X-Forwarded-For</c> is believed. None where empty: the peer
    /// of a connection is then the visitor.
    /// </summary>
    public IReadOnlyList<string> TrustedProxies { get; set; } = [];

    public LimitOptions Limits { get; set; } = new();
}

/// <summary>What one client may ask for, section <c>Edge:Limits</c>. Each limit has a definite answer; 0 turns a limit of clicks off.</summary>
public sealed class LimitOptions
{
    /// <summary>Clicks of one network (/24 of IPv4, /48 of IPv6) within 10 seconds; those beyond are marked <c>signals.burst</c>.</summary>
    public int MarkAbove { get; set; } = 300;

    /// <summary>Clicks of one network within 10 seconds; those beyond are answered 429 and are no clicks.</summary>
    public int RefuseAbove { get; set; } = 3_000;

    /// <summary>
    /// Whether loopback and private addresses are limited too. On public traffic they are a proxy that
    /// <see cref="EdgeOptions.TrustedProxies"/> does not list, and stand for everyone behind it.
    /// </summary>
    public bool Private { get; set; }

    /// <summary>Bytes of a request line, and so of a query; 414 beyond.</summary>
    public int RequestLineBytes { get; set; } = 8 * 1024;

    /// <summary>Bytes of all headers together; 431 beyond.</summary>
    public int HeadersBytes { get; set; } = 32 * 1024;

    /// <summary>Number of headers; 431 beyond.</summary>
    public int Headers { get; set; } = 100;

    /// <summary>Seconds in which a request's headers have to arrive; 408 beyond.</summary>
    public int HeadersSeconds { get; set; } = 10;

    /// <summary>Seconds that a connection may be idle. Longer than that of a proxy in front, which else meets closed connections.</summary>
    public int KeepAliveSeconds { get; set; } = 130;

    /// <summary>Bytes a second of a body, after five seconds of grace; 408 below.</summary>
    public int BodyBytesPerSecond { get; set; } = 240;

    /// <summary>Connections at once; more are closed as they come.</summary>
    public int Connections { get; set; } = 20_000;
}

public sealed class PartnersOptions
{
    /// <summary>Address of the service. Where absent, the catalogue on disk is all there is.</summary>
    public string? Url { get; set; }

    /// <summary>API key with the scope <c>catalogue:read</c>, unless <see cref="KeyFile"/> has it.</summary>
    public string? Key { get; set; }

    /// <summary>A file that holds the key; read for each call, so that the key can be rotated under a running edge.</summary>
    public string? KeyFile { get; set; }
}

public sealed class CookieOptions
{
    /// <summary><see cref="CookieMode.Domain"/> where <see cref="Domain"/> is set, else <see cref="CookieMode.Off"/>.</summary>
    public CookieMode? Mode { get; set; }

    /// <summary>The domain that the edge and the merchant share, such as <c>shop.example</c>.</summary>
    public string? Domain { get; set; }

    /// <summary>Days that a visitor is remembered after the last click.</summary>
    public int Days { get; set; } = 90;

    /// <summary>Whether browsers return the cookie over https alone. They take localhost for https.</summary>
    public bool Secure { get; set; } = true;

    internal CookieMode EffectiveMode => Mode ?? (string.IsNullOrEmpty(Domain) ? CookieMode.Off : CookieMode.Domain);
}

/// <summary>Fills in what depends on other sections and tells all faults at once.</summary>
internal sealed class EdgeOptionsSetup(IConfiguration configuration) : IPostConfigureOptions<EdgeOptions>, IValidateOptions<EdgeOptions>
{
    private const int MaxNameLength = 32;

    public void PostConfigure(string? name, EdgeOptions options)
    {
        if (options.Data.Length == 0)
        {
            options.Data = Path.Combine(configuration["Pulse:Data"] is { Length: > 0 } data ? data : ".pulse", "edge");
        }

        if (options.SigningKeyFile.Length == 0)
        {
            options.SigningKeyFile = Path.Combine(options.Data, "signing.key");
        }
    }

    public ValidateOptionsResult Validate(string? name, EdgeOptions options)
    {
        var faults = Faults(options).ToArray();
        return faults.Length == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    internal static IEnumerable<string> Faults(EdgeOptions options)
    {
        if (options.Name.Length is 0 or > MaxNameLength || !options.Name.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '-'))
        {
            yield return $"Edge:Name is '{options.Name}'; it must be 1 to {MaxNameLength} lower-case letters, digits and '-'.";
        }

        if (!Enum.IsDefined(options.Durability))
        {
            yield return "Edge:Durability must be 'Disk' or 'Process'.";
        }

        if (options.SpoolMaxBytes < 1024 * 1024)
        {
            yield return $"Edge:SpoolMaxBytes is {options.SpoolMaxBytes}; it must be at least 1048576.";
        }

        if (options.ImportMaxBytes < 1024 * 1024)
        {
            yield return $"Edge:ImportMaxBytes is {options.ImportMaxBytes}; it must be at least 1048576.";
        }

        foreach (var (key, value) in new[] { ("FallbackUrl", options.FallbackUrl), ("PublicUrl", options.PublicUrl), ("Partners:Url", options.Partners.Url) })
        {
            if (!string.IsNullOrEmpty(value) && Destination.Parse(value) is null)
            {
                yield return $"Edge:{key} is '{value}'; it must be an absolute http or https address.";
            }
        }

        if (CallersKey.Fault("Edge:Partners", options.Partners.Url, options.Partners.Key, options.Partners.KeyFile) is { } keyFault)
        {
            yield return keyFault;
        }

        foreach (var proxy in options.TrustedProxies.Where(proxy => ClientAddress.Parse(proxy) is null))
        {
            yield return $"Edge:TrustedProxies has '{proxy}'; it must be an address, or a network as 10.0.0.0/8.";
        }

        foreach (var fault in Faults(options.Limits))
        {
            yield return fault;
        }

        var cookie = options.Cookie;
        if (cookie.Days is < 30 or > 400)
        {
            yield return $"Edge:Cookie:Days is {cookie.Days}; it must be 30 to 400.";
        }

        if (cookie.EffectiveMode == CookieMode.Domain && (string.IsNullOrEmpty(cookie.Domain) || Uri.CheckHostName(cookie.Domain.TrimStart('.')) != UriHostNameType.Dns))
        {
            yield return $"Edge:Cookie:Domain is '{cookie.Domain}'; it must be a domain name where Edge:Cookie:Mode is 'domain'.";
        }

        if (cookie.EffectiveMode != CookieMode.Domain && !string.IsNullOrEmpty(cookie.Domain))
        {
            yield return $"Edge:Cookie:Domain is '{cookie.Domain}' but Edge:Cookie:Mode is '{cookie.Mode}'.";
        }
    }

    private static IEnumerable<string> Faults(LimitOptions limits)
    {
        foreach (var (key, value, least, most) in new[]
        {
            ("MarkAbove", limits.MarkAbove, 0, 1_000_000),
            ("RefuseAbove", limits.RefuseAbove, 0, 1_000_000),
            ("RequestLineBytes", limits.RequestLineBytes, 1_024, 64 * 1024),
            ("HeadersBytes", limits.HeadersBytes, 4 * 1024, 256 * 1024),
            ("Headers", limits.Headers, 20, 1_000),
            ("HeadersSeconds", limits.HeadersSeconds, 1, 120),
            ("KeepAliveSeconds", limits.KeepAliveSeconds, 1, 3_600),
            ("BodyBytesPerSecond", limits.BodyBytesPerSecond, 1, 1024 * 1024),
            ("Connections", limits.Connections, 10, 1_000_000),
        })
        {
            if (value < least || value > most)
            {
                yield return $"Edge:Limits:{key} is {value}; it must be {least} to {most}.";
            }
        }

        if (limits.RefuseAbove > 0 && limits.MarkAbove > limits.RefuseAbove)
        {
            yield return $"Edge:Limits:MarkAbove is {limits.MarkAbove} but Edge:Limits:RefuseAbove is {limits.RefuseAbove}: nothing would be marked.";
        }
    }
}
