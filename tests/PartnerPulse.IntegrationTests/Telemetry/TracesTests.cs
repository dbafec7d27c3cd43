using System.Net;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests.Telemetry;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>What a distributed run tells of itself over OTLP: traces from a click to its credit and to who is told of it, and metrics.</summary>
[Collection(WholeSystems.Name)]
public sealed class TracesTests(ObservedSystem observed) : IClassFixture<ObservedSystem>
{
    private readonly string _own = $"{Guid.NewGuid():N}"[..6];

    [ServersFact]
    public async Task One_trace_leads_from_a_click_and_its_order_to_the_credit_through_every_service()
    {
        var system = observed.System;
        var enrolment = Trace();
        var slug = (await SendAsync(HttpMethod.Post, "/v1/partners", enrolment, new { id = $"acme-{_own}", name = "Acme", destination = "https://shop.example/" }))
            .AssertStatus(HttpStatusCode.Created).Json.GetProperty("links")[0].GetProperty("slug").GetString()!;
        await observed.Collector.UntilAsync(enrolment, "the enrolment is folded", spans =>
            Chain(spans, "project") is [{ Service: "PartnerPulse.Partners", Name: "POST /v1/partners" }, { Name: "relay" }, { Name: "append" }, { Name: "project" }]);
        await system.UntilAsync("the link leads somewhere", TimeSpan.FromSeconds(30), async () =>
            (await system.SendAsync(HttpMethod.Head, $"/r/{slug}", key: "")).Status == HttpStatusCode.Found ? "" : null);
        (await system.PostAsync("/v1/webhooks", new { url = $"{observed.Shop.Address}traced-{_own}", events = new[] { "credit.revised" } })).AssertStatus(HttpStatusCode.Created);

        // The visitor's browser and the shop's server take part in the same trace here, so that it leads through everything.
        var trace = Trace();
        var followed = (await SendAsync(HttpMethod.Get, $"/r/{slug}?utm_source=blog", trace)).AssertStatus(HttpStatusCode.Found);
        var click = PulseSystem.ClickId(followed.Location!.OriginalString);
        await observed.Collector.UntilAsync(trace, "the click is folded", spans => Chain(spans, "project").Count == 5);
        (await SendAsync(HttpMethod.Post, "/v1/conversions", trace, new { source = "shop", orderId = $"o-{_own}", kind = "sale", amount = "10.00", currency = "EUR", clickId = click }))
            .AssertStatus(HttpStatusCode.Created);
        var all = await observed.Collector.UntilAsync(trace, "who listens is told", spans => Chain(spans, "deliver", from: "POST /v1/conversions").Count == 8);

        Assert.Equal(
            ["Edge GET /r/{slug}", "Edge spool", "Edge relay", "Attribution append", "Attribution project"],
            Names(Chain(all, "project", from: "GET /r/{slug}")));
        Assert.Equal(
            ["Conversions POST /v1/conversions", "Conversions record", "Conversions relay", "Attribution append", "Attribution project", "Attribution credit", "Outbound fan out", "Outbound deliver"],
            Names(Chain(all, "deliver", from: "POST /v1/conversions")));
        Assert.DoesNotContain(all, span => span.Failed);
        Assert.Equal($"{PartnerPulse.Contracts.Ids.Conversion("main", "shop", $"o-{_own}")}", all.Single(span => span.Name == "credit").Attributes["pulse.conversion"]);

        // The trace is no part of any fact.
        await foreach (var stored in system.Log.StreamAllAsync(0, int.MaxValue, CancellationToken.None))
        {
            Assert.DoesNotContain("traceparent", System.Text.Encoding.UTF8.GetString(stored.Data.Span), StringComparison.Ordinal);
        }
    }

    [ServersFact]
    public async Task A_credit_is_told_in_the_trace_of_its_click_and_linked_to_that_of_its_order()
    {
        var system = observed.System;
        var slug = await system.EnrolAsync($"bravo-{_own}");
        var (clicked, ordered, silent) = (Trace(), Trace(), Trace());
        var click = PulseSystem.ClickId((await SendAsync(HttpMethod.Get, $"/r/{slug}", clicked)).AssertStatus(HttpStatusCode.Found).Location!.OriginalString);
        await system.SettleAsync();
        (await SendAsync(HttpMethod.Post, "/v1/conversions", ordered, new { source = "shop", orderId = $"p-{_own}", kind = "sale", amount = "10.00", currency = "EUR", clickId = click }))
            .AssertStatus(HttpStatusCode.Created);

        var ofOrder = await observed.Collector.UntilAsync(ordered, "the credit is told", spans => spans.Any(span => span.Name == "credit"));
        var ofClick = await observed.Collector.UntilAsync(clicked, "the credit is told", spans => spans.Any(span => span.Name == "credit"));
        Assert.Equal([ordered], ofClick.Single(span => span.Name == "credit").LinkedTraces);
        Assert.Empty(ofOrder.Single(span => span.Name == "credit").LinkedTraces);
        Assert.Equal("append", ofClick.Single(span => span.Id == ofClick.Single(s => s.Name == "credit").Parent).Name);

        // Who does not want to be traced is not, on the whole way.
        (await SendAsync(HttpMethod.Get, $"/r/{slug}", silent, sampled: false)).AssertStatus(HttpStatusCode.Found);
        var after = Trace();
        await SendAsync(HttpMethod.Get, $"/r/{slug}", after);
        await observed.Collector.UntilAsync(after, "a later click is folded", spans => spans.Any(span => span.Name == "project"));
        Assert.DoesNotContain(observed.Collector.Spans, span => span.Trace == silent);
        Assert.DoesNotContain(observed.Collector.Spans, span => span.Name.EndsWith("/live", StringComparison.Ordinal) || span.Name.EndsWith("/ready", StringComparison.Ordinal));
    }

