using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>The way to a server, which can be cut, and on which answers can be lost.</summary>
internal sealed class Tunnel : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Socket, byte> _sockets = new();
    private readonly Uri _server;
    private readonly Task _accepting;
    private int _refused;
    private volatile bool _open = true;
    private volatile bool _answers = true;
    private long _answerBytesLeft = long.MaxValue;

    public Tunnel(string server)
    {
        _server = new Uri(server);
        _listener.Start();
        Address = new UriBuilder(_server) { Host = "127.0.0.1", Port = ((IPEndPoint)_listener.LocalEndpoint).Port }.Uri.AbsoluteUri;
        _accepting = AcceptAsync();
    }

    /// <summary>The server's address, by way of the tunnel.</summary>
    public string Address { get; }

    public bool IsCut => !_open;

    /// <summary>Connections that found the tunnel cut.</summary>
    public int Refused => Volatile.Read(ref _refused);

    /// <summary>From now on the server hears everything and its answers are lost.</summary>
    public void LoseAnswers() => _answers = false;

    /// <summary>The tunnel is cut in the middle of an answer, once the server has answered so many bytes.</summary>
    public void CutAfter(long answerBytes) => Volatile.Write(ref _answerBytesLeft, answerBytes);

    public void Cut()
    {
        _open = false;
        foreach (var socket in _sockets.Keys)
        {
            socket.Dispose();
        }
    }

    public void Mend()
    {
        _answers = true;
        Volatile.Write(ref _answerBytesLeft, long.MaxValue);
        _open = true;
    }

    public async ValueTask DisposeAsync()
    {
        Cut();
        _listener.Stop();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            var client = await _listener.AcceptSocketAsync();
            if (!_open)
            {
                client.Dispose();
                Interlocked.Increment(ref _refused);
                continue;
            }

            var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
            await server.ConnectAsync(_server.Host, _server.Port);
            _sockets[client] = _sockets[server] = 0;
            _ = PumpAsync(client, server, length => length);
            _ = PumpAsync(server, client, PassAnswer);
        }
    }

    /// <summary>How much of an answer passes; cuts the tunnel where that was the last of it.</summary>
    private int PassAnswer(int length)
    {
        if (!_answers)
        {
            return 0;
        }

        var left = Volatile.Read(ref _answerBytesLeft);
        if (left == long.MaxValue)
        {
            return length;
        }

        left = Interlocked.Add(ref _answerBytesLeft, -length);
        if (left > 0)
        {
            return length;
        }

        Cut();
        return 0;
    }

    private async Task PumpAsync(Socket from, Socket to, Func<int, int> passes)
    {
        var buffer = new byte[16 * 1024];
        try
        {
            int read;
            while ((read = await from.ReceiveAsync(buffer)) > 0)
            {
                var length = passes(read);
                for (var sent = 0; sent < length;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, length - sent));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Cut, here or at one of its ends.
        }

        from.Dispose();
        to.Dispose();
        _sockets.TryRemove(from, out _);
        _sockets.TryRemove(to, out _);
    }
}
