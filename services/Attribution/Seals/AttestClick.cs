using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Seals;

/// <summary>A page on the way from the click's to the signed one.</summary>
/// <param name="Page">Its number.</param>
/// <param name="From">Position after which it begins.</param>
/// <param name="To">Position of its last event.</param>
/// <param name="Events">How many events it has.</param>
/// <param name="Root">Root of its tree, hex.</param>
public sealed record AttestedPage(long Page, long From, long To, int Events, string Root);

/// <summary>
/// Everything with which anybody can check, without asking us again, that a click is in the log: the click's open part, the digest of
/// the rest, the way to the page's root, the way of the chain to a signed page, and the signature.
/// </summary>
/// <param name="ClickId">Id of the click.</param>
/// <param name="Position">Its place in the log.</param>
/// <param name="RecordedAt">When the log took it.</param>
/// <param name="Click">What of the click its partner may see; part of what was sealed.</param>
/// <param name="Closed">SHA-256 of the rest, hex.</param>
/// <param name="Index">Which leaf of the page it is, from 0.</param>
/// <param name="Proof">Hashes from the leaf to the root (RFC 6962), hex.</param>
/// <param name="Previous">Entry of the chain before the first of <paramref name="Pages"/>, hex.</param>
/// <param name="Pages">The click's page, and those up to the signed one; at most 64.</param>
/// <param name="Checkpoint">The signed page.</param>
/// <param name="PublicKey">The key that signed, PEM. Compare it with one that you were given otherwise.</param>
public sealed record ClickAttestation(
    Guid ClickId, long Position, DateTimeOffset RecordedAt, JsonElement Click, string Closed, int Index, IReadOnlyList<string> Proof, string Previous,
    IReadOnlyList<AttestedPage> Pages, Checkpoint Checkpoint, string PublicKey)
{
    /// <summary>Reads a saved answer.</summary>
    /// <exception cref="JsonException">It is none.</exception>
    public static ClickAttestation Parse(string json) => JsonSerializer.Deserialize(json, SealsJson.Default.ClickAttestation)!;

    /// <summary>Why it proves nothing; null where it proves that the click is in the log that <paramref name="publicKey"/> signed.</summary>
    public string? Refute(string publicKey)
    {
        try
        {
            using var key = ECDsa.Create();
            key.ImportFromPem(publicKey);
            var leaf = new SealedEvent().OfClick(Position, ClickId, RecordedAt, Encoding.UTF8.GetBytes(Click.GetRawText()), Closed);
            var page = Pages.Count > 0 ? Pages[0] : null;
            if (!Click.TryGetProperty("eventId", out var id) || !id.TryGetGuid(out var inside) || inside != ClickId)
            {
                return "the click that it shows has another id";
            }

            if (page is null || Position <= page.From || Position > page.To)
            {
                return "the click's position is not in the page";
            }

            if (MerkleTree.RootOf(leaf, Index, page.Events, [.. Proof.Select(Convert.FromHexString)]) is not { } root || Convert.ToHexStringLower(root) != page.Root)
            {
                return "the click does not lead to the page's root: it is not what was sealed";
            }

            var entry = Convert.FromHexString(Previous);
            for (var i = 0; i < Pages.Count; i++)
            {
                var link = Pages[i];
                if (i > 0 && (link.Page != Pages[i - 1].Page + 1 || link.From != Pages[i - 1].To))
                {
                    return $"page {link.Page} does not follow page {Pages[i - 1].Page}";
                }

                entry = SealPage.EntryOf(entry, link.Page, link.From, link.To, link.Events, Convert.FromHexString(link.Root));
            }

            return Convert.ToHexStringLower(entry) != Checkpoint.Entry || Pages[^1].Page != Checkpoint.Page ? "the pages do not lead to the signed entry"
                : !Checkpoint.IsSignedBy(key) ? $"the checkpoint is not signed by the key {SealKey.IdOf(key)}"
                : null;
        }
        catch (Exception fault) when (fault is FormatException or ArgumentException or JsonException or CryptographicException)
        {
            return $"it cannot be read: {fault.Message}";
        }
    }
}

/// <summary>The newest checkpoint, for whoever wants to keep copies: a log that was rewritten later contradicts them.</summary>
/// <param name="Checkpoint">The newest one.</param>
/// <param name="PublicKey">The key that signed, PEM.</param>
public sealed record SignedHead(Checkpoint Checkpoint, string PublicKey);

