using MassTransit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using RabbitMQ.Client;

namespace PartnerPulse.Hosting.Bus;

/// <summary>How messages travel.</summary>
public sealed class BusOptions
{
    /// <summary><c>mediator</c>: within the process; a publish completes when the consumers have. <c>rabbitmq</c>: over the broker.</summary>
    public string Transport { get; set; } = "mediator";

    /// <summary>Address of the broker, <c>amqp://user:password@host:port/vhost</c>. Contradicts <c>mediator</c>.</summary>
    public string? RabbitMq { get; set; }

    /// <summary>
    /// Address of the broker where shops put orders into the queue <c>orders</c>; that of <see cref="RabbitMq"/> where absent. With it
    /// orders are taken from a broker also where <see cref="Transport"/> is <c>mediator</c>.
    /// </summary>
    public string? Orders { get; set; }

    /// <summary>The broker of the queue <c>orders</c>; null where there is none.</summary>
    public Uri? OrdersBroker => IsBroker(Orders ?? RabbitMq, out var uri) ? uri : null;

    private static bool IsBroker(string? address, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Uri? uri) =>
        Uri.TryCreate(address, UriKind.Absolute, out uri) && uri.Scheme is ("amqp" or "amqps");

    internal IEnumerable<string> Faults()
    {
        if (Orders is not null && !IsBroker(Orders, out _))
        {
            yield return "Bus:Orders must be an address 'amqp://user:password@host:port/'.";
        }

        switch (Transport)
        {
            case "mediator":
                if (!string.IsNullOrEmpty(RabbitMq))
                {
                    yield return "Bus:RabbitMq is set but Bus:Transport is 'mediator'.";
                }

                break;
            case "rabbitmq":
                if (!IsBroker(RabbitMq, out _))
                {
                    yield return "Bus:RabbitMq must be an address 'amqp://user:password@host:port/' where Bus:Transport is 'rabbitmq'.";
                }

                break;
            default:
                yield return $"Bus:Transport is '{Transport}'; it must be 'mediator' or 'rabbitmq'.";
                break;
        }
    }
}

/// <summary>One queue of the system: which messages it takes. Whoever publishes the first of them declares it.</summary>
public sealed record Queue
{
    internal Queue(string name, Type message, Func<IEntityNameFormatter, string> exchange) => (Name, Message, Exchange) = (name, message, exchange);

    /// <summary>Queue and the exchange of its consumer.</summary>
    public string Name { get; }

    /// <summary>Type of message.</summary>
    public Type Message { get; }

    /// <summary>Name of the exchange to which the message is published.</summary>
    internal Func<IEntityNameFormatter, string> Exchange { get; }
}

/// <summary>
/// The queues of PartnerPulse. They are declared before the first message is published to them, or by their consumer where that
/// is up first: an event that is published while its consumer was never up waits there instead of being dropped.
/// </summary>
public static class Topology
{
    public static IReadOnlyList<Queue> Queues { get; } =
    [
        Of<ClicksRecorded>("attribution-click-recorded"),
        Of<FactsRecorded>("attribution-facts"),
    ];

    /// <summary>
    /// Names of the events that are told to whoever listens, each as a message of its own type in MassTransit's envelope. Nobody in
    /// here does, so no queue has to take them. All others are facts, and travel in <see cref="FactsRecorded"/>: a message each
    /// would be twenty times slower.
    /// </summary>
    public static IReadOnlySet<string> Announcements { get; } = new HashSet<string>(StringComparer.Ordinal) { EventTypes.Of<CreditsRevised>().Name };

    /// <summary>Whether a message of this type has to arrive in a queue; one of another may find nobody who listens.</summary>
    public static bool HasQueue(Type message) => Queues.Any(queue => queue.Message == message);

    private static Queue Of<T>(string name)
        where T : class => new(name, typeof(T), names => names.FormatEntityName<T>());
}

