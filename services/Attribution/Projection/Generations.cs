using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Projection;

/// <summary>One judgement of all history, as its row says.</summary>
/// <param name="Under">Versions that judge what <paramref name="RulesVersion"/> does not apply to, the first that applies.</param>
internal sealed record Generation(
    int Number, Guid ReplayId, int RulesVersion, IReadOnlyList<int> Under, string EngineVersion, string State, string? Reason, long FoldedTo, Guid FoldedConversion,
    long Target, long Done, long Total)
{
    public const string Running = "running";
    public const string Ready = "ready";
    public const string Active = "active";
    public const string Retired = "retired";
    public const string Discarded = "discarded";
    public const string Failed = "failed";

    /// <summary>Whether nobody else has changed it since. Not equality: what is read twice has two lists of <see cref="Under"/>.</summary>
    public bool IsWhere(Generation left) =>
        (State, FoldedTo, FoldedConversion, Target, Done, Total) == (left.State, left.FoldedTo, left.FoldedConversion, left.Target, left.Done, left.Total);
}

/// <summary>Folds journeys into the credits of a generation.</summary>
internal sealed class Generations(string schema, BotLists lists)
{
    private const int ChunkSize = 2_000;
    private const string Columns =
        "generation, replay_id, rules_version, under, engine_version, state, reason, folded_to, folded_conversion, target, done, total";

    private readonly System.Collections.Concurrent.ConcurrentDictionary<int, Rules> _rules = new();
    private readonly System.Collections.Concurrent.ConcurrentDictionary<(Guid ReplayId, int Version), Rules> _fitted = new();

    /// <summary>The condition that a generation cannot be begun before the models of its rules are fitted.</summary>
    public string AwaitsFit { get; } =
        $"""
         (state = '{Generation.Running}' and exists (
             select from {schema}.rules r
              where (r.version = rules_version or r.version = any(under)) and r.document->'model'->>'kind' = 'markov'
                and not exists (select from {schema}.fits f where f.generation = generations.generation and f.rules_version = r.version)))
         """;

    /// <summary>The generation that counts; null before the first.</summary>
    public async Task<Generation?> ActiveAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        (await ListAsync(connection, "state = 'active'", cancellationToken)).SingleOrDefault();

    public async Task<Generation?> FindAsync(NpgsqlConnection connection, int number, CancellationToken cancellationToken) =>
        (await ListAsync(connection, $"generation = {number}", cancellationToken)).SingleOrDefault();

    public async Task<Generation?> FindReplayAsync(NpgsqlConnection connection, Guid replayId, CancellationToken cancellationToken) =>
        (await ListAsync(connection, $"replay_id = '{replayId}'", cancellationToken)).SingleOrDefault();