/// <summary>
/// <c>GET /v1/attestations/clicks/{clickId}</c>: proof that a click is in the log, without any other in it. A partner's key proves the
/// partner's own. <c>GET /v1/seals/checkpoint</c>: the newest signed checkpoint.
/// </summary>
internal sealed class AttestClick(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, SealKey signing, IOptions<AttributionOptions> options)
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/attestations/clicks/{clickId}", (HttpContext http, AttestClick attest, string clickId, CancellationToken cancellationToken) =>
                attest.HandleAsync(http, clickId, cancellationToken))
            .RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Seals").WithSummary("Proof that a click is in the log, without any other in it");
        routes.MapGet("/v1/seals/checkpoint", (AttestClick attest, CancellationToken cancellationToken) => attest.HeadAsync(cancellationToken))
            .RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Seals").WithSummary("The newest signed checkpoint of the log");
    }

    private async Task<Results<JsonHttpResult<ClickAttestation>, ProblemHttpResult>> HandleAsync(HttpContext http, string clickId, CancellationToken cancellationToken)
    {
        if (options.Value.SealFile is null)
        {
            return Problem.NotFound("attestation", "cannot be given: this deployment does not seal its log (Attribution:SealFile)");
        }

        var key = http.ApiKey();
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        if (await FindAsync(connection, Ids.Click(key.Program, clickId), cancellationToken) is not { } click || !MaySee(key, click))
        {
            return Problem.NotFound("clickId", $"'{clickId}' is not a click {(key.May(Scope.Read) ? "in the log" : $"of partner '{key.Partner}'")}");
        }

        if (await PagesAsync(connection, click.Position, cancellationToken) is not { } way)
        {
            http.Response.Headers.RetryAfter = "5";
            return Problem.NotFound("clickId", $"'{clickId}' is in the log and not sealed yet; ask again in a few seconds");
        }

        var (pages, packed, previous, checkpoint) = way;
        var leaves = SealedLeaves.Unpack(pages[0].From, packed);
        var index = Array.FindIndex(leaves, leaf => leaf.Position == click.Position);
        if (index < 0)
        {
            return Problem.Conflict(new FieldFault("clickId", $"'{clickId}' is not what was sealed at position {click.Position}; ./pulse verify says more"));
        }

        var (open, closed) = new SealedEvent().PartsOf(click);
        using var shown = JsonDocument.Parse(open);
        return TypedResults.Json(
            new ClickAttestation(
                click.Id, click.Position, click.RecordedAt, shown.RootElement.Clone(), closed, index,
                [.. MerkleTree.Proof([.. leaves.Select(leaf => leaf.Hash)], index).Select(Convert.ToHexStringLower)], Convert.ToHexStringLower(previous),
                [.. pages.Select(page => new AttestedPage(page.Number, page.From, page.To, page.Events, Convert.ToHexStringLower(page.Root)))], checkpoint, signing.PublicPem),
            SealsJson.Default.ClickAttestation);
    }

    private async Task<Results<JsonHttpResult<SignedHead>, ProblemHttpResult>> HeadAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        return options.Value.SealFile is not null && await CheckpointAsync(connection, "true order by page desc", cancellationToken) is { } newest
            ? TypedResults.Json(new SignedHead(newest, signing.PublicPem), SealsJson.Default.SignedHead)
            : Problem.NotFound("checkpoint", "is none yet: nothing of the log is signed");
    }

    private static bool MaySee(ApiKey key, StoredEvent click)
    {
        var fact = (ClickRecorded)EventTypes.Deserialize(EventTypes.Of<ClickRecorded>(), click.Data.Span);
        return fact.ProgramId == key.Program && (key.May(Scope.Read) || fact.PartnerId == key.Partner);
    }

    private async Task<StoredEvent?> FindAsync(NpgsqlConnection connection, Guid id, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select {LogPages.EventColumns} from {log.Schema}.mt_events where id = $1 and type = $2", P(id), P(EventTypes.Of<ClickRecorded>().Name));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? LogPages.ReadEvent(reader) : null;
    }

    /// <summary>The page of a position and those up to the next signed one; null where it is not sealed and signed yet.</summary>
    private async Task<(IReadOnlyList<SealPage> Pages, byte[] Leaves, byte[] Previous, Checkpoint Checkpoint)?> PagesAsync(
        NpgsqlConnection connection, long position, CancellationToken cancellationToken)
    {
        var s = log.Schema;
        SealPage page;
        byte[] leaves;
        await using (var command = connection.Sql($"select {LogPages.PageColumns}, leaves from {s}.seals where to_position >= $1 order by to_position limit 1", P(position)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            if (!await reader.ReadAsync(cancellationToken))
            {
                return null;
            }

            (page, leaves) = (LogPages.ReadPage(reader), reader.GetFieldValue<byte[]>(6));
        }

        if (await CheckpointAsync(connection, $"page >= {page.Number} order by page", cancellationToken) is not { } checkpoint)
        {
            return null;
        }

        var pages = new List<SealPage>();
        var previous = SealPage.Genesis;
        await using (var command = connection.Sql(
            $"select {LogPages.PageColumns} from {s}.seals where page >= $1 and page <= $2 order by page", P(page.Number - 1), P(checkpoint.Page)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                var link = LogPages.ReadPage(reader);
                if (link.Number < page.Number)
                {
                    previous = link.Entry;
                }
                else
                {
                    pages.Add(link);
                }
            }
        }

        return (pages, leaves, previous, checkpoint);
    }

    private async Task<Checkpoint?> CheckpointAsync(NpgsqlConnection connection, string which, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select checkpoint from {log.Schema}.seal_checkpoints where {which} limit 1");
        return await command.ExecuteScalarAsync(cancellationToken) is string line ? Checkpoint.Parse(line) : null;
    }
}
