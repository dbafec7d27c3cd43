using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.Edge;

public class LimitsTests
{
    private static readonly IEvent[] s_catalogue = [EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/")];

    private static readonly Dictionary<string, string?> s_behindProxy = new() { ["Edge:TrustedProxies:0"] = "127.0.0.1" };

    [Fact]
    public async Task A_flood_from_one_network_is_marked_then_refused_and_leaves_others_alone()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?>(s_behindProxy)
        {
            ["Edge:Limits:MarkAbove"] = "5", ["Edge:Limits:RefuseAbove"] = "8",
        });
        var answers = new List<HttpResponseMessage>();
        for (var i = 0; i < 12; i++)
        {
            answers.Add(await edge.FollowAsync($"/r/acme?n={i}", ("X-Forwarded-For", $"203.0.113.{i}")));
        }

        using var other = await edge.FollowAsync("/r/acme?n=other", ("X-Forwarded-For", "203.0.114.1"));
        Assert.Equal(HttpStatusCode.Found, other.StatusCode);
        Assert.Equal([.. Enumerable.Repeat(HttpStatusCode.Found, 8), .. Enumerable.Repeat(HttpStatusCode.TooManyRequests, 4)], answers.Select(a => a.StatusCode));
        Assert.All(answers.Skip(8), a =>
        {
            Assert.InRange(a.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 10);
            Assert.Null(a.Headers.Location);
            Assert.True(a.Headers.CacheControl!.NoStore);
        });
        Assert.Equal(
            ["n=0 ", "n=1 ", "n=2 ", "n=3 ", "n=4 ", "n=5 True", "n=6 True", "n=7 True", "n=other "],
            (await edge.ClicksAsync()).Select(c => $"{c.Query} {c.Signals?.Burst}"));
    }

    [Fact]
    public async Task Behind_a_trusted_proxy_each_network_has_its_own_hash_and_a_forged_hop_has_no_say()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_behindProxy);
        foreach (var forwarded in new[] { "203.0.113.7", "198.51.100.1, 203.0.113.99", "198.51.100.1", "nonsense" })
        {
            using var _ = await edge.FollowAsync("/r/acme", ("X-Forwarded-For", forwarded));
        }

        var hashes = (await edge.ClicksAsync()).Select(c => c.AddressHash).ToArray();
        Assert.Equal(hashes[0], hashes[1]);
        Assert.Equal(3, hashes.Distinct().Count());
    }

    [Fact]
    public async Task An_address_is_nowhere_but_in_a_keyed_hash()
    {
        // An address that nothing else here looks like, as text and as bytes.
        const string Client = "203.0.113.187";
        const string Client6 = "2001:db8:a1b2:c3d4::e5f6";
        var logs = new AllLogs();
        await using var edge = await EdgeHost.StartAsync(s_catalogue, logs: logs, settings: new Dictionary<string, string?>(s_behindProxy)
        {
            ["Edge:Cookie:Mode"] = "host", ["Edge:Limits:RefuseAbove"] = "20", ["Edge:Limits:MarkAbove"] = "10",
        });
        for (var i = 0; i < 60; i++)
        {
            using var _ = await edge.FollowAsync(i % 3 == 0 ? "/r/unknown" : "/r/acme?a=1", ("X-Forwarded-For", i % 2 == 0 ? Client : Client6), ("User-Agent", "Test"));
        }

        Assert.Equal(2, (await edge.ClicksAsync()).Select(c => c.AddressHash).Distinct().Count());
        Assert.NotEmpty(logs.Lines);
        byte[][] traces =
        [
            Encoding.ASCII.GetBytes("203.0.113"), [203, 0, 113], [113, 0, 203], Encoding.ASCII.GetBytes("a1b2:c3d4"), [0xa1, 0xb2, 0xc3, 0xd4], Encoding.ASCII.GetBytes("cb0071"),
        ];
        Assert.All(logs.Lines.Select(Encoding.UTF8.GetBytes), line => Assert.All(traces, trace => Assert.True(line.AsSpan().IndexOf(trace) < 0, Encoding.UTF8.GetString(line))));
        foreach (var file in Directory.GetFiles(edge.Folder, "*", SearchOption.AllDirectories).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal) && !f.EndsWith(".key", StringComparison.Ordinal)))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var bytes = new byte[stream.Length];
            await stream.ReadExactlyAsync(bytes);

            // Three bytes of a number turn up by chance in a file of pages; the address in words does not.
            Assert.All(traces.Where(t => t.Length > 3), trace => Assert.True(bytes.AsSpan().IndexOf(trace) < 0, file));
        }
    }

    [Theory]
    [InlineData(8_000, 302)]
    [InlineData(8_400, 414)]
    [InlineData(200_000, 414)]
    public async Task A_request_line_beyond_8_KB_is_answered_414(int length, int status)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        Assert.Equal(status, await AskAsync(edge, $"GET /r/acme?{new string('q', length)} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }

    [Theory]
    [InlineData(1, 30_000, 302)]
    [InlineData(1, 40_000, 431)]
    [InlineData(90, 10, 302)]
    [InlineData(110, 10, 431)]
    public async Task Headers_beyond_the_limits_are_answered_431(int count, int length, int status)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var headers = string.Concat(Enumerable.Range(0, count).Select(i => $"X-{i}: {new string('h', length)}\r\n"));
        Assert.Equal(status, await AskAsync(edge, $"GET /r/acme HTTP/1.1\r\nHost: x\r\n{headers}\r\n"));
    }

    [Theory]
    [InlineData("GET /r/acme HTTP/1.1\r\nHost: x\r\nX-Slow: ")]
    [InlineData("GET /r/ac")]
    public async Task Who_does_not_finish_the_headers_is_answered_408_and_cut_off(string beginning)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:Limits:HeadersSeconds"] = "1" });
        var clock = Stopwatch.StartNew();
        await using var connection = await RawConnection.OpenAsync(edge.Address);
        await connection.SendAsync(beginning);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        Assert.Equal(408, (await connection.ReadAsync(cancellation: patience.Token))!.Status);
        Assert.Null(await connection.ReadAsync(cancellation: patience.Token));
        Assert.InRange(clock.Elapsed.TotalSeconds, 0.5, 15);
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task A_body_that_trickles_is_answered_408_and_keeps_what_was_whole()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        await using var connection = await RawConnection.OpenAsync(edge.Address);
        await connection.SendAsync(
            $"POST /v1/imports/clicks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {EdgeHost.Key}\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{{\"partner\"");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        Assert.Equal(408, (await connection.ReadAsync(cancellation: patience.Token))!.Status);
        using var other = await edge.FollowAsync("/r/acme");
        Assert.Equal(HttpStatusCode.Found, other.StatusCode);
    }

    [Fact]
    public async Task An_idle_connection_is_closed()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:Limits:KeepAliveSeconds"] = "1" });
        await using var connection = await RawConnection.OpenAsync(edge.Address);
        await connection.SendAsync("GET /r/acme HTTP/1.1\r\nHost: x\r\n\r\n");
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        Assert.Equal(302, (await connection.ReadAsync(cancellation: patience.Token))!.Status);
        Assert.Null(await connection.ReadAsync(cancellation: patience.Token));
    }

    [Fact]
    public async Task More_connections_than_allowed_are_closed_and_the_others_go_on()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:Limits:Connections"] = "10" });
        var connections = new List<RawConnection>();
        try
        {
            for (var i = 0; i < 15; i++)
            {
                connections.Add(await RawConnection.OpenAsync(edge.Address));
            }

            var answered = 0;
            foreach (var connection in connections)
            {
                try
                {
                    await connection.SendAsync("GET /r/acme HTTP/1.1\r\nHost: x\r\n\r\n");
                    answered += (await connection.ReadAsync())?.Status == 302 ? 1 : 0;
                }
                catch (IOException e) when (e.InnerException is SocketException)
                {
                    // Closed before it could ask.
                }
            }

            Assert.Equal(10, answered);
        }
        finally
        {
            foreach (var connection in connections)
            {
                await connection.DisposeAsync();
            }
        }
    }

    private static async Task<int> AskAsync(EdgeHost edge, string request)
    {
        await using var connection = await RawConnection.OpenAsync(edge.Address);
        try
        {
            await connection.SendAsync(request);
        }
        catch (IOException e) when (e.InnerException is SocketException)
        {
            // Refused before all was sent; the answer is there nonetheless.
        }

        return (await connection.ReadAsync())?.Status ?? 0;
    }

    /// <summary>Every line of every log, with all of its parts.</summary>
    private sealed class AllLogs : ILoggerProvider
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public IReadOnlyCollection<string> Lines => _lines;

        public ILogger CreateLogger(string categoryName) => new Logger(categoryName, _lines);

        public void Dispose()
        {
        }

        private sealed class Logger(string category, ConcurrentQueue<string> lines) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull
            {
                lines.Enqueue($"{category} scope {state}");
                return null;
            }

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
                lines.Enqueue($"{category} {formatter(state, exception)} {state} {exception}");
        }
    }
}
