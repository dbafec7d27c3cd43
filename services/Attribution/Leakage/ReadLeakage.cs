using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Leakage;

/// <summary>Who would have an order under a variant. Amounts are decimal strings in the order's currency.</summary>
internal sealed record WouldHave(string Variant, string Partner, string Amount, string Commission);

/// <summary>An order that nobody is credited for.</summary>
/// <param name="ConversionId">The conversion.</param>
/// <param name="Source">Where the order came from.</param>
/// <param name="OrderId">The shop's id of the order.</param>
/// <param name="OccurredAt">When.</param>
/// <param name="Kind">Lead, signup, sale or renewal.</param>
/// <param name="Cause">The reason of the decision: one of the words of receipts.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Amount">What it is worth after refunds.</param>
/// <param name="WouldCredit">Who would have it under which variant; empty where nobody would.</param>
/// <param name="Receipt">Path of the receipt.</param>
internal sealed record LeakedOrder(
    Guid ConversionId, string Source, string OrderId, DateTimeOffset OccurredAt, ConversionKind Kind, string Cause, string Currency, string Amount,
    IReadOnlyList<WouldHave> WouldCredit, string Receipt)
{
    public static IReadOnlyList<Column<LeakedOrder>> Columns { get; } =
    [
        new("conversion_id", o => o.ConversionId), new("source", o => o.Source), new("order_id", o => o.OrderId), new("occurred_at", o => o.OccurredAt),
        new("kind", o => JsonNamingPolicy.CamelCase.ConvertName(o.Kind.ToString())), new("cause", o => o.Cause), new("currency", o => o.Currency),
        new("amount", o => decimal.Parse(o.Amount, CultureInfo.InvariantCulture)),
        new("would_credit", o => string.Join("; ", o.WouldCredit.Select(w => $"{w.Variant}: {w.Partner} {w.Amount}"))), new("receipt", o => o.Receipt),
    ];
}

/// <param name="Cause">Why nobody is credited.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Conversions">How many orders.</param>
/// <param name="Amount">What they are worth after refunds.</param>
internal sealed record CauseTotal(string Cause, string Currency, long Conversions, string Amount);

/// <param name="Partner">The partner.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Amount">By how much its credited amounts would be more.</param>
/// <param name="Commission">By how much its commission would be more; a loss begins with a minus.</param>
internal sealed record PartnerGain(string Partner, string Currency, string Amount, string Commission);

/// <param name="Currency">ISO 4217.</param>
/// <param name="Conversions">Orders that nobody is credited for now, and somebody would be.</param>
/// <param name="Amount">What these are worth.</param>
/// <param name="Commission">What they would cost.</param>
/// <param name="Lost">Orders that somebody is credited for now, and nobody would be.</param>
internal sealed record RecoveredTotal(string Currency, long Conversions, string Amount, string Commission, long Lost);

/// <summary>What the same orders would be credited as with one thing of the rules changed.</summary>
/// <param name="Variant">Its name.</param>
/// <param name="Says">What is changed.</param>
/// <param name="Recovered">A currency.</param>
/// <param name="Partners">Partners whose part would be another; those who would gain most commission first.</param>
internal sealed record Counterfactual(string Variant, string Says, IReadOnlyList<RecoveredTotal> Recovered, IReadOnlyList<PartnerGain> Partners);

/// <param name="From">Orders from here.</param>
/// <param name="To">Up to here, exclusive.</param>
/// <param name="Position">Position in the log up to which facts are taken into account.</param>
/// <param name="RulesVersion">The rules in force.</param>
/// <param name="Conversions">Orders in the range, credited or not.</param>
/// <param name="Erased">Those of them whose customer asked to be forgotten.</param>
/// <param name="Causes">A cause and currency; they add up to the orders that nobody is credited for.</param>
/// <param name="Counterfactuals">One a variant.</param>
internal sealed record LeakageSummary(
    DateTimeOffset? From, DateTimeOffset? To, long Position, int RulesVersion, long Conversions, long Erased, IReadOnlyList<CauseTotal> Causes, IReadOnlyList<Counterfactual> Counterfactuals);

/// <param name="Summary">Of the whole range; absent on later pages.</param>
/// <param name="Orders">In the order of their ids.</param>
/// <param name="Next">Ask again with <c>after</c> set to it; absent at the end.</param>
internal sealed record LeakageView(LeakageSummary? Summary, IReadOnlyList<LeakedOrder> Orders, Guid? Next);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LeakageView))]
internal sealed partial class LeakageJson : JsonSerializerContext;

