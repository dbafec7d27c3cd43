using System.Text;
using PartnerPulse.Contracts;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>Bodies that are signed and are not what they should be.</summary>
public sealed class FuzzTests(ITestOutputHelper output)
{
    private const int Bodies = 25_000;

    private static readonly string[] s_pieces =
    [
        "null", "true", "-1", "0", "1e9", "1e400", "99999999999999999999", "9223372036854775807", "-9223372036854775808", "\"\"", "\"\\u0000\"", "\"\\ud800\"",
        "[]", "{}", "[{}]", "\"EUR\"", "\"XXX\"", "\"-0.00\"", "\"79228162514264337593543950335\"", "\"100000000000000\"", "\"2026-10-01T00:00:00Z\"",
        "\"0001-01-01T00:00:00+14:00\"", "\"9999-12-31T23:59:59-14:00\"", "253402300799", "\"refund\"", "\"success\"", "\"paid\"", "\"refunded\"", "\"cancelled\"",
        "0.1", "\"\u00e4\"", "{\"id\":\"x\"}", "[[[[[[]]]]]]",
    ];

    [Theory]
    [InlineData("stripe", new[] { "stripe-session", "stripe-invoice", "stripe-refunded-old", "stripe-refunded-new", "stripe-dispute" }, new[] { "" })]
    [InlineData("shopify", new[] { "shopify-order", "shopify-refund" }, new[] { "orders/paid", "orders/updated", "orders/cancelled", "refunds/create" })]
    [InlineData("woocommerce", new[] { "woocommerce-order" }, new[] { "order.created", "order.updated" })]
    [InlineData("standard", new[] { "standard-recorded", "standard-adjusted" }, new[] { "" })]
    public void No_body_breaks_anything_or_leaves_half_an_order(string scheme, string[] samples, string[] topics)
    {
        var seed = Seeds.Number(output);
        var random = new Random(seed);
        var originals = samples.Select(sample => Encoding.UTF8.GetBytes(Shop.Sample(sample))).ToArray();
        var did = new Dictionary<string, int>(StringComparer.Ordinal);
        var shop = new Shop(scheme);
        for (var i = 0; i < Bodies; i++)
        {
            // A fresh shop now and then, so that every delivery is also met by nothing known.
            shop = i % 50 == 0 ? new Shop(scheme) : shop;
            var body = Mutated(originals[random.Next(originals.Length)], random);
            var before = shop.Events.Count;
            Shop.Did result;
            try
            {
                result = shop.Deliver(body, topics[random.Next(topics.Length)]);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"PULSE_SEED={seed}, body {i}: {Encoding.UTF8.GetString(body)}", e);
            }

            did[result.Status] = did.GetValueOrDefault(result.Status) + 1;
            if (result.Faults is not null)
            {
                Assert.Equal(before, shop.Events.Count);
                Assert.All(result.Faults, fault => Assert.NotEmpty(fault.Reason));
            }

            foreach (var e in shop.Events.Skip(before))
            {
                // What is recorded can be written, read back, and held by the log, which takes no U+0000.
                var written = EventTypes.Serialize(e);
                Assert.Equal(written, EventTypes.Serialize(EventTypes.Deserialize(EventTypes.Of(e), written)));
                Assert.DoesNotContain("\\u0000", Encoding.UTF8.GetString(written), StringComparison.OrdinalIgnoreCase);
                Assert.True(e is not ConversionRecorded order || (order.AmountMinor >= 0 && order.OrderId.Length is > 0 and <= 128));
            }

            if (result.OrderId is { } id && shop.Order(id).NetMinor is { } net)
            {
                Assert.InRange(net, 0, shop.Order(id).AmountMinor!.Value);
            }
        }

        output.WriteLine(string.Join(", ", did.Select(pair => $"{pair.Key} {pair.Value}")));
        Assert.True(did.GetValueOrDefault("unreadable") > 0 && did.GetValueOrDefault("unclear") > 0, "Too few mutations reach the mapping.");
        Assert.True(did.GetValueOrDefault("recorded") + did.GetValueOrDefault("adjusted") + did.GetValueOrDefault("restated") > Bodies / 100, "Too few mutations are still orders.");
    }

    private static byte[] Mutated(byte[] original, Random random)
    {
        var body = new List<byte>(original);
        for (var edits = random.Next(1, 4); edits > 0 && body.Count > 0; edits--)
        {
            var at = random.Next(body.Count);
            switch (random.Next(8))
            {
                case 0:
                    body[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    body.RemoveRange(at, Math.Min(random.Next(1, 12), body.Count - at));
                    break;
                case 2:
                    body.InsertRange(at, Encoding.UTF8.GetBytes(s_pieces[random.Next(s_pieces.Length)]));
                    break;
                default:
                    ReplaceValue(body, at, random);
                    break;
            }
        }

        return [.. body];
    }

    /// <summary>Puts another value in the place of the one after the next colon, so that it stays JSON.</summary>
    private static void ReplaceValue(List<byte> body, int from, Random random)
    {
        var colon = body.IndexOf((byte)':', from);
        if (colon < 0)
        {
            return;
        }

        var end = colon + 1;
        if (end < body.Count && body[end] == '"')
        {
            end = body.IndexOf((byte)'"', end + 1) + 1;
        }
        else
        {
            while (end < body.Count && body[end] is not ((byte)',' or (byte)'}' or (byte)']' or (byte)'{' or (byte)'['))
            {
                end++;
            }
        }

        if (end > colon + 1)
        {
            body.RemoveRange(colon + 1, end - colon - 1);
            body.InsertRange(colon + 1, Encoding.UTF8.GetBytes(s_pieces[random.Next(s_pieces.Length)]));
        }
    }
}