    /// <summary>Generations that satisfy a condition of ours, oldest first.</summary>
    public async Task<IReadOnlyList<Generation>> ListAsync(NpgsqlConnection connection, string condition, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select {Columns} from {schema}.generations where {condition} order by generation");
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>
    /// The generation, locked until the transaction ends: two folds of one generation would write its rows twice. Whoever waits gets it
    /// next. For that the row's own lock is not enough: a replay that commits a new version of the row and locks it at once is always
    /// before who waited for the old one.
    /// </summary>
    public async Task<Generation?> LockAsync(NpgsqlConnection connection, int number, CancellationToken cancellationToken)
    {
        await connection.Sql(
            "select pg_advisory_xact_lock(hashtextextended($1, 0))", P(FormattableString.Invariant($"pulse:{schema}.generation.{number}"))).RunAsync(cancellationToken);
        await using var command = connection.Sql($"select {Columns} from {schema}.generations where generation = $1 for update", P(number));
        return (await ReadAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>The rules of a version. Versions never change, so they are read once.</summary>
    /// <exception cref="UnfoldableException">There is no such version, or this engine cannot read it.</exception>
    public async Task<Rules> RulesAsync(NpgsqlConnection connection, int version, CancellationToken cancellationToken)
    {
        if (_rules.TryGetValue(version, out var known))
        {
            return known;
        }

        await using var command = connection.Sql($"select document from {schema}.rules where version = $1", P(version));
        var document = await command.ExecuteScalarAsync(cancellationToken) as string
            ?? throw new UnfoldableException($"There are no rules of version {version}.");
        using var json = JsonDocument.Parse(document);
        var rules = Rules.ReadPublished(json.RootElement, lists) switch
        {
            RulesAccepted accepted => accepted.Rules,
            RulesRefused refused => throw new UnfoldableException(
                $"Engine {Engine.Version} cannot read rules version {version}: {string.Join("; ", refused.Faults.Select(f => $"{f.Field} {f.Reason}"))}"),
            var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
        };
        return _rules.GetOrAdd(version, rules);
    }

    /// <summary>The rules that the generation judges by, with what their models have learned for it.</summary>
    /// <exception cref="UnfoldableException">One of its versions is not there, or this engine cannot read it, or its model has not been fitted.</exception>
    public async Task<RulesInForce> InForceAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken)
    {
        var versions = new List<VersionedRules>(1 + generation.Under.Count);
        foreach (var version in generation.Under.Prepend(generation.RulesVersion))
        {
            versions.Add(new VersionedRules(version, await FittedAsync(connection, generation, version, cancellationToken)));
        }

        return RulesInForce.Of(versions);
    }

    /// <summary>The versions by which a generation judges whose models are not fitted for it yet.</summary>
    public async Task<IReadOnlyList<int>> UnfittedAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken)
    {
        var unfitted = new List<int>();
        foreach (var version in generation.Under.Prepend(generation.RulesVersion))
        {
            if ((await RulesAsync(connection, version, cancellationToken)).Model is Markov markov
                && await FitAsync(connection, generation, version, markov.Order, cancellationToken) is null)
            {
                unfitted.Add(version);
            }
        }

        return unfitted;
    }

    /// <summary>A fit never changes, so it is read once.</summary>
    private async Task<Rules> FittedAsync(NpgsqlConnection connection, Generation generation, int version, CancellationToken cancellationToken)
    {
        var rules = await RulesAsync(connection, version, cancellationToken);
        if (rules.Model is not Markov markov)
        {
            return rules;
        }

        if (_fitted.TryGetValue((generation.ReplayId, version), out var known))
        {
            return known;
        }

        var fit = await FitAsync(connection, generation, version, markov.Order, cancellationToken)
            ?? throw new UnfoldableException($"The model of rules version {version} has not been fitted for generation {generation.Number}.");
        return _fitted.GetOrAdd((generation.ReplayId, version), rules with { Model = markov with { Fit = fit } });
    }

    private async Task<Fit?> FitAsync(NpgsqlConnection connection, Generation generation, int version, int order, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select converted, not_converted, states, effects from {schema}.fits where generation = $1 and rules_version = $2", P(generation.Number), P(version));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new Fit(
                order, reader.GetInt64(0), reader.GetInt64(1), reader.GetInt32(2),
                JsonSerializer.Deserialize(reader.GetFieldValue<byte[]>(3), Fits.FitsJson.Default.IReadOnlyListRemovalEffect)!)
            : null;
    }

