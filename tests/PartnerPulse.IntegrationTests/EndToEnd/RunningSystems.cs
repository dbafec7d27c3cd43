namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>
/// The systems that the tests of this folder share, each started when the first test asks. These tests run one after the other
/// and after all others: each system is up to seven processes.
/// </summary>
public sealed class RunningSystems : IAsyncLifetime
{
    private readonly Lazy<Task<PulseSystem>> _standalone = new(() => PulseSystem.StartAsync(Mode.Standalone));
    private readonly Lazy<Task<PulseSystem>> _distributed = new(() => PulseSystem.StartAsync(Mode.Distributed));

    internal Task<PulseSystem> GetAsync(Mode mode) => mode == Mode.Standalone ? _standalone.Value : _distributed.Value;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var system in new[] { _standalone, _distributed })
        {
            if (system is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            {
                await (await system.Value).DisposeAsync();
            }
        }
    }
}

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class WholeSystems : ICollectionFixture<RunningSystems>
{
    public const string Name = "whole systems";
}