/// <summary>
/// <c>GET /v1/leakage?from=&amp;to=</c>: every order that nobody is credited for with its cause and its price, and what other windows, coupons,
/// devices and models would have made of the same orders. Test orders are not among them.
/// </summary>
internal sealed class ReadLeakage([FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations)
{
    private const int MaxLimit = 1_000;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/leakage", (
                HttpContext http, ReadLeakage use, CancellationToken cancellationToken, string? from = null, string? to = null, string? cause = null, Guid? after = null, int limit = 100) =>
                use.HandleAsync(http, from, to, cause, after, limit, cancellationToken))
            .RequireScope(Scope.Read).WithTags("Credits")
            .WithSummary("Orders that nobody is credited for, why, what they are worth, and what other rules would have made of them");

    private async Task<Results<Ok<LeakageView>, RowStream<LeakedOrder>, ProblemHttpResult>> HandleAsync(
        HttpContext http, string? from, string? to, string? cause, Guid? after, int limit, CancellationToken cancellationToken)
    {
        var faults = new List<FieldFault>();
        var (start, end) = QueryRange.Read(from, to, faults);
        if (limit is < 1 or > MaxLimit)
        {
            faults.Add(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        if (cause is not null and not StopReason.NoTouches && !StopReason.InOrder.Contains(cause))
        {
            faults.Add(new FieldFault("cause", $"is '{cause}'; it must be one of {string.Join(", ", StopReason.InOrder.Append(StopReason.NoTouches))}"));
        }

        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        var format = http.Request.RowFormat();
        if (format != RowFormat.Json)
        {
            return new RowStream<LeakedOrder>(
                format, LeakedAsync(new Range(start, end, cause, after, Limit: null), http.RequestAborted), LeakageJson.Default.LeakedOrder, LeakedOrder.Columns);
        }

        var orders = new List<LeakedOrder>();
        await foreach (var order in LeakedAsync(new Range(start, end, cause, after, limit), cancellationToken))
        {
            orders.Add(order);
        }

        var summary = after is null ? await SummaryAsync(new Range(start, end, Cause: null, After: null, Limit: null), cancellationToken) : null;
        return TypedResults.Ok(new LeakageView(summary, orders, orders.Count == limit ? orders[^1].ConversionId : null));
    }

    private sealed record Range(DateTimeOffset? From, DateTimeOffset? To, string? Cause, Guid? After, int? Limit);

    /// <summary>Everything that judging needs, as one snapshot has it.</summary>
    private sealed record Court(Generation Active, RulesInForce Rules, IReadOnlyList<Variant> Variants, PartnerStandings Standings)
    {
        /// <summary>The rules with the variant in the place of the newest version.</summary>
        public RulesInForce Under(Variant variant) => RulesInForce.Of(Rules.Versions.SetItem(0, Rules.Versions[0] with { Rules = variant.Rules }));
    }

    private async IAsyncEnumerable<LeakedOrder> LeakedAsync(Range range, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        if (await CourtAsync(connection, cancellationToken) is not { } court)
        {
            yield break;
        }

        await foreach (var journey in JourneysAsync(connection, court.Active, range, leaked: true, cancellationToken))
        {
            var conversion = journey.Conversion;
            var decision = Crediting.Decide(journey, court.Standings, court.Rules);
            var would = court.Variants.SelectMany(v => Crediting.Decide(journey, court.Standings, court.Under(v)).Partners.Select(p => new WouldHave(
                v.Name, p.PartnerId, Currency.Format(p.AmountMinor, conversion.Currency), Currency.Format(p.CommissionMinor, conversion.Currency))));
            yield return new LeakedOrder(
                conversion.ConversionId, conversion.Source, conversion.OrderId, conversion.OccurredAt, conversion.Kind, decision.Reason ?? StopReason.NoTouches, conversion.Currency,
                Currency.Format(decision.NetMinor, conversion.Currency), [.. would], $"/v1/receipts/{conversion.ConversionId}");
        }
    }

    /// <summary>Null before the first rules are in force.</summary>
    private async Task<LeakageSummary?> SummaryAsync(Range range, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        if (await CourtAsync(connection, cancellationToken) is not { } court)
        {
            return null;
        }

        var position = await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken);
        var causes = new Dictionary<(string Cause, string Currency), (long Conversions, long Minor)>();
        var tallies = court.Variants.Select(v => new Tally(v)).ToArray();
        var (conversions, erased) = (0L, 0L);
        await foreach (var journey in JourneysAsync(connection, court.Active, range, leaked: false, cancellationToken))
        {
            conversions++;
            erased += ErasedCustomers.Is(journey.Conversion.CustomerKey) ? 1 : 0;
            var decision = Crediting.Decide(journey, court.Standings, court.Rules);
            if (!decision.Credited)
            {
                var key = (decision.Reason ?? StopReason.NoTouches, decision.Currency);
                var sum = causes.GetValueOrDefault(key);
                causes[key] = (sum.Conversions + 1, sum.Minor + decision.NetMinor);
            }

            foreach (var tally in tallies)
            {
                tally.Add(decision, Crediting.Decide(journey, court.Standings, court.Under(tally.Variant)));
            }
        }

        return new LeakageSummary(
            range.From, range.To, position, court.Active.RulesVersion, conversions, erased,
            [.. causes.OrderBy(c => c.Key.Currency, StringComparer.Ordinal).ThenByDescending(c => c.Value.Minor).ThenBy(c => c.Key.Cause, StringComparer.Ordinal)
                .Select(c => new CauseTotal(c.Key.Cause, c.Key.Currency, c.Value.Conversions, Currency.Format(c.Value.Minor, c.Key.Currency)))],
            [.. tallies.Select(t => t.Result())]);
    }

    private async Task<Court?> CourtAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        if (await generations.ActiveAsync(connection, cancellationToken) is not { } active)
        {
            return null;
        }

        var rules = await generations.InForceAsync(connection, active, cancellationToken);
        return new Court(active, rules, Variant.Of(rules.Versions[0].Rules), await generations.StandingsAsync(connection, cancellationToken));
    }

    /// <summary>Journeys of orders in the range, as rows arrive; of all, or of those that nobody is credited for.</summary>
    private async IAsyncEnumerable<Journey> JourneysAsync(
        NpgsqlConnection connection, Generation active, Range range, bool leaked, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ofNobody = leaked
            ? $"join {log.Schema}.uncredited u on u.generation = $1 and u.conversion_id = o.conversion_id and ($5 is null or u.reason = $5)"
            : "";
        await using var command = connection.Sql(
            $"""
             select j.facts, j.touches
               from {log.Schema}.orders o join {log.Schema}.journeys j on j.conversion_id = o.conversion_id {ofNobody}
              where not o.test and o.occurred_at >= $2 and o.occurred_at < $3 and o.conversion_id > $4
              order by o.conversion_id limit $6
             """,
            P(active.Number), P(range.From?.UtcDateTime ?? DateTime.MinValue), P(range.To?.UtcDateTime ?? DateTime.MaxValue), P(range.After ?? Guid.Empty),
            OrNull(range.Cause, NpgsqlTypes.NpgsqlDbType.Varchar), OrNull(range.Limit, NpgsqlTypes.NpgsqlDbType.Integer));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            yield return Journeys.Deserialize(reader.GetFieldValue<byte[]>(0), reader.GetFieldValue<byte[]>(1));
        }
    }

    /// <summary>What one variant would change. Money is in minor units.</summary>
    private sealed class Tally(Variant variant)
    {
        private readonly SortedDictionary<string, (long Conversions, long Amount, long Commission, long Lost)> _recovered = new(StringComparer.Ordinal);
        private readonly Dictionary<(string Partner, string Currency), (long Amount, long Commission)> _gains = [];

        public Variant Variant => variant;

        public void Add(Decision now, Decision then)
        {
            if (now.Credited != then.Credited)
            {
                var sum = _recovered.GetValueOrDefault(now.Currency);
                _recovered[now.Currency] = then.Credited
                    ? sum with { Conversions = sum.Conversions + 1, Amount = sum.Amount + then.NetMinor, Commission = sum.Commission + then.Partners.Sum(p => p.CommissionMinor) }
                    : sum with { Lost = sum.Lost + 1 };
            }

            Gain(then, 1);
            Gain(now, -1);
        }

        public Counterfactual Result() => new(
            variant.Name,
            variant.Says,
            [.. _recovered.Select(r => new RecoveredTotal(
                r.Key, r.Value.Conversions, Currency.Format(r.Value.Amount, r.Key), Currency.Format(r.Value.Commission, r.Key), r.Value.Lost))],
            [.. _gains.Where(g => g.Value is not (0, 0)).OrderByDescending(g => g.Value.Commission).ThenByDescending(g => g.Value.Amount)
                .ThenBy(g => g.Key.Partner, StringComparer.Ordinal).ThenBy(g => g.Key.Currency, StringComparer.Ordinal)
                .Select(g => new PartnerGain(g.Key.Partner, g.Key.Currency, Currency.Format(g.Value.Amount, g.Key.Currency), Currency.Format(g.Value.Commission, g.Key.Currency)))]);

        private void Gain(Decision decision, int sign)
        {
            foreach (var part in decision.Partners)
            {
                var key = (part.PartnerId, decision.Currency);
                var sum = _gains.GetValueOrDefault(key);
                _gains[key] = (sum.Amount + (sign * part.AmountMinor), sum.Commission + (sign * part.CommissionMinor));
            }
        }
    }
}