    public async Task<PartnerStandings> StandingsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select event_id, program_id, partner_id, occurred_at, suspended, group_name from {schema}.standings");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var events = new List<IEvent>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (id, program, partner, at) = (reader.GetGuid(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<DateTimeOffset>(3));
            events.Add((reader.IsDBNull(4) ? (bool?)null : reader.GetBoolean(4)) switch
            {
                true => new PartnerSuspended { EventId = id, ProgramId = program, OccurredAt = at, PartnerId = partner },
                false => new PartnerReinstated { EventId = id, ProgramId = program, OccurredAt = at, PartnerId = partner },
                null => new PartnerGrouped { EventId = id, ProgramId = program, OccurredAt = at, PartnerId = partner, Group = reader.GetTextOrNull(5) },
            });
        }

        return PartnerStandings.From(events);
    }

    /// <summary>
    /// Folds the next journeys that changed, in the caller's transaction, which holds the generation's lock.
    /// Rows and checkpoint commit together, so a killed replay goes on where it was.
    /// </summary>
    /// <returns>The generation now; the same where nothing was left.</returns>
    public async Task<Generation> FoldNextAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken)
    {
        var (journeys, changedAt, last) = await Journeys.ReadChangedAsync(
            connection, schema, generation.FoldedTo, generation.FoldedConversion, ChunkSize, cancellationToken);
        if (journeys.Count == 0)
        {
            return generation;
        }

        var rules = await InForceAsync(connection, generation, cancellationToken);
        var standings = await StandingsAsync(connection, cancellationToken);

        // Up to the target each journey comes once, so there is nothing to replace; a journey that changes later comes again.
        await StoreAsync(
            connection, generation.Number, JudgedRows.Of(Decide(journeys, standings, rules)), fresh: changedAt <= generation.Target, cancellationToken);
        var folded = generation with
        {
            FoldedTo = changedAt,
            FoldedConversion = last,
            Done = Math.Min(generation.Total, generation.Done + journeys.Count),
        };
        await SaveAsync(connection, folded, cancellationToken);
        return folded;
    }

    /// <summary>Folds everything that is left.</summary>
    public async Task<Generation> CatchUpAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken)
    {
        while (true)
        {
            var folded = await FoldNextAsync(connection, generation, cancellationToken);
            if (folded == generation)
            {
                return folded;
            }

            generation = folded;
        }
    }

    /// <summary>Decides journeys and replaces what the generation holds of them.</summary>
    /// <returns>What changed, by conversion: credits before and after.</returns>
    public async Task<IReadOnlyList<Revision>> ReviseAsync(
        NpgsqlConnection connection, int generation, IReadOnlyList<Journey> journeys, PartnerStandings standings, RulesInForce rules,
        CancellationToken cancellationToken)
    {
        var decisions = Decide(journeys, standings, rules);
        var before = await StoreAsync(connection, generation, JudgedRows.Of(decisions), fresh: false, cancellationToken);
        return Revisions(decisions, before).ToArray();
    }

    /// <summary>What the rules say of each journey, in order.</summary>
    public static Decision[] Decide(IReadOnlyList<Journey> journeys, PartnerStandings standings, RulesInForce rules)
    {
        var judge = new Judge(new FactNames(), standings, rules);
        var decisions = new Decision[journeys.Count];
        for (var i = 0; i < decisions.Length; i++)
        {
            decisions[i] = Crediting.Decide(journeys[i], judge);
        }

        return decisions;
    }

    /// <summary>Replaces what the generation holds of these conversions.</summary>
    /// <param name="connection">In the caller's transaction.</param>
    /// <param name="generation">Its number.</param>
    /// <param name="rows">What it says of them now.</param>
    /// <param name="fresh">It holds nothing of them.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>By conversion what it held.</returns>
    public async Task<Dictionary<Guid, List<PartnerCredit>>> StoreAsync(
        NpgsqlConnection connection, int generation, JudgedRows rows, bool fresh, CancellationToken cancellationToken)
    {
        var before = fresh ? [] : await DeleteAsync(connection, generation, [.. rows.Conversions], cancellationToken);
        await CopyUncreditedAsync(connection, generation, rows.Uncredited, cancellationToken);
        await CopyCreditsAsync(connection, generation, rows.Credits, cancellationToken);
        AttributionMetrics.Credits.Add(rows.Conversions.Count);
        return before;
    }

    public async Task SaveAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken) =>
        await connection.Sql(
            $"""
             update {schema}.generations
                set state = $2, reason = $3, folded_to = $4, folded_conversion = $5, target = $6, done = $7, total = $8
              where generation = $1
             """,
            P(generation.Number), P(generation.State), new NpgsqlParameter { Value = (object?)generation.Reason ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Varchar },
            P(generation.FoldedTo), P(generation.FoldedConversion), P(generation.Target), P(generation.Done), P(generation.Total)).RunAsync(cancellationToken);

    private static async Task<IReadOnlyList<Generation>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var generations = new List<Generation>();
        while (await reader.ReadAsync(cancellationToken))
        {
            generations.Add(new Generation(
                reader.GetInt32(0), reader.GetGuid(1), reader.GetInt32(2), reader.GetFieldValue<int[]>(3), reader.GetString(4), reader.GetString(5),
                reader.GetTextOrNull(6), reader.GetInt64(7), reader.GetGuid(8), reader.GetInt64(9), reader.GetInt64(10), reader.GetInt64(11)));
        }

        return generations;
    }

    private async Task<Dictionary<Guid, List<PartnerCredit>>> DeleteAsync(
        NpgsqlConnection connection, int generation, Guid[] conversions, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             with gone_too as (delete from {schema}.uncredited where generation = $1 and conversion_id = any($2)),
             gone as (
                 delete from {schema}.credits where generation = $1 and conversion_id = any($2)
                 returning conversion_id, partner_id, share, amount_minor, commission_minor
             )
             select conversion_id, partner_id, sum(share), sum(amount_minor)::bigint, sum(commission_minor)::bigint
               from gone group by conversion_id, partner_id order by conversion_id, partner_id collate "C"
             """,
            P(generation), P(conversions));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var before = new Dictionary<Guid, List<PartnerCredit>>();
        while (await reader.ReadAsync(cancellationToken))
        {
            before.Under(reader.GetGuid(0)).Add(new PartnerCredit
            {
                PartnerId = reader.GetString(1),
                Share = reader.GetDecimal(2),
                AmountMinor = reader.GetInt64(3),
                CommissionMinor = reader.GetInt64(4),
            });
        }

        return before;
    }

    private static IEnumerable<Revision> Revisions(Decision[] decisions, Dictionary<Guid, List<PartnerCredit>> before)
    {
        foreach (var decision in decisions)
        {
            var was = before.GetValueOrDefault(decision.ConversionId, []);
            if (!was.SequenceEqual(decision.Partners))
            {
                yield return new Revision(decision.ConversionId, decision.Currency, was, decision.Partners, Clicks(decision));
            }
        }
    }

    private static CreditedClick[]? Clicks(Decision decision)
    {
        var clicks = decision.Touches.Where(t => t.Share > 0)
            .Select(t => new CreditedClick { ClickId = t.Touch.Click.EventId, PartnerId = t.Touch.Click.PartnerId }).ToArray();
        Array.Sort(clicks, (a, b) => Ids.CompareBytes(a.ClickId, b.ClickId));
        return clicks.Length == 0 ? null : clicks;
    }

    private async Task CopyUncreditedAsync(NpgsqlConnection connection, int generation, List<UncreditedRow> rows, CancellationToken cancellationToken)
    {
        if (rows.Count == 0)
        {
            return;
        }

        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.uncredited (generation, conversion_id, net_minor, reason) from stdin (format binary)", cancellationToken);
        foreach (var row in rows)
        {
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(generation, NpgsqlDbType.Integer, cancellationToken);
            await writer.WriteAsync(row.ConversionId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(row.NetMinor, NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(row.Reason, NpgsqlDbType.Varchar, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }

    private async Task CopyCreditsAsync(NpgsqlConnection connection, int generation, List<CreditRow> rows, CancellationToken cancellationToken)
    {
        if (rows.Count == 0)
        {
            return;
        }

        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.credits (generation, conversion_id, click_id, partner_id, link, campaign, share, amount_minor, commission_minor) from stdin (format binary)",
            cancellationToken);
        foreach (var row in rows)
        {
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(generation, NpgsqlDbType.Integer, cancellationToken);
            await writer.WriteAsync(row.ConversionId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(row.ClickId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(row.PartnerId, NpgsqlDbType.Varchar, cancellationToken);
            await WriteTextAsync(writer, row.Link, cancellationToken);
            await WriteTextAsync(writer, row.Campaign, cancellationToken);
            await writer.WriteAsync(row.Share, NpgsqlDbType.Numeric, cancellationToken);
            await writer.WriteAsync(row.AmountMinor, NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(row.CommissionMinor, NpgsqlDbType.Bigint, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }

    private static Task WriteTextAsync(NpgsqlBinaryImporter writer, string? text, CancellationToken cancellationToken) =>
        text is null ? writer.WriteNullAsync(cancellationToken) : writer.WriteAsync(text, NpgsqlDbType.Varchar, cancellationToken);
}

/// <summary>A generation cannot be folded by this engine, and no later attempt can do better.</summary>
internal sealed class UnfoldableException(string message) : Exception(message);

/// <summary>What changed in one conversion.</summary>
internal sealed record Revision(
    Guid ConversionId, string Currency, IReadOnlyList<PartnerCredit> Before, IReadOnlyList<PartnerCredit> After, IReadOnlyList<CreditedClick>? Clicks);
