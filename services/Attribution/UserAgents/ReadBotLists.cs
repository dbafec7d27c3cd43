using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.UserAgents;

/// <summary><c>GET /v1/bot-lists</c> and <c>/v1/bot-lists/{version}/verdict?userAgent=</c>: which lists rules can name, and what they say.</summary>
internal static class ReadBotLists
{
    private const int MaxUserAgentLength = 2_048;

    /// <param name="Version">As rules name it.</param>
    /// <param name="Sha256">Of the patterns; rules that name the version keep it.</param>
    /// <param name="Newest">Whether it is the one of rules that exclude bots and name no version.</param>
    /// <param name="Shipped">Whether it came with the program.</param>
    /// <param name="Patterns">How many, by section.</param>
    public sealed record Listed(string Version, string Sha256, bool Newest, bool Shipped, Counts Patterns);

    public sealed record Counts(int Browsers, int Previews, int Bots);

    public sealed record AllLists(IReadOnlyList<Listed> Lists);

    /// <param name="Version">Of the list.</param>
    /// <param name="UserAgent">As asked.</param>
    /// <param name="Kind"><c>person</c>, <c>preview</c> or <c>bot</c>.</param>
    /// <param name="Sign">In words, what showed it; absent for a person.</param>
    public sealed record Verdict(string Version, string UserAgent, string Kind, string? Sign);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/bot-lists", (BotLists lists) => TypedResults.Ok(new AllLists([.. lists.All.Select(list => Of(list, lists))])))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("The bot lists that rules can name, oldest first");
        routes.MapGet("/v1/bot-lists/{version}/verdict", Judge)
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("What a bot list says of a user agent, and by which sign");
    }

    private static Results<Ok<Verdict>, ProblemHttpResult> Judge(BotLists lists, string version, string? userAgent = null)
    {
        if (lists.Find(version) is not { } list)
        {
            return Problem.NotFound("version", $"'{version}' is no bot list; there are {string.Join(", ", lists.All.Select(l => $"'{l.Version}'"))}");
        }

        if (userAgent is null)
        {
            return Problem.Invalid(new FieldFault("userAgent", "is required; an empty one asks about a request without any"));
        }

        if (userAgent.Length > MaxUserAgentLength)
        {
            return Problem.Invalid(new FieldFault("userAgent", $"has {userAgent.Length} characters; at most {MaxUserAgentLength}"));
        }

        var verdict = list.Judge(userAgent);
        return TypedResults.Ok(new Verdict(version, userAgent, Word(verdict.Kind), verdict.Sign));
    }

    private static Listed Of(BotList list, BotLists lists) => new(
        list.Version, list.Hash, list == lists.Newest, Path.GetDirectoryName(list.File) == BotListFolders.Shipped,
        new Counts(list.Browsers, list.Previews, list.Bots));

    private static string Word(UserAgentKind kind) => kind switch
    {
        UserAgentKind.Person => "person",
        UserAgentKind.Preview => "preview",
        UserAgentKind.Bot => "bot",
        _ => throw new System.Diagnostics.UnreachableException(kind.ToString()),
    };
}
