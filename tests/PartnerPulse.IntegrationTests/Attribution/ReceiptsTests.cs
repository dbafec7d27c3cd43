using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Receipts of a running service: what they say, to whom, and what leaves them as they are.</summary>
public sealed class ReceiptsTests
{
    private static readonly DateTimeOffset s_at = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly Guid s_conversion = Ids.Conversion("main", "shop", "1001");
    private static readonly Guid s_alpha = Ids.Derive("receipts", "alpha");
    private static readonly Guid s_bravo = Ids.Derive("receipts", "bravo");

    [PostgresFact]
    public async Task A_promoted_replay_of_the_same_rules_leaves_every_byte_as_it_was()
    {
        await using var service = await StartAsync();
        await TakeInAsync(service, Click(s_bravo, "bravo", "visitor", 3), Click(s_alpha, "alpha", "visitor", 1), Order(), Refund());
        var before = await ReadAllAsync(service);
        Assert.All(before, read => Assert.Equal("1", read.Generation));

        var replay = await service.ReplayAsync("""{"rulesVersion":1}""");
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        await service.ProjectedAsync();
        var after = await ReadAllAsync(service);
        Assert.All(after, read => Assert.Equal("2", read.Generation));
        Assert.Equal(before.Select(read => read.Body), after.Select(read => read.Body));

        // Another model is another decision, so the comparison could fail.
        replay = await service.ReplayAsync("""{"rules":{"name":"linear","model":{"kind":"linear"}}}""");
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        Assert.All((await ReadAllAsync(service)).Zip(after), pair => Assert.NotEqual(pair.Second.Body, pair.First.Body));
    }

    [PostgresFact]
    public async Task The_history_names_each_revision_with_what_caused_it()
    {
        await using var service = await StartAsync();
        await TakeInAsync(service, Click(s_alpha, "alpha", "visitor", 1), Order());
        Assert.Equal("credited", (await HistoryAsync(service)).GetProperty("status").GetString());

        await TakeInAsync(service, Click(s_bravo, "bravo", "visitor", 2));
        var refund = Refund();
        await TakeInAsync(service, refund);
        var early = Click(Ids.Derive("receipts", "early"), "charlie", "phone", 4);
        await TakeInAsync(service, early);
        var identity = new VisitorIdentified
        {
            EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at.AddHours(1), CustomerKey = "customer", VisitorId = "phone",
        };
        await TakeInAsync(service, identity);
        var suspended = new PartnerSuspended { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at.AddDays(-1), PartnerId = "charlie" };
        await TakeInAsync(service, suspended);
        var replay = await service.ReplayAsync("""{"rules":{"name":"linear","model":{"kind":"linear"},"suspended":"pass-on"}}""");
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);

        var history = await UntilRevisedAsync(service, revisions: 6);
        Assert.Equal("revised", history.GetProperty("status").GetString());
        var causes = history.GetProperty("revisions").EnumerateArray().Select(r => r.GetProperty("causes").EnumerateArray().ToArray()).ToArray();
        Assert.Equal(["recorded", "late-click", "adjustment", "identity", "suspension", "replay"], causes.Select(c => c[0].GetProperty("kind").GetString()));
        Assert.Equal(
            [s_conversion, s_bravo, refund.EventId, suspended.EventId], causes.Take(5).Where((_, i) => i != 3).Select(c => c[0].GetProperty("event").GetGuid()));

        // The id of an identity is derived from the customer's key: nobody is told it.
        Assert.False(causes[3][0].TryGetProperty("event", out _));
        Assert.Equal(replay, causes[5][0].GetProperty("replay").GetGuid());

        // Each revision begins where the one before it ended.
        var parts = history.GetProperty("revisions").EnumerateArray()
            .Select(r => r.GetProperty("partners").EnumerateArray().ToDictionary(p => p.GetProperty("partner").GetString()!)).ToArray();
        Assert.Equal("49.90", parts[1]["alpha"].GetProperty("before").GetProperty("amount").GetString());
        Assert.False(parts[1]["alpha"].TryGetProperty("after", out _));
        Assert.Equal("39.90", parts[2]["bravo"].GetProperty("after").GetProperty("amount").GetString());
        Assert.Equal("39.90", parts[3]["charlie"].GetProperty("after").GetProperty("amount").GetString());
        Assert.Equal("39.90", parts[4]["bravo"].GetProperty("after").GetProperty("amount").GetString());
        Assert.Equal("19.95", parts[5]["alpha"].GetProperty("after").GetProperty("amount").GetString());

