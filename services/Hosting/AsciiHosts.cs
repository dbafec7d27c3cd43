namespace PartnerPulse.Hosting;

/// <summary>Host names of addresses that strangers wrote.</summary>
public static class AsciiHosts
{
    /// <summary>
    /// The host in the form that DNS knows, lower case and in punycode; null where it has none. The framework takes such an address
    /// (<c>https://xn--ß/</c>) for one and throws only when it is asked for that form.
    /// </summary>
    public static string? AsciiHost(this Uri address)
    {
        ArgumentNullException.ThrowIfNull(address);
        try
        {
            return address.IdnHost is { Length: > 0 } host ? host : null;
        }
        catch (UriFormatException)
        {
            return null;
        }
    }

    /// <summary>
    /// The origin as a browser writes it in <c>Origin</c>: scheme, host in the form that DNS knows, and the port where it is not the usual
    /// one; null where the address has no host.
    /// </summary>
    public static string? AsciiOrigin(this Uri address)
    {
        ArgumentNullException.ThrowIfNull(address);
        var host = address.HostNameType == UriHostNameType.IPv6 ? address.Host : address.AsciiHost();
        return host is null ? null : address.IsDefaultPort ? $"{address.Scheme}://{host}" : $"{address.Scheme}://{host}:{address.Port}";
    }
}
