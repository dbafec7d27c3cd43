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
}
