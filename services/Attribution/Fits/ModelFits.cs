using System.Data;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Fits;

/// <summary>
/// Fits data-driven models to all journeys up to a position of the log, one at a time, and remembers the last ones. Journeys of
/// conversions come as the projector left them; the clicks of everybody else come from the log, sorted by visitor by the
/// database, so that memory holds one visitor and the counts.
/// </summary>
internal sealed class ModelFits([FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations) : IDisposable
{
    /// <summary>Fits that are remembered; the one asked for longest ago is forgotten first.</summary>
    private const int MostRemembered = 16;

    /// <summary>Positions of the log that the fit of a what-if may lie behind: a slider that moves must not fit anew with every click.</summary>
    private const long MostBehind = 100_000;

    private const int JourneysAtOnce = 2_000;
    private const int ClicksBetweenReports = 100_000;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    private readonly SemaphoreSlim _one = new(1);
    private readonly List<(string Key, Fitted Fitted)> _remembered = [];

    /// <param name="Fit">What was learned.</param>
    /// <param name="Position">Position of the log up to which journeys were taken into account.</param>
    internal sealed record Fitted(Fit Fit, long Position);

    /// <summary>The fit of the rules' model to the log as it is now, or as it was at <paramref name="atLeast"/> or later.</summary>
    /// <param name="rules">With a model that is fitted. Its name and commission do not matter to the fit.</param>
    /// <param name="atLeast">The oldest position that will do; 0: any that is remembered.</param>
    /// <param name="report">Told how many conversions and clicks are read, and of how many: at the start, now and then, and when all are.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="UnfittableException">The chain has too many states or is too dense; the message says so.</exception>
    public async Task<Fitted> OfAsync(Rules rules, long atLeast, Func<long, long, Task>? report, CancellationToken cancellationToken)
    {
        var key = (rules with { Name = "", Commission = [] }).Hash;
        await _one.WaitAsync(cancellationToken);
        try
        {
            var at = _remembered.FindIndex(r => r.Key == key);
            var fitted = at >= 0 && _remembered[at].Fitted.Position >= atLeast ? _remembered[at].Fitted : await FitAsync(rules, report, cancellationToken);
            if (at >= 0)
            {
                _remembered.RemoveAt(at);
            }
            else if (_remembered.Count == MostRemembered)
            {
                _remembered.RemoveAt(0);
            }

            _remembered.Add((key, fitted));
            return fitted;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Rules that can be judged by: where their model is fitted, by a fit of the last 100,000 positions of the log.</summary>
    /// <exception cref="UnfittableException">The chain has too many states or is too dense; the message says so.</exception>
    public async Task<Rules> FittedAsync(Rules rules, CancellationToken cancellationToken)
    {
        if (rules.Model is not Markov markov)
        {
            return rules;
        }

        var position = await log.CheckpointAsync(Projector.Checkpoint, cancellationToken);
        var fitted = await OfAsync(rules, Math.Max(0, position - MostBehind), report: null, cancellationToken);
        return rules with { Model = markov with { Fit = fitted.Fit } };
    }

    public void Dispose() => _one.Dispose();

    private async Task<Fitted> FitAsync(Rules rules, Func<long, long, Task>? report, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var (read, total) = (0L, 0L);
        var (fitting, position) = await ReadJourneysAsync(connection, rules, CountAsync, AdvanceAsync, cancellationToken);
        await ReadClicksAsync(connection, fitting, position, AdvanceAsync, cancellationToken);
        return new Fitted(fitting.Solve(), position);

        // Who asks for no report is not made to wait until they are counted.
        async Task CountAsync(long upTo)
        {
            if (report is not null)
            {
                await using var command = connection.Sql(
                    $"select (select count(*) from {log.Schema}.journeys) + (select count(*) from {log.Schema}.mt_events where type = '{s_click}' and seq_id <= $1)", P(upTo));
                command.CommandTimeout = 0; // As long as reading them once; whoever waits cancels.
                total = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
                await report(0, total);
            }
        }

        Task AdvanceAsync(int more)
        {
            read += more;
            return report is null || more == 0 ? Task.CompletedTask : report(read, total);
        }
    }

    /// <summary>One snapshot: journeys, standings and the position up to which they are known belong together.</summary>
    private async Task<(Fitting Fitting, long Position)> ReadJourneysAsync(
        NpgsqlConnection connection, Rules rules, Func<long, Task> begins, Func<int, Task> advanced, CancellationToken cancellationToken)
    {
        await using var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);

        // Before the snapshot, as a rebuild empties the table under the feet of an older one.
        await connection.Sql($"lock table {log.Schema}.journeys in access share mode").RunAsync(cancellationToken);
        var position = await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken);
        await begins(position);
        var fitting = new Fitting(rules, await generations.StandingsAsync(connection, cancellationToken));
        for (var (changedAt, last) = (0L, Guid.Empty); ;)
        {
            var (journeys, to, id) = await Journeys.ReadChangedAsync(connection, log.Schema, changedAt, last, JourneysAtOnce, cancellationToken);
            if (journeys.Count == 0)
            {
                return (fitting, position);
            }

            foreach (var journey in journeys)
            {
                fitting.Add(journey);
            }

            (changedAt, last) = (to, id);
            await advanced(journeys.Count);
        }
    }

    /// <summary>The clicks of the log, visitor by visitor; only what rules ask of a click is decoded.</summary>
    private async Task ReadClicksAsync(NpgsqlConnection connection, Fitting fitting, long position, Func<int, Task> advanced, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await connection.Sql("set local work_mem = '64MB'").RunAsync(cancellationToken);
        await using var command = connection.Sql(
            $"""
             select stream_id, id, data->>'programId', data->>'partnerId', data->>'occurredAt', data->>'visitorId', data->>'userAgent', data->>'via' = 'import',
                    coalesce((data->>'test')::bool, false), (data->'signals')::text
               from {log.Schema}.mt_events where type = '{s_click}' and seq_id <= $1 order by stream_id
             """,
            P(position));
        command.CommandTimeout = 0; // Sorting a long log takes its time; whoever waits cancels.
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var clicks = new List<ClickRecorded>();
        var stream = Guid.Empty;
        var read = 0;
        while (await reader.ReadAsync(cancellationToken))
        {
            var next = reader.GetGuid(0);
            if (next != stream && clicks.Count > 0)
            {
                fitting.Add(clicks);
                clicks.Clear();
            }

            stream = next;
            if (Click(reader) is { } click)
            {
                clicks.Add(click);
            }

            if (++read == ClicksBetweenReports)
            {
                await advanced(read);
                read = 0;
            }
        }

        await advanced(read);

        if (clicks.Count > 0)
        {
            fitting.Add(clicks);
        }
    }

    /// <summary>Null where it cannot be read: the projector has set it aside.</summary>
    private static ClickRecorded? Click(NpgsqlDataReader row)
    {
        if (row.GetTextOrNull(2) is not { } program || row.GetTextOrNull(3) is not { } partner
            || !DateTimeOffset.TryParse(row.GetTextOrNull(4), CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var at))
        {
            return null;
        }

        return new ClickRecorded
        {
            EventId = row.GetGuid(1),
            ProgramId = program,
            PartnerId = partner,
            OccurredAt = at,
            VisitorId = row.GetTextOrNull(5),
            UserAgent = row.GetTextOrNull(6),
            Via = !row.IsDBNull(7) && row.GetBoolean(7) ? ClickVia.Import : ClickVia.Redirect,
            Test = row.GetBoolean(8),
            Signals = row.GetTextOrNull(9) is { } signals ? JsonSerializer.Deserialize(signals, ContractsJson.Default.ClickSignals) : null,
        };
    }
}

[System.Text.Json.Serialization.JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[System.Text.Json.Serialization.JsonSerializable(typeof(IReadOnlyList<RemovalEffect>))]
internal sealed partial class FitsJson : System.Text.Json.Serialization.JsonSerializerContext;
