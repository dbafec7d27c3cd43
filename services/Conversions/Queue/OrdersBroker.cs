using RabbitMQ.Client;

namespace PartnerPulse.Conversions.Queue;

/// <summary>
/// The broker where shops put orders, and its two queues. By RabbitMQ's own client and not by MassTransit: what comes is no envelope
/// of ours, a refused message keeps its bytes and says why in its headers, and an operator can look at it and put it back.
/// </summary>
internal sealed class OrdersBroker(Uri address)
{
    /// <summary>Takes orders, adjustments and lists of them; see <see cref="OrderMessage"/>.</summary>
    public const string Orders = "orders";

    /// <summary>Keeps what was refused, with its reason in the headers below, until somebody puts it back or drops it.</summary>
    public const string Errors = "orders_error";

    /// <summary>A refused message's id, for the endpoints.</summary>
    public const string IdHeader = "pulse-error-id";

    /// <summary>The first field at fault.</summary>
    public const string FieldHeader = "pulse-field";

    /// <summary>What is wrong with it.</summary>
    public const string ReasonHeader = "pulse-reason";

    /// <summary>All faults, as JSON.</summary>
    public const string FaultsHeader = "pulse-faults";

    /// <summary>When it was refused, in UTC.</summary>
    public const string RefusedAtHeader = "pulse-refused-at";

    public static IReadOnlyList<string> Headers { get; } = [IdHeader, FieldHeader, ReasonHeader, FaultsHeader, RefusedAtHeader];

    // From version 4 a broker drops what was delivered 20 times, and every look at an error is a delivery.
    internal static Dictionary<string, object?> Arguments { get; } = new(StringComparer.Ordinal)
    {
        ["x-queue-type"] = "quorum", ["x-delivery-limit"] = 1_000_000,
    };

    /// <summary>A connection of its own: it is left to break, and made anew by whoever uses it.</summary>
    public Task<IConnection> ConnectAsync(CancellationToken cancellationToken) =>
        new ConnectionFactory { Uri = address, AutomaticRecoveryEnabled = false, ClientProvidedName = "partnerpulse-orders" }.CreateConnectionAsync(cancellationToken);

    /// <summary>A channel whose publishing completes with the broker's confirm, with both queues declared, one after the other.</summary>
    public static async Task<IChannel> OpenAsync(IConnection connection, CancellationToken cancellationToken)
    {
        var channel = await connection.CreateChannelAsync(
            new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), cancellationToken);
        foreach (var queue in (string[])[Orders, Errors])
        {
            await channel.QueueDeclareAsync(queue, durable: true, exclusive: false, autoDelete: false, Arguments, cancellationToken: cancellationToken);
        }

        return channel;
    }

    /// <summary>Puts a message into a queue; completes when the broker has it.</summary>
    /// <param name="channel">Of <see cref="OpenAsync"/>.</param>
    /// <param name="queue">The queue.</param>
    /// <param name="properties">Of the message as it came. What would expire it, or send it elsewhere as well, is left out.</param>
    /// <param name="body">As it came.</param>
    /// <param name="headers">Headers that are set; null takes one away.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public static async Task PutAsync(
        IChannel channel, string queue, IReadOnlyBasicProperties properties, ReadOnlyMemory<byte> body, IEnumerable<(string Name, string? Value)> headers,
        CancellationToken cancellationToken)
    {
        var all = new Dictionary<string, object?>(properties.Headers ?? new Dictionary<string, object?>(StringComparer.Ordinal), StringComparer.Ordinal);
        foreach (var (name, value) in headers.Concat([("CC", null), ("BCC", null)]))
        {
            all.Remove(name);
            if (value is not null)
            {
                all[name] = value;
            }
        }

        var kept = new BasicProperties(properties) { Headers = all, Persistent = true };
        kept.ClearExpiration();
        kept.ClearUserId();
        await channel.BasicPublishAsync(exchange: "", queue, mandatory: true, kept, body, cancellationToken);
    }
}
