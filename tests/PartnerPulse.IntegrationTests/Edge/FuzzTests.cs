using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using PartnerPulse.Contracts;
using PartnerPulse.Tests;
using PartnerPulse.Tests.Edge;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>
/// Some two hundred thousand hostile requests over sockets, pipelined, at an edge as it runs. Whatever comes, nobody is sent to
/// a host that is not the program's, nothing fails, and what is kept is what the request said.
/// </summary>
public sealed partial class FuzzTests(ITestOutputHelper output)
{
    private const int Clients = 6;
    private const int Pipelined = 50;
    private const int Slice = 25_000;

    private static readonly string[] s_slugs = ["acme", "spring-sale", "unicode", "query"];

    private static readonly IEvent[] s_catalogue =
    [
        EdgeHost.Enrolled("acme"),
        new ProgramConfigured { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, DeepLinkHosts = ["deals.shop.example"], Fallback = "https://shop.example/welcome" },
        EdgeHost.Published("acme", "acme", "https://shop.example/p?a=1#top", campaign: "Default"),
        EdgeHost.Published("acme", "spring-sale", "https://shop.example"),
        EdgeHost.Published("acme", "unicode", "https://shop.example/Gr\u00fc\u00dfe?x=\u4e16"),
        EdgeHost.Published("acme", "query", "https://shop.example/?utm_source=merchant"),
    ];

