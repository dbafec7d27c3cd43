using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Files of orders over HTTP against a real database.</summary>
public sealed class ImportTests(ConversionsFixture fixture) : IClassFixture<ConversionsFixture>
{
    private readonly string _order = $"{Guid.NewGuid():N}";

    [PostgresFact]
    public async Task A_file_with_a_shops_own_headers_is_recorded()
    {
        var file = $"""
            Order ID;Order Date;E-Mail;Total;Currency;Discount Code;Warehouse;pp_click
            {_order}-1;2026-03-01 10:00:00 +0100;ann@example.org;49.90;eur;SPRING;north;c-1
            {_order}-2;2026-03-01T11:00:00Z;;"1000";JPY;;"a;b";
            """;

        var answer = (await ImportAsync(file, query: "?source=shop&kind=sale&map=customer:E-Mail")).AssertStatus(HttpStatusCode.OK).Json;

        Assert.Equal((2, 0, 0, 3), Counts(answer));
        Assert.Equal(["Warehouse"], answer.GetProperty("end").GetProperty("ignoredColumns").EnumerateArray().Select(c => c.GetString()));
        var first = await fixture.EventAsync($"{_order}-1");
        Assert.Equal((ConversionKind.Sale, 4990L, "EUR", "SPRING"), (first.Kind, first.AmountMinor, first.Currency, first.Coupon));
        Assert.Equal(new DateTimeOffset(2026, 3, 1, 9, 0, 0, TimeSpan.Zero), first.OccurredAt);
        Assert.Equal(Ids.Click("main", "c-1"), first.ClickId);
        Assert.StartsWith("c2.", first.CustomerKey, StringComparison.Ordinal);
        var second = await fixture.EventAsync($"{_order}-2");
        Assert.Equal((1000L, "JPY", null, null, null), (second.AmountMinor, second.Currency, second.CustomerKey, second.Coupon, second.ClickId));
    }

    [PostgresFact]
    public async Task Good_lines_are_kept_each_bad_one_is_told_and_the_same_file_again_changes_nothing()
    {
        var file = string.Join('\n',
            "source,orderId,kind,occurredAt,amount,currency,adjustmentId,reason,test",
            $"shop,{_order}-1,sale,2026-03-01T10:00:00Z,49.90,EUR,,,",
            $"shop,{_order}-2,gift,2026-03-01T10:00:00Z,49.90,EUR,,,",
            "",
            $"shop,{_order}-3,sale,2026-03-01 10:00:00,49.90,EUR,,,maybe",
            $"shop,{_order}-4,sale",
            $"shop,{_order}-1,,2026-03-02T10:00:00Z,-10.00,,r-1,refund,",
            $"shop,{_order}-1,sale,2026-03-01T10:00:00Z,50.00,EUR,,,",
            $"shop,{_order}-9,,2026-03-02T10:00:00Z,-1.00,,r-1,refund,",
            $"shop,{_order}-1,,2026-03-02T10:00:00Z,-1.00,,r-2,regret,",
            $"shop,\"{_order}-5,sale,2026-03-01T10:00:00Z,49.90,EUR,,,",
            $"shop,{_order}-6,sale,2026-03-01T10:00:00Z,\"1.00\",EUR,,,true");

        var answer = (await ImportAsync(file)).AssertStatus(HttpStatusCode.OK).Json;

        Assert.Equal((3, 0, 7, 12), Counts(answer));
        Assert.Equal(
            ["3 kind", "5 occurredAt", "5 test", "6 line", "10 reason", "11 line", "8 amount", "9 currency"],
            answer.GetProperty("rejected").EnumerateArray().Select(r => $"{r.GetProperty("line")} {r.GetProperty("field").GetString()}"));
        Assert.All(answer.GetProperty("rejected").EnumerateArray(), r => Assert.NotEmpty(r.GetProperty("reason").GetString()!));
        Assert.Equal((0, 3, 7, 12), Counts((await ImportAsync(file)).AssertStatus(HttpStatusCode.OK).Json));
        var service = await fixture.ServiceAsync();
        Assert.Equal("39.90", (await service.GetAsync($"/v1/conversions/shop/{_order}-1")).Json.GetProperty("net").GetString());
        Assert.Equal(3L, await RecordedAsync());
    }

