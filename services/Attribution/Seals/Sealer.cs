using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Seals;

/// <summary>What is to be sealed is not what was signed; the sealer does not sign over it.</summary>
internal sealed class BrokenSealException(string message) : Exception(message);

/// <summary>
/// Tails the log and seals it page by page; rows and checkpoint commit together. It takes no lock of the log: intake does not notice it.
/// One instance seals at a time (an advisory lock of its connection).
/// </summary>
internal sealed class Sealer : BackgroundService
{
    /// <summary>Its checkpoint in the log's progression; an erasure holds it, so that no page is half way with the key.</summary>
    public const string Progress = "seals";

    /// <summary>Pages between two signatures at most; each costs a wait for the disk.</summary>
    public const int MaxUnsigned = 64;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly EventLog _log;
    private readonly SealKey _key;
    private readonly AttributionOptions _options;
    private readonly string _name;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _pipeline;
    private string? _fault;

    public Sealer(
        [FromKeyedServices(AttributionService.Schema)] EventLog log, SealKey key, IOptions<AttributionOptions> options, IOptions<ProgramOptions> program, TimeProvider time,
        ILogger<Sealer> logger)
    {
        (_log, _key, _options, _time) = (log, key, options.Value, time);
        _name = NameOf(program.Value.Program, log.Schema);
        _pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(10), (attempt, fault) =>
            {
                Volatile.Write(ref _fault, fault.Message);
                logger.SealerRetries(attempt, fault);
            })
            .Build();
    }

    /// <summary>Why it does not get on; null while it does.</summary>
    public string? Fault => Volatile.Read(ref _fault);

    /// <summary>How checkpoints name a log.</summary>
    public static string NameOf(string program, string schema) => $"{program}/{schema}";

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => _options.SealFile is null
        ? Task.CompletedTask
        : _pipeline.ExecuteAsync(async cancellation => await LeadAndSealAsync(cancellation), stoppingToken).AsTask();

    private async Task LeadAndSealAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);

        // One process seals.
        await using var lead = await AdvisoryLock.HoldAsync(connection, $"pulse:{_log.Schema}.sealer", cancellationToken);
        var last = await ResumeAsync(connection, cancellationToken);
        Volatile.Write(ref _fault, null);
        var unsigned = 0;
        while (true)
        {
            var next = _log.NextAppend;
            var sealedNow = await SealPageAsync(connection, last, cancellationToken);
            last = sealedNow ?? last;
            unsigned += sealedNow is null ? 0 : 1;
            var full = sealedNow?.Events == SealPage.MaxEvents;
            if (unsigned == MaxUnsigned || (unsigned > 0 && !full))
            {
                await SignAsync(connection, last!, cancellationToken);
                unsigned = 0;
            }

            if (!full)
            {
                // What comes meanwhile shares a page; where nothing comes there is nothing to seal.
                await Task.Delay(TimeSpan.FromSeconds(_options.SealSeconds), _time, cancellationToken);
                await Task.WhenAny(next, Task.Delay(s_poll, cancellationToken));
            }
        }
    }

    /// <summary>
    /// Holds the chain in the database against the file, and signs what was sealed and not signed. What it signs then it has computed
    /// from the log anew.
    /// </summary>
    /// <returns>The last page; null where there is none yet.</returns>
    private async Task<SealPage?> ResumeAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await LockAsync(connection, _log.Schema, cancellationToken);
        var pages = await NumberAsync(connection.Sql($"select page from {_log.Schema}.seals order by page desc limit 1"), cancellationToken);
        var lines = SealFile.Read(_options.SealFile!);
        if (lines is null && pages > 0)
        {
            throw new BrokenSealException(
                $"Attribution:SealFile {_options.SealFile} is missing, and {pages} pages are sealed. Put it back; an empty file there says that what the database holds is right, and it is signed anew.");
        }

        var signed = lines?.Select(line => line.Checkpoint).OfType<Checkpoint>().Where(c => c.Log == _name && _key.HasSigned(c)).MaxBy(c => c.Page);
        if (signed?.Page > pages)
        {
            throw new BrokenSealException($"Page {signed.Page} (up to position {signed.To}) is signed, and the database ends at page {pages}: ./pulse verify says more.");
        }

        SealPage? last = null;
        await foreach (var page in new LogPages(connection, _log.Schema).ReadAsync(Math.Max(0, (signed?.Page ?? 0) - 1), cancellationToken))
        {
            var seal = page.Seal;
            if (page.Findings.Count > 0 || (last is not null && !Follows(last, seal)))
            {
                throw new BrokenSealException($"Page {seal.Number} of the log is not what was sealed: ./pulse verify says more.");
            }

            if (seal.Number == signed?.Page && Convert.ToHexStringLower(seal.Entry) != signed.Entry)
            {
                throw new BrokenSealException($"Page {seal.Number} of the chain is not what was signed at {signed.At}: ./pulse verify says more.");
            }

            last = seal;
        }

        if (last is not null && last.Number != signed?.Page)
        {
            await SignAsync(connection, last, cancellationToken);
        }
        else if (signed is not null)
        {
            await CopyAsync(connection, signed, cancellationToken);
        }

        return last;
    }

    private static bool Follows(SealPage before, SealPage page) =>
        page.Number == before.Number + 1 && page.From == before.To
        && SealPage.EntryOf(before.Entry, page.Number, page.From, page.To, page.Events, page.Root).AsSpan().SequenceEqual(page.Entry);

    /// <returns>Null where there was nothing to seal.</returns>
    private async Task<SealPage?> SealPageAsync(NpgsqlConnection connection, SealPage? last, CancellationToken cancellationToken)
    {
        var s = _log.Schema;
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var position = await NumberAsync(connection.Sql($"select last_seq_id from {s}.mt_event_progression where name = $1 for update", P(Progress)), cancellationToken);
        if (position != (last?.To ?? 0))
        {
            throw new BrokenSealException($"The log is sealed up to position {position}, and the last page that was sealed here ends at {last?.To ?? 0}.");
        }

        var events = new List<StoredEvent>();
        await using (var command = connection.Sql(
            $"select {LogPages.EventColumns} from {s}.mt_events where seq_id > $1 order by seq_id limit $2", P(position), P(SealPage.MaxEvents)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                events.Add(LogPages.ReadEvent(reader));
            }
        }

        if (events.Count == 0)
        {
            return null;
        }

        var salts = new List<(long Position, byte[] Salt, byte[] Commitment)>();
        var leaves = Leaves(events, salts);
        var page = SealPage.After(last, events[^1].Position, events.Count, MerkleTree.Root([.. leaves.Select(leaf => leaf.Hash)]));
        await connection.Sql(
            $"insert into {s}.seals (page, from_position, to_position, events, root, entry, leaves) values ($1, $2, $3, $4, $5, $6, $7)",
            P(page.Number), P(page.From), P(page.To), P(page.Events), P(page.Root), P(page.Entry),
            P(SealedLeaves.Pack(page.From, [.. events.Select(e => e.Position)], leaves))).RunAsync(cancellationToken);
        if (salts.Count > 0)
        {
            await connection.Sql(
                $"insert into {s}.seal_salts (position, salt, commitment) select * from unnest($1::bigint[], $2::bytea[], $3::bytea[])",
                P(salts.Select(row => row.Position).ToArray()), P(salts.Select(row => row.Salt).ToArray()), P(salts.Select(row => row.Commitment).ToArray()))
                .RunAsync(cancellationToken);
        }

        await _log.SaveCheckpointAsync(connection, Progress, page.To, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        AttributionMetrics.Sealed.Add(page.Events);
        return page;
    }

    private static Leaf[] Leaves(List<StoredEvent> events, List<(long Position, byte[] Salt, byte[] Commitment)> salts)
    {
        var leaves = new Leaf[events.Count];
        var sealing = new SealedEvent();
        for (var i = 0; i < leaves.Length; i++)
        {
            byte[]? salt = null;
            leaves[i] = sealing.Of(events[i], _ => salt ??= System.Security.Cryptography.RandomNumberGenerator.GetBytes(SealedEvent.SaltLength), _ => null);
            if (leaves[i].Commitment is { } commitment)
            {
                salts.Add((events[i].Position, salt!, commitment));
            }
        }

        return leaves;
    }

    /// <summary>Takes the sealer's checkpoint until the caller's transaction ends: no page is sealed meanwhile.</summary>
    public static Task LockAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken) =>
        connection.Sql(
            $"""
             insert into {schema}.mt_event_progression as p (name, last_seq_id) values ($1, 0)
             on conflict (name) do update set last_seq_id = p.last_seq_id
             """,
            P(Progress)).RunAsync(cancellationToken);

    private static async Task<long> NumberAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using (command)
        {
            return await command.ExecuteScalarAsync(cancellationToken) as long? ?? 0;
        }
    }

    private async Task SignAsync(NpgsqlConnection connection, SealPage page, CancellationToken cancellationToken)
    {
        var checkpoint = _key.Sign(_name, page, _time.GetUtcNow());
        SealFile.Append(_options.SealFile!, checkpoint);
        await CopyAsync(connection, checkpoint, cancellationToken);
        AttributionMetrics.Checkpoints.Add(1);
    }

    private Task<int> CopyAsync(NpgsqlConnection connection, Checkpoint checkpoint, CancellationToken cancellationToken) =>
        connection.Sql(
            $"insert into {_log.Schema}.seal_checkpoints (page, checkpoint) values ($1, $2) on conflict on constraint pk_seal_checkpoints do nothing",
            P(checkpoint.Page), P(checkpoint.ToLine())).RunAsync(cancellationToken);
}

/// <summary>Says why the log is not sealed. Nobody lacks anything meanwhile, so <c>/ready</c> stays 200.</summary>
internal sealed class SealerCheck(Sealer sealer) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(sealer.Fault is { } fault ? HealthCheckResult.Degraded($"The log is not sealed: {fault}") : HealthCheckResult.Healthy());
}
