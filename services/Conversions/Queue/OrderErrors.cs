using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace PartnerPulse.Conversions.Queue;

/// <summary>A message that was refused.</summary>
/// <param name="Id">For the endpoints.</param>
/// <param name="Faults">Why; empty where somebody else put it there.</param>
/// <param name="RefusedAt">When; absent likewise.</param>
/// <param name="ContentType">As the message says.</param>
/// <param name="Body">As text; the first 16 kB.</param>
internal sealed record OrderError(string Id, IReadOnlyList<FieldFault> Faults, string? RefusedAt, string? ContentType, string Body);

/// <param name="Errors">Oldest first.</param>
/// <param name="Total">Messages in the queue.</param>
internal sealed record OrderErrorsBody(IReadOnlyList<OrderError> Errors, long Total);

/// <param name="Returned">Messages that were put back.</param>
internal sealed record ReturnedBody(long Returned);

/// <summary>
/// <c>GET /v1/orders/errors</c>: messages that were refused. <c>POST …/{id}/return</c>, <c>POST …/return</c>: put one back, or all,
/// after the cause is gone. <c>DELETE …/{id}</c>: drop one, when its order came another way.
/// </summary>
internal sealed class OrderErrors(OrdersBroker? broker)
{
    private const int MaxLimit = 1_000;
    private const int MaxBodyShown = 16 * 1024;

    /// <summary>Messages that are looked through for one.</summary>
    private const int MaxLookedAt = 10_000;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/orders/errors", (OrderErrors errors, CancellationToken cancellationToken, int limit = 100) => errors.ReadAsync(limit, cancellationToken))
            .RequireScope(Scope.Admin).WithTags("Operations").WithSummary("Messages of the queue orders that were refused, with the reason");
        routes.MapPost("/v1/orders/errors/{id}/return", (OrderErrors errors, string id, CancellationToken cancellationToken) => errors.TakeAsync(id, putBack: true, cancellationToken))
            .RequireScope(Scope.Admin).WithTags("Operations").WithSummary("Put a refused message back into the queue orders");
        routes.MapPost("/v1/orders/errors/return", (OrderErrors errors, CancellationToken cancellationToken) => errors.ReturnAllAsync(cancellationToken))
            .RequireScope(Scope.Admin).WithTags("Operations").WithSummary("Put all refused messages back into the queue orders");
        routes.MapDelete("/v1/orders/errors/{id}", (OrderErrors errors, string id, CancellationToken cancellationToken) => errors.TakeAsync(id, putBack: false, cancellationToken))
            .RequireScope(Scope.Admin).WithTags("Operations").WithSummary("Drop a refused message");
    }

    private async Task<Results<Ok<OrderErrorsBody>, ProblemHttpResult>> ReadAsync(int limit, CancellationToken cancellationToken)
    {
        if (limit is < 1 or > MaxLimit)
        {
            return Problem.Invalid(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        return await WithChannelAsync<Ok<OrderErrorsBody>>(async channel =>
        {
            var errors = new List<OrderError>();
            var total = (long)await channel.MessageCountAsync(OrdersBroker.Errors, cancellationToken);

            // Nothing is acknowledged: with the channel all of it goes back to where it was.
            while (errors.Count < limit && await channel.BasicGetAsync(OrdersBroker.Errors, autoAck: false, cancellationToken) is { } message)
            {
                errors.Add(Show(message));
            }

            return TypedResults.Ok(new OrderErrorsBody(errors, total));
        }, cancellationToken);
    }

    private Task<Results<NoContent, ProblemHttpResult>> TakeAsync(string id, bool putBack, CancellationToken cancellationToken) =>
        WithChannelAsync<NoContent>(async channel =>
        {
            for (var i = 0; i < MaxLookedAt && await channel.BasicGetAsync(OrdersBroker.Errors, autoAck: false, cancellationToken) is { } message; i++)
            {
                if (IdOf(message) == id)
                {
                    if (putBack)
                    {
                        await PutBackAsync(channel, message, cancellationToken);
                    }

                    await channel.BasicAckAsync(message.DeliveryTag, multiple: false, cancellationToken);
                    return TypedResults.NoContent();
                }
            }

            return Problem.NotFound("id", $"'{id}' is not among the first {MaxLookedAt} refused messages");
        }, cancellationToken);

    private Task<Results<Ok<ReturnedBody>, ProblemHttpResult>> ReturnAllAsync(CancellationToken cancellationToken) =>
        WithChannelAsync<Ok<ReturnedBody>>(async channel =>
        {
            // Those that are there now: what is refused again meanwhile would go round for ever.
            var total = (long)await channel.MessageCountAsync(OrdersBroker.Errors, cancellationToken);
            var returned = 0L;
            while (returned < total && await channel.BasicGetAsync(OrdersBroker.Errors, autoAck: false, cancellationToken) is { } message)
            {
                await PutBackAsync(channel, message, cancellationToken);
                await channel.BasicAckAsync(message.DeliveryTag, multiple: false, cancellationToken);
                returned++;
            }

            return TypedResults.Ok(new ReturnedBody(returned));
        }, cancellationToken);

    private async Task<Results<T, ProblemHttpResult>> WithChannelAsync<T>(Func<IChannel, Task<Results<T, ProblemHttpResult>>> use, CancellationToken cancellationToken)
        where T : IResult
    {
        if (broker is null)
        {
            return Problem.NotFound("Bus:Orders", "is not set: no queue of orders is listened to");
        }

        try
        {
            await using var connection = await broker.ConnectAsync(cancellationToken);
            await using var channel = await OrdersBroker.OpenAsync(connection, cancellationToken);
            return await use(channel);
        }
        catch (Exception e) when (e is RabbitMQClientException or IOException)
        {
            return Problem.Of(StatusCodes.Status503ServiceUnavailable, "The broker does not answer", new FieldFault("Bus:Orders", $"cannot be reached: {e.Message}"));
        }
    }

    private static Task PutBackAsync(IChannel channel, BasicGetResult message, CancellationToken cancellationToken) => OrdersBroker.PutAsync(
        channel, OrdersBroker.Orders, message.BasicProperties, message.Body, OrdersBroker.Headers.Select(name => (name, (string?)null)), cancellationToken);

    private static OrderError Show(BasicGetResult message)
    {
        IReadOnlyList<FieldFault> faults = [];
        if (Header(message, OrdersBroker.FaultsHeader) is { } text)
        {
            try
            {
                faults = JsonSerializer.Deserialize(text, ConversionsJson.Default.IReadOnlyListFieldFault) ?? [];
            }
            catch (JsonException)
            {
                // Not written by us; the body is what counts.
            }
        }

        return new OrderError(
            IdOf(message), faults, Header(message, OrdersBroker.RefusedAtHeader), message.BasicProperties.ContentType,
            Encoding.UTF8.GetString(message.Body.Span[..Math.Min(message.Body.Length, MaxBodyShown)]));
    }

    /// <summary>What somebody else put there is known by its content.</summary>
    private static string IdOf(BasicGetResult message) =>
        Header(message, OrdersBroker.IdHeader) ?? Convert.ToHexStringLower(SHA256.HashData(message.Body.Span).AsSpan(0, 16));

    private static string? Header(BasicGetResult message, string name) =>
        message.BasicProperties.Headers is { } headers && headers.TryGetValue(name, out var value) ? OrderMessage.Text(value) : null;
}
