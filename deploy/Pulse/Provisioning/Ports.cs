using System.Net;
using System.Net.Sockets;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>Ports for the private servers.</summary>
internal static class Ports
{
    // Below the range from which the kernel takes ports for outgoing connections: a client's connection can then never sit
    // on the port of a server that is just being restarted.
    private const int First = 20_000;
    private const int Count = 10_000;

    // Ports given out by this process but not yet bound by the server they are for.
    private static readonly HashSet<int> s_given = [];

    /// <summary>A free port of the loopback interface. The same seed finds the same port while it is free.</summary>
    public static int Free(string seed)
    {
        var start = (int)(Fnv(seed) % Count);
        for (var i = 0; i < Count; i++)
        {
            var port = First + ((start + i) % Count);
            lock (s_given)
            {
                if (!s_given.Contains(port) && IsFree(IPAddress.Loopback, port))
                {
                    s_given.Add(port);
                    return port;
                }
            }
        }

        throw new ProvisioningException($"No port between {First} and {First + Count} is free.");
    }

    public static bool IsFree(IPAddress address, int port)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(address, port));
            socket.Listen(1);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    // string.GetHashCode differs from process to process; this does not.
    private static uint Fnv(string text)
    {
        var hash = 2166136261u;
        foreach (var c in text)
        {
            hash = (hash ^ c) * 16777619u;
        }

        return hash;
    }
}
