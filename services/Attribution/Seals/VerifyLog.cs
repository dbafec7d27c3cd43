using System.Data;
using System.Diagnostics;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Seals;

/// <summary>What came of holding the log against its seals.</summary>
/// <param name="Intact">Nothing is otherwise than it was sealed and signed.</param>
/// <param name="Log">Whose log.</param>
/// <param name="Events">Events that were hashed anew.</param>
/// <param name="Pages">Pages of the chain.</param>
/// <param name="SealedTo">Position up to which the log is sealed.</param>
/// <param name="SignedTo">Position up to which the newest checkpoint vouches for it.</param>
/// <param name="Checkpoints">Checkpoints in the file whose signatures are right.</param>
/// <param name="Unsealed">Events after the last page: nothing vouches for them yet.</param>
/// <param name="Erased">Events that erasures changed or took out as the log itself says; their seals stay right.</param>
/// <param name="Findings">What is not as it was; at most <see cref="VerifyLog.MaxFindings"/>.</param>
/// <param name="FindingsTotal">How many there are.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record LogVerification(
    bool Intact, string Log, long Events, long Pages, long SealedTo, long SignedTo, int Checkpoints, long Unsealed, long Erased, IReadOnlyList<SealFinding> Findings,
    int FindingsTotal, double Seconds);

/// <summary>
/// <c>POST /v1/seals/verification</c>: computes the whole chain anew from the log and holds it against what was sealed and what was
/// signed. <c>./pulse verify</c> does the same beside the service, on the database and the file themselves.
/// </summary>
public sealed class VerifyLog
{
    /// <summary>Findings that are listed.</summary>
    public const int MaxFindings = 1_000;

    // The sealer signs at once what it seals, and every 64 pages where it is far behind.
    private static readonly TimeSpan s_signedWithin = TimeSpan.FromMinutes(1);

    private readonly string _schema;
    private readonly string _file;
    private readonly ECDsa _key;
    private readonly List<SealFinding> _findings = [];
    private readonly Dictionary<long, Checkpoint> _signed = [];
    private string _log = "";
    private int _findingsTotal;
    private int _checkpoints;

    private VerifyLog(string schema, string file, ECDsa key) => (_schema, _file, _key) = (schema, file, key);

    internal static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/seals/verification", HandleAsync).RequireScope(Scope.Admin).WithTags("Seals").WithSummary("Holds the whole log against its seals");

    private static async Task<Results<JsonHttpResult<LogVerification>, ProblemHttpResult>> HandleAsync(
        [FromKeyedServices(AttributionService.Schema)] EventLog log, SealKey key, IOptions<AttributionOptions> options, IOptions<ProgramOptions> program, CancellationToken cancellationToken)
    {
        if (options.Value.SealFile is not { } file)
        {
            return Problem.NotFound("seals", "are not kept here: Attribution:SealFile names no file");
        }

        var result = await RunAsync(log.DataSource, Sealer.NameOf(program.Value.Program, log.Schema), log.Schema, file, key.PublicPem, progress: null, cancellationToken);
        return TypedResults.Json(result, SealsJson.Default.LogVerification);
    }

    /// <param name="database">Where the log is.</param>
    /// <param name="log">How its checkpoints name it.</param>
    /// <param name="schema">Its schema.</param>
    /// <param name="file">The file of signed checkpoints.</param>
    /// <param name="publicKey">Public key in PEM that must have signed them.</param>
    /// <param name="progress">Told the events that are done and the position.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="ArgumentException">The key is none.</exception>
    public static async Task<LogVerification> RunAsync(
        NpgsqlDataSource database, string log, string schema, string file, string publicKey, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        using var key = ECDsa.Create();
        key.ImportFromPem(publicKey);
        return await new VerifyLog(schema, file, key) { _log = log }.RunAsync(database, progress, cancellationToken);
    }

    private async Task<LogVerification> RunAsync(NpgsqlDataSource database, Action<long, long>? progress, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();

        // First the file, then the database as it is at one moment: a page that is signed must be there.
        ReadFile();
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
        var (events, erased) = (0L, 0L);
        SealPage? last = null;
        var chain = SealPage.Genesis;
        var chainBroken = false;
        await foreach (var page in new LogPages(connection, _schema).ReadAsync(after: 0, cancellationToken))
        {
            var seal = page.Seal;
            var entry = Link(last, seal, chain);
            var checkpoint = _signed.GetValueOrDefault(seal.Number);
            if (!chainBroken && checkpoint is not null && (Convert.ToHexStringLower(entry) != checkpoint.Entry || seal.To != checkpoint.To))
            {
                chainBroken = true;
                Add(new SealFinding(
                    SealFinding.BrokenChain, seal.Number, null, null,
                    $"the chain up to position {seal.To} is not the one that was signed at {checkpoint.At}: this page, or one after the checkpoint before, was sealed otherwise"));
            }

            // One page that was altered must not let all after it look so.
            chain = chainBroken || checkpoint is null ? seal.Entry : Convert.FromHexString(checkpoint.Entry);
            foreach (var finding in page.Findings)
            {
                Add(finding);
            }

            (events, erased, last) = (events + seal.Events, erased + page.Erased, seal);
            progress?.Invoke(events, seal.To);
        }

        var newest = _signed.Values.MaxBy(checkpoint => checkpoint.Page);
        if (newest is not null && newest.Page > (last?.Number ?? 0))
        {
            Add(new SealFinding(
                SealFinding.TruncatedLog, last?.Number, last?.To, null,
                $"page {newest.Page}, up to position {newest.To}, was signed at {newest.At}; the database ends at page {last?.Number ?? 0}, position {last?.To ?? 0}"));
        }

        await CheckUnsignedAsync(connection, newest, cancellationToken);
        var unsealed = await ScalarAsync(connection.Sql($"select count(*) from {_schema}.mt_events where seq_id > $1", P(last?.To ?? 0)), cancellationToken);
        await CheckProgressAsync(connection, last, cancellationToken);
        await CheckCopiesAsync(connection, cancellationToken);
        return new LogVerification(
            _findingsTotal == 0, _log, events, last?.Number ?? 0, last?.To ?? 0, newest?.To ?? 0, _checkpoints, unsealed, erased,
            _findings, _findingsTotal, Math.Round(watch.Elapsed.TotalSeconds, 3));
    }

