using System.Text.Json;
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
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Statements;

/// <summary>
/// <c>POST /v1/statements/{id}/verification</c>: a closed statement once more, from the raw log up to its position under the rules that it
/// names. A month has what all conversions up to its end are worth, less what they were worth when the month before was closed: two folds
/// of facts, and neither the ledger nor any other table that was derived is asked.
/// </summary>
internal sealed class VerifyStatement([FromKeyedServices(AttributionService.Schema)] EventLog log, BotLists lists, ReadStatements read)
{
    /// <param name="Partner">The partner.</param>
    /// <param name="Currency">ISO 4217.</param>
    /// <param name="Field">Which number.</param>
    /// <param name="Recorded">What the statement says.</param>
    /// <param name="Recomputed">What the log says.</param>
    public sealed record Difference(string Partner, string Currency, string Field, string Recorded, string Recomputed);

    /// <param name="Period">The month.</param>
    /// <param name="Id">Id of the statement.</param>
    /// <param name="Equal">Whether everything is as it was closed.</param>
    /// <param name="Basis">What it was recomputed from.</param>
    /// <param name="Engine">What recomputed it; another version than the basis names may be the cause of differences.</param>
    /// <param name="Conversions">Conversions that were judged.</param>
    /// <param name="Differences">Empty where everything is equal.</param>
    public sealed record Verification(string Period, Guid Id, bool Equal, StatementBasis Basis, string Engine, long Conversions, IReadOnlyList<Difference> Differences);

    /// <summary>What conversions are worth, by partner and currency. Amounts are minor units.</summary>
    private sealed record Worth(long AmountMinor, long CommissionMinor, long OwnMinor, long HeldMinor)
    {
        public static readonly Worth None = new(0, 0, 0, 0);
    }

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/statements/{id}/verification", HandleAsync).RequireScope(Scope.Read).WithTags("Statements")
            .WithSummary("Recomputes a closed statement from the raw log, and says what differs");

    private static async Task<Results<Ok<Verification>, ProblemHttpResult>> HandleAsync(string id, VerifyStatement use, CancellationToken cancellationToken)
    {
        if (await use.Read.PeriodOfAsync(id, cancellationToken) is not { } period)
        {
            return ReadStatements.Unknown(id);
        }

        return await use.VerifyAsync(period, cancellationToken) is { } verification
            ? TypedResults.Ok(verification)
            : Problem.Conflict(new FieldFault("id", $"is {period}, which is not closed; there is nothing to verify yet"));
    }

    private ReadStatements Read => read;

    /// <summary>Null where the month is not closed.</summary>
    public async Task<Verification?> VerifyAsync(Period period, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var closings = await ClosingsAsync(connection, cancellationToken);
        var at = closings.FindIndex(c => c.Period == period.ToString());
        if (at < 0)
        {
            return null;
        }

        var (closed, before) = (closings[at], at == 0 ? null : closings[at - 1]);
        var (now, judged) = await WorthAsync(connection, closed, period, cancellationToken);
        var then = before is null ? [] : (await WorthAsync(connection, before, Period.Parse(before.Period)!.Value, cancellationToken)).Worth;
        var sums = now.Keys.Union(then.Keys).Select(key =>
        {
            var (is_, was) = (now.GetValueOrDefault(key, Worth.None), then.GetValueOrDefault(key, Worth.None));
            return new PartnerSum(
                key.Partner, key.Currency, is_.AmountMinor - was.AmountMinor, is_.OwnMinor, is_.CommissionMinor - was.CommissionMinor - is_.OwnMinor, is_.HeldMinor);
        }).ToArray();
        var differences = Differences(closed.Balances, Balances.Of(sums, before?.Balances ?? [])).ToArray();
        return new Verification(
            closed.Period, closed.EventId, differences.Length == 0,
            new StatementBasis(closed.Position, closed.Generation, closed.RulesVersion, closed.RulesHash, closed.EngineVersion),
            Engine.Version, judged, differences);
    }

    /// <summary>Every number of two sets of balances that is not the same in both.</summary>
    public static IEnumerable<Difference> Differences(IReadOnlyList<StatementBalance> recorded, IReadOnlyList<StatementBalance> recomputed)
    {
        var (left, right) = (recorded.ToDictionary(b => (b.PartnerId, b.Currency)), recomputed.ToDictionary(b => (b.PartnerId, b.Currency)));
        foreach (var key in left.Keys.Union(right.Keys).OrderBy(k => k.PartnerId, StringComparer.Ordinal).ThenBy(k => k.Currency, StringComparer.Ordinal))
        {
            var (a, b) = (left.GetValueOrDefault(key), right.GetValueOrDefault(key));
            foreach (var (field, value) in s_fields)
            {
                var (said, found) = (a is null ? 0 : value(a), b is null ? 0 : value(b));
                if (said != found)
                {
                    yield return new Difference(key.PartnerId, key.Currency, field, Currency.Format(said, key.Currency), Currency.Format(found, key.Currency));
                }
            }
        }
    }