    [PostgresFact]
    public async Task A_dry_run_tells_what_the_import_would_and_writes_nothing()
    {
        var service = await fixture.ServiceAsync();
        (await service.PostAsync("/v1/conversions", Line(0))).AssertStatus(HttpStatusCode.Created);
        var random = new Random(7);
        var lines = Enumerable.Range(0, 6_000).Select(_ => random.Next(10) switch
        {
            0 => Line(random.Next(2_000), amount: "50.00"),
            1 => $$"""{"source":"shop","orderId":"{{_order}}-{{random.Next(2_000)}}","adjustmentId":"r-{{random.Next(3)}}","amount":"-{{random.Next(1, 3)}}.00","currency":"EUR","occurredAt":"2026-03-02T10:00:00Z","reason":"refund"}""",
            2 => $$"""{"source":"shop","orderId":"{{_order}}-{{random.Next(2_500)}}","adjustmentId":"c-1","amount":"-1.00","occurredAt":"2026-03-02T10:00:00Z","reason":"correction"}""",
            3 => Line(random.Next(2_000), amount: "1.234"),
            _ => Line(random.Next(2_000)),
        });
        var file = string.Join('\n', lines);
        var before = await RecordedAsync();

        var dry = (await ImportAsync(file, "application/x-ndjson", "?dryRun=true")).AssertStatus(HttpStatusCode.OK).Json;

        Assert.Equal(before, await RecordedAsync());
        Assert.True(dry.GetProperty("end").GetProperty("dryRun").GetBoolean());
        Assert.False(dry.GetProperty("end").TryGetProperty("committedTo", out _));
        var real = (await ImportAsync(file, "application/x-ndjson")).AssertStatus(HttpStatusCode.OK).Json;
        foreach (var name in (string[])["recorded", "alreadyRecorded", "rejectedTotal"])
        {
            Assert.True(real.GetProperty("end").GetProperty(name).GetInt64() > 100, name);
            Assert.Equal(real.GetProperty("end").GetProperty(name).GetInt64(), dry.GetProperty("end").GetProperty(name).GetInt64());
        }

        Assert.Equal(real.GetProperty("rejected").GetRawText(), dry.GetProperty("rejected").GetRawText());
        Assert.Contains(dry.GetProperty("rejected").EnumerateArray(), r => r.GetProperty("reason").GetString() == "is recorded as '49.90'; this says '50.00'");
    }

    [PostgresFact]
    public async Task Every_refusal_is_told_to_who_takes_lines()
    {
        var file = "source,orderId,kind,amount,currency\n" + string.Concat(Enumerable.Range(0, 5_000).Select(i => $"shop,{_order}-{i},sale,1.00,XXX\n")) + $"shop,{_order},sale,1.00,EUR\n";

        var answer = (await ImportAsync(file, accept: "application/x-ndjson")).AssertStatus(HttpStatusCode.OK);

        var lines = answer.Text.TrimEnd('\n').Split('\n');
        Assert.Equal(5_001, lines.Length);
        Assert.Equal("""{"line":5001,"field":"currency","reason":"\u0027XXX\u0027 is not a currency of ISO 4217"}""", lines[^2]);
        var end = JsonDocument.Parse(lines[^1]).RootElement;
        Assert.Equal((1, 5_000, 5_002), (end.GetProperty("recorded").GetInt32(), end.GetProperty("rejectedTotal").GetInt32(), end.GetProperty("committedTo").GetInt32()));
    }

