using System.Buffers;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using CsvHelper;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Metadata;

namespace PartnerPulse.Hosting.Rows;

/// <summary>One column of a list as CSV.</summary>
/// <param name="Name">In snake_case, as reports of this field write them.</param>
/// <param name="Value">
/// Numbers, times and ids as they are; money as a <c>decimal</c> in the currency's own decimals, never as text: a text that begins
/// like a formula is marked as text for spreadsheets, and a loss begins with a minus. Null is an empty field.
/// </param>
public sealed record Column<T>(string Name, Func<T, object?> Value);

/// <summary>
/// All rows of a list as they are read, as <see cref="RowFormat.Ndjson"/> or <see cref="RowFormat.Csv"/>, in bounded memory. What fails
/// before the first row is answered as a problem; what fails later breaks the connection, so that half a list is never taken for a whole.
/// </summary>
public sealed class RowStream<T>(RowFormat format, IAsyncEnumerable<T> rows, JsonTypeInfo<T> json, IReadOnlyList<Column<T>> columns)
    : IResult, IEndpointMetadataProvider
{
    /// <summary>Bytes that may wait before they are sent.</summary>
    private const int FlushAt = 32 * 1024;

    private static readonly CsvWriterOptions s_csv = CsvWriterOptions.Default with { Injection = CsvInjection.Escape };

    static void IEndpointMetadataProvider.PopulateMetadata(MethodInfo method, EndpointBuilder builder)
    {
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(string), [RowFormats.CsvType]));
        builder.Metadata.Add(new ProducesResponseTypeMetadata(StatusCodes.Status200OK, typeof(T), [RowFormats.NdjsonType]));
    }

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var cancellationToken = httpContext.RequestAborted;
        await using var read = rows.GetAsyncEnumerator(cancellationToken);
        var more = await read.MoveNextAsync();
        var response = httpContext.Response;
        response.Headers.Vary = "Accept";
        if (format == RowFormat.Csv)
        {
            response.ContentType = RowFormats.CsvType + "; charset=utf-8; header=present";
            await WriteCsvAsync(response, read, more, cancellationToken);
        }
        else
        {
            response.ContentType = RowFormats.NdjsonType;
            await WriteNdjsonAsync(response, read, more, cancellationToken);
        }
    }

    private async Task WriteCsvAsync(HttpResponse response, IAsyncEnumerator<T> read, bool more, CancellationToken cancellationToken)
    {
        await using var csv = CsvWriter.Create(response.Body, s_csv, leaveOpen: true);
        csv.WriteHeader(columns.Select(c => c.Name).ToArray());
        while (more)
        {
            foreach (var column in columns)
            {
                csv.WriteField(column.Value(read.Current));
            }

            await csv.EndRecordAsync(cancellationToken);
            more = await read.MoveNextAsync();
        }
    }

    private async Task WriteNdjsonAsync(HttpResponse response, IAsyncEnumerator<T> read, bool more, CancellationToken cancellationToken)
    {
        var writer = response.BodyWriter;
        await using var line = new Utf8JsonWriter(writer);
        while (more)
        {
            JsonSerializer.Serialize(line, read.Current, json);
            await line.FlushAsync(cancellationToken);
            writer.Write("\n"u8);
            line.Reset();
            if (writer.UnflushedBytes >= FlushAt)
            {
                await writer.FlushAsync(cancellationToken);
            }

            more = await read.MoveNextAsync();
        }
    }
}
