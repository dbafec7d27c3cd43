using System.Net;
using Microsoft.Extensions.Options;

namespace PartnerPulse.Edge;

/// <summary>
/// Whose request it is: the peer of the connection, or where that is one of <see cref="EdgeOptions.TrustedProxies"/>, the first
/// address in <c>X-Forwarded-For</c>, read from its right end, that is not. What stands further left anyone may have written.
/// </summary>
/// <remarks>
/// ASP.NET's middleware for forwarded headers reads them the same way, but for every request and in the pipeline, which a
/// redirect does not pass; and it rewrites the connection for all who come after. Here a request that came straight costs one
/// comparison, and nobody else sees the address.
/// </remarks>
internal sealed class ClientAddress(IReadOnlyList<string> trustedProxies)
{
    private const string Header = "X-Forwarded-For";

    private readonly IPNetwork[] _proxies = [.. trustedProxies.Select(text => Parse(text) ?? throw new ArgumentException($"'{text}' is not a network.", nameof(trustedProxies)))];

    public ClientAddress(IOptions<EdgeOptions> options)
        : this(options.Value.TrustedProxies)
    {
    }

    /// <summary>A network (<c>10.0.0.0/8</c>) or a single address; null for anything else.</summary>
    public static IPNetwork? Parse(string text) =>
        IPNetwork.TryParse(text, out var network) ? network
        : !text.Contains('/', StringComparison.Ordinal) && TryReadHop(text, out var address) ? new IPNetwork(address, address.GetAddressBytes().Length * 8)
        : null;

    /// <summary>Null where the connection has no address.</summary>
    public IPAddress? Of(HttpContext http)
    {
        var client = http.Connection.RemoteIpAddress;
        if (_proxies.Length == 0 || client is null || !IsProxy(client))
        {
            return client;
        }

        var lines = http.Request.Headers[Header];
        for (var line = lines.Count - 1; line >= 0; line--)
        {
            var hops = lines[line].AsSpan();
            while (!hops.IsEmpty)
            {
                var comma = hops.LastIndexOf(',');
                var hop = hops[(comma + 1)..].Trim();
                hops = comma < 0 ? default : hops[..comma];
                if (hop.IsEmpty)
                {
                    continue;
                }

                // A proxy that names nobody ('unknown') is the last one that can be told from another.
                if (!TryReadHop(hop, out var address))
                {
                    return client;
                }

                client = address;
                if (!IsProxy(client))
                {
                    return client;
                }
            }
        }

        return client;
    }

    /// <summary>An address with or without a port. Bare numbers, which the framework takes for addresses, are none.</summary>
    private static bool TryReadHop(ReadOnlySpan<char> hop, out IPAddress address)
    {
        var read = hop.IndexOfAny('.', ':') >= 0 && IPEndPoint.TryParse(hop, out var end) ? end.Address : null;
        address = read is { IsIPv4MappedToIPv6: true } ? read.MapToIPv4() : read ?? IPAddress.None;
        return read is not null;
    }

    private bool IsProxy(IPAddress address)
    {
        var own = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        foreach (var proxy in _proxies)
        {
            if (proxy.Contains(own))
            {
                return true;
            }
        }

        return false;
    }
}
