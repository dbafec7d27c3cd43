using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.SameOrders;

/// <param name="ConversionId">The conversion that stands for itself now.</param>
/// <param name="Status"><c>separated</c> or <c>already-separated</c>.</param>
internal sealed record SeparationAnswer(Guid ConversionId, string Status);

/// <summary>
/// <c>POST /v1/conversions/{source}/{orderId}/separate</c>: the conversion is a sale of its own, and is credited again. For good: no
/// declaration merges it later.
/// </summary>
internal static class SeparateConversion
{
    public abstract record Outcome;

    public sealed record Separated(ConversionSeparated Event) : Outcome;

    public sealed record AlreadySeparated : Outcome;

    public sealed record NotMerged : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost(OrderPath.Pattern + "/separate", HandleAsync)
            .RequireScope(Scope.WriteConversions)
            .WithName("SeparateConversion").WithTags("Conversions").WithSummary("Takes an order that was merged with another for a sale of its own, for good");

    public static Outcome Decide(Conversion conversion, string program, DateTimeOffset now, string by) =>
        conversion.Separated is not null ? new AlreadySeparated()
        : conversion is not { Order: { } order, Merges: [_, ..] } ? new NotMerged()
        : new Separated(new ConversionSeparated
        {
            EventId = Ids.Separation(order.ConversionId),
            ProgramId = program,
            OccurredAt = now,
            ConversionId = order.ConversionId,
            Source = order.Source,
            OrderId = order.OrderId,
            By = by,
        });

    private static async Task<Results<Ok<SeparationAnswer>, ProblemHttpResult>> HandleAsync(
        HttpContext http, ConversionLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        var checks = new Checks(time);
        var (source, orderId) = OrderPath.Read(http, checks);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var id = Ids.Conversion(log.Program, source, orderId);
        var (outcome, conversion) = await log.ChangeAsync<Outcome>(
            id,
            conversion =>
            {
                var outcome = Decide(conversion, log.Program, time.GetUtcNow(), http.ApiKey().Name);
                return (outcome, outcome is Separated separated ? [separated.Event] : []);
            },
            cancellationToken);
        return outcome switch
        {
            Separated => TypedResults.Ok(new SeparationAnswer(id, "separated")),
            AlreadySeparated => TypedResults.Ok(new SeparationAnswer(id, "already-separated")),
            NotMerged when conversion.Order is null => Problem.NotFound("orderId", $"'{orderId}' of '{source}' is not recorded"),
            NotMerged => Problem.Conflict(new FieldFault("orderId", $"'{orderId}' of '{source}' is not merged with another order")),
            null => Problem.Of(
                StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("orderId", $"was changed by others {ConversionLog.MaxTries} times meanwhile")),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
