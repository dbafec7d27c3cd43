namespace PartnerPulse.Contracts;

/// <summary>A fact of the past, as it came. Facts never change; rules judge them later.</summary>
public interface IEvent
{
    /// <summary>Identity of the fact: UUID v7, or a deterministic v5 where a natural key exists. Delivering it twice changes nothing.</summary>
    Guid EventId { get; }

    /// <summary>The partner program the fact belongs to.</summary>
    string ProgramId { get; }

    /// <summary>When it happened, in UTC; not when it was recorded.</summary>
    DateTimeOffset OccurredAt { get; }
}