/// <summary>Wiring of logs, relays and consumers.</summary>
public static class BusExtensions
{
    /// <summary>
    /// Adds the log of a service under its schema as key: <c>[FromKeyedServices("conversions")] EventLog</c>. Services of one host
    /// that read the same log share it, and so its signal.
    /// </summary>
    public static void AddEventLog(this IHostApplicationBuilder builder, string schema)
    {
        if (builder.Services.Any(service => service.ImplementationInstance is OwnLog own && own.Schema == schema))
        {
            return;
        }

        builder.Services.AddSingleton(new OwnLog(schema));
        builder.AddEventLogOf(schema);

        // Not AddHostedService: it takes one of a type, and a host has several logs.
        builder.Services.AddSingleton<IHostedService>(provider => ActivatorUtilities.CreateInstance<OpenLog>(
            provider, provider.GetRequiredKeyedService<EventLog>(schema)));
    }

    /// <summary>
    /// Adds the log of another service, to be read. That one makes it: the host waits until it is there and may be read, unless it
    /// carries that service as well.
    /// </summary>
    public static void AddEventLogOfAnother(this IHostApplicationBuilder builder, string schema)
    {
        builder.AddEventLogOf(schema);
        builder.Services.AddSingleton<IHostedService>(provider => ActivatorUtilities.CreateInstance<AwaitLog>(
            provider, provider.GetRequiredKeyedService<EventLog>(schema)));
    }

    private static void AddEventLogOf(this IHostApplicationBuilder builder, string schema) =>
        builder.Services.TryAddKeyedSingleton(schema, (provider, _) => new EventLog(provider.GetRequiredService<Npgsql.NpgsqlDataSource>(), schema));

    /// <summary>Hands on what the service's log takes in.</summary>
    /// <param name="builder">The host.</param>
    /// <param name="schema">The log's schema, see <see cref="AddEventLog"/>.</param>
    /// <param name="handsOn">Names of the events that concern others; all where absent.</param>
    public static void AddRelayToBus(this IHostApplicationBuilder builder, string schema, IReadOnlySet<string>? handsOn = null)
    {
        builder.AddRelayToBus(provider => new EventLogTail(provider.GetRequiredKeyedService<EventLog>(schema), handsOn), schema);
        builder.Services.AddSingleton<IFigures>(provider => new EventLogFigures(
            provider.GetRequiredKeyedService<EventLog>(schema), provider.GetRequiredService<TimeProvider>()));
    }

    /// <summary>Hands on what a log of another kind takes in.</summary>
    public static void AddRelayToBus(this IHostApplicationBuilder builder, Func<IServiceProvider, ITailedLog> log, string key)
    {
        builder.Services.AddKeyedSingleton<ITailedLog>($"relay:{key}", (provider, _) => log(provider));
        builder.Services.AddSingleton<IHostedService>(provider => new Relay(
            provider.GetRequiredKeyedService<ITailedLog>($"relay:{key}"),
            provider.GetRequiredService<IPublishEndpoint>(),
            provider.GetRequiredService<ILogger<Relay>>()));
        builder.Services.AddSingleton<IFigures>(provider => new RelayFigures(provider.GetRequiredKeyedService<ITailedLog>($"relay:{key}")));
    }

    /// <summary>Adds a consumer. On RabbitMQ it takes from the queue of <see cref="Topology"/> with its message type.</summary>
    public static void AddConsumer<TConsumer, TMessage>(this IHostApplicationBuilder builder)
        where TConsumer : class, IConsumer<TMessage>
        where TMessage : class =>
        Consumers(builder).Add(new ConsumerRegistration(typeof(TConsumer), typeof(TMessage)));

