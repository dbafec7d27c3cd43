using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A partner to enrol.</summary>
internal sealed record EnrolPartnerAsk
{
    public string? Id { get; init; }
    public string? Name { get; init; }
    public string? Destination { get; init; }

    /// <summary>The code of its landing links; the id where absent.</summary>
    public string? Ref { get; init; }
}

/// <summary><c>POST /v1/partners</c>: enrols a partner and makes its ref and its first link.</summary>
internal static class EnrolPartner
{
    public sealed record Asked(string Id, string Name, string Destination, string Ref);

    public abstract record Outcome : Decision;

    public sealed record Enrolled(PartnerEnrolled Partner, LinkPublished Link) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Partner, Link];

        public override IReadOnlyList<Claim> Claims => [new(Claim.Ref, Partner.Ref), .. Names.ClaimsOf(Link.Slug)];
    }

    public sealed record AlreadyEnrolled(Partner Partner) : Outcome;

    public sealed record EnrolledDifferently(IReadOnlyList<FieldFault> Differences) : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/partners", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<EnrolPartnerAsk>("""{"id":"acme","name":"Acme","destination":"https://shop.example/"}""")
            .WithName("EnrolPartner").WithTags("Partners").WithSummary("Enrols a partner, with its ref and a first link");

    public static Asked? Read(EnrolPartnerAsk ask, Checks checks)
    {
        var id = Names.Id(checks, "id", ask.Id);
        var name = checks.Required("name", ask.Name, Names.MaxName);
        var destination = checks.RequiredAddress("destination", ask.Destination);
        var code = string.IsNullOrEmpty(ask.Ref) ? id : Names.Id(checks, "ref", ask.Ref);
        return checks.Passed ? new Asked(id, name, destination, code) : null;
    }

    /// <param name="partner">The partner as it stands; null where there is none.</param>
    /// <param name="asked">What was asked.</param>
    /// <param name="slug">Slug of the first link.</param>
    /// <param name="program">The program.</param>
    /// <param name="now">The time.</param>
    /// <param name="linkEventId">A fresh id.</param>
    public static Outcome Decide(Partner? partner, Asked asked, string slug, string program, DateTimeOffset now, Guid linkEventId)
    {
        if (partner is not null)
        {
            FieldFault[] differences =
            [
                .. Difference.Of("name", partner.Name, asked.Name),
                .. Difference.Of("destination", partner.Destination, asked.Destination),
                .. Difference.Of("ref", partner.Ref, asked.Ref),
            ];
            return differences.Length == 0 ? new AlreadyEnrolled(partner) : new EnrolledDifferently(differences);
        }

        return new Enrolled(
            new PartnerEnrolled
            {
                EventId = Ids.Derive("partner-enrolled", program, asked.Id),
                ProgramId = program,
                OccurredAt = now,
                PartnerId = asked.Id,
                Name = asked.Name,
                Ref = asked.Ref,
                Destination = asked.Destination,
            },
            new LinkTerms(asked.Destination).Publish(slug, asked.Id, program, now, linkEventId));
    }

    private static async Task<Results<Created<PartnerBody>, Ok<PartnerBody>, ProblemHttpResult>> HandleAsync(
        HttpRequest request, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(PartnersJson.Default.EnrolPartnerAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        if (Read(ask, checks) is not { } asked)
        {
            return Problem.Invalid(checks.Faults);
        }

        var slug = Names.SlugOf(asked.Id) ?? Names.WithSuffix(asked.Id, Names.Random(4));
        var (partner, decision) = await log.ChangeAsync(
            asked.Id,
            before => Decide(before, asked, slug, log.Program, time.GetUtcNow(), Guid.CreateVersion7(time.GetUtcNow())),
            cancellationToken,
            otherName: taken =>
            {
                slug = Names.WithSuffix(asked.Id, Names.Random(4));
                return taken.Kind != Claim.Ref;
            });
        var links = await programs.LinksAsync(cancellationToken);
        return decision switch
        {
            Enrolled => TypedResults.Created($"/v1/partners/{asked.Id}", links.Show(partner!)),
            AlreadyEnrolled e => TypedResults.Ok(links.Show(e.Partner)),
            EnrolledDifferently e => Problem.Conflict(e.Differences),
            NameTaken => Problem.Conflict(new FieldFault("ref", $"'{asked.Ref}' is another partner's")),
            TooBusy => PartnerProblem.TooBusy(asked.Id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