        var page = Encoding.UTF8.GetString((await ReadAsync(service, "", "text/plain")).Body);
        Assert.Contains("History: revised", page, StringComparison.Ordinal);
        Assert.Contains($"late-click {s_bravo}", page, StringComparison.Ordinal);
        Assert.Contains("exactly 1995 minor units; rounding adds 0", page, StringComparison.Ordinal);
        Assert.Contains("stopped: suspended-partner", page, StringComparison.Ordinal);
    }

    [PostgresFact]
    public async Task A_partner_reads_of_its_own_part_and_of_nobody_elses()
    {
        await using var service = await StartAsync();
        await TakeInAsync(service, Click(s_alpha, "alpha", "visitor", 1), Order());
        await TakeInAsync(service, Click(s_bravo, "bravo", "visitor", 2));
        foreach (var accept in new[] { "application/json", "text/plain" })
        {
            var mine = Encoding.UTF8.GetString((await ReadAsync(service, "?partner=alpha", accept)).Body);
            Assert.Contains("another partner", mine, StringComparison.Ordinal);
            Assert.Contains("late-click", mine, StringComparison.Ordinal);
            Assert.All([.. new[] { "bravo", $"{s_bravo}" }], rival => Assert.DoesNotContain(rival, mine, StringComparison.OrdinalIgnoreCase));
            var stranger = Encoding.UTF8.GetString((await ReadAsync(service, "?partner=nobody", accept)).Body);
            Assert.All(["bravo", "alpha", $"{s_bravo}", $"{s_alpha}", "49.90", "late-click"], word => Assert.DoesNotContain(word, stranger, StringComparison.OrdinalIgnoreCase));
        }
    }

    [PostgresTheory]
    [InlineData("text/plain", "text/plain")]
    [InlineData("text/*;q=0.9, application/json;q=0.5", "text/plain")]
    [InlineData("text/html, */*", "application/json")]
    [InlineData("text/plain;q=0", "application/json")]
    [InlineData("text/plain;q=0.5, application/json", "application/json")]
    public async Task The_form_goes_by_what_is_accepted(string accept, string form)
    {
        await using var service = await StartAsync();
        await TakeInAsync(service, Order());
        Assert.Equal(form, (await ReadAsync(service, "", accept)).Form);
    }

    private static Task<TestService> StartAsync() => TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());

    private static async Task TakeInAsync(TestService service, params IEvent[] events)
    {
        await service.Services.GetRequiredService<IntakeWriter>().AppendAsync([.. events.Select(IntakeWriter.ToNewEvent)], handover: null, CancellationToken.None);
        await service.ProjectedAsync();
    }

    private static async Task<JsonElement> HistoryAsync(TestService service) =>
        (await service.GetAsync($"/v1/receipts/{s_conversion}")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("history");

    /// <summary>What a promotion changed is told a moment after it.</summary>
    private static async Task<JsonElement> UntilRevisedAsync(TestService service, int revisions) =>
        (await service.UntilAsync($"/v1/receipts/{s_conversion}", receipt => receipt.GetProperty("history").GetProperty("revisions").GetArrayLength() >= revisions)).GetProperty("history");

    private static async Task<Read[]> ReadAllAsync(TestService service) =>
    [
        await ReadAsync(service, "", "application/json"), await ReadAsync(service, "", "text/plain"),
        await ReadAsync(service, "?partner=alpha", "application/json"), await ReadAsync(service, "?partner=bravo", "text/plain"),
    ];

    private static async Task<Read> ReadAsync(TestService service, string query, string accept)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(service.Address, $"/v1/receipts/{s_conversion}{query}"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{Scope.Admin}");
        request.Headers.TryAddWithoutValidation("Accept", accept);
        using var response = await http.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(long.Parse(Assert.Single(response.Headers.GetValues("Pulse-Log-Position")), System.Globalization.CultureInfo.InvariantCulture) > 0);
        return new Read(
            await response.Content.ReadAsByteArrayAsync(), response.Content.Headers.ContentType!.MediaType!, Assert.Single(response.Headers.GetValues("Pulse-Generation")));
    }

    private static ClickRecorded Click(Guid id, string partner, string visitor, int daysBefore) => new()
    {
        EventId = id, ProgramId = "main", OccurredAt = s_at.AddDays(-daysBefore), PartnerId = partner, VisitorId = visitor, Link = $"link-of-{partner}", Via = ClickVia.Import,
    };

    private static ConversionRecorded Order() => new()
    {
        EventId = s_conversion, ConversionId = s_conversion, ProgramId = "main", OccurredAt = s_at, Kind = ConversionKind.Sale, Source = "shop", OrderId = "1001",
        VisitorId = "visitor", CustomerKey = "customer", AmountMinor = 4_990, Currency = "EUR",
    };

    private static ConversionAdjusted Refund() => new()
    {
        EventId = Ids.Derive("receipts", "refund"), ProgramId = "main", OccurredAt = s_at.AddDays(1), ConversionId = s_conversion, Source = "shop", OrderId = "1001",
        AdjustmentId = "r-1", AmountMinor = -1_000, Currency = "EUR", Reason = AdjustmentReason.Refund,
    };

    private sealed record Read(byte[] Body, string Form, string Generation);
}
