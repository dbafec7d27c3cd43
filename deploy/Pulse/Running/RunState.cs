using System.Text.Json;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Running;

/// <summary>One process of a run, as <c>run.json</c> names it.</summary>
internal sealed record RunningProcess
{
    public required string Name { get; init; }
    public required int Pid { get; init; }
    public required string Start { get; init; }
    public string? Address { get; init; }
    public required string Log { get; init; }
    public required Signal StopSignal { get; init; }
    public string? Container { get; init; }
    public int Restarts { get; init; }

    public ProcessIdentity Identity => new(Pid, Start);
}

/// <summary>
/// <c>run.json</c> in the data folder: what runs, so that another shell can end it, also after <c>up</c> was killed.
/// Processes stand in the order of their start and are ended in the opposite one.
/// </summary>
internal sealed record RunState
{
    public const string FileName = "run.json";

    public required string Mode { get; init; }
    public string? Url { get; init; }
    public bool Ready { get; init; }
    public required RunningProcess Up { get; init; }
    public IReadOnlyList<RunningProcess> Processes { get; init; } = [];

    /// <summary>Connection string of the PostgreSQL in use. The file is readable by its owner only.</summary>
    public string? Postgres { get; init; }

    /// <summary>AMQP address of the RabbitMQ in use.</summary>
    public string? RabbitMq { get; init; }

    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
    };

    public string ToJson() => JsonSerializer.Serialize(this, s_json);

    public static RunState FromJson(string json) =>
        JsonSerializer.Deserialize<RunState>(json, s_json) ?? throw new JsonException("run.json is null.");

    public void Write(DataFolder data) => data.WritePrivate(FileName, ToJson());

    /// <summary>Null where nothing was started, or what was started has been ended.</summary>
    public static RunState? Read(DataFolder data)
    {
        var path = data.File(FileName);
        try
        {
            return System.IO.File.Exists(path) ? FromJson(System.IO.File.ReadAllText(path)) : null;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        catch (JsonException fault)
        {
            throw new ProvisioningException($"{path} cannot be read ({fault.Message}). End what runs by hand, then delete it.", fault);
        }
    }

    public static void Delete(DataFolder data) => System.IO.File.Delete(data.File(FileName));

    /// <summary>Those that still are the processes that the file means.</summary>
    public IReadOnlyList<RunningProcess> Alive() => [.. Processes.Where(p => p.Identity.IsAlive)];

    /// <summary>Ends every process of the run that is alive, last started first.</summary>
    public async Task StopProcessesAsync(Action<string> say)
    {
        foreach (var process in Processes.Reverse())
        {
            if (process.Identity.IsAlive)
            {
                say($"stopping {process.Name}");
                await ChildProcess.StopAsync(process.Identity, process.StopSignal, TimeSpan.FromSeconds(20));
            }

            if (process.Container is { } container)
            {
                await Docker.RemoveAsync(container, CancellationToken.None);
            }
        }
    }
}
