using PartnerPulse.Conversions.Webhooks;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>Which secrets may be set up.</summary>
public sealed class SetUpHookTests
{
    private const string Made = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Fact]
    public void A_scheme_has_the_secrets_that_were_asked_for_and_its_name_as_source()
    {
        var (source, _) = Decide("shopify", new HookAsk { Secrets = ["a-secret-of-sixteen", "another-secret-of-it"] });

        Assert.Equal("shopify", source!.Source);
        Assert.Equal(["a-secret-of-sixteen", "another-secret-of-it"], source.Secrets);
        Assert.Equal("my.shop", Decide("shopify", new HookAsk { Source = "my.shop", Secrets = ["a-secret-of-sixteen"] }).Source!.Source);
        Assert.Equal("kept", Decide("shopify", new HookAsk { Secrets = ["a-secret-of-sixteen"] }, source with { Source = "kept" }).Source!.Source);
    }

    [Fact]
    public void A_made_secret_stands_before_the_last_one()
    {
        var first = Decide("standard", new HookAsk { Make = true }).Source!;
        Assert.Equal([Made], first.Secrets);
        var before = first with { Secrets = ["whsec_" + new string('A', 40), "whsec_" + new string('B', 40)] };
        Assert.Equal([Made, before.Secrets[0]], Decide("standard", new HookAsk { Make = true }, before).Source!.Secrets);
        Assert.Equal([Made], Decide("standard", new HookAsk { Make = true, Secrets = [] }, before).Source!.Secrets);
    }

    [Theory]
    [InlineData("shopify", null, "secrets", "is required")]
    [InlineData("shopify", new string[0], "secrets", "is required")]
    [InlineData("shopify", new[] { "short" }, "secrets[0]", "has 5 characters; at least 16 are needed")]
    [InlineData("shopify", new[] { "a-secret-of-sixteen", "" }, "secrets[1]", "is required")]
    [InlineData("shopify", new[] { "a secret with blanks" }, "secrets[0]", "holds a blank")]
    [InlineData("shopify", new[] { "a-secret-of-sixteen", "a-secret-of-sixteen" }, "secrets[1]", "is given twice")]
    [InlineData("standard", new[] { "whsec_no-base64-at-all" }, "secrets[0]", "is not 'whsec_' and the base64 of at least 24 bytes")]
    [InlineData("stripe", new[] { "whsec_0000000000001", "whsec_0000000000002", "whsec_0000000000003", "whsec_0000000000004", "whsec_0000000000005", "whsec_0000000000006" }, "secrets", "would be 6; at most 5")]
    public void What_is_no_good_as_a_secret_is_told(string scheme, string[]? secrets, string field, string reason)
    {
        var (source, faults) = Decide(scheme, new HookAsk { Secrets = secrets });

        Assert.Null(source);
        Assert.Contains(faults, fault => fault.Field == field && fault.Reason.Contains(reason, StringComparison.Ordinal));
        Assert.DoesNotContain(faults, fault => secrets is not null && secrets.Any(s => s.Length > 5 && fault.Reason.Contains(s, StringComparison.Ordinal)));
    }

    [Fact]
    public void Only_a_shop_of_ours_has_its_secret_made() => Assert.Equal("make", Decide("stripe", new HookAsk { Make = true }).Faults.Single().Field);

    private static (HookSource? Source, IReadOnlyList<FieldFault> Faults) Decide(string scheme, HookAsk ask, HookSource? before = null)
    {
        var checks = new Checks(TimeProvider.System);
        return (SetUpHook.Decide(scheme, ask, before, Made, Shop.Now, checks), checks.Faults);
    }
}
