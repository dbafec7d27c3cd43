using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Commands;

namespace PartnerPulse.Pulse.Demo;

/// <summary>What a run did.</summary>
internal sealed record DemoResult
{
    public required int Seed { get; init; }
    public required int Partners { get; init; }
    public required int NewPartners { get; init; }
    public required long ClicksImported { get; init; }
    public required int OrdersRecorded { get; init; }
    public required int OrdersAlreadyThere { get; init; }
    public required int RefundsRecorded { get; init; }
    public required int LiveClicks { get; init; }
    public required int LiveOrders { get; init; }
    public required JsonNode Credits { get; init; }
    public required JsonNode Receipt { get; init; }
    public required JsonNode Diff { get; init; }
    public required string ShownOrder { get; init; }
    public double Seconds { get; init; }
}

/// <summary>
/// Puts the demo program into a running system, over HTTP only. All ids follow from the seed, so a second run adds nothing.
/// </summary>
internal sealed class RunDemo(Api api, int seed, bool json)
{
    private const int OrdersAtOnce = 250;
    private static readonly TimeSpan s_settleWithin = TimeSpan.FromSeconds(90);

    public async Task<DemoResult> RunAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var took = Stopwatch.StartNew();
        // History keeps its days: where it is there already, it ends when it ended then.
        var end = await FirstRunAsync(cancellation) ?? new DateTimeOffset(now.UtcDateTime.Date, TimeSpan.Zero);
        var program = DemoProgram.Make(seed, end);
        await PayCommissionAsync(cancellation);
        var newPartners = await EnrolAsync(program, cancellation);
        var imported = await ImportAsync(program, cancellation);
        var (recorded, known) = await OrderAsync(program, cancellation);
        var refunds = await RefundAsync(program, cancellation);
        var (clicks, orders) = await LiveAsync(program, cancellation);
        await SettleAsync(cancellation);

