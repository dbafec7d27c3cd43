using System.Collections.Frozen;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Reconciliations;

/// <summary>
/// <c>POST /v1/reconciliations?partner=&amp;from=&amp;to=</c>: a partner's list as CSV against the record. Each line gets a verdict with its
/// receipt, a sentence, and where the record may be wrong the request that would mend it; orders that the partner is credited for and did
/// not list follow. It is kept under its id.
/// </summary>
internal sealed class Reconcile(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations, IOptions<ProgramOptions> program, TimeProvider time)
{
    private const int MaxBytes = 16 * 1024 * 1024;

    /// <summary>Orders that are judged at once.</summary>
    private const int ChunkSize = 1_000;

    private static readonly FrozenSet<string> s_types = FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "text/csv", "application/csv");

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/reconciliations", (
                HttpContext http, Reconcile use, CancellationToken cancellationToken, string? partner = null, string? from = null, string? to = null, string? currency = null) =>
                use.HandleAsync(http, partner, from, to, currency, cancellationToken))
            .RequireScope(Scope.Read, Scope.PartnerPrefix)
            .WithMetadata(new RequestSizeLimitAttribute(MaxBytes))
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .WithName("Reconcile").WithTags("Reconciliations").WithSummary("A partner's list as CSV against the record: a verdict, a receipt and a sentence a line");

    private async Task<Results<Created<ReconciliationView>, ProblemHttpResult>> HandleAsync(
        HttpContext http, string? partner, string? from, string? to, string? currency, CancellationToken cancellationToken)
    {
        var faults = new List<FieldFault>();
        var (start, end) = QueryRange.Read(from, to, faults);
        var key = http.ApiKey();
        var whose = PartnerView.Of(key, partner, faults);
        if (whose is null)
        {
            faults.Add(new FieldFault("partner", "is required"));
        }

        if (currency is not null && Currency.Decimals(currency) is null)
        {
            faults.Add(new FieldFault("currency", $"'{currency}' is not a currency of ISO 4217"));
        }

        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        var type = http.Request.ContentType?.Split(';')[0].Trim() ?? "";
        if (!s_types.Contains(type))
        {
            return Problem.Of(StatusCodes.Status415UnsupportedMediaType, "Not a list", new FieldFault("Content-Type", $"is '{type}'; a list is text/csv"));
        }

        var (claims, fault) = await ClaimFile.ReadAsync(http.Request.Body, currency, cancellationToken);
        if (claims is null)
        {
            return Problem.Invalid(fault!);
        }

        if (claims.Lines.Count == 0)
        {
            return claims.Rejected.Total == 0 ? Problem.Invalid(new FieldFault("body", "has no lines")) : Problem.Invalid(claims.Rejected.Faults());
        }

        if (await ReconcileAsync(whose!, start, end, claims, key.Name, cancellationToken) is not var (summary, lines))
        {
            return Problem.Of(StatusCodes.Status503ServiceUnavailable, "Nothing is judged yet", new FieldFault("generation", "is not there before the first rules are promoted; try again"));
        }

        var shown = lines.Take(ReadReconciliations.DefaultLimit).Select(l => key.May(Scope.Read) ? l : l.ForPartner()).ToArray();
        return TypedResults.Created(
            $"/v1/reconciliations/{summary.Id}", new ReconciliationView(summary, shown, lines.Count > shown.Length ? shown[^1].Number : null));
    }

    private async Task<(ReconciliationSummary Summary, IReadOnlyList<ReconciledLine> Lines)?> ReconcileAsync(
        string partner, DateTimeOffset? from, DateTimeOffset? to, Claims claims, string by, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        if (await generations.ActiveAsync(connection, cancellationToken) is not { } active)
        {
            return null;
        }

        var now = time.GetUtcNow();
        var find = new FindOrders(connection, log.Schema, program.Value.Program, partner, active);
        var found = await find.FindAsync(claims.Lines, cancellationToken);
        var clicks = await find.KnownClicksAsync(
            claims.Lines.Select(c => c.ClickId).OfType<string>().Select(c => Ids.Click(program.Value.Program, c)).Distinct(), cancellationToken);
        var judged = await JudgeAsync(connection, active, [.. found.OfType<Guid>().Distinct()], cancellationToken);
        var (first, last) = Range(from, to, found.OfType<Guid>().Where(judged.ContainsKey).Select(id => judged[id].Journey.Conversion.OccurredAt).ToArray());
        var missing = first is null
            ? []
            : await JudgeAsync(connection, active, await NotListedAsync(connection, active, partner, first.Value, last!.Value, [.. judged.Keys], cancellationToken), cancellationToken);

        var lines = new List<ReconciledLine>(found.Count + missing.Count);
        var claimed = new Dictionary<Guid, long>();
        for (var i = 0; i < found.Count; i++)
        {
            var claim = claims.Lines[i];
            lines.Add(found[i] is { } id && judged.TryGetValue(id, out var order)
                ? Known(lines.Count + 1, claim, order, partner, claimed, clicks)
                : Unknown(lines.Count + 1, claim, clicks));
        }

        lines.AddRange(missing.Values.OrderBy(o => o.Journey.Conversion.OccurredAt).ThenBy(o => o.Journey.Conversion.ConversionId)
            .Select((order, i) => NotListed(found.Count + 1 + i, order, partner)));
        var summary = new ReconciliationSummary(
            Guid.CreateVersion7(now), partner, now, by, first, last, await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken), active.Number,
            active.RulesVersion, found.Count, missing.Count, claims.Rejected.Total, claims.Rejected.Shown, claims.IgnoredColumns, Totals(lines));
        await StoreAsync(connection, summary, lines, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return (summary, lines);
    }

    /// <summary>What was found on a claimed order.</summary>
    private sealed record Order(Journey Journey, Decision Decision, ConversionReceipt Receipt);

    /// <summary>Orders with the decision that counts, by their ids; those that are known.</summary>
    private async Task<Dictionary<Guid, Order>> JudgeAsync(NpgsqlConnection connection, Generation active, Guid[] ids, CancellationToken cancellationToken)
    {
        var rules = await generations.InForceAsync(connection, active, cancellationToken);
        var standings = await generations.StandingsAsync(connection, cancellationToken);
        var orders = new Dictionary<Guid, Order>(ids.Length);
        foreach (var chunk in ids.Chunk(ChunkSize))
        {
            foreach (var journey in await Journeys.ReadManyAsync(connection, log.Schema, chunk, cancellationToken))
            {
                var decision = Crediting.Decide(journey, standings, rules);
                orders.Add(
                    journey.Conversion.ConversionId,
                    new Order(journey, decision, Receipt.Of(journey, decision, rules)));
            }
        }

        return orders;
    }

    /// <summary>The days around what was found, where the request names no range.</summary>
    private static (DateTimeOffset? From, DateTimeOffset? To) Range(DateTimeOffset? from, DateTimeOffset? to, DateTimeOffset[] found)
    {
        var first = from ?? (found.Length == 0 ? null : new DateTimeOffset(found.Min().UtcDateTime.Date, TimeSpan.Zero));
        var last = to ?? (found.Length == 0 ? null : new DateTimeOffset(found.Max().UtcDateTime.Date.AddDays(1), TimeSpan.Zero));
        return first is null || last is null ? (null, null) : (first, last);
    }

    private async Task<Guid[]> NotListedAsync(
        NpgsqlConnection connection, Generation active, string partner, DateTimeOffset from, DateTimeOffset to, Guid[] listed, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select distinct o.conversion_id
               from {log.Schema}.credits c join {log.Schema}.orders o on o.conversion_id = c.conversion_id
              where c.generation = $1 and c.partner_id = $2 and not o.test and o.occurred_at >= $3 and o.occurred_at < $4 and not o.conversion_id = any($5)
             """,
            P(active.Number), P(partner), P(from.UtcDateTime), P(to.UtcDateTime), P(listed));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var ids = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
        {
            ids.Add(reader.GetGuid(0));
        }

        return [.. ids];
    }

    private ReconciledLine Known(int number, ClaimLine claim, Order order, string partner, Dictionary<Guid, long> claimed, IReadOnlySet<Guid> clicks)
    {
        var conversion = order.Journey.Conversion;
        var again = !claimed.TryAdd(conversion.ConversionId, claim.Line);
        var verdict = again ? Verdict.Duplicate : Verdict.Of(claim, order.Journey, order.Decision, partner);
        var why = Receipt.ForPartner(order.Receipt, partner).Summary;
        var part = again ? null : order.Decision.Partners.FirstOrDefault(p => p.PartnerId == partner);
        var sentence = again ? $"Line {claimed[conversion.ConversionId]} claims the same order."
            : verdict == Verdict.AmountDiffers ? $"{Claimed(claim)} {why}"
            : verdict == Verdict.Refunded ? $"{why} The order was worth {Text(order.Decision.OriginalMinor)} and is worth {Text(order.Decision.NetMinor)} {conversion.Currency} after refunds."
            : why;
        return new ReconciledLine(
            number, claim.Line, verdict, sentence, conversion.Source, conversion.OrderId, claim.ClickId, conversion.OccurredAt, conversion.Currency,
            Money(claim.AmountMinor, claim.Currency), Money(claim.CommissionMinor, claim.Currency), Text(order.Decision.NetMinor),
            part is null ? null : Credits.Groups.Plain(part.Share), part is null ? null : Text(part.AmountMinor), part is null ? null : Text(part.CommissionMinor),
            $"/v1/receipts/{conversion.ConversionId}?partner={Uri.EscapeDataString(partner)}",
            verdict switch
            {
                Verdict.AmountDiffers => CorrectAmount(claim, order),
                Verdict.NoClickSeen => CorrectClick(claim, conversion, partner, clicks),
                _ => null,
            });

        string Text(long minor) => Currency.Format(minor, conversion.Currency);
    }

    private ReconciledLine Unknown(int number, ClaimLine claim, IReadOnlySet<Guid> clicks)
    {
        // A list of clicks alone says nothing of an order; a click that nobody saw can have none.
        var unseen = claim is { OrderId: null, ClickId: { } click } && !clicks.Contains(Ids.Click(program.Value.Program, click));
        var sentence = unseen ? $"The click '{claim.ClickId}' was never seen here."
            : claim.OrderId is { } order ? $"No order '{order}'{(claim.Source is { } source ? $" of '{source}'" : "")} was reported."
            : claim.ClickId is { } seen ? $"The click '{seen}' was seen, and no order belongs to it."
            : claim.CustomerKey is not null ? "No order of that customer was reported that is like it."
            : $"No order of {Money(claim.AmountMinor, claim.Currency)} {claim.Currency} was reported for that time.";
        return new ReconciledLine(
            number, claim.Line, unseen ? Verdict.NoClickSeen : Verdict.UnknownOrder, sentence, claim.Source, claim.OrderId, claim.ClickId, claim.OccurredAt, claim.Currency,
            Money(claim.AmountMinor, claim.Currency), Money(claim.CommissionMinor, claim.Currency), Net: null, Share: null, Amount: null, Commission: null, Receipt: null,
            unseen ? null : ReportOrder(claim));
    }

    private static ReconciledLine NotListed(int number, Order order, string partner)
    {
        var (conversion, part) = (order.Journey.Conversion, order.Decision.Partners.FirstOrDefault(p => p.PartnerId == partner));
        return new ReconciledLine(
            number, Line: null, Verdict.NotListed, Receipt.ForPartner(order.Receipt, partner).Summary, conversion.Source, conversion.OrderId, ClickId: null,
            conversion.OccurredAt, conversion.Currency, ClaimedAmount: null, ClaimedCommission: null, Currency.Format(order.Decision.NetMinor, conversion.Currency),
            part is null ? null : Credits.Groups.Plain(part.Share), Currency.Format(part?.AmountMinor ?? 0, conversion.Currency),
            Currency.Format(part?.CommissionMinor ?? 0, conversion.Currency), $"/v1/receipts/{conversion.ConversionId}?partner={Uri.EscapeDataString(partner)}", Correction: null);
    }

    /// <summary>Sums by verdict and currency, in the order of verdicts.</summary>
    public static IReadOnlyList<VerdictTotal> Totals(IReadOnlyList<ReconciledLine> lines) =>
        [.. lines.GroupBy(l => (l.Verdict, Currency: l.Currency ?? ""))
            .OrderBy(g => Verdict.All.ToList().IndexOf(g.Key.Verdict)).ThenBy(g => g.Key.Currency, StringComparer.Ordinal)
            .Select(g =>
            {
                return new VerdictTotal(g.Key.Verdict, g.Key.Currency, g.Count(), Sum(l => l.ClaimedAmount), Sum(l => l.ClaimedCommission), Sum(l => l.Amount), Sum(l => l.Commission));

                string? Sum(Func<ReconciledLine, string?> of) => g.Select(of).OfType<string>().ToArray() is { Length: > 0 } texts
                    ? texts.Sum(text => decimal.Parse(text, CultureInfo.InvariantCulture)).ToString(CultureInfo.InvariantCulture)
                    : null;
            })];

    private static string Claimed(ClaimLine claim) => claim switch
    {
        { AmountMinor: { } amount, CommissionMinor: { } commission } =>
            $"You claim {Money(amount, claim.Currency)} {claim.Currency} and a commission of {Money(commission, claim.Currency)}.",
        { AmountMinor: { } amount } => $"You claim {Money(amount, claim.Currency)} {claim.Currency}.",
        _ => $"You claim a commission of {Money(claim.CommissionMinor, claim.Currency)} {claim.Currency}.",
    };

    private static string? Money(long? minor, string? currency) => minor is { } amount ? Currency.Format(amount, currency!) : null;

    /// <summary>An adjustment can only bring the order to an amount that it once had or less.</summary>
    private static Correction? CorrectAmount(ClaimLine claim, Order order)
    {
        var (conversion, decision) = (order.Journey.Conversion, order.Decision);
        if (claim.AmountMinor is not { } amount || claim.Currency != conversion.Currency || amount < 0 || amount > decision.OriginalMinor || amount == decision.NetMinor)
        {
            return null;
        }

        return new Correction(
            "POST",
            $"/v1/conversions/{Uri.EscapeDataString(conversion.Source)}/{Uri.EscapeDataString(conversion.OrderId)}/adjustments",
            new JsonObject
            {
                ["id"] = $"reconciled-{Currency.Format(amount, conversion.Currency)}",
                ["amount"] = Currency.Format(amount - decision.NetMinor, conversion.Currency),
                ["currency"] = conversion.Currency,
                ["reason"] = "correction",
            },
            "where the order is worth what the partner says");
    }

    private Correction? CorrectClick(ClaimLine claim, ConversionRecorded conversion, string partner, IReadOnlySet<Guid> clicks)
    {
        if (claim.ClickId is not { } click)
        {
            return null;
        }

        // The order names a click that never arrived: the click is what is missing. Else somebody must know whose order it is.
        var id = Ids.Click(program.Value.Program, click);
        return !clicks.Contains(id) && conversion.ClickId == id
            ? new Correction(
                "POST", "/v1/imports/clicks",
                new JsonObject { ["clickId"] = click, ["partner"] = partner, ["occurredAt"] = conversion.OccurredAt.AddMinutes(-1).ToString("O", CultureInfo.InvariantCulture) },
                "where the partner shows the click; put its own time, and send it as a line of application/x-ndjson")
            : clicks.Contains(id)
                ? new Correction(
                    "POST", "/v1/identities", new JsonObject { ["customer"] = "the customer of the order", ["clickId"] = click },
                    "where the shop knows that its customer made the click; put the e-mail or account id of the order")
                : null;
    }

    private static Correction? ReportOrder(ClaimLine claim)
    {
        if (claim is not { OrderId: { } order, AmountMinor: { } amount, Currency: { } currency })
        {
            return null;
        }

        var body = new JsonObject
        {
            ["source"] = claim.Source ?? "the shop", ["orderId"] = order, ["kind"] = "sale", ["amount"] = Currency.Format(amount, currency), ["currency"] = currency,
        };
        if (claim.OccurredAt is { } at)
        {
            body["occurredAt"] = at.ToString("O", CultureInfo.InvariantCulture);
        }

        if (claim.ClickId is { } click)
        {
            body["clickId"] = click;
        }

        return new Correction("POST", "/v1/conversions", body, "where the shop confirms the order and never reported it");
    }

    private async Task StoreAsync(NpgsqlConnection connection, ReconciliationSummary summary, IReadOnlyList<ReconciledLine> lines, CancellationToken cancellationToken)
    {
        await connection.Sql(
            $"insert into {log.Schema}.reconciliations (id, partner_id, created_at, summary) values ($1, $2, $3, $4::json)",
            P(summary.Id), P(summary.Partner), P(summary.CreatedAt.UtcDateTime), P(JsonSerializer.Serialize(summary, ReconciliationsJson.Default.ReconciliationSummary)))
            .RunAsync(cancellationToken);
        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {log.Schema}.reconciliation_lines (id, number, verdict, line) from stdin (format binary)", cancellationToken);
        foreach (var line in lines)
        {
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(summary.Id, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(line.Number, NpgsqlDbType.Integer, cancellationToken);
            await writer.WriteAsync(line.Verdict, NpgsqlDbType.Varchar, cancellationToken);
            await writer.WriteAsync(JsonSerializer.Serialize(line, ReconciliationsJson.Default.ReconciledLine), NpgsqlDbType.Json, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }
}
