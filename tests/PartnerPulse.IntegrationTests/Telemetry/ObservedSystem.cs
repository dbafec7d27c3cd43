using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Outbound;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>A distributed system whose telemetry a receiver gets, whose logs are JSON and whose webhooks come to a shop of ours.</summary>
public sealed class ObservedSystem : IAsyncLifetime
{
    private OtlpReceiver? _collector;
    private Receiver? _shop;
    private PulseSystem? _system;

    internal OtlpReceiver Collector => _collector!;

    internal Receiver Shop => _shop!;

    internal PulseSystem System => _system!;

    public async Task InitializeAsync()
    {
        if (TestServers.WhyNoRabbitMq is not null)
        {
            return; // Whoever would use it is skipped with that reason.
        }

        _collector = await OtlpReceiver.StartAsync();
        _shop = await Receiver.StartAsync();
        _system = await PulseSystem.StartAsync(Mode.Distributed, settings: new Dictionary<string, string?>(_collector.Variables, StringComparer.Ordinal)
        {
            ["Outbound__AllowedNetworks__0"] = "127.0.0.0/8",
            ["Edge__Cookie__Mode"] = "host",
            ["Pulse__Logs"] = "json",
            ["Logging__LogLevel__PartnerPulse"] = "Debug",
        });
    }

    public async Task DisposeAsync()
    {
        foreach (var part in new IAsyncDisposable?[] { _system, _shop, _collector })
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }
    }
}
