using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>Waits for facts that nothing announces: looks again and again, and after a minute the test fails with what it saw last.</summary>
internal static class Waits
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <param name="fact">What is waited for, for the failure.</param>
    /// <param name="holds">Whether it has come true.</param>
    /// <param name="state">How things stand instead, for the failure.</param>
    public static async Task UntilAsync(string fact, Func<Task<bool>> holds, Func<Task<string>>? state = null)
    {
        for (var waited = Stopwatch.StartNew(); !await holds(); await Task.Delay(20))
        {
            if (waited.Elapsed > s_patience)
            {
                Assert.Fail($"Not after a minute: {fact}. {(state is null ? "" : await state())}");
            }
        }
    }

    /// <inheritdoc cref="UntilAsync(string, Func{Task{bool}}, Func{Task{string}})"/>
    public static Task UntilAsync(string fact, Func<bool> holds) => UntilAsync(fact, () => Task.FromResult(holds()));

    /// <returns>The first answer at <paramref name="path"/> of which it holds.</returns>
    public static async Task<JsonElement> UntilAsync(this TestService service, string path, Func<JsonElement, bool> holds)
    {
        Answer? answer = null;
        await UntilAsync(
            $"what is wanted of {path}",
            async () => (answer = await service.GetAsync(path)).Status == HttpStatusCode.OK && holds(answer.Json),
            () => Task.FromResult(answer!.Text));
        return answer!.Json;
    }

    /// <summary>Until everything in Attribution's log is folded.</summary>
    public static async Task ProjectedAsync(this TestService service)
    {
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await UntilAsync(
            "all is folded",
            async () => await log.CheckpointAsync("projector", CancellationToken.None) == await log.LastPositionAsync(CancellationToken.None),
            async () => (await service.GetAsync("/ready")).Text);
    }

    /// <summary>Until everything that was accepted has arrived and is folded.</summary>
    public static Task SettledAsync(this TestService service) => service.UntilAsync("/v1/status", status => status.GetProperty("settled").GetBoolean());

    /// <summary>Until a replay is complete. One that fails fails the test at once.</summary>
    public static Task ReadyAsync(this TestService service, Guid replay) => service.UntilAsync($"/v1/replays/{replay}", view =>
    {
        var state = view.GetProperty("state").GetString();
        Assert.False(state == "failed", $"{view}");
        return state == "ready";
    });

    /// <summary>Requests a replay and waits until it is complete.</summary>
    /// <returns>Its id.</returns>
    public static async Task<Guid> ReplayAsync(this TestService service, string request)
    {
        var replay = (await service.PostAsync("/v1/replays", request)).AssertStatus(HttpStatusCode.Accepted).Json.GetProperty("id").GetGuid();
        await service.ReadyAsync(replay);
        return replay;
    }
}
