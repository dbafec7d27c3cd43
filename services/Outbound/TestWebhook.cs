using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary>A delivery to try a receiver out. The body may be absent.</summary>
internal sealed record TestWebhookAsk
{
    /// <summary>Of this kind; <c>credit.revised</c> where absent.</summary>
    public string? Event { get; init; }
}

/// <summary><c>POST /v1/webhooks/{id}/test</c>: an invented event, marked as a test, signed and delivered like all others.</summary>
internal static class TestWebhook
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/webhooks/{id:guid}/test", HandleAsync)
            .RequireScope(Scope.Admin)
            .TakesJson<TestWebhookAsk>("""{"event":"credit.revised"}""", isOptional: true)
            .WithName("TestWebhook").WithTags("Webhooks").WithSummary("Delivers an invented event, marked as a test");

    /// <summary>An event as it might happen; null where there is no such.</summary>
    /// <param name="name">Name of the event.</param>
    /// <param name="program">The program.</param>
    /// <param name="now">When it happens.</param>
    /// <param name="id">A fresh id.</param>
    public static (IEvent Event, ConversionRecorded Conversion)? Sample(string name, string program, DateTimeOffset now, Guid id)
    {
        var conversion = new ConversionRecorded
        {
            EventId = id, ProgramId = program, OccurredAt = now, ConversionId = id, Kind = ConversionKind.Sale, Source = "test", OrderId = "test-1001",
            AmountMinor = 4_990, Currency = "EUR", Test = true,
        };
        return name switch
        {
            EventNames.ConversionRecorded => (conversion, conversion),
            EventNames.ConversionAdjusted => (
                new ConversionAdjusted
                {
                    EventId = id, ProgramId = program, OccurredAt = now, ConversionId = id, Source = "test", OrderId = "test-1001", AdjustmentId = "r-1",
                    AmountMinor = -1_000, Currency = "EUR", Reason = AdjustmentReason.Refund,
                },
                conversion),
            EventNames.CreditRevised => (
                new CreditsRevised
                {
                    EventId = id, ProgramId = program, OccurredAt = now, ConversionId = id, Generation = 1, Currency = "EUR", Before = [],
                    After = [new PartnerCredit { PartnerId = "test-partner", Share = 1m, AmountMinor = 4_990, CommissionMinor = 998 }],
                },
                conversion),
            EventNames.StatementClosed => (
                new StatementClosed
                {
                    EventId = id, ProgramId = program, OccurredAt = now, Period = "2026-01", Position = 1, Generation = 1, RulesVersion = 1, RulesHash = "", EngineVersion = "1",
                    HoldDays = 30, PayableAsOf = "2026-03-01",
                    Balances =
                    [
                        new StatementBalance
                        {
                            PartnerId = "test-partner", Currency = "EUR", AmountMinor = 4_990, OpeningMinor = 0, EarnedMinor = 998, AdjustedMinor = 0, HeldMinor = 0,
                            PayableMinor = 998, CarriedMinor = 0,
                        },
                    ],
                },
                conversion),
            _ => null,
        };
    }

    private static async Task<Results<Accepted<DeliveryBody>, ProblemHttpResult>> HandleAsync(
        Guid id, HttpContext http, Subscriptions subscriptions, Deliveries deliveries, Sender sender, TimeProvider time, CancellationToken cancellationToken)
    {
        var ask = new TestWebhookAsk();
        if (http.Request.HasBody())
        {
            var (read, fault) = await http.Request.ReadJsonAsync(OutboundJson.Default.TestWebhookAsk, cancellationToken);
            if (read is null)
            {
                return Problem.Invalid(fault!);
            }

            ask = read;
        }

        var program = http.ApiKey().Program;
        if (await subscriptions.FindWebhookAsync(program, id, cancellationToken) is not { } webhook)
        {
            return RegisterWebhook.Unknown(id);
        }

        if (!webhook.Enabled)
        {
            return Problem.Conflict(new FieldFault("enabled", $"is false ({webhook.DisabledReason}); nothing is sent before it is true"));
        }

        var now = time.GetUtcNow();
        var name = ask.Event ?? EventNames.CreditRevised;
        if (Sample(name, program, now, Guid.CreateVersion7(now)) is not { } sample)
        {
            return Problem.Invalid(new FieldFault("event", $"is '{name}', of which there is no sample"));
        }

        var delivery = Delivery.IdOf(webhook.Id, sample.Event.EventId);
        await deliveries.AddAsync(
            new NewDelivery(delivery, webhook.Id, sample.Event.EventId, name, Test: true, Payload.Webhook(sample.Event, sample.Conversion, test: true))
            {
                TraceParent = TraceContexts.Current,
            },
            now, cancellationToken);
        sender.Wake();
        var made = await deliveries.FindAsync(program, delivery, cancellationToken) ?? throw new UnreachableException($"Delivery {delivery} is gone.");
        return TypedResults.Accepted($"/v1/webhooks/{id}/deliveries", DeliveryBody.Of(made));
    }
}
