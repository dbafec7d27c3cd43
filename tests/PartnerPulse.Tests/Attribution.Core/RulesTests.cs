using System.Text;
using System.Text.Json;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class RulesTests
{
    private static RulesParse Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return Rules.Parse(document.RootElement, TestBots.Lists);
    }

    private static Rules Accepted(string json) => Parse(json) switch
    {
        RulesAccepted accepted => accepted.Rules,
        RulesRefused refused => throw new InvalidOperationException(string.Join("; ", refused.Faults)),
        var other => throw new InvalidOperationException(other.ToString()),
    };

    private static void Refused(string json, params string[] faults) => Assert.Equal(
        faults, Assert.IsType<RulesRefused>(Parse(json)).Faults.Select(f => $"{f.Field}: {f.Reason}"));

    [Fact]
    public void A_name_is_enough_and_the_rest_is_the_default()
    {
        var rules = Accepted("""{"name":"default"}""");
        Assert.Equal(Encoding.UTF8.GetString(TestBots.Default.ToCanonicalJson()), Encoding.UTF8.GetString(rules.ToCanonicalJson()));
        Assert.Equal(
            $$"""{"name":"default","model":{"kind":"first-touch"},"windowDays":60,"repeatMinutes":30,"bots":{"exclude":"2026-11","sha256":"{{TestBots.Newest.Hash}}","count":[]},"suspended":"pass-on","selfReferral":"exclude","kinds":["lead","signup","sale","renewal"],"evidence":["click-id","visitor-cookie","customer"],"coupon":"fallback","commission":[]}""",
            Encoding.UTF8.GetString(rules.ToCanonicalJson()));
    }

    [Fact]
    public void The_hash_of_the_default_rules_is_pinned() =>
        Assert.Equal("3f4cc65888a0a00d1b89bfc5a4fcc8fde0744d8cdecf68dc2edc7bba4efd1e77", TestBots.Default.Hash);

    [Fact]
    public void Everything_that_can_be_said_is_read()
    {
        var rules = Accepted("""
            {"name":"all","model":{"kind":"position-based","first":30.5,"last":40},"windowDays":90,"repeatMinutes":0,"bots":"include",
             "suspended":"forfeit","kinds":["sale","lead"],"evidence":["customer","click-id"],
             "commission":[{"percent":12.5,"kind":"renewal","currency":"EUR"},{"flat":"5.00","currency":"EUR","kind":"sale","partner":"acme"},{"flat":"500","currency":"JPY"}]}
            """);
        Assert.Equal(new PositionBased(3_050, 4_000), rules.Model);
        Assert.Equal((90, 0, SuspendedPartners.Forfeit), (rules.WindowDays, rules.RepeatMinutes, rules.Suspended));
        Assert.Equal([ConversionKind.Lead, ConversionKind.Sale], rules.Kinds.AsEnumerable());
        Assert.Equal([Evidence.ClickId, Evidence.Customer], rules.Evidence.AsEnumerable());
        Assert.Equal(
            [
                new CommissionEntry { PercentBasisPoints = 1_250, Kind = ConversionKind.Renewal, Currency = "EUR" },
                new CommissionEntry { FlatMinor = 500, Currency = "EUR", Kind = ConversionKind.Sale, Partner = "acme" },
                new CommissionEntry { FlatMinor = 500, Currency = "JPY" },
            ],
            rules.Commission.AsEnumerable());
    }

    [Fact]
    public void Rules_that_exclude_bots_name_the_list_so_that_a_newer_one_changes_nothing_published()
    {
        var then = Accepted("""{"name":"x","bots":"exclude"}""").ToCanonicalJson();
        var later = TestBots.Accepted(
            new BotListFile("new", "2027-01", "[bots]\nmozilla/4"),
            new BotListFile("old", "2026-11", File.ReadAllText(TestBots.Newest.File)));
        using var document = JsonDocument.Parse(then);
        var now = Assert.IsType<RulesAccepted>(Rules.Parse(document.RootElement, later)).Rules;
        Assert.Equal("2026-11", now.Bots.List!.Version);
        Assert.Equal(then, now.ToCanonicalJson());
        Assert.Equal("2027-01", Rules.Default(later).Bots.List!.Version);
    }

    [Fact]
    public void A_list_that_was_changed_under_its_name_is_not_the_one_that_published_rules_mean()
    {
        var published = Rules.Default(TestBots.Accepted(new BotListFile("a", "2026-11", "[bots]\nbot"))).ToCanonicalJson();
        using var document = JsonDocument.Parse(published);
        Assert.IsType<RulesAccepted>(Rules.Parse(document.RootElement, TestBots.Accepted(new BotListFile("a", "2026-11", "[bots]\nBot # the same in other words"))));
        var fault = Assert.Single(Assert.IsType<RulesRefused>(
            Rules.Parse(document.RootElement, TestBots.Accepted(new BotListFile("a", "2026-11", "[bots]\nrobot")))).Faults);
        Assert.Equal("bots.sha256", fault.Field);
        Assert.Contains("is not the one that is meant", fault.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Kinds_of_machines_can_be_let_count_and_their_order_means_nothing()
    {
        var one = Accepted("""{"name":"x","bots":{"exclude":"2026-11","count":["head","preview"]}}""");
        Assert.Equal([Machine.Preview, Machine.Head], one.Bots.Counted.AsEnumerable());
        Assert.Equal(one.Hash, Accepted("""{"bots":{"count":["preview","head"],"exclude":"2026-11"},"name":"x"}""").Hash);
        Assert.Null(Accepted("""{"name":"x","bots":"include"}""").Bots.List);
    }

    [Fact]
    public void A_document_of_before_coupons_ignores_them_and_keeps_its_text_and_hash()
    {
        var before = $$"""{"name":"default","model":{"kind":"first-touch"},"windowDays":60,"repeatMinutes":30,"bots":{"exclude":"2026-11","sha256":"{{TestBots.Newest.Hash}}","count":[]},"suspended":"pass-on","kinds":["lead","signup","sale","renewal"],"evidence":["click-id","visitor-cookie","customer"],"commission":[]}""";
        using var document = JsonDocument.Parse(before);
        var published = Assert.IsType<RulesAccepted>(Rules.ReadPublished(document.RootElement, TestBots.Lists)).Rules;
        Assert.Null(published.Coupon);
        Assert.Null(published.SelfReferral);
        Assert.Equal(before, Encoding.UTF8.GetString(published.ToCanonicalJson()));
        Assert.Equal("214d7faebd69c74ca83658100a111e739458ae9bcdd342ef86dcd83d4af448b5", published.Hash);

        // Sent now, the same text asks for what is the default now.
        Assert.Equal((CouponUse.Fallback, SelfReferrals.Exclude), (Accepted(before).Coupon, Accepted(before).SelfReferral));
    }

    [Fact]
    public void A_document_of_before_self_referrals_includes_them_and_keeps_its_text_and_hash()
    {
        var before = $$"""{"name":"default","model":{"kind":"first-touch"},"windowDays":60,"repeatMinutes":30,"bots":{"exclude":"2026-11","sha256":"{{TestBots.Newest.Hash}}","count":[]},"suspended":"pass-on","kinds":["lead","signup","sale","renewal"],"evidence":["click-id","visitor-cookie","customer"],"coupon":"fallback","commission":[]}""";
        using var document = JsonDocument.Parse(before);
        var published = Assert.IsType<RulesAccepted>(Rules.ReadPublished(document.RootElement, TestBots.Lists)).Rules;
        Assert.Null(published.SelfReferral);
        Assert.True(published.CoverEverything);
        Assert.Equal(before, Encoding.UTF8.GetString(published.ToCanonicalJson()));
        Assert.Equal("f09f03f3157c5c59a09778338ee6f0991256f9f440a6ef99147871bf7698b812", published.Hash);
    }

    [Fact]
    public void Windows_consent_scope_and_the_newer_commissions_are_read_and_written_in_one_way()
    {
        var rules = Accepted("""
            {"name":"x","effectiveFrom":"2026-11-01T02:00:00.500+02:00","scope":{"to":{"partner":"acme"},"applies":"touches-from"},
             "partnerWindows":{"bravo":90,"acme":30},"consent":"require","selfReferral":"include",
             "commission":[{"percent":10,"group":"gold","product":"shoe","newCustomer":true,"cap":"50","minimum":"1.5","currency":"EUR"}]}
            """);
        Assert.Equal(new DateTimeOffset(2026, 11, 1, 0, 0, 0, 500, TimeSpan.Zero), rules.EffectiveFrom);
        Assert.Equal(new RulesScope(ScopeTime.TouchesFrom, Partner: "acme"), rules.Scope);
        Assert.Equal([new PartnerWindow("acme", 30), new PartnerWindow("bravo", 90)], rules.PartnerWindows.AsEnumerable());
        Assert.Equal((ConsentUse.Require, SelfReferrals.Include), (rules.Consent, rules.SelfReferral));
        Assert.Equal(
            new CommissionEntry
            {
                PercentBasisPoints = 1_000, Group = "gold", Product = "shoe", NewCustomer = true, CapMinor = 5_000, MinimumMinor = 150, Currency = "EUR",
            },
            Assert.Single(rules.Commission));
        var text = Encoding.UTF8.GetString(rules.ToCanonicalJson());
        Assert.StartsWith("""{"name":"x","effectiveFrom":"2026-11-01T00:00:00.5Z","scope":{"applies":"touches-from","to":{"partner":"acme"}},"model":""", text, StringComparison.Ordinal);
        Assert.Contains("""
            "partnerWindows":{"acme":30,"bravo":90},
            """, text, StringComparison.Ordinal);
        Assert.Contains("""
            "consent":"require","suspended":"pass-on","selfReferral":"include",
            """, text, StringComparison.Ordinal);
        Assert.EndsWith("""
            "commission":[{"percent":10,"currency":"EUR","group":"gold","product":"shoe","newCustomer":true,"cap":"50.00","minimum":"1.50"}]}
            """, text, StringComparison.Ordinal);
        Assert.Equal(rules.Hash, Accepted(text).Hash);
    }

    [Fact]
    public void Rules_with_a_date_apply_to_conversions_from_then_on_and_those_without_to_all_history()
    {
        Assert.True(Accepted("""{"name":"x","scope":{"applies":"all-history","to":"all"}}""").CoverEverything);
        Assert.Equal(Accepted("""{"name":"x"}""").Hash, Accepted("""{"name":"x","scope":{},"consent":"ignore","partnerWindows":{}}""").Hash);
        Assert.Equal(new RulesScope(ScopeTime.ConversionsFrom), Accepted("""{"name":"x","effectiveFrom":"2026-11-01T00:00:00Z"}""").Scope);
        Assert.Equal(
            new RulesScope(ScopeTime.AllHistory, NewCustomers: true), Accepted("""{"name":"x","scope":{"to":"new-customers"}}""").Scope);
    }

    [Fact]
    public void Coupons_and_inheritance_are_read_and_written()
    {
        var rules = Accepted("""{"name":"x","coupon":"override","inherit":{"days":365,"from":"lead"}}""");
        Assert.Equal((CouponUse.Override, new Inherit(365)), (rules.Coupon, rules.Inherit));
        Assert.Contains("""
            "coupon":"override","inherit":{"from":"lead","days":365},
            """, Encoding.UTF8.GetString(rules.ToCanonicalJson()), StringComparison.Ordinal);
        Assert.Equal(new Inherit(null), Accepted("""{"name":"x","inherit":{"from":"lead"}}""").Inherit);
        Assert.Null(Accepted("""{"name":"x"}""").Inherit);
        Assert.Equal(CouponUse.Ignore, Accepted("""{"name":"x","coupon":"ignore"}""").Coupon);
        Refused("""{"name":"x","inherit":{"days":5}}""", "inherit.from: is missing; it is 'lead'");
        Refused("""{"name":"x","inherit":"lead"}""", """inherit: must be an object such as {"from":"lead","days":365}; leave it out to inherit nothing""");
    }

    [Theory]
    [InlineData("""{"kind":"first-touch"}""", typeof(FirstTouch))]
    [InlineData("""{"kind":"last-touch"}""", typeof(LastTouch))]
    [InlineData("""{"kind":"linear"}""", typeof(Linear))]
    [InlineData("""{"kind":"position-based"}""", typeof(PositionBased))]
    [InlineData("""{"kind":"time-decay","halfLifeDays":7}""", typeof(TimeDecay))]
    public void Each_model_has_its_kind(string model, Type type) =>
        Assert.IsType(type, Accepted($$"""{"name":"x","model":{{model}}}""").Model);

    [Fact]
    public void The_same_rules_written_otherwise_have_the_same_hash()
    {
        var one = Accepted("""{"name":"x","model":{"kind":"time-decay","halfLifeDays":7},"kinds":["sale","lead"],"commission":[{"percent":20}]}""");
        var other = Accepted("""{"commission":[{"percent":20.00}],"kinds":["lead","sale"],"windowDays":6e1,"model":{"halfLifeDays":7.0,"kind":"time-decay"},"name":"x"}""");
        Assert.Equal(one.Hash, other.Hash);
        Assert.NotEqual(one.Hash, Accepted("""{"name":"y","model":{"kind":"time-decay"},"kinds":["sale","lead"],"commission":[{"percent":20}]}""").Hash);
    }

    [Fact]
    public void All_faults_are_named_at_once() => Refused(
        """
        {"model":{"kind":"time-decay","halfLifeDays":-1,"first":40},"windowDays":0,"windowDays":5,"repeatMinutes":1.5,"bots":{"exclude":"1999-12","count":["head","tail"],"sha":1},
         "suspended":"maybe","kinds":["sale","sale","gift"],"evidence":[],"colour":"blue","coupon":"maybe","inherit":{"from":"sale","days":0,"to":"me"},
         "commission":[{"percent":101},{"percent":5.125,"flat":"1.00"},{"flat":"1.005","currency":"EUR"},{"flat":5,"currency":"eur"},{"cap":"1"},7]}
        """,
        "windowDays: is given twice",
        "model.halfLifeDays: is -1; must be more than 0 and at most 3650",
        "model.first: is no field of the model time-decay, which has halfLifeDays",
        "windowDays: is 0; must be 1 to 3650",
        "repeatMinutes: is 1.5; must be a whole number",
        "bots.exclude: '1999-12' is no bot list; there are '2020-01-small', '2026-11'",
        "bots.count[1]: must be one of 'prefetch', 'preview', 'bot', 'head'",
        "bots.sha: is not a known field",
        "suspended: must be one of 'pass-on', 'forfeit'",
        "kinds[1]: 'sale' is listed twice",
        "kinds[2]: must be one of 'lead', 'signup', 'sale', 'renewal'",
        "evidence: must be a list of at least one; leave it out to count all",
        "colour: is not a known field",
        "coupon: must be one of 'fallback', 'override', 'ignore'",
        "inherit.from: must be 'lead'",
        "inherit.days: is 0; must be 1 to 36500",
        "inherit.to: is not a known field",
        "commission[0].percent: is 101; must be 0 to 100",
        "commission[1]: gives percent and flat; only one of them can be meant",
        "commission[1].percent: is 5.125; at most 2 decimals",
        "commission[1].currency: is missing; a flat sum needs its currency",
        "commission[2].flat: '1.005' has more decimals than the 2 of EUR",
        "commission[3].currency: 'eur' is not a currency of ISO 4217",
        "commission[3].flat: must be a decimal string such as \"5.00\"",
        "commission[4]: must give percent or flat",
        "commission[4].currency: is missing; a cap needs its currency",
        "commission[5]: must be an object such as {\"percent\":20}",
        "name: is missing");

    [Theory]
    [InlineData("[]", "$: must be a JSON object")]
    [InlineData("""{"name":7}""", "name: must be a string")]
    [InlineData("""{"name":" "}""", "name: must not be empty")]
    [InlineData("""{"name":"x\u0000"}""", "name: must not contain control characters")]
    [InlineData("""{"name":"x","model":"linear"}""", """model: must be an object such as {"kind":"linear"}""")]
    [InlineData("""{"name":"x","model":{}}""", "model.kind: is missing")]
    [InlineData("""{"name":"x","model":{"kind":"best"}}""", "model.kind: 'best' is none of first-touch, last-touch, linear, position-based, time-decay, shapley, markov")]
    [InlineData("""{"name":"x","model":{"kind":"markov","order":4}}""", "model.order: is 4; must be 1 to 3")]
    [InlineData("""{"name":"x","model":{"kind":"markov","states":4}}""", "model.states: is no field of the model markov, which has order")]
    [InlineData("""{"name":"x","model":{"kind":"shapley","order":1}}""", "model.order: is no field of the model shapley, which has none")]
    [InlineData("""{"name":"x","model":{"kind":"linear","first":40}}""", "model.first: is no field of the model linear, which has none")]
    [InlineData("""{"name":"x","model":{"kind":"linear","kind":"linear"}}""", "model.kind: is given twice")]
    [InlineData("""{"name":"x","model":{"kind":"position-based","first":60.5,"last":40}}""", "model: first 60.5 and last 40 together are more than 100")]
    [InlineData("""{"name":"x","model":{"kind":"time-decay","halfLifeDays":1e400}}""", "model.halfLifeDays: is out of range")]
    [InlineData("""{"name":"x","model":{"kind":"time-decay","halfLifeDays":0.00001}}""", "model.halfLifeDays: is 0.00001; at most 4 decimals")]
    [InlineData("""{"name":"x","windowDays":"60"}""", "windowDays: must be a number")]
    [InlineData("""{"name":"x","windowDays":null}""", "windowDays: must be a number")]
    [InlineData("""{"name":"x","windowDays":99999999999999999999}""", "windowDays: is 99999999999999999999; must be 1 to 3650")]
    [InlineData("""{"name":"x","commission":{}}""", """commission: must be a list such as [{"percent":20}]""")]
    [InlineData("""{"name":"x","commission":[{"flat":"-1.00","currency":"EUR"}]}""", "commission[0].flat: '-1.00' is negative")]
    [InlineData("""{"name":"x","commission":[{"percent":5,"partner":""}]}""", "commission[0].partner: must be a partner id of 1 to 64 characters")]
    [InlineData("""{"name":"x","bots":true}""", """bots: must be 'include', 'exclude' or an object such as {"exclude":"2026-11"}""")]
    [InlineData("""{"name":"x","bots":{"exclude":7}}""", "bots.exclude: must be the version of a bot list; there are '2020-01-small', '2026-11'")]
    [InlineData("""{"name":"x","bots":{"count":["head"]}}""", "bots.exclude: is missing; it names the bot list, such as '2026-11'")]
    [InlineData("""{"name":"x","bots":{"exclude":"2026-11","count":"head"}}""", "bots.count: must be a list of at least one; an empty one counts none of them")]
    [InlineData("""{"name":"x","scope":"all-history"}""", """scope: must be an object such as {"applies":"conversions-from","to":"all"}""")]
    [InlineData("""{"name":"x","scope":{"applies":"conversions-from"}}""", "scope.applies: is 'conversions-from', and effectiveFrom does not say since when")]
    [InlineData("""{"name":"x","effectiveFrom":"2026-11-01T00:00:00Z","scope":{"applies":"all-history"}}""", "scope.applies: is 'all-history', and effectiveFrom says since when; only one of them can be meant")]
    [InlineData("""{"name":"x","scope":{"applies":"now"}}""", "scope.applies: must be one of 'conversions-from', 'touches-from', 'all-history'")]
    [InlineData("""{"name":"x","scope":{"to":"acme"}}""", """scope.to: must be 'all', 'new-customers' or an object such as {"partner":"acme"}""")]
    [InlineData("""{"name":"x","scope":{"to":{}}}""", "scope.to.partner: is missing; it is the id of a partner")]
    [InlineData("""{"name":"x","scope":{"to":{"partner":"acme","group":"gold"}}}""", "scope.to.group: is not a known field")]
    [InlineData("""{"name":"x","scope":{"for":"all"}}""", "scope.for: is not a known field")]
    [InlineData("""{"name":"x","effectiveFrom":"2026-11-01"}""", "effectiveFrom: must be a time with its offset such as \"2026-11-01T00:00:00Z\"")]
    [InlineData("""{"name":"x","effectiveFrom":"2026-11-01T00:00:00"}""", "effectiveFrom: must be a time with its offset such as \"2026-11-01T00:00:00Z\"")]
    [InlineData("""{"name":"x","selfReferral":"maybe"}""", "selfReferral: must be one of 'exclude', 'include'")]
    [InlineData("""{"name":"x","consent":true}""", "consent: must be one of 'ignore', 'require'")]
    [InlineData("""{"name":"x","partnerWindows":[]}""", """partnerWindows: must be an object such as {"acme":90}""")]
    [InlineData("""{"name":"x","partnerWindows":{"acme":0}}""", "partnerWindows.acme: is 0; must be 1 to 3650")]
    [InlineData("""{"name":"x","partnerWindows":{"":5}}""", "partnerWindows: '' is no partner id of 1 to 64 characters")]
    [InlineData("""{"name":"x","partnerWindows":{"acme":5,"acme":6}}""", "partnerWindows.acme: is given twice")]
    [InlineData("""{"name":"x","commission":[{"percent":5,"newCustomer":"yes"}]}""", "commission[0].newCustomer: must be true or false")]
    [InlineData("""{"name":"x","commission":[{"percent":5,"group":""}]}""", "commission[0].group: must be a group of 1 to 64 characters")]
    [InlineData("""{"name":"x","commission":[{"percent":5,"cap":"1.00","minimum":"2.00","currency":"EUR"}]}""", "commission[0].minimum: is more than cap")]
    [InlineData("""{"name":"x","commission":[{"percent":5,"minimum":"2.00"}]}""", "commission[0].currency: is missing; a minimum needs its currency")]
    [InlineData("""{"name":"x","commission":[{"flat":"5.00","cap":"1.00","currency":"EUR"}]}""", "commission[0]: bounds a flat sum, which is the same for every conversion; cap and minimum bound a percentage")]
    [InlineData("""{"name":"x","commission":[{"percent":5,"capPerMonth":"1.00"}]}""", "commission[0].capPerMonth: is not taken: with a cap over a period a commission would depend on every other conversion of the period; cap is for one conversion")]
    public void One_fault_is_named_with_its_field_and_reason(string json, string fault) => Refused(json, fault);
}