    /// <summary>Connects what was registered. Call it once, after all services of the host.</summary>
    /// <exception cref="OptionsValidationException">The options contradict each other.</exception>
    public static void AddBus(this IHostApplicationBuilder builder)
    {
        var options = builder.Configuration.GetSection("Bus").Get<BusOptions>() ?? new BusOptions();
        var faults = options.Faults().ToArray();
        if (faults.Length > 0)
        {
            throw new OptionsValidationException("Bus", typeof(BusOptions), faults);
        }

        var consumers = Consumers(builder);
        if (options.Transport == "mediator")
        {
            builder.Services.AddMediator(mediator =>
            {
                foreach (var consumer in consumers)
                {
                    mediator.AddConsumer(consumer.Consumer);
                }
            });
            builder.Services.AddSingleton<IPublishEndpoint>(provider => provider.GetRequiredService<MassTransit.Mediator.IMediator>());
            return;
        }

        builder.Services.Configure<MassTransitHostOptions>(host => host.WaitUntilStarted = false);
        builder.Services.AddMassTransit(bus =>
        {
            bus.DisableUsageTelemetry();

            // A service that only sends takes in what it is sent while the broker is away, and hands it on later.
            if (consumers.Count == 0)
            {
                bus.ConfigureHealthCheckOptions(health => health.MinimalFailureStatus = HealthStatus.Degraded);
            }

            foreach (var consumer in consumers)
            {
                bus.AddConsumer(consumer.Consumer);
            }

            bus.UsingRabbitMq((context, rabbit) => Configure(rabbit, context, new Uri(options.RabbitMq!), consumers));
        });
        builder.Services.AddSingleton<IPublishEndpoint>(provider => provider.GetRequiredService<IBus>());
    }

    private static void Configure(
        IRabbitMqBusFactoryConfigurator rabbit, IBusRegistrationContext context, Uri address, IReadOnlyList<ConsumerRegistration> consumers)
    {
        rabbit.Host(address);
        rabbit.AddDeserializer(LinesSerializer.Instance);
        rabbit.ConfigureJsonSerializerOptions(json =>
        {
            json.TypeInfoResolverChain.Insert(0, ContractsJson.Default);
            return json;
        });

        // The client hangs for good where a connection breaks while two declarations wait on one channel, and with it the start of
        // the bus: MassTransit declares what is alike all at once, so nothing has two of anything. A message has one exchange and
        // one queue, and a consumer its queue alone; it is the publisher that binds the one to the other.
        rabbit.Publish<IEvent>(publish => publish.Exclude = true);
        foreach (var queue in Topology.Queues)
        {
            // The queue hangs on the message's own exchange. Bound to an exchange of another name, which only the consumer would
            // bind to the message's, it would stay empty until the consumer has been up once.
            rabbit.Publish(queue.Message, publish => ((IRabbitMqMessagePublishTopologyConfigurator)publish).BindQueue(
                queue.Exchange(rabbit.MessageTopology.EntityNameFormatter), queue.Name, bind => bind.SetQueueArgument("x-queue-type", "quorum")));
        }

        foreach (var consumer in consumers)
        {
            var queue = Topology.Queues.Single(q => q.Message == consumer.Message).Name;
            rabbit.ReceiveEndpoint(queue, endpoint =>
            {
                endpoint.SetQuorumQueue();
                endpoint.ConfigureConsumeTopology = false;
                // What goes aside says why in its headers; nobody listens for it, and a user that may declare its own queues alone could not announce it.
                endpoint.PublishFaults = false;
                endpoint.PrefetchCount = 64;

                // A database that is away is waited for, however long; a message that can never be appended goes to
                // {queue}_error with its reason at once.
                endpoint.UseMessageRetry(retry =>
                {
                    retry.Handle<Npgsql.NpgsqlException>(e => e.IsTransient || e is not Npgsql.PostgresException);
                    retry.Handle<TimeoutException>();
                    retry.Exponential(int.MaxValue, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5), TimeSpan.FromMilliseconds(200));
                });
                endpoint.ConfigureConsumer(context, consumer.Consumer);
            });
        }
    }

    private static List<ConsumerRegistration> Consumers(IHostApplicationBuilder builder)
    {
        const string Key = "PartnerPulse.Consumers";
        if (!builder.Properties.TryGetValue(Key, out var consumers))
        {
            builder.Properties[Key] = consumers = new List<ConsumerRegistration>();
        }

        return (List<ConsumerRegistration>)consumers;
    }

    private sealed record ConsumerRegistration(Type Consumer, Type Message);
}
