using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Imports;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Conversions.Postbacks;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Conversions.SameOrders;
using PartnerPulse.Conversions.Webhooks;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;
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
            .Validate(
                options => string.IsNullOrEmpty(options.Attribution.Url) || (Uri.TryCreate(options.Attribution.Url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"),
                "Conversions:Attribution:Url must be an address 'http://…' or 'https://…'.")
            .Validate(
                options => CallersKey.Fault("Conversions:Attribution", options.Attribution.Url, options.Attribution.Key, options.Attribution.KeyFile) is null,
                "Conversions:Attribution:Key, or Conversions:Attribution:KeyFile that names an existing file, is required where Conversions:Attribution:Url is set; not both.")
            .Validate(options => options.ImportMaxBytes > 0, "Conversions:ImportMaxBytes must be more than 0.")
            .ValidateOnStart();
        builder.Services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, ConversionsJson.Default));
        builder.Services.AddSingleton(provider => CustomerKeys.Open(provider.GetRequiredService<IOptions<ConversionsOptions>>().Value.CustomerKeyFile));
        builder.Services.AddSingleton(provider => new ConversionReader(
            provider.GetRequiredService<CustomerKeys>(),
            provider.GetRequiredService<IOptions<ProgramOptions>>().Value.Program,
            provider.GetRequiredService<IOptions<ConversionsOptions>>().Value.DefaultCurrency));
        builder.Services.AddSingleton(provider => new ConversionLog(
            provider.GetRequiredKeyedService<EventLog>(Schema),
            provider.GetRequiredService<IOptions<ProgramOptions>>().Value.Program));
        builder.Services.AddSingleton<ConversionAdjuster>();
        builder.Services.AddHttpClient(nameof(Matches));
        builder.Services.AddSingleton<Matches>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<Matches>());
        builder.Services.AddSingleton(provider => new ReportReader(
            provider.GetRequiredService<ConversionReader>(), provider.GetRequiredService<IOptions<ProgramOptions>>().Value.Program));
        builder.Services.AddSingleton<ReportWriter>();
        builder.Services.AddSingleton<ImportConversions>();
        builder.Services.AddSingleton<DeclareOrderIdentities>();
        builder.Services.AddSingleton<MergeConversions>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<MergeConversions>());
        AddOrdersQueue(builder);
        builder.AddHooks();
        builder.Services.AddSingleton<CustomerEraser>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<CustomerEraser>());
        builder.Services.AddSingleton<ConversionWriter>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<ConversionWriter>());
    }

    private static void AddOrdersQueue(IHostApplicationBuilder builder)
    {
        var broker = (builder.Configuration.GetSection("Bus").Get<BusOptions>() ?? new BusOptions()).OrdersBroker is { } address ? new OrdersBroker(address) : null;
        builder.Services.AddSingleton(_ => new OrderErrors(broker));
        if (broker is null)
        {
            return;
        }

        builder.Services.AddSingleton(broker);
        builder.Services.AddSingleton<OrdersQueue>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<OrdersQueue>());
        builder.Services.AddSingleton<IFigures>(provider => provider.GetRequiredService<OrdersQueue>());
        builder.Services.AddHealthChecks().AddCheck<OrdersQueueCheck>("orders");
    }

    private static void AddHooks(this IHostApplicationBuilder builder)
    {
        builder.Services.AddSingleton(provider => new HookSources(
            provider.GetRequiredKeyedService<EventLog>(Schema), provider.GetRequiredService<CustomerKeys>()));
        builder.Services.AddSingleton<DeliveryRecorder>();
        builder.Services.AddHostedService<OpenHooks>();
    }

    /// <summary>Every way in: requests, webhooks, postbacks, files and the queue's errors.</summary>
    public static void MapConversions(this IEndpointRouteBuilder routes)
    {
        // Opens the customer key now: a key that cannot be read stops the start, not the first order.
        _ = routes.ServiceProvider.GetRequiredService<ConversionReader>();
        RecordConversion.Map(routes);
        AdjustConversion.Map(routes);
        ReadConversion.Map(routes);
        ImportConversions.Map(routes);
        OrderErrors.Map(routes);
        TakeDelivery.Map(routes);
        SetUpHook.Map(routes);
        RecordPostback.Map(routes);
        DeclareOrderIdentities.Map(routes);
        SeparateConversion.Map(routes);
        RecordIdentity.Map(routes);
        EraseCustomer.Map(routes);
        KeyCustomers.Map(routes);
    }
}

/// <summary>Settings of the service.</summary>
public sealed class ConversionsOptions
{
    /// <summary>32 random bytes, readable by the service alone; created if missing. Every instance needs the same.</summary>
    public string CustomerKeyFile { get; set; } = "";

    /// <summary>Currency of a lead or a signup that names no amount.</summary>
    public string DefaultCurrency { get; set; } = "EUR";

    /// <summary>Bytes of one import. Memory does not grow with it.</summary>
    public long ImportMaxBytes { get; set; } = 4L * 1024 * 1024 * 1024;

    /// <summary>Where to ask whether an order has a click.</summary>
    public AttributionOptions Attribution { get; set; } = new();
}

/// <summary>How Conversions reaches Attribution. Nothing that is recorded depends on it.</summary>
public sealed class AttributionOptions
{
    /// <summary>Address of the service. Where absent, answers do not say whether an order is matched.</summary>
    public string? Url { get; set; }

    /// <summary>API key with the scope <c>matches:read</c>, unless <see cref="KeyFile"/> has it.</summary>
    public string? Key { get; set; }

    /// <summary>A file that holds the key; read for each call, so that the key can be rotated under a running service.</summary>
    public string? KeyFile { get; set; }
}
