using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Ledger;

/// <summary>One entry of the ledger. Amounts are decimal strings in the currency's own decimals.</summary>
/// <param name="Position">Of the revision in the log that it comes from.</param>
/// <param name="Partner">Whose it is.</param>
/// <param name="Period">The month whose statement has it.</param>
/// <param name="Kind"><c>credit</c>, <c>revision</c>, or <c>adjustment</c> where the conversion's own month was closed before.</param>
/// <param name="ConversionId">The conversion.</param>
/// <param name="Source">Where the order came from.</param>
/// <param name="OrderId">The shop's id of the order.</param>
/// <param name="OccurredAt">When the conversion happened.</param>
/// <param name="RecordedAt">When the entry came to be.</param>
/// <param name="PayableFrom">The day from which its commission is payable.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Share">By how much the share changed.</param>
/// <param name="Amount">By how much the credited amount changed.</param>
/// <param name="Commission">By how much the commission changed.</param>
/// <param name="Generation">The generation that gives it.</param>
/// <param name="Receipt">Path of the conversion's receipt.</param>
internal sealed record EntryView(
    long Position, string Partner, string Period, string Kind, Guid ConversionId, string Source, string OrderId, DateTimeOffset OccurredAt,
    DateTimeOffset RecordedAt, DateOnly PayableFrom, string Currency, decimal Share, string Amount, string Commission, int Generation, string Receipt)
{
    public static IReadOnlyList<Column<EntryView>> Columns { get; } =
    [
        new("position", e => e.Position), new("partner", e => e.Partner), new("period", e => e.Period), new("kind", e => e.Kind),
        new("conversion_id", e => e.ConversionId), new("source", e => e.Source), new("order_id", e => e.OrderId),
        new("occurred_at", e => e.OccurredAt), new("recorded_at", e => e.RecordedAt), new("payable_from", e => e.PayableFrom),
        new("currency", e => e.Currency), new("share", e => e.Share), new("amount", e => decimal.Parse(e.Amount, CultureInfo.InvariantCulture)),
        new("commission", e => decimal.Parse(e.Commission, CultureInfo.InvariantCulture)), new("generation", e => e.Generation),
        new("receipt", e => e.Receipt),
    ];
}

/// <param name="Entries">In the order of the log.</param>
/// <param name="Next">Ask again with <c>after</c> set to it; absent at the end.</param>
internal sealed record EntryPage(IReadOnlyList<EntryView> Entries, string? Next);

/// <summary>Which entries are asked for. <paramref name="From"/> and <paramref name="To"/> bound the time of the conversion, the latter exclusive.</summary>
internal sealed record EntryFilter(string? Partner, string? Period, DateTimeOffset? From, DateTimeOffset? To, Guid? Conversion);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(EntryPage))]
internal sealed partial class LedgerJson : JsonSerializerContext;

