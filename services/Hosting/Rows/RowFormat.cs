using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Hosting.Rows;

/// <summary>How a list is answered.</summary>
public enum RowFormat
{
    /// <summary>A page of it as one JSON document.</summary>
    Json,

    /// <summary>All of it, a JSON text a line.</summary>
    Ndjson,

    /// <summary>All of it as RFC 4180 with a header.</summary>
    Csv,
}

/// <summary>Reads what a request wants.</summary>
public static class RowFormats
{
    public const string CsvType = "text/csv";
    public const string NdjsonType = "application/x-ndjson";

    /// <summary>
    /// By the header <c>Accept</c> (RFC 9110, 12.5.1): the one with the highest weight, of equal ones the one named first. Without the
    /// header, or where it names nothing that lists come as, JSON.
    /// </summary>
    public static RowFormat RowFormat(this HttpRequest request)
    {
        if (!MediaTypeHeaderValue.TryParseList(request.Headers.Accept, out var accepted))
        {
            return Rows.RowFormat.Json;
        }

        foreach (var type in accepted.Where(t => t.Quality is not 0).OrderByDescending(t => t.Quality ?? 1))
        {
            var name = type.MediaType.Value ?? "";
            if (name.Equals(CsvType, StringComparison.OrdinalIgnoreCase))
            {
                return Rows.RowFormat.Csv;
            }

            if (JsonLines.Are(name))
            {
                return Rows.RowFormat.Ndjson;
            }

            if (name.Equals("application/json", StringComparison.OrdinalIgnoreCase) || type.MatchesAllTypes)
            {
                return Rows.RowFormat.Json;
            }
        }

        return Rows.RowFormat.Json;
    }
}
