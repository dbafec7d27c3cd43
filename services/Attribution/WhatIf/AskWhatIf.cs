using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Fits;
using PartnerPulse.Attribution.Credits;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Replays;
using PartnerPulse.Attribution.RuleSets;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>
/// <c>POST /v1/what-if</c>: what rules would change for every partner, judged over all journeys in memory while the caller waits.
/// Nothing is published and nothing is written.
/// </summary>
internal static class AskWhatIf
{
    /// <param name="RulesHash">Of the rules that were asked about.</param>
    /// <param name="Against">The generation that counts: what is before.</param>
    /// <param name="AgainstRulesVersion">Its rules.</param>
    /// <param name="EngineVersion">What judged both.</param>
    /// <param name="Position">Of the log, up to which all is known.</param>
    /// <param name="Source"><c>memory</c>, or <c>table</c> where there are more journeys than may be kept in memory.</param>
    /// <param name="Conversions">Conversions that were judged; tests are not among them.</param>
    /// <param name="ConversionsChanged">Those in which a partner's share, amount or commission differs.</param>
    /// <param name="Rows">Partners with a credit on either side, largest movers first.</param>
    /// <param name="Winners">Partners that gain and lose nothing.</param>
    /// <param name="Losers">Partners that lose and gain nothing.</param>
    /// <param name="Totals">By currency; they add up.</param>
    /// <param name="Unattributed">Conversions that nobody is credited for.</param>
    public sealed record Answer(
        string RulesHash, int Against, int AgainstRulesVersion, string EngineVersion, long Position, string Source, long Conversions,
        long ConversionsChanged, IReadOnlyList<DiffReplay.Row> Rows, int Winners, int Losers, IReadOnlyList<DiffReplay.Total> Totals,
        DiffReplay.UnattributedChange Unattributed);

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/what-if", HandleAsync)
            .RequireScope(Scope.Read)
            .TakesJson<JsonElement>("""{"name":"last click of a month","model":{"kind":"last-touch"},"windowDays":30}""")
            .WithName("AskWhatIf").WithTags("Rules").WithSummary("What rules would change for every partner, from memory; nothing is written; as CSV or JSON lines by Accept");

    /// <summary>Why the pack gives no answer.</summary>
    public static ProblemHttpResult NoGeneration() =>
        Problem.Of(StatusCodes.Status503ServiceUnavailable, "Nothing is credited yet", new FieldFault("generation", "there is none that counts yet; try again"));

    private static async Task<Results<Ok<Answer>, RowStream<DiffReplay.MoneyRow>, ProblemHttpResult>> HandleAsync(
        HttpContext http, PackKeeper pack, ModelFits fits, BotLists lists, CancellationToken cancellationToken, string? from = null, string? to = null)
    {
        var faults = new List<FieldFault>();
        var (start, end) = QueryRange.Read(from, to, faults);
        var (document, fault) = await http.Request.ReadJsonAsync(WhatIfJson.Default.JsonElement, cancellationToken);
        if (fault is not null)
        {
            return Problem.Invalid([.. faults, fault]);
        }

        var parsed = Rules.Parse(document, lists);
        if (parsed is RulesRefused refused)
        {
            faults.AddRange(PublishRules.Faults(refused, ""));
        }

        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        Rules rules;
        try
        {
            rules = await fits.FittedAsync(((RulesAccepted)parsed).Rules, cancellationToken);
        }
        catch (UnfittableException unfittable)
        {
            return Problem.Invalid(new FieldFault("model", unfittable.Message));
        }

        if (await pack.JudgeAsync([rules], withActive: true, start, end, cancellationToken) is not { } judged)
        {
            return NoGeneration();
        }

        return http.Request.RowFormat() is var format and not RowFormat.Json
            ? DiffReplay.Table(format, judged.Sums.Groups(0), judged.Sums.Groups(1))
            : TypedResults.Ok(AnswerOf(judged, rules));
    }

    private static Answer AnswerOf(Judged judged, Rules rules)
    {
        var sums = judged.Sums;
        var (before, after) = (sums.Groups(0), sums.Groups(1));
        var rows = DiffReplay.Rows(before, after);
        return new Answer(
            rules.Hash, judged.Active.Number, judged.Active.RulesVersion, Engine.Version, judged.Position, judged.FromMemory ? "memory" : "table",
            sums.Conversions, sums.ConversionsChanged, rows,
            rows.Count(r => r.Outcome == DiffReplay.Wins), rows.Count(r => r.Outcome == DiffReplay.Loses),
            DiffReplay.Totals(before, after, sums.Exchanged),
            new DiffReplay.UnattributedChange(sums.Unattributed(0), sums.Unattributed(1)));
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(CompareRules.Request))]
internal sealed partial class WhatIfJson : JsonSerializerContext;
