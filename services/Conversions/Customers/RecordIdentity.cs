using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Customers;

/// <summary>Somebody logged in, signed up, or is known to the shop in some other way.</summary>
internal sealed record IdentityAsk
{
    /// <summary>An e-mail or an account id; kept only as a keyed hash.</summary>
    public string? Customer { get; init; }

    /// <summary>The id, or the whole value of the cookie <c>pp_vid</c>.</summary>
    public string? VisitorId { get; init; }
    public string? ClickId { get; init; }

    /// <summary>Instead of a visitor or click: the partner that this customer is, or belongs to.</summary>
    public string? Partner { get; init; }

    /// <summary>Now where absent. No credit depends on it.</summary>
    public DateTimeOffset? OccurredAt { get; init; }
}

/// <summary>What became of one tie.</summary>
internal sealed record IdentityAnswer(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? CustomerKey,
    string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldFault>? Errors = null);

/// <summary>
/// <c>POST /v1/identities</c>: ties a visitor, or the visitor of a click, to a customer, or says that a customer is a partner itself;
/// or a list of them.
/// </summary>
internal static class RecordIdentity
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/identities", HandleAsync)
            .RequireScope(Scope.WriteConversions)
            .WithMetadata(new RequestSizeLimitAttribute(RecordConversion.MaxBodyBytes))
            .TakesJson<IdentityAsk>("""[{"customer":"ann@example.org","visitorId":"v-1"},{"customer":"owner@acme.example","partner":"acme"}]""")
            .WithName("RecordIdentity").WithTags("Conversions").WithSummary("Ties a visitor, a click or a partner to a customer, or a list of at most 1,000");

    private static async Task<Results<Created<IdentityAnswer>, Ok<IdentityAnswer>, Ok<IReadOnlyList<IdentityAnswer>>, ProblemHttpResult>> HandleAsync(
        HttpRequest request, ConversionReader reader, ConversionLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        var (elements, isList, fault) = RequestBody.Elements(await request.ReadBytesAsync(cancellationToken), RecordConversion.MaxBatch, "identities");
        if (fault is not null)
        {
            return Problem.Invalid(fault);
        }

        var read = elements.Select(element => Read(element.Span, reader, time)).ToArray();
        if (!isList && read[0].Identity is null)
        {
            return Problem.Invalid(read[0].Faults);
        }

        // A tie is its whole content, so the same again is never another one.
        var added = new HashSet<Guid>(await log.AppendNewAsync(read.Select(r => r.Identity).OfType<IEvent>(), cancellationToken));
        var answers = read.Select(r => r.Identity is { } identity
            ? new IdentityAnswer(ConversionLog.CustomerOf(identity), added.Remove(identity.EventId) ? "recorded" : "already-recorded")
            : new IdentityAnswer(CustomerKey: null, "rejected", r.Faults)).ToArray();
        return isList ? TypedResults.Ok<IReadOnlyList<IdentityAnswer>>(answers)
            : answers[0].Status == "recorded" ? TypedResults.Created((string?)null, answers[0])
            : TypedResults.Ok(answers[0]);
    }

    private static (IEvent? Identity, IReadOnlyList<FieldFault> Faults) Read(ReadOnlySpan<byte> json, ConversionReader reader, TimeProvider time) =>
        RequestBody.Read(json, ConversionsJson.Default.IdentityAsk, new Checks(time), reader.Read);
}