    private static readonly HashSet<string> s_answerHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Date", "Location", "Cache-Control", "Set-Cookie", "Content-Length", "Content-Type", "Connection", "Transfer-Encoding", "Allow", "X-Content-Type-Options", "Referrer-Policy", "Vary",
        "WWW-Authenticate", "Access-Control-Allow-Origin",
    };

    [Fact]
    public async Task Hostile_requests_go_nowhere_else_break_nothing_and_leave_nothing_but_their_own_words()
    {
        var seed = Seeds.Number(output);
        var cases = Environment.GetEnvironmentVariable("PULSE_CASES") is { } more ? int.Parse(more, CultureInfo.InvariantCulture) : 200_000;
        output.WriteLine($"{cases} requests");
        var clock = Stopwatch.StartNew();
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?>
        {
            ["Edge:Cookie:Mode"] = "host",
            ["Edge:FallbackUrl"] = "https://shop.example/welcome",

            // Nobody is there, so that everything stays in the spool, to be looked at.
            ["Bus:Transport"] = "rabbitmq",
            ["Bus:RabbitMq"] = "amqp://127.0.0.1:1/",
        });
        var statuses = new ConcurrentDictionary<int, int>();
        var hashes = new HashSet<string?>();
        var position = 0L;
        var answered = 0;
        for (var slice = 0; answered < cases; slice++)
        {
            var redirected = new ConcurrentDictionary<Guid, (HostileRequest Request, RawAnswer Answer)>();
            await Task.WhenAll(Enumerable.Range(0, Clients).Select(client => Task.Run(() =>
                new Client(edge.Address, new HostileRequests(seed + (slice * Clients) + client, s_slugs), statuses, redirected).RunAsync(Slice / Clients))));
            answered = statuses.Values.Sum();
            position = await AssertKeptAsync(edge, position, redirected, hashes);
        }

        output.WriteLine($"{answered} answers in {clock.Elapsed.TotalSeconds:0.0} s: {string.Join(", ", statuses.OrderBy(s => s.Key).Select(s => $"{s.Value} times {s.Key}"))}; {position} clicks");
        Assert.True(answered >= cases);
        Assert.Single(hashes);
        Assert.True(position > cases / 4, "Hardly a click came through.");
        Assert.Equal(0, edge.Spool.Lost);
    }

    private static async Task<long> AssertKeptAsync(EdgeHost edge, long position, ConcurrentDictionary<Guid, (HostileRequest Request, RawAnswer Answer)> redirected, HashSet<string?> hashes)
    {
        while (true)
        {
            var page = await edge.Spool.ReadAsync(position, 5_000, default);
            foreach (var click in page.Events.Select(e => e.ReadClick()))
            {
                Assert.True(redirected.TryRemove(click.EventId, out var sent), "A click that nobody was sent on for.");
                try
                {
                    AssertFactsOf(sent.Request, sent.Answer, click);
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"{e.Message}\n{Encoding.Latin1.GetString(sent.Request.Bytes)}\n{click}", e);
                }

                hashes.Add(click.AddressHash);
            }

            if (page.To == position)
            {
                Assert.Empty(redirected);
                return position;
            }

            position = page.To;
        }
    }

    /// <summary>Every field of a click against the words of its request, read by other means than the edge's.</summary>
    private static void AssertFactsOf(HostileRequest sent, RawAnswer answer, ClickRecorded click)
    {
        Assert.Equal(("main", "acme", ClickVia.Redirect), (click.ProgramId, click.PartnerId, click.Via));
        Assert.Contains(click.Link, s_slugs);
        if (sent.Slug is not null)
        {
            Assert.Equal(sent.Slug, click.Link);
        }

        Assert.Matches(OwnHost(), click.Destination);
        Assert.Equal(string.IsNullOrEmpty(sent.Query) ? null : sent.Query, click.Query);
        var parameters = (sent.Query ?? "").Split('&').Select(p => p.Split('=', 2)).Where(p => p.Length == 2).Select(p => (Name: p[0], Value: p[1])).ToList();
        foreach (var (name, value) in new (string, string?)[]
        {
            ("utm_source", click.Campaign?.Source), ("utm_medium", click.Campaign?.Medium), ("utm_term", click.Campaign?.Term), ("utm_content", click.Campaign?.Content),
            ("utm_campaign", click.Campaign?.Name == "Default" && click.Link == "acme" ? null : click.Campaign?.Name),
        }.Concat((click.SubIds ?? new Dictionary<string, string>()).Select(s => (s.Key, (string?)s.Value))))
        {
            Assert.True(value is null || parameters.Any(p => (p.Name == name || Unescaped(p.Name) == name) && (p.Value == value || Unescaped(p.Value) == value)), name);
        }

        Assert.Equal(Header("User-Agent") is { Length: > 0 } agent ? Utf8(agent)[..Math.Min(Utf8(agent).Length, 2_048)] : null, click.UserAgent);
        Assert.True(click.Test == parameters.Any(p => p is ("pp_test", "1")));
        Assert.True(click.ReferrerHost is null || (Header("Referer") is { } referer
            && (Utf8(referer).Contains(click.ReferrerHost, StringComparison.OrdinalIgnoreCase) || Uri.TryCreate(Utf8(referer), UriKind.Absolute, out _))), $"referrer host is '{click.ReferrerHost}'");
        Assert.Equal(sent.Head ? "HEAD" : null, click.Signals?.Method);
        Assert.Equal(Header("Sec-GPC") == "1", click.Signals?.Gpc ?? false);
        Assert.Equal(Header("DNT") == "1", click.Signals?.Dnt ?? false);
        Assert.Null(click.Signals?.Burst);
        Assert.True(click.Signals?.Purpose is not { } purpose || new[] { "Sec-Purpose", "Purpose", "X-Moz", "X-Purpose" }.Any(n => Header(n)?.StartsWith(purpose, StringComparison.Ordinal) == true));
        Assert.Equal(answer.Header("Set-Cookie") is { } cookie ? cookie.Substring("pp_vid=".Length, 32) : null, click.VisitorId);
        Assert.InRange(click.OccurredAt, TimeProvider.System.GetUtcNow().AddMinutes(-10), TimeProvider.System.GetUtcNow());

        string? Header(string name) => sent.Headers.GetValueOrDefault(name);
    }

    private static string Utf8(string latin1) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(latin1));

    private static string Unescaped(string value)
    {
        var bytes = new List<byte>();
        for (var i = 0; i < value.Length; i++)
        {
            var escaped = value[i] == '%' && i + 2 < value.Length && byte.TryParse(value.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _);
            bytes.Add(escaped ? byte.Parse(value.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture) : value[i] == '+' ? (byte)' ' : (byte)value[i]);
            i += escaped ? 2 : 0;
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    [GeneratedRegex(@"\Ahttps://(shop|deals\.shop)\.example(?=[/?#]|\z)[!-~]*\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex OwnHost();

    [GeneratedRegex(@"\App_vid=[0-9a-f]{32}\.[A-Za-z0-9_-]{22}; Max-Age=[0-9]+; Path=/; SameSite=Lax; HttpOnly; Secure\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex OwnCookie();

    [GeneratedRegex("pp_click=(?<id>[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture | RegexOptions.RightToLeft, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Click();

    /// <summary>Sends in pipelines and checks every answer. What may end a connection stands at the end of its pipeline.</summary>
    private sealed class Client(
        Uri address, HostileRequests requests, ConcurrentDictionary<int, int> statuses, ConcurrentDictionary<Guid, (HostileRequest Request, RawAnswer Answer)> redirected)
    {
        private RawConnection? _connection;

        public async Task RunAsync(int count)
        {
            for (var sent = 0; sent < count; sent += Pipelined)
            {
                var waiting = new Queue<HostileRequest>(Enumerable.Range(0, Pipelined - 1).Select(_ => requests.Next(mayBeBroken: false)).Append(requests.Next(mayBeBroken: true)));
                while (waiting.Count > 0)
                {
                    await PipelineAsync(waiting);
                }
            }

            await CloseAsync();
        }

        private async Task PipelineAsync(Queue<HostileRequest> waiting)
        {
            _connection ??= await RawConnection.OpenAsync(address);
            try
            {
                await _connection.SendAsync(waiting.SelectMany(r => r.Bytes).ToArray());
            }
            catch (IOException)
            {
                // The server has closed while the rest was on its way; the answers up to there may have come.
            }

            for (var answers = 0; waiting.Count > 0; answers++)
            {
                var request = waiting.Peek();
                if (await _connection.ReadAsync(request.Head) is not { } answer)
                {
                    // The answer to a broken request may be lost with the connection, when more was on its way. Alone it is not.
                    await CloseAsync();
                    if (answers == 0 && waiting.Count == 1)
                    {
                        Assert.Fail($"No answer to {Encoding.Latin1.GetString(request.Bytes)}");
                    }

                    return;
                }

                Check(waiting.Dequeue(), answer);
                if (answer.Header("Connection") == "close" || request.Broken)
                {
                    // What was broken may have been taken for more than one request.
                    await CloseAsync();
                    return;
                }
            }
        }

        private async Task CloseAsync()
        {
            if (_connection is not null)
            {
                await _connection.DisposeAsync();
                _connection = null;
            }
        }

        private void Check(HostileRequest request, RawAnswer answer)
        {
            statuses.AddOrUpdate(answer.Status, 1, (_, count) => count + 1);

            // A line end within a target leaves a request line whose version nobody speaks; 505 is HTTP's own word for that.
            if (!(request.Broken && answer.Status == 505) && Fault(answer) is { } fault)
            {
                Assert.Fail($"{fault} in the answer {answer.Status} to {Encoding.Latin1.GetString(request.Bytes)}");
            }

            if (answer.Header("Location") is { } location and not "https://shop.example/welcome")
            {
                Assert.True(redirected.TryAdd(ClickOf(location, request), (request, answer)), location);
            }
        }

        private static string? Fault(RawAnswer answer)
        {
            if (answer.Status is < 200 or >= 500)
            {
                return "The status";
            }

            foreach (var (name, value) in answer.Headers)
            {
                if (!s_answerHeaders.Contains(name) || value.AsSpan().ContainsAnyExceptInRange(' ', '~'))
                {
                    return $"{name}: {value}";
                }
            }

            if (answer.Header("Set-Cookie") is { } cookie && !OwnCookie().IsMatch(cookie))
            {
                return cookie;
            }

            var location = answer.Header("Location");
            return (location is not null) != (answer.Status == 302) || (location is not null && !OwnHost().IsMatch(location)) ? $"Location '{location}'" : null;
        }

        private static Guid ClickOf(string location, HostileRequest request)
        {
            var match = Click().Match(location);
            if (!match.Success)
            {
                Assert.Fail($"No click in {location} from {Encoding.Latin1.GetString(request.Bytes)}");
            }

            return Guid.Parse(match.Groups["id"].Value);
        }
    }
}
