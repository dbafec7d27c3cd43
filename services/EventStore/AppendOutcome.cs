namespace PartnerPulse.EventStore;

/// <summary>What became of an append to one stream.</summary>
public abstract record AppendOutcome
{
    private protected AppendOutcome()
    {
    }
}

/// <summary>The events are in the log.</summary>
/// <param name="Position">Position of the last of them.</param>
/// <param name="Version">Version of the stream now.</param>
public sealed record Appended(long Position, long Version) : AppendOutcome;

/// <summary>All of the events were in the log before: a retry. Nothing changed.</summary>
public sealed record AlreadyThere : AppendOutcome;

/// <summary>The stream is not at the version that the decision was made on. Nothing changed.</summary>
/// <param name="Expected">The version that was asked for.</param>
/// <param name="Actual">The version of the stream; 0 where there is none.</param>
public sealed record VersionConflict(long Expected, long Actual) : AppendOutcome;
