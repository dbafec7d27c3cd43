using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using PartnerPulse.Conversions.Webhooks;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>Signatures by the schemes' own published examples, and at their bounds.</summary>
public sealed class SignatureTests
{
    private const string Vectors = "webhooks/signature_vectors.json";
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);

    public static TheoryData<string> VectorIds() => File.Exists(Fixtures.Find(Vectors))
        ? [.. All().Select(vector => (string)vector["id"]!)]
        : ["absent"];

    [FixtureTheory(Vectors)]
    [MemberData(nameof(VectorIds))]
    public void A_published_vector_comes_out_as_it_says(string id)
    {
        var vector = All().Single(v => (string)v["id"]! == id);
        var from = vector["same_as"] is { } same ? All().Single(v => (string)v["id"]! == (string)same!) : vector;
        var headers = new HeaderDictionary();
        foreach (var (name, value) in from["headers"]!.AsObject())
        {
            headers[id == "stdwh-case" ? MixedCase(name) : name] = (string)value!;
        }

        foreach (var (name, value) in vector["headers_replace"]?.AsObject() ?? [])
        {
            headers[name] = (string)value!;
        }

        foreach (var name in vector["headers_remove"]?.AsArray() ?? [])
        {
            Assert.True(headers.Remove((string)name!));
        }

        if (vector["header_append"] is { } appended)
        {
            headers["Stripe-Signature"] += (string)appended!;
        }

        var body = Encoding.UTF8.GetBytes((string)from["body"]! + (string?)vector["body_append"]);
        var now = DateTimeOffset.FromUnixTimeSeconds((long?)(vector["now"] ?? from["now"]) ?? s_now.ToUnixTimeSeconds());
        var scheme = HookScheme.Find((string)(vector["scheme"] ?? from["scheme"])! == "standard-webhooks" ? "standard" : (string)(vector["scheme"] ?? from["scheme"])!)!;

        var fault = scheme.Verify(headers, body, [(string)from["secret"]!], now);

        Assert.Equal(((string)vector["expect"]!).StartsWith("valid", StringComparison.Ordinal), fault is null);
    }

    [Theory]
    [InlineData("stripe", 0, null)]
    [InlineData("stripe", 300, null)]
    [InlineData("stripe", 301, "is 301 seconds old; at most 300 are allowed")]
    [InlineData("stripe", -300, null)]
    [InlineData("stripe", -301, "is 301 seconds ahead; at most 300 are allowed")]
    [InlineData("standard", 300, null)]
    [InlineData("standard", 301, "is 301 seconds old; at most 300 are allowed")]
    [InlineData("standard", -300, null)]
    [InlineData("standard", -301, "is 301 seconds ahead; at most 300 are allowed")]
    [InlineData("shopify", 100_000, null)]
    [InlineData("woocommerce", 100_000, null)]
    public void A_delivery_may_be_three_hundred_seconds_off_where_it_carries_a_time(string scheme, int old, string? reason)
    {
        var shop = new Shop(scheme);
        var headers = shop.Sign("{}"u8, s_now.AddSeconds(-old));

        Assert.Equal(reason, HookScheme.Find(scheme)!.Verify(headers, "{}"u8, [shop.Secret], s_now)?.Reason);
    }

    [Theory]
    [InlineData("stripe")]
    [InlineData("shopify")]
    [InlineData("woocommerce")]
    [InlineData("standard")]
    public void While_a_secret_is_replaced_both_are_valid_and_afterwards_the_old_one_is_not(string scheme)
    {
        var (before, after) = (new Shop(scheme), new Shop(scheme, secret: "whsec_" + Convert.ToBase64String(SHA256.HashData("after"u8))));
        var verify = HookScheme.Find(scheme)!.Verify;
        FieldFaultOrNull Judge(Shop by, params string[] secrets) => new(verify(by.Sign("{}"u8, s_now), "{}"u8, secrets, s_now)?.Reason);

        Assert.Null(Judge(before, after.Secret, before.Secret).Reason);
        Assert.Null(Judge(after, after.Secret, before.Secret).Reason);
        Assert.StartsWith("is not the signature of this body", Judge(before, after.Secret).Reason!, StringComparison.Ordinal);
        Assert.NotNull(Judge(before, []).Reason);
        Assert.NotNull(Judge(before, "").Reason);
    }

    [Theory]
    [InlineData("stripe")]
    [InlineData("shopify")]
    [InlineData("woocommerce")]
    [InlineData("standard")]
    public void Nothing_that_is_signed_may_be_changed(string scheme)
    {
        var shop = new Shop(scheme);
        var body = Encoding.UTF8.GetBytes(Shop.Sample(scheme == "stripe" ? "stripe-session" : scheme == "standard" ? "standard-recorded" : $"{scheme}-order"));
        var verify = HookScheme.Find(scheme)!.Verify;
        var headers = shop.Sign(body, s_now);
        Assert.Null(verify(headers, body, [shop.Secret], s_now));

        for (var i = 0; i < body.Length; i += 7)
        {
            body[i] ^= 1;
            Assert.NotNull(verify(headers, body, [shop.Secret], s_now));
            body[i] ^= 1;
        }

        Assert.NotNull(verify(headers, body.AsSpan(..^1), [shop.Secret], s_now));
        if (scheme == "standard")
        {
            headers["webhook-id"] = "another";
            Assert.NotNull(verify(headers, body, [shop.Secret], s_now));
        }
    }

    [Fact]
    public void A_header_that_is_given_twice_or_is_endless_is_refused()
    {
        var shop = new Shop("shopify");
        var headers = shop.Sign("{}"u8, s_now);
        headers["X-Shopify-Hmac-Sha256"] = new([headers["X-Shopify-Hmac-Sha256"].ToString(), "x"]);
        Assert.Equal("is given twice", HookScheme.Find("shopify")!.Verify(headers, "{}"u8, [shop.Secret], s_now)?.Reason);

        headers["X-Shopify-Hmac-Sha256"] = new string('a', 5_000);
        Assert.Equal("has 5000 characters; at most 4096 are allowed", HookScheme.Find("shopify")!.Verify(headers, "{}"u8, [shop.Secret], s_now)?.Reason);
    }

    private static string MixedCase(string name) => string.Concat(name.Select((c, i) => i % 2 == 0 ? char.ToUpper(c, CultureInfo.InvariantCulture) : c));

    private static IEnumerable<JsonNode> All() => JsonNode.Parse(File.ReadAllText(Fixtures.Find(Vectors)))!.AsArray().Select(vector => vector!);

    private sealed record FieldFaultOrNull(string? Reason);
}
