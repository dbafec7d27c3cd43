using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Status;

namespace PartnerPulse.Conversions;

/// <summary>Orders in: what shops report, and what they take back.</summary>
public static class ConversionsService
{
    internal const string Schema = "conversions";

    /// <summary>The log <c>conversions</c> with its relay and status, and what the endpoints need.</summary>
    public static void AddConversions(this IHostApplicationBuilder builder)
    {
        builder.AddEventLog(Schema);
        builder.AddRelayToBus(Schema);
        builder.Services.AddSenderStatus(Schema, Schema);
        builder.Services.AddOptions<ConversionsOptions>().BindConfiguration("Conversions")
            .Validate(options => options.CustomerKeyFile.Length > 0, "Conversions:CustomerKeyFile is required: the file of the key that hashes customers; it is created if missing.")
            .Validate(options => Currency.Decimals(options.DefaultCurrency) is not null, "Conversions:DefaultCurrency must be a currency of ISO 4217.")
            .ValidateOnStart();
        builder.Services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ConversionsJson.Default));
        builder.Services.AddSingleton(provider => new ConversionReader(
            CustomerKeys.Open(provider.GetRequiredService<IOptions<ConversionsOptions>>().Value.CustomerKeyFile),
            provider.GetRequiredService<IOptions<ProgramOptions>>().Value.Program,
            provider.GetRequiredService<IOptions<ConversionsOptions>>().Value.DefaultCurrency));
        builder.Services.AddSingleton(provider => new ConversionLog(
            provider.GetRequiredKeyedService<EventLog>(Schema),
            provider.GetRequiredService<IOptions<ProgramOptions>>().Value.Program));
        builder.Services.AddSingleton<ConversionAdjuster>();
        builder.Services.AddSingleton<CustomerEraser>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<CustomerEraser>());
        builder.Services.AddSingleton<ConversionWriter>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<ConversionWriter>());
    }

    /// <summary>The endpoints under <c>/v1/conversions</c>.</summary>
    public static void MapConversions(this IEndpointRouteBuilder routes)
    {
        // Opens the customer key now: a key that cannot be read stops the start, not the first order.
        _ = routes.ServiceProvider.GetRequiredService<ConversionReader>();
        RecordConversion.Map(routes);
        AdjustConversion.Map(routes);
        ReadConversion.Map(routes);
        RecordIdentity.Map(routes);
        EraseCustomer.Map(routes);
    }
}

/// <summary>Settings of the service.</summary>
public sealed class ConversionsOptions
{
    /// <summary>32 random bytes, readable by the service alone; created if missing. Every instance needs the same.</summary>
    public string CustomerKeyFile { get; set; } = "";

    /// <summary>Currency of a lead or a signup that names no amount.</summary>
    public string DefaultCurrency { get; set; } = "EUR";
}