    [PostgresFact]
    public async Task An_upload_goes_on_from_where_it_stopped()
    {
        var good = Enumerable.Range(0, 10).Select(i => $"shop,{_order}-{i},sale,2026-03-01T10:00:00Z,1.00,EUR").ToList();
        var header = "source,orderId,kind,occurredAt,amount,currency";
        var broken = string.Join('\n', [header, .. good[..4], $"shop,{new string('x', 200_000)},sale,2026-03-01T10:00:00Z,1.00,EUR", .. good[4..]]);

        var stopped = (await ImportAsync(broken)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal((4, 0, 0, 5), Counts(stopped));
        Assert.Contains("the line after line 5 is longer than 16384 bytes", stopped.GetProperty("end").GetProperty("stopped").GetString(), StringComparison.Ordinal);

        var mended = string.Join('\n', [header, .. good[..4], $"shop,{_order}-x,sale,2026-03-01T10:00:00Z,1.00,EUR", .. good[4..]]);
        Assert.Equal((7, 0, 0, 12), Counts((await ImportAsync(mended, query: "?fromLine=6")).AssertStatus(HttpStatusCode.OK).Json));
        Assert.Equal(11L, await RecordedAsync());
    }

    [PostgresFact]
    public async Task An_upload_that_broke_is_sent_again_whole()
    {
        var service = await fixture.ServiceAsync();
        var lines = Enumerable.Range(0, 9_000).Select(i => Line(i)).ToArray();
        var half = Encoding.UTF8.GetBytes(string.Join('\n', lines[..6_000]));
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(service.Address.Host, service.Address.Port);
            var stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /v1/imports/conversions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer key-of-{Scope.WriteConversions}\r\nContent-Type: application/x-ndjson\r\nContent-Length: 10000000\r\n\r\n"));
            await stream.WriteAsync(half);
            for (var waited = Stopwatch.StartNew(); await RecordedAsync() < 2_000; await Task.Delay(20))
            {
                Assert.True(waited.Elapsed < TimeSpan.FromSeconds(30), "Nothing was committed while the upload went on.");
            }

            client.Client.LingerState = new LingerOption(enable: true, seconds: 0); // A reset, as when a connection is lost.
        }

        var again = (await ImportAsync(string.Join('\n', lines), "application/x-ndjson")).AssertStatus(HttpStatusCode.OK).Json;

        var (recorded, already, rejected, _) = Counts(again);
        Assert.Equal((9_000, 0), (recorded + already, rejected));
        Assert.InRange(already, 2_000, 6_000);
        Assert.Equal(9_000L, await RecordedAsync());
    }

