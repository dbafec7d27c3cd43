using System.Net;
using System.Net.Sockets;

namespace PartnerPulse.Outbound;

/// <summary>
/// Addresses that are not a stranger's server on the internet: of this machine, of this network, of the cloud around it, or of
/// nobody. By the registries of special addresses of IANA (RFC 6890).
/// </summary>
internal static class SpecialAddresses
{
    private static readonly IPNetwork[] s_v4 =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
            "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",

            // Azure's own address for its machines, which lies among the public ones.
            "168.63.129.16/32",
        }.Select(IPNetwork.Parse),
    ];

    // Only here are global unicast addresses.
    private static readonly IPNetwork s_global = IPNetwork.Parse("2000::/3");

    // Of these, tunnels (Teredo, 6to4) lead to an IPv4 address that they carry, others to documentation or nowhere.
    private static readonly IPNetwork[] s_v6 = [.. new[] { "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20" }.Select(IPNetwork.Parse)];

    private static readonly IPNetwork s_nat64 = IPNetwork.Parse("64:ff9b::/96");

    /// <summary>Whether nothing may be sent there.</summary>
    /// <param name="address">Of either family; IPv4 in the clothes of IPv6 counts as what it is.</param>
    /// <param name="allowed">Networks that may be reached all the same.</param>
    public static bool Refuses(IPAddress address, IReadOnlyList<IPNetwork> allowed)
    {
        var plain = Plain(address);
        return IsSpecial(plain) && !allowed.Any(network => network.Contains(plain));
    }

    private static bool IsSpecial(IPAddress address) => address.AddressFamily == AddressFamily.InterNetwork
        ? s_v4.Any(network => network.Contains(address))
        : !s_global.Contains(address) || s_v6.Any(network => network.Contains(address));

    /// <summary>The IPv4 address behind a mapped one, and behind one of NAT64: networks without IPv4 see the whole internet under that.</summary>
    private static IPAddress Plain(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            return address.MapToIPv4();
        }

        return address.AddressFamily == AddressFamily.InterNetworkV6 && s_nat64.Contains(Unscoped(address))
            ? new IPAddress(address.GetAddressBytes().AsSpan(12))
            : Unscoped(address);
    }

    // A scope (fe80::1%eth0) says by which interface, not where.
    private static IPAddress Unscoped(IPAddress address) =>
        address is { AddressFamily: AddressFamily.InterNetworkV6, ScopeId: not 0 } ? new IPAddress(address.GetAddressBytes()) : address;
}
