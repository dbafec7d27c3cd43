namespace PartnerPulse.Pulse.Running;

/// <summary>How to start one process, to know that it is ready and to end it.</summary>
internal sealed record ProcessSpec
{
    /// <summary>Unique in a run; also the name of its log.</summary>
    public required string Name { get; init; }
    public required string FileName { get; init; }
    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Added to the environment of this process; null takes a name away.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>(StringComparer.Ordinal);
    public required string LogFile { get; init; }
    public string? WorkingDirectory { get; init; }

    /// <summary>Where it answers, for people.</summary>
    public string? Address { get; init; }

    /// <summary>A container that outlives the client that started it.</summary>
    public string? Container { get; init; }

    /// <summary>Runs before every start, also after a crash: clears what a killed one left behind.</summary>
    public Func<CancellationToken, Task>? BeforeStart { get; init; }

    /// <summary>Null when ready, else why not yet. It may throw nothing but cancellation.</summary>
    public Func<CancellationToken, Task<string?>>? WhyNotReady { get; init; }
    public TimeSpan ReadyWithin { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>Asks for an orderly end.</summary>
    public Signal StopSignal { get; init; } = Signal.Terminate;

    /// <summary>How long an orderly end may take before the process is killed.</summary>
    public TimeSpan StopWithin { get; init; } = TimeSpan.FromSeconds(20);
}