    [ServersFact]
    public async Task Metrics_arrive_from_every_service_under_the_documented_names_and_with_what_every_sender_was_told()
    {
        var system = observed.System;
        var slug = await system.EnrolAsync($"coral-{_own}");
        await system.FollowAsync(slug);
        await system.SettleAsync();
        var documented = MetricTable.Read();
        var expected = documented.Where(metric => metric.Name is "http.server.request.duration" or "pulse.edge.clicks" or "pulse.edge.redirect_seconds" or "pulse.edge.spool_bytes" or "pulse.edge.spool_limit_bytes"
            or "pulse.edge.commit_seconds" or "pulse.relay.waiting" or "pulse.log.position" or "pulse.log.bytes" or "pulse.projector.lag" or "pulse.projector.lag_seconds"
            or "pulse.projector.events" or "pulse.intake.appended" or "pulse.replay.running" or "pulse.set_aside.waiting" or "pulse.seals.lag" or "pulse.outbound.waiting"
            or "pulse.outbound.subscriptions" or "pulse.orders.waiting" or "pulse.orders.refused" || !metric.Name.StartsWith("pulse.", StringComparison.Ordinal)).ToArray();
        await Waits.UntilAsync(
            "all metrics have come",
            () => Task.FromResult(expected.All(metric => observed.Collector.Metrics.Any(received => received.Name == metric.Name))),
            () => Task.FromResult(string.Join(", ", expected.Select(m => m.Name).Except(observed.Collector.Metrics.Select(m => m.Name), StringComparer.Ordinal))));

        foreach (var received in observed.Collector.Metrics.Where(received => received.Scope == "PartnerPulse" || expected.Any(metric => metric.Name == received.Name)))
        {
            var metric = Assert.Single(documented, metric => metric.Name == received.Name);
            Assert.Equal((metric.Name, metric.Unit), (received.Name, received.Unit));
            Assert.Equal(metric.Kind switch { "counter" or "up-down counter" => "sum", var kind => kind }, received.Kind);
        }

        Assert.Equal(
            ["Attribution", "Conversions", "Edge", "Outbound", "Partners"],
            observed.Collector.Metrics.Select(metric => metric.Service["PartnerPulse.".Length..]).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
        Assert.Equal(0, observed.Collector.WithoutHeader);
        Assert.Empty(observed.Collector.WithoutEnvironment);

        // A redirect takes a fraction of a millisecond. The edge leaves it to this histogram.
        var redirects = Assert.Single(observed.Collector.Metrics, metric => metric.Name == "pulse.edge.redirect_seconds");
        Assert.True(redirects.Bounds.Count(bound => bound < 0.001) >= 3, string.Join(' ', redirects.Bounds));
        Assert.DoesNotContain(observed.Collector.Metrics, metric => metric is { Service: "PartnerPulse.Edge", Name: "http.server.request.duration" });
    }

    private static string Trace() => $"{Guid.NewGuid():N}";

    /// <summary>The spans that lead to the last of that name, the first of them first.</summary>
    private static List<SpanReceived> Chain(IReadOnlyList<SpanReceived> spans, string last, string? from = null)
    {
        foreach (var end in spans.Where(span => span.Name == last))
        {
            var chain = new List<SpanReceived>();
            for (var at = end; at is not null; at = spans.SingleOrDefault(span => span.Id == at.Parent))
            {
                chain.Insert(0, at);
            }

            if (from is null || chain[0].Name == from)
            {
                return chain;
            }
        }

        return [];
    }

    private static IEnumerable<string> Names(IEnumerable<SpanReceived> spans) => spans.Select(span => $"{span.Service["PartnerPulse.".Length..]} {span.Name}");

    private async Task<Answer> SendAsync(HttpMethod method, string path, string trace, object? body = null, bool sampled = true)
    {
        using var request = new HttpRequestMessage(method, observed.System.Address(path)) { Content = body is null ? null : PulseSystem.Json(body) };
        request.Headers.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-0{(sampled ? 1 : 0)}");
        if (body is not null)
        {
            request.Headers.Add("Authorization", $"Bearer {observed.System.AdminKey}");
        }

        using var response = await observed.System.Http.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }
}
