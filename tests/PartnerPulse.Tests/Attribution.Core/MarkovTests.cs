using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>The model that is fitted to all journeys: its chain, its solver, and what it makes of a conversion.</summary>
public sealed class MarkovTests(ITestOutputHelper output)
{
    [Fact]
    public void Removal_effects_are_those_of_the_chain_without_the_partner_on_200_chains_of_every_order()
    {
        var random = new Random(20261122);
        for (var chain = 0; chain < 200; chain++)
        {
            var order = 1 + (chain % 3);
            var paths = Paths(random, partners: random.Next(1, 8), count: random.Next(1, 14), longest: random.Next(1, 9));
            var fit = Solve(paths, order);
            var expected = NaiveChain.Effects(paths, order);
            Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), fit.Effects.Select(e => e.PartnerId));
            foreach (var effect in fit.Effects)
            {
                // Nearest to the exact fraction: half a unit of 2^-40, and the last bits of a double.
                Assert.InRange(expected[effect.PartnerId].UnitsFrom(effect.Units), 0, 0.501);
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void On_a_larger_chain_they_are_what_walking_it_without_the_partner_comes_to(int order)
    {
        var paths = Paths(new Random(order), partners: 30, count: 400, longest: 6);
        var fit = Solve(paths, order);
        var all = Walk(paths, order, without: null);
        Assert.Equal(paths.Count(p => p.Converted) / (double)paths.Count, all, 1e-12);
        foreach (var effect in fit.Effects)
        {
            Assert.Equal((all - Walk(paths, order, effect.PartnerId)) / all, effect.Units / (double)Fit.Unit, 1e-9);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void The_ways_out_of_every_state_add_up_to_one(int order)
    {
        var transitions = Counted(Paths(new Random(7), partners: 12, count: 300, longest: 7), order);
        Assert.All(transitions.Probabilities().GroupBy(p => p.From, StringComparer.Ordinal), state => Assert.Equal(1, state.Sum(p => p.Probability), 1e-12));
    }

    [Fact]
    public void The_order_in_which_journeys_are_added_changes_no_bit()
    {
        var paths = Paths(new Random(11), partners: 25, count: 500, longest: 8);
        for (var order = 1; order <= Markov.MostOrder; order++)
        {
            var once = Solve(paths, order);
            var shuffled = paths.ToArray();
            new Random(order).Shuffle(shuffled);
            Assert.Equal(once.Effects.AsEnumerable(), Solve(shuffled, order).Effects);
        }
    }

    [Fact]
    public void What_is_added_many_times_weighs_as_often()
    {
        var names = new FactNames();
        var (acme, bravo) = (names.Partner("default", "acme"), names.Partner("default", "bravo"));
        var one = new Transitions(names, 2);
        one.Add([acme, bravo], converted: true, times: 3);
        one.Add([acme], converted: false, times: 2);
        var other = Counted([(["acme", "bravo"], true), (["acme"], false), (["acme", "bravo"], true), (["acme"], false), (["acme", "bravo"], true)], 2);
        Assert.Equal((one.Converted, one.NotConverted), (other.Converted, other.NotConverted));
        Assert.Equal(one.Solve().Effects.AsEnumerable(), other.Solve().Effects);
    }

    [Fact]
    public void A_conversion_is_shared_in_proportion_to_the_removal_effects()
    {
        // By first order acme is on every way to a conversion, effect 1; without bravo two of the three conversions are lost, 2/3.
        IEvent[] others =
        [
            An.Click("acme", 9, "v2"), An.Conversion(100, visitor: "v2"),
            An.Click("acme", 9, "v3"), An.Click("bravo", 8, "v3"), An.Conversion(100, visitor: "v3"),
            An.Click("acme", 9, "v4"),
        ];
        var given = Given.Events([.. others, An.Click("acme", 3), An.Click("bravo", 2), An.Click("acme", 1)]).When(An.Conversion(1000));
        var rules = TestBots.Default with { Model = new Markov(2), RepeatMinutes = 0 };
        var fit = Fitting.Of([.. given.Facts], rules);
        Assert.Equal((3L, 1L), (fit.Converted, fit.NotConverted));
        Assert.Equal([Fit.Unit, 733_007_751_851], fit.Effects.Select(e => e.Units));
        given.Under(rules with { Model = new Markov(2) { Fit = fit } }).Then(An.Credit("acme", 600), An.Credit("bravo", 400));
    }

    [Fact]
    public void Whoever_came_after_the_fit_has_the_smallest_weight_and_such_ones_alone_share_evenly()
    {
        var fit = new Fit(order: 1, converted: 1, notConverted: 1, states: 1, [new RemovalEffect { ProgramId = "default", PartnerId = "acme", Units = Fit.Unit }, new RemovalEffect { ProgramId = "default", PartnerId = "idle", Units = 0 }]);
        var markov = new Markov(1) { Fit = fit };
        var decision = Given.Events(An.Click("acme", 3), An.Click("new", 2)).When(An.Conversion(1_000_000)).Under(markov).Decision;
        Assert.Equal([0.999999999999090505m, 0.000000000000909495m], decision.Partners.Select(p => p.Share));
        Assert.Equal([1_000_000L, 0L], decision.Partners.Select(p => p.AmountMinor));
        Given.Events(An.Click("new", 3), An.Click("idle", 2)).When(An.Conversion(1000)).Under(markov).Then(An.Credit("idle", 500), An.Credit("new", 500));
    }

    [Fact]
    public void How_often_a_partner_was_clicked_moves_nothing()
    {
        var markov = new Markov(1) { Fit = new Fit(1, 2, 0, 2, [new RemovalEffect { ProgramId = "default", PartnerId = "acme", Units = Fit.Unit }, new RemovalEffect { ProgramId = "default", PartnerId = "bravo", Units = Fit.Unit / 4 }]) };
        foreach (var (model, acme) in new (Model, long)[] { (new Shapley(), 51), (markov, 81) })
        {
            var clicks = Enumerable.Range(0, 40).Select(i => An.Click(i % 3 == 0 ? "acme" : "bravo", daysBefore: 40 - i));
            Given.Events([.. clicks]).When(An.Conversion(101)).Under(model).Then(An.Credit("acme", acme), An.Credit("bravo", 101 - acme));
        }
    }

    [Fact]
    public void Nothing_is_weighed_before_the_fit() => Assert.Equal(
        "The model markov has not been fitted.",
        Assert.Throws<InvalidOperationException>(() => Given.Events(An.Click("acme")).When(An.Conversion(100)).Under(new Markov(1)).Decision).Message);

    [Fact]
    public void Journeys_that_did_not_convert_are_persons_with_touches_and_no_credited_conversion()
    {
        var test = An.Click("acme", 1, "tester") with { Test = true };
        var bot = An.Click("acme", 1, "bot") with { UserAgent = null };
        var coupon = An.Conversion(100, visitor: "saver") with { Coupon = "SPRING10" };
        IEvent[] events =
        [
            An.Click("acme", 3), An.Click("bravo", 2), An.Conversion(100), // acme > bravo converts
            An.Click("acme", 3, "looker"), An.Click("acme", 90, "looker"), // one touch: the other was out of the window then
            An.Click("bravo", 4, null), // by itself
            An.Click("acme", 100, "late"), An.Conversion(100, visitor: "late"), // converted out of the window: nobody's conversion
            An.Click("acme", 3, "saver"), coupon, An.Coupon("bravo"), // converted, and not by its touches
            test, bot,
        ];
        var rules = TestBots.Default with { Model = new Markov(1), Coupon = CouponUse.Override };
        var fit = Fitting.Of(events, rules);
        Assert.Equal((1L, 3L), (fit.Converted, fit.NotConverted));
        Assert.Equal(
            ["default/acme - ", "default/acme - ", "default/acme > default/bravo + ", "default/bravo - "],
            Naive.Paths(events, rules).Select(p => $"{string.Join(" > ", p.Partners)} {(p.Converted ? '+' : '-')} ").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_chain_of_too_many_states_is_refused_and_says_what_helps()
    {
        var paths = Enumerable.Range(0, 40_000).Select(i => (new List<string> { $"p{i % 200}", $"p{i / 200}" }, Converted: true));
        var refused = Assert.Throws<UnfittableException>(() => Counted(paths, 3));
        Assert.Equal("The model markov of order 3 has more than 20000 states on these journeys; a lower order has fewer.", refused.Message);
    }

    [Fact]
    public void The_engine_fits_and_credits_as_the_plain_reading_of_the_text_in_any_order_of_arrival() => Properties.Hold(output, Histories.All, 600, given =>
    {
        var order = 1 + (given.Disorder % 3);
        var rules = given.Rules with { Model = new Markov(order) };
        var fit = Fitting.Of(given.Disturbed(), rules);
        var paths = Naive.Paths(given.Events, rules).ToList();
        Assert.Equal((paths.Count(p => p.Converted), paths.Count(p => !p.Converted)), ((int)fit.Converted, (int)fit.NotConverted));
        var expected = NaiveChain.Effects(paths, order);
        Assert.Equal(expected.Keys.Order(StringComparer.Ordinal), fit.Effects.Select(e => $"{e.ProgramId}/{e.PartnerId}"));
        Assert.All(fit.Effects, e => Assert.InRange(expected[$"{e.ProgramId}/{e.PartnerId}"].UnitsFrom(e.Units), 0, 0.501));

        var fitted = given with { Rules = rules with { Model = new Markov(order) { Fit = fit } } };
        Assert.Equal(Naive.Credits(fitted.Events, fitted.Stack), Naive.Describe(fitted.Decided().Select(d => d.Decision)));
    });

    private static Fit Solve(IEnumerable<(List<string> Partners, bool Converted)> paths, int order) => Counted(paths, order).Solve();

    private static Transitions Counted(IEnumerable<(List<string> Partners, bool Converted)> paths, int order)
    {
        var names = new FactNames();
        var transitions = new Transitions(names, order);
        foreach (var (partners, converted) in paths)
        {
            transitions.Add([.. partners.Select(id => names.Partner("default", id))], converted);
        }

        return transitions;
    }

    /// <summary>Some partners are met more often than others, and some steps are the same partner again.</summary>
    private static List<(List<string> Partners, bool Converted)> Paths(Random random, int partners, int count, int longest) =>
        [.. Enumerable.Range(0, count).Select(_ => (
            Enumerable.Range(0, random.Next(1, longest + 1)).Select(_ => $"p{random.Next(random.Next(1, partners + 1))}").ToList(),
            random.Next(3) > 0))];

    /// <summary>Conversions of journeys that walk the chain until hardly any is left on the way, one step of all of them after the other.</summary>
    private static double Walk(List<(List<string> Partners, bool Converted)> paths, int order, string? without)
    {
        var counts = new Dictionary<string, Dictionary<string, double>>(StringComparer.Ordinal);
        foreach (var (partners, converted) in paths)
        {
            var from = "";
            for (var i = 0; i <= partners.Count; i++)
            {
                var to = i == partners.Count ? (converted ? "+" : "-") : string.Join('|', partners.Take(i + 1).TakeLast(order));
                var ways = counts.TryGetValue(from, out var known) ? known : counts[from] = new Dictionary<string, double>(StringComparer.Ordinal);
                ways[to] = ways.GetValueOrDefault(to) + 1;
                from = to;
            }
        }

        var done = 0d;
        for (var at = new Dictionary<string, double>(StringComparer.Ordinal) { [""] = 1 }; at.Values.Sum() > 1e-14;)
        {
            var next = new Dictionary<string, double>(StringComparer.Ordinal);
            foreach (var (state, mass) in at)
            {
                var all = counts[state].Values.Sum();
                foreach (var (to, count) in counts[state])
                {
                    if (to == "+")
                    {
                        done += mass * count / all;
                    }
                    else if (to != "-" && (without is null || !to.Split('|').Contains(without)))
                    {
                        next[to] = next.GetValueOrDefault(to) + (mass * count / all);
                    }
                }
            }

            at = next;
        }

        return done;
    }
}
