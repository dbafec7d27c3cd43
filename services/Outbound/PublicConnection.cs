using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Options;

namespace PartnerPulse.Outbound;

/// <summary>
/// Connects to public addresses alone. What counts is the address that is connected to: a name may have led elsewhere when it was
/// set up, and may lead elsewhere in a minute.
/// </summary>
internal sealed class PublicConnection(IOptions<OutboundOptions> options)
{
    private readonly IReadOnlyList<IPNetwork> _allowed = options.Value.Allowed;

    /// <summary>How names become addresses; tests put their own in the place of DNS.</summary>
    public Func<string, CancellationToken, Task<IPAddress[]>> Resolve { get; init; } = Dns.GetHostAddressesAsync;

    /// <summary>Why an address of this kind can never be told, where that is plain from its text; null where it is not.</summary>
    public string? WhyNot(Uri url) =>
        IPAddress.TryParse(url.Host, out var literal) && SpecialAddresses.Refuses(literal, _allowed) ? $"leads to {literal}, which is not a public address"
        : IsOfThisMachine(url.IdnHost) && SpecialAddresses.Refuses(IPAddress.Loopback, _allowed) ? $"leads to '{url.IdnHost}', which is this machine"
        : null;

    /// <summary>A handler that connects by these rules, follows nothing, remembers nothing and unpacks nothing.</summary>
    public SocketsHttpHandler Handler() => new()
    {
        ConnectCallback = async (context, cancellationToken) => new NetworkStream(await ConnectAsync(context.DnsEndPoint, cancellationToken), ownsSocket: true),
        AllowAutoRedirect = false,
        UseCookies = false,

        // A proxy would connect for us, and know nothing of the rules.
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        MaxResponseHeadersLength = 16,
        MaxResponseDrainSize = 0,
        PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(30),
        EnableMultipleHttp2Connections = false,
    };

    /// <exception cref="AddressRefusedException">The name leads to no public address.</exception>
    private async Task<Socket> ConnectAsync(DnsEndPoint end, CancellationToken cancellationToken)
    {
        var addresses = IPAddress.TryParse(end.Host, out var literal) ? [literal] : await Resolve(end.Host, cancellationToken);
        var open = addresses.Where(address => !SpecialAddresses.Refuses(address, _allowed)).ToArray();
        if (open.Length == 0)
        {
            OutboundMetrics.Refused.Add(1);
            throw new AddressRefusedException(addresses.Length == 0
                ? $"{end.Host} has no address"
                : $"{end.Host} leads to {string.Join(", ", addresses.AsEnumerable())}, which is not a public address");
        }

        for (var i = 0; ; i++)
        {
            var socket = new Socket(open[i].AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(new IPEndPoint(open[i], end.Port), cancellationToken);
                return socket;
            }
            catch (SocketException) when (i + 1 < open.Length)
            {
                // The next address of the same name may answer.
                socket.Dispose();
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }

    private static bool IsOfThisMachine(string host) =>
        host.TrimEnd('.') is var name && (name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase));
}

/// <summary>The receiver's name leads to no address to which anything may be sent.</summary>
internal sealed class AddressRefusedException(string message) : IOException(message);
