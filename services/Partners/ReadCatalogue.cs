using System.Text.Json;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>
/// <c>GET /v1/catalogue?after=&amp;limit=</c>: the log as the edges tail it. The events' JSON is written through as the log
/// holds it.
/// </summary>
internal static class ReadCatalogue
{
    private const int DefaultLimit = 5_000;
    private const int MaxLimit = 10_000;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/catalogue", HandleAsync)
            .RequireScope(Scope.Read, Scope.ReadCatalogue)
            .Produces(StatusCodes.Status200OK, contentType: "application/json")
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .WithName("ReadCatalogue").WithTags("Partners").WithSummary("The log of partners and links after a position, as edges tail it");

    private static async Task HandleAsync(
        HttpContext http, PartnerLog log, TimeProvider time, CancellationToken cancellationToken, string? after = null, string? limit = null)
    {
        var checks = new Checks(time);
        var page = Cursor.Read(checks, after, limit, DefaultLimit, MaxLimit);
        if (!checks.Passed)
        {
            await Problem.Invalid(checks.Faults).ExecuteAsync(http);
            return;
        }

        // The end is read after the page, so it is never before the position.
        var events = await log.Log.ReadAllAsync(page.After, page.Limit, cancellationToken);
        var last = await log.Log.LastPositionAsync(cancellationToken);

        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteNumber("position"u8, events.Count > 0 ? events[^1].Position : page.After);
        json.WriteStartArray("events"u8);
        foreach (var stored in events)
        {
            json.WriteStartObject();
            json.WriteNumber("position"u8, stored.Position);
            json.WriteString("type"u8, stored.Type);
            json.WritePropertyName("data"u8);
            json.WriteRawValue(stored.Data.Span, skipInputValidation: true);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("last"u8, last);
        json.WriteEndObject();
        await json.FlushAsync(cancellationToken);
    }
}
