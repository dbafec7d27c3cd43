using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Hosting;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>Attribution behind a broker, for what its log ends up with.</summary>
internal sealed class AttributionLog : IAsyncDisposable
{
    private readonly TestService _service;

    private AttributionLog(TestService service) => _service = service;

    public static async Task<AttributionLog> StartAsync(string broker) => new(await TestService.StartAsync(
        builder =>
        {
            builder.Configuration["Bus:Transport"] = "rabbitmq";
            builder.Configuration["Bus:RabbitMq"] = broker;
            builder.AddAttribution();
        },
        app => app.MapAttribution()));

    /// <summary>The clicks in the log, in its order, once there are so many; whatever is there when the patience ends.</summary>
    public async Task<IReadOnlyList<ClickRecorded>> ClicksAsync(int atLeast, TimeSpan patience)
    {
        var log = _service.Services.GetRequiredKeyedService<EventLog>("attribution");
        var end = TimeProvider.System.GetUtcNow() + patience;
        while (true)
        {
            var clicks = new List<ClickRecorded>();
            await foreach (var stored in log.StreamAllAsync(0, int.MaxValue, CancellationToken.None))
            {
                if (EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span) is ClickRecorded click)
                {
                    clicks.Add(click);
                }
            }

            if (clicks.Count >= atLeast || TimeProvider.System.GetUtcNow() > end)
            {
                return clicks;
            }

            await Task.Delay(100);
        }
    }

    public ValueTask DisposeAsync() => _service.DisposeAsync();
}