    /// <summary>The entry that the page must have after the chain so far.</summary>
    private byte[] Link(SealPage? last, SealPage seal, byte[] chain)
    {
        var (number, from) = ((last?.Number ?? 0) + 1, last?.To ?? 0);
        if (seal.Number != number)
        {
            Add(new SealFinding(SealFinding.MissingPage, number, from, null, $"the chain goes on with page {seal.Number}, at position {seal.From}"));
        }
        else if (seal.From != from)
        {
            Add(new SealFinding(SealFinding.AlteredPage, seal.Number, seal.From, null, $"it begins at position {seal.From}, and the page before ends at {from}"));
        }

        var entry = SealPage.EntryOf(chain, seal.Number, seal.From, seal.To, seal.Events, seal.Root);
        if (seal.Number == number && seal.From == from && !entry.AsSpan().SequenceEqual(seal.Entry))
        {
            Add(new SealFinding(SealFinding.AlteredPage, seal.Number, null, null, $"its entry does not follow from its content and the page before (positions {seal.From + 1} to {seal.To})"));
        }

        return entry;
    }

    private void ReadFile()
    {
        if (SealFile.Read(_file) is not { } lines)
        {
            Add(new SealFinding(SealFinding.MissingFile, null, null, null, $"{_file} is not there: nothing outside the database vouches for it"));
            return;
        }

        foreach (var (number, checkpoint) in lines)
        {
            if (checkpoint is null || checkpoint.Log != _log)
            {
                continue; // Half a line after a crash, or of another log: it vouches for nothing.
            }

            if (!checkpoint.IsSignedBy(_key))
            {
                Add(new SealFinding(SealFinding.ForgedCheckpoint, checkpoint.Page, checkpoint.To, null, $"line {number} of {_file} is not signed by the key {SealKey.IdOf(_key)}"));
                continue;
            }

            _checkpoints++;
            if (!_signed.TryAdd(checkpoint.Page, checkpoint) && (_signed[checkpoint.Page].Entry != checkpoint.Entry || _signed[checkpoint.Page].To != checkpoint.To))
            {
                Add(new SealFinding(SealFinding.BrokenChain, checkpoint.Page, checkpoint.To, null, $"line {number} of {_file} signs another chain than a line before: the key was used on two logs"));
            }
        }
    }

    private async Task CheckUnsignedAsync(NpgsqlConnection connection, Checkpoint? newest, CancellationToken cancellationToken)
    {
        var late = await ScalarAsync(
            connection.Sql($"select count(*) from {_schema}.seals where page > $1 and sealed_at < now() - $2", P(newest?.Page ?? 0), P(s_signedWithin)), cancellationToken);
        if (late > 0)
        {
            Add(new SealFinding(
                SealFinding.Unsigned, (newest?.Page ?? 0) + 1, newest?.To, null,
                $"{late} pages after page {newest?.Page ?? 0} are sealed and not signed: the sealer was stopped, or the file was shortened"));
        }
    }

    private async Task CheckProgressAsync(NpgsqlConnection connection, SealPage? last, CancellationToken cancellationToken)
    {
        var progress = await ScalarAsync(connection.Sql($"select last_seq_id from {_schema}.mt_event_progression where name = $1", P(Sealer.Progress)), cancellationToken);
        if (progress > (last?.To ?? 0))
        {
            Add(new SealFinding(SealFinding.MissingPage, (last?.Number ?? 0) + 1, last?.To, null, $"the log was sealed up to position {progress}, and the last page ends at {last?.To ?? 0}"));
        }
    }

    /// <summary>A copy in the database that is rightly signed was in the file once.</summary>
    private async Task CheckCopiesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var copies = new List<Checkpoint>();
        await using (var command = connection.Sql($"select checkpoint from {_schema}.seal_checkpoints order by page"))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                if (Checkpoint.Parse(reader.GetString(0)) is { } copy && copy.Log == _log && !_signed.ContainsKey(copy.Page) && copy.IsSignedBy(_key))
                {
                    copies.Add(copy);
                }
            }
        }

        // What was signed after the file was read is in it by now.
        var since = copies.Count == 0 ? [] : (SealFile.Read(_file) ?? []).Select(line => line.Checkpoint?.Page).ToHashSet();
        copies.RemoveAll(copy => since.Contains(copy.Page));
        if (copies.Count > 0)
        {
            Add(new SealFinding(
                SealFinding.ShortenedFile, copies[0].Page, copies[0].To, null, $"{copies.Count} checkpoints from page {copies[0].Page} to {copies[^1].Page} were signed, and are no longer in {_file}"));
        }
    }

    private void Add(SealFinding finding)
    {
        _findingsTotal++;
        if (_findings.Count < MaxFindings)
        {
            _findings.Add(finding);
        }
    }

    private static async Task<long> ScalarAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using (command)
        {
            return await command.ExecuteScalarAsync(cancellationToken) as long? ?? 0;
        }
    }
}
