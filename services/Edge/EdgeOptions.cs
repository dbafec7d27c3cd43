using Microsoft.Extensions.Options;

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
}

public sealed class PartnersOptions
{
    /// <summary>Address of the service. Where absent, the catalogue on disk is all there is.</summary>
    public string? Url { get; set; }

    /// <summary>API key with the scope <c>read</c>.</summary>
    public string? Key { get; set; }
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

        if (!string.IsNullOrEmpty(options.Partners.Url) && string.IsNullOrEmpty(options.Partners.Key))
        {
            yield return "Edge:Partners:Key is required where Edge:Partners:Url is set.";
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
}