        var credits = await api.GetAsync("/v1/credits?groupBy=partner", cancellation);
        var receipt = await api.GetAsync(ReceiptCommand.Path(DemoProgram.Source, program.ShownOrder), cancellation);
        var diff = await DryRunAsync(cancellation);
        return new DemoResult
        {
            Seed = seed,
            Partners = program.Partners.Count,
            NewPartners = newPartners,
            ClicksImported = imported,
            OrdersRecorded = recorded,
            OrdersAlreadyThere = known,
            RefundsRecorded = refunds,
            LiveClicks = clicks,
            LiveOrders = orders,
            Credits = credits,
            Receipt = receipt,
            Diff = diff,
            ShownOrder = program.ShownOrder,
            Seconds = Math.Round(took.Elapsed.TotalSeconds, 1),
        };
    }

    /// <summary>
    /// Rules that pay nothing show nothing: where the active ones have no commission, the demo's are promoted. Rules that
    /// somebody wrote are left as they are.
    /// </summary>
    private async Task PayCommissionAsync(CancellationToken cancellation)
    {
        var active = await api.GetAsync("/v1/rules/active", cancellation);
        if (active["rules"]?["commission"] is JsonArray { Count: > 0 })
        {
            return;
        }

        var rules = (JsonObject)active["rules"]!.DeepClone();
        rules["name"] = "demo";
        rules["commission"] = JsonSerializer.SerializeToNode(DemoProgram.Commission, s_line);
        Terminal.Say(json)("the active rules pay no commission; the demo's rules are promoted");
        var id = await ReplayCommand.StartAsync(api, new JsonObject { ["rules"] = rules }, cancellation);
        await ReplayCommand.WaitAsync(api, id, json, cancellation);
        await api.PostAsync($"/v1/replays/{id}/promotion", new { }, cancellation);
    }

    /// <summary>The midnight at which the history of an earlier run ends; null where there was none.</summary>
    private async Task<DateTimeOffset?> FirstRunAsync(CancellationToken cancellation) =>
        await FindReceiptAsync(DemoProgram.MarkerOrder(seed), cancellation) is { } receipt
            ? DateTimeOffset.Parse(receipt["conversion"]!["occurredAt"]!.ToString(), CultureInfo.InvariantCulture).AddHours(1)
            : null;

    private async Task<JsonNode?> FindReceiptAsync(string order, CancellationToken cancellation)
    {
        try
        {
            return await api.GetAsync(ReceiptCommand.Path(DemoProgram.Source, order), cancellation);
        }
        catch (RefusedException refused) when (refused.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private Task<int> EnrolAsync(DemoProgram program, CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, "enrolling partners", async report =>
        {
            var added = 0;
            for (var i = 0; i < program.Partners.Count; i++)
            {
                var partner = program.Partners[i];
                added += await CreateAsync("/v1/partners", new { id = partner.Id, name = partner.Name, destination = partner.Destination }, cancellation) ? 1 : 0;
                foreach (var link in partner.Links)
                {
                    await CreateAsync($"/v1/partners/{partner.Id}/links", new { slug = link.Slug, destination = link.Destination, campaign = link.Campaign }, cancellation);
                }

                report(i + 1, program.Partners.Count);
            }

            return added;
        });

    /// <summary>True where it was new.</summary>
    private async Task<bool> CreateAsync(string path, object body, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Content = JsonContent.Create(body, options: Api.Json);
        using var response = await api.SendAsync(request, cancellation);
        await Api.ReadAsync(response, cancellation);
        return response.StatusCode == HttpStatusCode.Created;
    }

    private Task<long> ImportAsync(DemoProgram program, CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, $"importing {program.Clicks.Count} clicks of {DemoProgram.Days} days", async report =>
        {
            var accepted = 0L;
            foreach (var chunk in program.Clicks.Chunk(2_000))
            {
                var lines = new StringBuilder();
                foreach (var click in chunk)
                {
                    lines.Append(JsonSerializer.Serialize(click, s_line)).Append('\n');
                }

                var answer = await api.SendBodyAsync(HttpMethod.Post, "/v1/imports/clicks", lines.ToString(), "application/x-ndjson", cancellation);
                if (answer["rejected"] is JsonArray { Count: > 0 } rejected)
                {
                    throw new RefusedException($"The import refused {rejected.Count} lines, the first: {rejected[0]!.ToJsonString()}", HttpStatusCode.Accepted);
                }

                accepted += (long)answer["accepted"]!;
                report(accepted, program.Clicks.Count);
            }

            return accepted;
        });

    private static readonly JsonSerializerOptions s_line = new(Api.Json) { WriteIndented = false };

    private Task<(int Recorded, int Known)> OrderAsync(DemoProgram program, CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, $"recording {program.Orders.Count} orders", async report =>
        {
            var (recorded, known, done) = (0, 0, 0);
            foreach (var chunk in program.Orders.Chunk(OrdersAtOnce))
            {
                var answers = (JsonArray)await api.PostAsync("/v1/conversions", chunk, cancellation);
                foreach (var answer in answers)
                {
                    switch (answer!["status"]!.ToString())
                    {
                        case "recorded":
                            recorded++;
                            break;
                        case "already-recorded":
                            known++;
                            break;
                        default:
                            throw new RefusedException($"An order was refused: {answer.ToJsonString()}", HttpStatusCode.OK);
                    }
                }

                report(done += chunk.Length, program.Orders.Count);
            }

            return (recorded, known);
        });

    private Task<int> RefundAsync(DemoProgram program, CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, $"recording {program.Refunds.Count} refunds", async report =>
        {
            var added = 0;
            for (var i = 0; i < program.Refunds.Count; i++)
            {
                var refund = program.Refunds[i];
                added += await CreateAsync(
                    $"/v1/conversions/{DemoProgram.Source}/{refund.OrderId}/adjustments",
                    new { id = refund.Id, amount = refund.Amount, reason = refund.Reason, occurredAt = refund.OccurredAt },
                    cancellation) ? 1 : 0;
                report(i + 1, program.Refunds.Count);
            }

            return added;
        });

    /// <summary>Visitors of today follow links, land in the shop, and some of them buy.</summary>
    private Task<(int Clicks, int Orders)> LiveAsync(DemoProgram program, CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, "following links, live", async report =>
        {
            var marker = program.Visits.First(visit => visit.OrderId is not null).OrderId!;
            if (await FindReceiptAsync(marker, cancellation) is not null)
            {
                return (0, 0);
            }

            await using var shop = await DemoShop.OpenAsync(cancellation);
            using var browser = shop.Browser();
            var (clicks, orders) = (0, 0);
            for (var i = 0; i < program.Visits.Count; i++)
            {
                var visit = program.Visits[i];
                var visitor = $"visitor-{i}";
                foreach (var slug in visit.Slugs)
                {
                    using var request = new HttpRequestMessage(HttpMethod.Get, $"{api.Url}/r/{slug}?{visit.Query}");
                    request.Headers.TryAddWithoutValidation("User-Agent", visit.UserAgent);
                    request.Headers.TryAddWithoutValidation("X-Demo-Visitor", visitor);
                    using var landed = await browser.SendAsync(request, cancellation);
                    if (!landed.IsSuccessStatusCode || landed.RequestMessage!.RequestUri!.Host != new Uri(DemoProgram.Shop).Host)
                    {
                        throw new RefusedException($"/r/{slug} did not lead to the shop: {(int)landed.StatusCode} at {landed.RequestMessage!.RequestUri}", landed.StatusCode);
                    }

                    clicks++;
                }

                if (visit.OrderId is not null)
                {
                    var click = shop.ClickOf(visitor) ?? throw new RefusedException("A visitor landed without pp_click.", HttpStatusCode.OK);
                    orders += await LiveOrderAsync(visit, click, cancellation) ? 1 : 0;
                }

                report(i + 1, program.Visits.Count);
            }

            return (clicks, orders);
        });

    /// <summary>False where an earlier run, which broke off, had recorded it with another click.</summary>
    private async Task<bool> LiveOrderAsync(DemoVisit visit, string click, CancellationToken cancellation)
    {
        try
        {
            return await CreateAsync(
                "/v1/conversions",
                new { source = DemoProgram.Source, orderId = visit.OrderId, kind = "sale", amount = visit.Amount, currency = "EUR", clickId = click },
                cancellation);
        }
        catch (RefusedException refused) when (refused.Status == HttpStatusCode.Conflict)
        {
            return false;
        }
    }

    private Task<bool> SettleAsync(CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, "waiting until everything is folded", async _ =>
        {
            var waited = Stopwatch.StartNew();
            while (true)
            {
                var status = await api.GetAsync("/v1/status", cancellation);
                if (status["settled"]?.GetValue<bool>() == true)
                {
                    return true;
                }

                if (waited.Elapsed > s_settleWithin)
                {
                    throw new RefusedException($"It is not settled after {s_settleWithin.TotalSeconds:0} s: {status.ToJsonString()}", HttpStatusCode.OK);
                }

                await Task.Delay(100, cancellation);
            }
        });

    /// <summary>The difference to last-touch. The replay goes again: a demo leaves no open one behind.</summary>
    private async Task<JsonNode> DryRunAsync(CancellationToken cancellation)
    {
        var rules = await ReplayCommand.UnderModelAsync(api, "last-touch", window: null, first: null, last: null, halfLife: null, cancellation);
        var id = await ReplayCommand.StartAsync(api, new JsonObject { ["rules"] = rules }, cancellation);
        try
        {
            var replay = await ReplayCommand.WaitAsync(api, id, json, cancellation);
            return replay["state"]?.ToString() == "failed"
                ? throw new RefusedException($"The replay failed: {replay["reason"]}", HttpStatusCode.OK)
                : await api.GetAsync($"/v1/replays/{id}/diff", cancellation);
        }
        finally
        {
            await api.DeleteAsync($"/v1/replays/{id}", CancellationToken.None);
        }
    }
}