    [PostgresFact]
    public async Task Where_the_connection_breaks_the_log_says_up_to_which_line_everything_is_committed()
    {
        using var log = new Captured();
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.Logging.AddProvider(log).AddFilter<Captured>("PartnerPulse.Conversions", LogLevel.Warning);
                builder.AddConversions();
            },
            app => app.MapConversions());
        using (var client = new TcpClient())
        {
            await client.ConnectAsync(service.Address.Host, service.Address.Port);
            await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes(
                $"POST /v1/imports/conversions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer key-of-{Scope.WriteConversions}\r\nContent-Type: application/x-ndjson\r\nContent-Length: 10000000\r\n\r\n"
                + string.Concat(Enumerable.Range(0, 2_500).Select(i => Line(i) + "\n"))));
            for (var waited = Stopwatch.StartNew(); (await service.GetAsync($"/v1/conversions/shop/{_order}-1999")).Status != HttpStatusCode.OK; await Task.Delay(20))
            {
                Assert.True(waited.Elapsed < TimeSpan.FromSeconds(30), "Nothing was committed while the upload went on.");
            }

            client.Client.LingerState = new LingerOption(enable: true, seconds: 0); // A reset, as when a connection is lost.
        }

        for (var waited = Stopwatch.StartNew(); !log.Lines.Contains("An import broke off; everything up to line 2000 is committed"); await Task.Delay(20))
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(30), $"It says: {string.Join("; ", log.Lines)}");
        }
    }

    [PostgresTheory]
    [InlineData("?dry-run=true", "dry-run", "is not a parameter that is known here")]
    [InlineData("?dryRun=yes", "dryRun", "must be 'true' or 'false'")]
    [InlineData("?fromLine=0", "fromLine", "must be the number of a line")]
    [InlineData("?map=order", "map", "is not one of our names, a colon")]
    [InlineData("?map=colour:Red", "map", "'colour' is not one of")]
    [InlineData("?map=orderId:Order", "map", "'Order' is not a column of the file")]
    public async Task A_bad_question_is_answered_with_field_and_reason(string query, string field, string reason) =>
        (await ImportAsync("source,number,kind\nshop,1,lead", query: query)).AssertFault(HttpStatusCode.BadRequest, field, reason);

    [PostgresFact]
    public async Task A_file_that_cannot_be_taken_is_told_why()
    {
        (await ImportAsync("source,number,kind\nshop,1,lead")).AssertFault(HttpStatusCode.BadRequest, "header", "has no column 'orderId'");
        (await ImportAsync("orderId,ORDER_ID,kind\n1,1,lead")).AssertFault(HttpStatusCode.BadRequest, "column 2", "'ORDER_ID' is there twice");
        (await ImportAsync($"orderId,kind\n{_order},lead")).AssertFault(HttpStatusCode.BadRequest, "line 2: source", "is required");
        (await ImportAsync("{}", "application/json")).AssertFault(HttpStatusCode.UnsupportedMediaType, "Content-Type", "must be 'application/x-ndjson' or 'text/csv'");
        (await ImportAsync("{}", "application/x-ndjson", "?map=orderId:o")).AssertFault(HttpStatusCode.BadRequest, "map", "is for the columns of a CSV");
        (await ImportAsync("orderId", scope: Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope conversions:write");
        Assert.Equal(0L, await RecordedAsync());
    }

    [PostgresFact]
    public async Task Quoted_line_breaks_are_read_where_they_are_announced()
    {
        var file = $"source,orderId,kind,note\nshop,{_order}-1,lead,\"two\nlines\"\nshop,{_order}-2,lead,x";

        Assert.Equal((1, 0, 2, 4), Counts((await ImportAsync(file)).AssertStatus(HttpStatusCode.OK).Json));
        Assert.Equal((1, 1, 0, 4), Counts((await ImportAsync(file, query: "?lineBreaks=true")).AssertStatus(HttpStatusCode.OK).Json));
    }

    private static (int Recorded, int Already, int Rejected, int CommittedTo) Counts(JsonElement answer)
    {
        var end = answer.GetProperty("end");
        return (end.GetProperty("recorded").GetInt32(), end.GetProperty("alreadyRecorded").GetInt32(), end.GetProperty("rejectedTotal").GetInt32(), end.GetProperty("committedTo").GetInt32());
    }

    private string Line(int i, string amount = "49.90") =>
        $$"""{"source":"shop","orderId":"{{_order}}-{{i}}","kind":"sale","occurredAt":"2026-03-01T10:00:00Z","amount":"{{amount}}","currency":"EUR"}""";

    private Task<long> RecordedAsync() => fixture.ScalarAsync<long>(
        $"select count(*) from conversions.mt_events where data ->> 'orderId' like '{_order}%'");

    private async Task<Answer> ImportAsync(string file, string type = "text/csv", string query = "", string? accept = null, string scope = Scope.WriteConversions)
    {
        using var content = new StringContent(file, Encoding.UTF8);
        return await SendAsync(content, type, query, accept, scope);
    }

    private async Task<Answer> SendAsync(HttpContent content, string type, string query, string? accept, string scope = Scope.WriteConversions)
    {
        var service = await fixture.ServiceAsync();
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Address, $"/v1/imports/conversions{query}")) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{scope}");
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        if (accept is not null)
        {
            request.Headers.Accept.ParseAdd(accept);
        }

        using var response = await client.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }

    /// <summary>What is logged.</summary>
    private sealed class Captured : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string> _lines = new();

        public IReadOnlyCollection<string> Lines => _lines;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
