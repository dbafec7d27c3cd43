using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>An answer as its bytes say it; each is a Latin-1 character.</summary>
internal sealed record RawAnswer(int Status, IReadOnlyList<(string Name, string Value)> Headers, string Body)
{
    public string? Header(string name) => Headers.FirstOrDefault(h => h.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;
}

/// <summary>A connection on which a test writes what it likes and reads answers byte by byte, believing nothing.</summary>
internal sealed class RawConnection : IAsyncDisposable
{
    // A server that neither answers nor closes fails the test; it does not hang it.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly TcpClient _client = new() { NoDelay = true };
    private byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    private RawConnection()
    {
    }

    public static async Task<RawConnection> OpenAsync(Uri address)
    {
        var connection = new RawConnection();
        await connection._client.ConnectAsync(address.Host, address.Port);
        return connection;
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes) => await _client.GetStream().WriteAsync(bytes);

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>The next answer; null where the server has closed the connection.</summary>
    public async Task<RawAnswer?> ReadAsync(bool head = false, CancellationToken cancellation = default)
    {
        if (await LineAsync(cancellation) is not { } first)
        {
            return null;
        }

        Assert.Matches("^HTTP/1\\.1 [1-5][0-9][0-9] ", first);
        var status = int.Parse(first.AsSpan(9, 3), CultureInfo.InvariantCulture);
        var headers = new List<(string Name, string Value)>();
        for (var line = await LineAsync(cancellation); line is { Length: > 0 }; line = await LineAsync(cancellation))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            Assert.True(colon > 0, $"'{line}' is no header.");
            headers.Add((line[..colon], line[(colon + 1)..].Trim()));
        }

        var answer = new RawAnswer(status, headers, "");
        if (head || status is 204 or 304 or < 200)
        {
            return answer;
        }

        if (answer.Header("Content-Length") is { } length)
        {
            return answer with { Body = await BytesAsync(int.Parse(length, CultureInfo.InvariantCulture), cancellation) };
        }

        if (answer.Header("Transfer-Encoding") != "chunked")
        {
            return answer;
        }

        var body = new StringBuilder();
        while (true)
        {
            var size = int.Parse((await LineAsync(cancellation))!, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            body.Append(await BytesAsync(size, cancellation));
            Assert.Equal("", await LineAsync(cancellation));
            if (size == 0)
            {
                return answer with { Body = body.ToString() };
            }
        }
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>A line without its CR LF; a bare CR or LF in it stays, and is for the test to find. Null at the end.</summary>
    private async Task<string?> LineAsync(CancellationToken cancellation)
    {
        var searched = 0;
        while (true)
        {
            var had = _end - _start;
            var at = _buffer.AsSpan(_start + searched, had - searched).IndexOf("\r\n"u8);
            if (at >= 0)
            {
                var line = Encoding.Latin1.GetString(_buffer, _start, searched + at);
                _start += searched + at + 2;
                return line;
            }

            searched = Math.Max(0, had - 1);
            if (!await FillAsync(cancellation))
            {
                Assert.Equal(0, had);
                return null;
            }
        }
    }

    private async Task<string> BytesAsync(int count, CancellationToken cancellation)
    {
        while (_end - _start < count)
        {
            Assert.True(await FillAsync(cancellation), "The connection ended within a body.");
        }

        _start += count;
        return Encoding.Latin1.GetString(_buffer, _start - count, count);
    }

    private async Task<bool> FillAsync(CancellationToken cancellation)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            (_start, _end) = (0, _end - _start);
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(s_patience);
        try
        {
            var read = await _client.GetStream().ReadAsync(_buffer.AsMemory(_end), patience.Token);
            _end += read;
            return read > 0;
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset or SocketError.ConnectionAborted })
        {
            return false;
        }
    }
}
