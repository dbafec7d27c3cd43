using System.Collections.Immutable;
using System.Reflection;
using System.Text;
using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>Rules in plain English: pinned, complete, and the same for the same rules.</summary>
public sealed class RulesTextTests
{
    private static readonly Rules s_full = new()
    {
        Name = "spring",
        Model = new PositionBased(4_000, 3_000),
        WindowDays = 30,
        PartnerWindows = [new PartnerWindow("acme", 90)],
        RepeatMinutes = 45,
        Bots = Bots.Exclude(TestBots.Newest, Machine.Preview),
        Suspended = SuspendedPartners.Forfeit,
        Kinds = [ConversionKind.Lead, ConversionKind.Sale, ConversionKind.Renewal],
        Evidence = [Evidence.ClickId, Evidence.Customer],
        Consent = ConsentUse.Require,
        SelfReferral = SelfReferrals.Exclude,
        Coupon = CouponUse.Override,
        Inherit = new Inherit(365),
        EffectiveFrom = new DateTimeOffset(2026, 11, 1, 0, 0, 0, TimeSpan.Zero),
        Scope = new RulesScope(ScopeTime.ConversionsFrom, NewCustomers: true),
        Commission =
        [
            new CommissionEntry { PercentBasisPoints = 2_500, Group = "gold", Currency = "EUR", CapMinor = 5_000, MinimumMinor = 100 },
            new CommissionEntry { FlatMinor = 500, Currency = "EUR", Kind = ConversionKind.Lead },
            new CommissionEntry { PercentBasisPoints = 1_000, Product = "shoes", NewCustomer = true, Partner = "acme" },
        ],
    };

    /// <summary>By field of the rules, another value than the one in <see cref="s_full"/>.</summary>
    private static readonly Dictionary<string, Func<Rules, Rules>> s_changes = new(StringComparer.Ordinal)
    {
        [nameof(Rules.Name)] = r => r with { Name = "autumn" },
        [nameof(Rules.Model)] = r => r with { Model = new Linear() },
        [nameof(Rules.WindowDays)] = r => r with { WindowDays = 31 },
        [nameof(Rules.PartnerWindows)] = r => r with { PartnerWindows = [new PartnerWindow("acme", 91)] },
        [nameof(Rules.RepeatMinutes)] = r => r with { RepeatMinutes = 0 },
        [nameof(Rules.Bots)] = r => r with { Bots = Bots.Exclude(TestBots.Newest, Machine.Head) },
        [nameof(Rules.Suspended)] = r => r with { Suspended = SuspendedPartners.PassOn },
        [nameof(Rules.Kinds)] = r => r with { Kinds = Rules.AllKinds },
        [nameof(Rules.Evidence)] = r => r with { Evidence = Rules.AllEvidence },
        [nameof(Rules.Consent)] = r => r with { Consent = ConsentUse.Ignore },
        [nameof(Rules.SelfReferral)] = r => r with { SelfReferral = SelfReferrals.Include },
        [nameof(Rules.Coupon)] = r => r with { Coupon = CouponUse.Ignore },
        [nameof(Rules.Inherit)] = r => r with { Inherit = null },
        [nameof(Rules.EffectiveFrom)] = r => r with { EffectiveFrom = r.EffectiveFrom!.Value.AddMinutes(1) },
        [nameof(Rules.Scope)] = r => r with { Scope = new RulesScope(ScopeTime.TouchesFrom, Partner: "acme") },
        [nameof(Rules.Commission)] = r => r with { Commission = r.Commission.RemoveAt(0) },
    };

    private static readonly Dictionary<string, Func<CommissionEntry, CommissionEntry>> s_entryChanges = new(StringComparer.Ordinal)
    {
        [nameof(CommissionEntry.PercentBasisPoints)] = e => e with { PercentBasisPoints = 2_501 },
        [nameof(CommissionEntry.FlatMinor)] = e => e with { PercentBasisPoints = null, CapMinor = null, MinimumMinor = null, FlatMinor = 501 },
        [nameof(CommissionEntry.Currency)] = e => e with { Currency = "KWD" },
        [nameof(CommissionEntry.Kind)] = e => e with { Kind = ConversionKind.Sale },
        [nameof(CommissionEntry.Partner)] = e => e with { Partner = "bravo" },
        [nameof(CommissionEntry.Group)] = e => e with { Group = "silver" },
        [nameof(CommissionEntry.Product)] = e => e with { Product = "hats" },
        [nameof(CommissionEntry.NewCustomer)] = e => e with { NewCustomer = false },
        [nameof(CommissionEntry.CapMinor)] = e => e with { CapMinor = 5_001 },
        [nameof(CommissionEntry.MinimumMinor)] = e => e with { MinimumMinor = 101 },
    };

    public static TheoryData<string> Pinned => ["default", "full", "markov"];

    [Theory]
    [MemberData(nameof(Pinned))]
    public void The_text_is_the_pinned_one(string name)
    {
        var text = RulesText.Of(name switch
        {
            "default" => TestBots.Default,
            "full" => s_full,
            _ => TestBots.Default with { Name = "chain", Model = new Markov(2), Commission = [new CommissionEntry { PercentBasisPoints = 2_000 }] },
        }).TrimEnd();
        Assert.Equal(Fixtures.Pinned(Path.Combine("Attribution.Core", "Texts", $"{name}.txt"), () => text), text);
    }

    [Fact]
    public void Every_field_changes_the_text()
    {
        Assert.Equal(Settable(typeof(Rules)), s_changes.Keys.Order(StringComparer.Ordinal));
        var full = RulesText.Of(s_full);
        Assert.All(s_changes, change => Assert.True(RulesText.Of(change.Value(s_full)) != full, change.Key));

        Assert.Equal(Settable(typeof(CommissionEntry)), s_entryChanges.Keys.Order(StringComparer.Ordinal));
        Assert.All(s_entryChanges, change => Assert.True(
            RulesText.Of(s_full with { Commission = s_full.Commission.SetItem(0, change.Value(s_full.Commission[0])) }) != full, change.Key));
    }

    [Fact]
    public void Rules_that_differ_read_differently()
    {
        var documents = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var rules in Histories.RuleSets().Sample(400, new FsCheck.Rnd(11, 11), 50))
        {
            var document = Encoding.UTF8.GetString(rules.ToCanonicalJson());
            var text = RulesText.Of(rules);
            Assert.Equal(text, RulesText.Of(rules));
            Assert.True(documents.TryAdd(text, document) || documents[text] == document, $"{documents.GetValueOrDefault(text)}\n{document}\n{text}");
        }

        Assert.InRange(documents.Count, 300, 400);
    }

    [Fact]
    public void Examples_show_what_the_rules_do()
    {
        var text = RulesText.Of(TestBots.Default with { Commission = [new CommissionEntry { PercentBasisPoints = 2_000 }] });
        Assert.Contains("acme has the whole (100.00 EUR, commission 20.00)", text, StringComparison.Ordinal);
        Assert.Contains("bravo has the whole (100.00 EUR, commission 20.00)", text, StringComparison.Ordinal);
        Assert.Contains("bravo has the whole (100.00 EUR, commission 20.00)", RulesText.Of(TestBots.Default with { Model = new LastTouch(), Commission = [new CommissionEntry { PercentBasisPoints = 2_000 }] }), StringComparison.Ordinal);
    }

    private static IEnumerable<string> Settable(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.SetMethod is not null).Select(p => p.Name).Order(StringComparer.Ordinal);
}