/// <summary><c>GET /v1/ledger</c>: every change of every partner's part, in the order of the log; a partner sees its own.</summary>
internal sealed class ReadLedger(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, Microsoft.Extensions.Options.IOptions<UserAgents.AttributionOptions> options)
{
    private const int MaxLimit = 1_000;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/ledger", HandleAsync).RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Statements")
            .WithSummary("The ledger: what changed of whose part of which order, and the month that has it");

    private static async Task<Results<JsonHttpResult<EntryPage>, RowStream<EntryView>, ProblemHttpResult>> HandleAsync(
        HttpContext http, ReadLedger use, CancellationToken cancellationToken,
        string? partner = null, string? period = null, string? from = null, string? to = null, Guid? conversion = null, string? after = null, int limit = 100)
    {
        var faults = new List<FieldFault>();
        if (period is not null && Ledger.Period.Parse(period) is null)
        {
            faults.Add(new FieldFault("period", $"'{period}' is not a month such as 2026-10"));
        }

        if (limit is < 1 or > MaxLimit)
        {
            faults.Add(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        var (start, end) = QueryRange.Read(from, to, faults);
        var cursor = Cursor(after, faults);
        var viewer = PartnerView.Of(http.ApiKey(), partner, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        var filter = new EntryFilter(viewer, period, start, end, conversion);
        var format = http.Request.RowFormat();
        if (format != RowFormat.Json)
        {
            return new RowStream<EntryView>(format, use.ReadAsync(filter, cursor, limit: null, http.RequestAborted), LedgerJson.Default.EntryView, EntryView.Columns);
        }

        var entries = await use.PageAsync(filter, cursor, limit, cancellationToken);
        return TypedResults.Json(
            new EntryPage(entries, entries.Count == limit ? $"{entries[^1].Position}/{entries[^1].Partner}" : null), LedgerJson.Default.EntryPage);
    }

    /// <summary>The first entries after a place.</summary>
    public async Task<IReadOnlyList<EntryView>> PageAsync(EntryFilter filter, (long Position, string Partner) after, int limit, CancellationToken cancellationToken)
    {
        var entries = new List<EntryView>();
        await foreach (var entry in ReadAsync(filter, after, limit, cancellationToken))
        {
            entries.Add(entry);
        }

        return entries;
    }

    private async IAsyncEnumerable<EntryView> ReadAsync(
        EntryFilter filter, (long Position, string Partner) after, int? limit, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var where = new List<string> { """(position, partner_id collate "C") > ($1, $2)""" };
        var parameters = new List<NpgsqlParameter> { P(after.Position), P(after.Partner) };
        Where("partner_id = {0}", filter.Partner);
        Where("period = {0}", filter.Period);
        Where("occurred_at >= {0}", filter.From?.UtcDateTime);
        Where("occurred_at < {0}", filter.To?.UtcDateTime);
        Where("conversion_id = {0}", filter.Conversion);
        parameters.Add(OrNull(limit, NpgsqlDbType.Integer));
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var command = connection.Sql(
            $"""
             select position, partner_id, period, kind, conversion_id, source, order_id, occurred_at, recorded_at, occurred_on, currency, share, amount_minor,
                    commission_minor, generation
               from {log.Schema}.ledger where {string.Join(" and ", where)}
              order by position, partner_id collate "C" limit ${parameters.Count}
             """,
            parameters.ToArray());
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var (conversion, currency) = (reader.GetGuid(4), reader.GetString(10));
            yield return new EntryView(
                reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetString(3), conversion, reader.GetString(5), reader.GetString(6),
                reader.GetFieldValue<DateTimeOffset>(7), reader.GetFieldValue<DateTimeOffset>(8), reader.GetFieldValue<DateOnly>(9).AddDays(options.Value.HoldDays),
                currency, Credits.Groups.Plain(reader.GetDecimal(11)), Currency.Format(reader.GetInt64(12), currency), Currency.Format(reader.GetInt64(13), currency),
                reader.GetInt32(14), $"/v1/receipts/{conversion}");
        }

        void Where<T>(string condition, T? value)
        {
            if (value is not null)
            {
                parameters.Add(new NpgsqlParameter { Value = value });
                where.Add(string.Format(CultureInfo.InvariantCulture, condition, $"${parameters.Count}"));
            }
        }
    }

    private static (long Position, string Partner) Cursor(string? after, List<FieldFault> faults)
    {
        if (string.IsNullOrEmpty(after))
        {
            return (0, "");
        }

        var slash = after.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && long.TryParse(after.AsSpan(0, slash), NumberStyles.None, CultureInfo.InvariantCulture, out var position))
        {
            return (position, after[(slash + 1)..]);
        }

        faults.Add(new FieldFault("after", $"'{after}' is not the 'next' of a page"));
        return default;
    }
}

/// <summary>Whose part a key may see.</summary>
internal static class PartnerView
{
    /// <summary>The partner whose part is shown; null for everybody's. A partner's key sees its own, and asks for no other's.</summary>
    public static string? Of(ApiKey key, string? asked, List<FieldFault> faults)
    {
        if (key.May(Scope.Read))
        {
            return string.IsNullOrEmpty(asked) ? null : asked;
        }

        if (!string.IsNullOrEmpty(asked) && asked != key.Partner)
        {
            faults.Add(new FieldFault("partner", $"is '{asked}'; the key sees '{key.Partner}' alone"));
        }

        return key.Partner;
    }
}
