using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Receipts;

/// <summary>
/// <c>GET /v1/receipts/{conversionId}</c> and <c>GET /v1/receipts?source=&amp;orderId=</c>: why this credit, as JSON or as a page of plain
/// text by <c>Accept</c>. With a partner's key: why (not) me, rivals redacted; an operator sees the same with <c>?partner=</c>. The body is
/// a function of the facts and the rules; which generation holds the credit and how far the log is taken into account stand in headers.
/// </summary>
internal sealed class ReadReceipt([FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations, IOptions<ProgramOptions> program)
{
    /// <summary>Header: the generation that was asked.</summary>
    public const string GenerationHeader = "Pulse-Generation";

    /// <summary>Header: position in the attribution log up to which the facts are taken into account.</summary>
    public const string PositionHeader = "Pulse-Log-Position";

    private static readonly string s_revised = EventTypes.Of<CreditsRevised>().Name;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/receipts/{conversionId:guid}", (
                HttpContext http, ReadReceipt read, Guid conversionId, CancellationToken cancellationToken, int? generation = null, string? partner = null) =>
                read.HandleAsync(http, conversionId, conversionId.ToString(), generation, partner, cancellationToken))
            .RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Receipts").WithSummary("Why a conversion has the credit it has; a page of text by Accept: text/plain");
        routes.MapGet("/v1/receipts", HandleOrderAsync)
            .RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Receipts").WithSummary("The same, found by the shop's order");
    }

    private static async Task<Results<Utf8ContentHttpResult, ProblemHttpResult>> HandleOrderAsync(
        HttpContext http, ReadReceipt read, CancellationToken cancellationToken,
        string? source = null, string? orderId = null, int? generation = null, string? partner = null)
    {
        var missing = new (string Field, string? Value)[] { ("source", source), ("orderId", orderId) }
            .Where(p => string.IsNullOrEmpty(p.Value)).Select(p => new FieldFault(p.Field, "is required")).ToArray();
        return missing.Length > 0
            ? Problem.Invalid(missing)
            : await read.HandleAsync(
                http, Ids.Conversion(read.Program, source!, orderId!), $"{source}/{orderId}", generation, partner, cancellationToken);
    }

    private string Program => program.Value.Program;

    private async Task<Results<Utf8ContentHttpResult, ProblemHttpResult>> HandleAsync(
        HttpContext http, Guid conversionId, string asked, int? number, string? partner, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var generation = number is { } g
            ? await generations.FindAsync(connection, g, cancellationToken)
            : await generations.ActiveAsync(connection, cancellationToken);
        if (generation is null)
        {
            return Problem.NotFound("generation", $"'{number?.ToString() ?? "active"}' is not a generation");
        }

        if (await Journeys.ReadAsync(connection, log.Schema, conversionId, cancellationToken) is not var (journey, position))
        {
            return Problem.NotFound("conversion", $"'{asked}' is not known here");
        }

        var rules = await generations.InForceAsync(connection, generation, cancellationToken);
        var standings = await generations.StandingsAsync(connection, cancellationToken);
        var decision = Crediting.Decide(journey, standings, rules);
        var receipt = Receipt.Of(journey, decision, rules) with
        {
            History = ReceiptHistory.Of(await ReadToldAsync(connection, conversionId, cancellationToken), decision.Credited),
        };
        var key = http.ApiKey();
        var viewer = key.May(Scope.Read) ? partner : key.Partner;
        receipt = viewer is null ? receipt : Receipt.ForPartner(receipt, viewer);

        var headers = http.Response.Headers;
        headers[GenerationHeader] = generation.Number.ToString(CultureInfo.InvariantCulture);
        headers[PositionHeader] = position.ToString(CultureInfo.InvariantCulture);
        headers.Vary = "Accept";
        return PrefersText(http.Request)
            ? TypedResults.Text(Encoding.UTF8.GetBytes(ReceiptText.Of(receipt)), "text/plain; charset=utf-8")
            : TypedResults.Text(Receipt.ToJson(receipt), "application/json; charset=utf-8");
    }

    /// <summary>Every revision of the conversion that was told, in the order of the log.</summary>
    private async Task<IReadOnlyList<CreditsRevised>> ReadToldAsync(NpgsqlConnection connection, Guid conversionId, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select data from {log.Schema}.mt_events where stream_id = $1 and type = $2 order by version", P(conversionId), P(s_revised));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var told = new List<CreditsRevised>();
        while (await reader.ReadAsync(cancellationToken))
        {
            if (LogPage.Read(s_revised, reader.GetFieldValue<byte[]>(0), out _) is CreditsRevised revised)
            {
                told.Add(revised);
            }
        }

        return told;
    }

    /// <summary>JSON unless plain text is wanted more; what comes first wins among equals.</summary>
    private static bool PrefersText(HttpRequest request)
    {
        var wanted = request.GetTypedHeaders().Accept
            .OrderByDescending(type => type.Quality ?? 1)
            .FirstOrDefault(type => type.Quality is not 0 && (type.MatchesMediaType("text/plain") || type.MatchesMediaType("application/json")));
        return wanted is not null && !wanted.MatchesMediaType("application/json");
    }
}