    private static readonly (string Field, Func<StatementBalance, long> Value)[] s_fields =
    [
        ("amount", b => b.AmountMinor), ("opening", b => b.OpeningMinor), ("earned", b => b.EarnedMinor), ("adjusted", b => b.AdjustedMinor),
        ("held", b => b.HeldMinor), ("payable", b => b.PayableMinor), ("carried", b => b.CarriedMinor),
    ];

    /// <summary>What all conversions up to the end of the month are worth as the statement judged them.</summary>
    private async Task<(Dictionary<(string Partner, string Currency), Worth> Worth, long Judged)> WorthAsync(
        NpgsqlConnection connection, StatementClosed closed, Period period, CancellationToken cancellationToken)
    {
        var rules = await RulesAsync(connection, closed, cancellationToken);
        var heldAfter = ClosedStatements.Day(closed.PayableAsOf).AddDays(-closed.HoldDays);
        var worth = new Dictionary<(string, string), Worth>();
        var judged = 0L;
        await foreach (var history in RawJourneys.FoldAsync(connection, log.Schema, closed.Position, cancellationToken))
        {
            foreach (var journey in history.Journeys)
            {
                var conversion = journey.Conversion;
                var own = Period.Of(conversion.OccurredAt);
                if (conversion.Test || own > period)
                {
                    continue;
                }

                judged++;
                var held = DateOnly.FromDateTime(conversion.OccurredAt.UtcDateTime) > heldAfter;
                foreach (var part in Crediting.Decide(journey, history.Standings, rules).Partners)
                {
                    var key = (part.PartnerId, conversion.Currency);
                    var sum = worth.GetValueOrDefault(key, Worth.None);
                    worth[key] = new Worth(
                        sum.AmountMinor + part.AmountMinor,
                        sum.CommissionMinor + part.CommissionMinor,
                        sum.OwnMinor + (own == period ? part.CommissionMinor : 0),
                        sum.HeldMinor + (held ? part.CommissionMinor : 0));
                }
            }
        }

        return (worth, judged);
    }

    /// <summary>All closings in the log, oldest first.</summary>
    private async Task<List<StatementClosed>> ClosingsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var type = EventTypes.Of<StatementClosed>();
        await using var command = connection.Sql($"select data from {log.Schema}.mt_events where type = '{type.Name}' order by seq_id");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var closings = new List<StatementClosed>();
        while (await reader.ReadAsync(cancellationToken))
        {
            closings.Add((StatementClosed)EventTypes.Deserialize(type, reader.GetFieldValue<byte[]>(0)));
        }

        return closings;
    }

    /// <summary>
    /// The rules of the statement's generation as the log has them, with what their models had learned; the version that the statement
    /// names has the hash that it names.
    /// </summary>
    private async Task<RulesInForce> RulesAsync(NpgsqlConnection connection, StatementClosed closed, CancellationToken cancellationToken)
    {
        var (published, requested, learned) = (EventTypes.Of<RulesPublished>(), EventTypes.Of<ReplayRequested>(), EventTypes.Of<ModelFitted>());
        await using var command = connection.Sql(
            $"select type, data from {log.Schema}.mt_events where type in ('{published.Name}', '{requested.Name}', '{learned.Name}') and seq_id <= $1 order by seq_id",
            P(closed.Position));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var versions = new Dictionary<int, Rules>();
        var fits = new Dictionary<int, Fit>();
        IReadOnlyList<int> under = [];
        while (await reader.ReadAsync(cancellationToken))
        {
            var data = reader.GetFieldValue<byte[]>(1);
            switch (LogPage.Read(reader.GetString(0), data, out _))
            {
                case ReplayRequested replay when replay.Generation == closed.Generation:
                    under = replay.Under ?? [];
                    break;
                case ModelFitted fitted when fitted.Generation == closed.Generation:
                    fits.TryAdd(fitted.RulesVersion, Fit.Of(fitted));
                    break;
                case RulesPublished e when Rules.ReadPublished(e.Document, lists) is RulesAccepted { Rules: var rules }:
                    versions[e.Version] = rules;
                    break;
                default:
                    break;
            }
        }

        int[] stack = [closed.RulesVersion, .. under];
        return stack.All(versions.ContainsKey) && versions[closed.RulesVersion].Hash == closed.RulesHash
            ? RulesInForce.Of(stack.Select(version => new VersionedRules(version, WithFit(versions[version], fits.GetValueOrDefault(version)))))
            : throw new InvalidDataException(
                $"Statement {closed.Period} names rules {closed.RulesVersion} of hash {closed.RulesHash}, which the log does not hold up to {closed.Position}.");
    }

    private static Rules WithFit(Rules rules, Fit? fit) => rules.Model is Markov markov ? rules with { Model = markov with { Fit = fit } } : rules;
}
