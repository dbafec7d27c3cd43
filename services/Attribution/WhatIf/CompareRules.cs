using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Fits;
using PartnerPulse.Attribution.Credits;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Replays;
using PartnerPulse.Attribution.RuleSets;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>
/// <c>POST /v1/comparisons</c>: what several rule sets give to every partner, side by side, in one pass over the journeys. Nothing is
/// written.
/// </summary>
internal static class CompareRules
{
    /// <summary>Each has a judge and a column of sums of its own.</summary>
    public const int MostRuleSets = 16;

    /// <param name="RuleSets">Rule documents; their names tell them apart.</param>
    public sealed record Request(IReadOnlyList<JsonElement> RuleSets);

    public sealed record RuleSet(string Name, string Hash);

    /// <param name="Partner">The partner.</param>
    /// <param name="Sides">What each rule set gives it, in their order.</param>
    public sealed record Row(string Partner, IReadOnlyList<DiffReplay.Side> Sides);

    /// <param name="EngineVersion">What judged them.</param>
    /// <param name="Position">Of the log, up to which all is known.</param>
    /// <param name="Source"><c>memory</c>, or <c>table</c> where there are more journeys than may be kept in memory.</param>
    /// <param name="Conversions">Conversions that were judged; tests are not among them.</param>
    /// <param name="RuleSets">As they were sent.</param>
    /// <param name="Rows">Those first for whom most depends on the rules.</param>
    /// <param name="Unattributed">By rule set: conversions that nobody is credited for.</param>
    public sealed record Answer(
        string EngineVersion, long Position, string Source, long Conversions, IReadOnlyList<RuleSet> RuleSets, IReadOnlyList<Row> Rows,
        IReadOnlyList<Unattributed> Unattributed);

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/comparisons", HandleAsync)
            .RequireScope(Scope.Read)
            .TakesJson<Request>("""{"ruleSets":[{"name":"first","model":{"kind":"first-touch"}},{"name":"last","model":{"kind":"last-touch"},"windowDays":30}]}""")
            .WithName("CompareRules").WithTags("Rules").WithSummary("What up to 16 rule sets give to every partner, side by side; nothing is written");

    private static async Task<Results<Ok<Answer>, ProblemHttpResult>> HandleAsync(
        HttpContext http, PackKeeper pack, ModelFits fits, BotLists lists, CancellationToken cancellationToken, string? from = null, string? to = null)
    {
        var faults = new List<FieldFault>();
        var (start, end) = QueryRange.Read(from, to, faults);
        var (request, fault) = await http.Request.ReadJsonAsync(WhatIfJson.Default.Request, cancellationToken);
        if (fault is not null)
        {
            return Problem.Invalid([.. faults, fault]);
        }

        var ruleSets = Read(request!, lists, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        try
        {
            for (var i = 0; i < ruleSets.Count; i++)
            {
                ruleSets[i] = await fits.FittedAsync(ruleSets[i], cancellationToken);
            }
        }
        catch (UnfittableException unfittable)
        {
            return Problem.Invalid(new FieldFault("ruleSets", unfittable.Message));
        }

        return await pack.JudgeAsync(ruleSets, withActive: false, start, end, cancellationToken) is { } judged
            ? TypedResults.Ok(AnswerOf(judged, ruleSets))
            : AskWhatIf.NoGeneration();
    }

    private static List<Rules> Read(Request request, BotLists lists, List<FieldFault> faults)
    {
        var ruleSets = new List<Rules>();
        if (request.RuleSets.Count is < 1 or > MostRuleSets)
        {
            faults.Add(new FieldFault("ruleSets", $"holds {request.RuleSets.Count}; 1 to {MostRuleSets} can be compared at once"));
            return ruleSets;
        }

        for (var i = 0; i < request.RuleSets.Count; i++)
        {
            switch (Rules.Parse(request.RuleSets[i], lists))
            {
                case RulesAccepted { Rules: var rules } when ruleSets.Exists(other => other.Name == rules.Name):
                    faults.Add(new FieldFault($"ruleSets[{i}].name", $"'{rules.Name}' is the name of another one; names tell them apart"));
                    break;
                case RulesAccepted accepted:
                    ruleSets.Add(accepted.Rules);
                    break;
                case RulesRefused refused:
                    faults.AddRange(PublishRules.Faults(refused, $"ruleSets[{i}]."));
                    break;
                case var other:
                    throw new System.Diagnostics.UnreachableException(other.ToString());
            }
        }

        return ruleSets;
    }

    private static Answer AnswerOf(Judged judged, List<Rules> ruleSets)
    {
        var sums = judged.Sums;
        var bySet = ruleSets.Select((_, set) => sums.Groups(set).ToDictionary(g => g.Key, StringComparer.Ordinal)).ToArray();
        var none = new Group("", 0, 0, []);
        var rows = bySet.SelectMany(set => set.Keys).Distinct(StringComparer.Ordinal)
            .Select(partner => (Partner: partner, Groups: bySet.Select(set => set.GetValueOrDefault(partner, none)).ToArray()))
            .OrderByDescending(row => Spread(row.Groups)).ThenByDescending(row => row.Groups.Max(g => g.Shares) - row.Groups.Min(g => g.Shares))
            .ThenBy(row => row.Partner, StringComparer.Ordinal)
            .Select(row => new Row(row.Partner, row.Groups.Select(DiffReplay.SideOf).ToArray()));
        return new Answer(
            Engine.Version, judged.Position, judged.FromMemory ? "memory" : "table", sums.Conversions,
            ruleSets.Select(r => new RuleSet(r.Name, r.Hash)).ToArray(), rows.ToArray(), ruleSets.Select((_, set) => sums.Unattributed(set)).ToArray());
    }

    /// <summary>The most that any two rule sets differ by, over all currencies.</summary>
    private static long Spread(Group[] groups) =>
        groups.SelectMany(g => g.Money).Select(m => m.Currency).Distinct(StringComparer.Ordinal).Sum(currency =>
        {
            var amounts = groups.Select(g => g.Money.FirstOrDefault(m => m.Currency == currency).AmountMinor).ToArray();
            return amounts.Max() - amounts.Min();
        });
}
