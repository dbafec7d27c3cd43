using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Conversions.Webhooks;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>A shop that signs its deliveries, and what became of them: everything a delivery goes through but the database.</summary>
internal sealed class Shop(string scheme, string? secret = null)
{
    public static readonly DateTimeOffset Now = new(2026, 12, 15, 9, 0, 0, TimeSpan.Zero);

    /// <summary>A clock that stands at <see cref="Now"/>: the samples have times of their own.</summary>
    public static TimeProvider Clock { get; } = new FixedTime(Now);

    private static readonly ConversionReader s_reader = new(new CustomerKeys(new byte[CustomerKeys.SecretLength]), "main", "EUR");

    private readonly Dictionary<string, Conversion> _orders = new(StringComparer.Ordinal);

    public string Secret { get; } = secret ?? "whsec_" + Convert.ToBase64String(SHA256.HashData("a secret of tests"u8));

    /// <summary>Everything that was recorded, in order.</summary>
    public List<IEvent> Events { get; } = [];

    /// <summary>A sample payload as it lies beside the tests, changed where <paramref name="change"/> says.</summary>
    public static string Sample(string name, Action<JsonNode>? change = null)
    {
        var payload = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixtures.Tests, "Conversions", "Webhooks", "Samples", $"{name}.json")))!;
        change?.Invoke(payload);
        return payload.ToJsonString();
    }

    public Conversion Order(string orderId) => _orders.GetValueOrDefault(orderId, Conversion.Unknown);

    public ConversionRecorded Recorded(string orderId) => Order(orderId).Order!;

    public HeaderDictionary Sign(ReadOnlySpan<byte> body, DateTimeOffset at, string? topic = null)
    {
        var time = at.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var text = Encoding.UTF8.GetBytes(Secret);
        return scheme switch
        {
            "stripe" => new HeaderDictionary
            {
                ["Stripe-Signature"] = $"t={time},v1={Convert.ToHexStringLower(HMACSHA256.HashData(text, (byte[])[.. Encoding.UTF8.GetBytes(time + "."), .. body]))}",
            },
            "shopify" => new HeaderDictionary
            {
                ["X-Shopify-Hmac-Sha256"] = Convert.ToBase64String(HMACSHA256.HashData(text, body)), ["X-Shopify-Topic"] = topic,
            },
            "woocommerce" => new HeaderDictionary
            {
                ["X-WC-Webhook-Signature"] = Convert.ToBase64String(HMACSHA256.HashData(text, body)), ["X-WC-Webhook-Topic"] = topic,
            },
            "standard" => new HeaderDictionary
            {
                ["webhook-id"] = "msg_1",
                ["webhook-timestamp"] = time,
                ["webhook-signature"] = "v1," + Convert.ToBase64String(HMACSHA256.HashData(
                    Convert.FromBase64String(Secret["whsec_".Length..]), (byte[])[.. Encoding.UTF8.GetBytes($"msg_1.{time}."), .. body])),
            },
            _ => throw new InvalidOperationException($"{scheme} is no scheme"),
        };
    }

    public Did Deliver(string body, string? topic = null) => Deliver(Encoding.UTF8.GetBytes(body), topic);

    /// <summary>Signs, verifies, reads, decides and records.</summary>
    public Did Deliver(byte[] body, string? topic = null)
    {
        var by = HookScheme.Find(scheme)!;
        var headers = Sign(body, Now, topic);
        Assert.Null(by.Verify(headers, body, [Secret], Now));
        var (document, unreadable) = Node.Parse(body);
        if (document is null)
        {
            return new Did("unreadable", Faults: [unreadable!]);
        }

        using (document)
        {
            switch (by.Map(Node.Root(document), headers))
            {
                case Nothing nothing:
                    return new Did("ignored", Reason: nothing.Reason);
                case Unclear unclear:
                    Assert.NotEmpty(unclear.Faults);
                    return new Did("unclear", Faults: unclear.Faults);
                case OrderNews news:
                    var checks = new Checks(Clock);
                    return TakeDelivery.Read(news, scheme, s_reader, checks, Clock) is { } asked
                        ? Record(asked, news)
                        : new Did("unclear", Faults: checks.Faults);
                case var other:
                    throw new InvalidOperationException(other.ToString());
            }
        }
    }

    private Did Record(TakeDelivery.Asked asked, OrderNews news)
    {
        switch (TakeDelivery.Decide(Order(asked.OrderId), asked, "main"))
        {
            case TakeDelivery.Taken taken:
                Events.AddRange(taken.Events);
                _orders[asked.OrderId] = taken.After;
                return new Did(taken.Status, OrderId: asked.OrderId, News: news, Events: taken.Events);
            case TakeDelivery.Contradicted contradicted:
                return new Did("contradicted", OrderId: asked.OrderId, Faults: contradicted.Differences);
            case TakeDelivery.Refused refused:
                return new Did("refused", OrderId: asked.OrderId, Faults: refused.Faults);
            case var other:
                throw new InvalidOperationException(other.ToString());
        }
    }

    /// <summary>What became of a delivery.</summary>
    internal sealed record Did(
        string Status,
        string? OrderId = null,
        string? Reason = null,
        IReadOnlyList<FieldFault>? Faults = null,
        OrderNews? News = null,
        IReadOnlyList<IEvent>? Events = null);

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
