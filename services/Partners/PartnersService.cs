using Microsoft.Extensions.Options;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Status;

namespace PartnerPulse.Partners;

/// <summary>Partners and their links: the catalogue.</summary>
public static class PartnersService
{
    internal const string Schema = "partners";

    /// <summary>The log <c>partners</c> with its relay and status, and what the endpoints need.</summary>
    public static void AddPartners(this IHostApplicationBuilder builder)
    {
        builder.AddEventLog(Schema);
        builder.AddRelayToBus(Schema);
        builder.Services.AddSenderStatus(Schema, Schema);
        builder.Services.AddOptions<LinkOptions>().BindConfiguration("Edge")
            .Validate(
                options => Uri.TryCreate(options.PublicUrl, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https",
                "Edge:PublicUrl must be an absolute http or https address.")
            .ValidateOnStart();
        builder.Services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, PartnersJson.Default));
        builder.Services.AddSingleton(provider => new PartnerLog(
            provider.GetRequiredKeyedService<EventStore.EventLog>(Schema),
            provider.GetRequiredService<IOptions<Hosting.ProgramOptions>>().Value.Program));
        builder.Services.AddSingleton(provider => new ProgramLog(
            provider.GetRequiredService<PartnerLog>(), provider.GetRequiredService<IOptions<LinkOptions>>().Value.PublicUrl));
        builder.Services.AddSingleton<PublishLinks>();
        builder.Services.AddSingleton<CouponLog>();
        builder.Services.AddHostedService<OpenClaims>();
    }

    /// <summary>The endpoints under <c>/v1/partners</c>, <c>/v1/program</c>, <c>/v1/coupons</c> and <c>/v1/catalogue</c>.</summary>
    public static void MapPartners(this IEndpointRouteBuilder routes)
    {
        EnrolPartner.Map(routes);
        ReadPartners.Map(routes);
        PublishLink.Map(routes);
        PublishLinks.Map(routes);
        MoveLink.Map(routes);
        RetireLink.Map(routes);
        LinkCode.Map(routes);
        SuspendPartner.Map(routes);
        ReinstatePartner.Map(routes);
        GroupPartner.Map(routes);
        ConfigureProgram.Map(routes);
        ReadCatalogue.Map(routes);
        AssignCoupon.Map(routes);
        WithdrawCoupon.Map(routes);
        ReadCoupons.Map(routes);
    }
}

/// <summary>Where the edge is seen from outside.</summary>
public sealed class LinkOptions
{
    /// <summary>Scheme and host before <c>/r/{slug}</c>.</summary>
    public string PublicUrl { get; set; } = "http://localhost:8080";
}

/// <summary>Creates the table of claims once the log's schema is there.</summary>
internal sealed class OpenClaims(PartnerLog log) : BeforeStart
{
    // OpenLog was registered before and has waited for the database in its own StartingAsync.
    public override Task StartingAsync(CancellationToken cancellationToken) => log.CreateClaimsAsync(cancellationToken);
}
