namespace PartnerPulse.Outbound;

/// <summary>Who is told what, and where.</summary>
internal sealed record Subscription
{
    /// <summary>A signed POST to a system of the program's own.</summary>
    public const string Webhook = "webhook";

    /// <summary>A GET to a partner's system, with macros in its address.</summary>
    public const string Postback = "postback";

    public required Guid Id { get; init; }
    public required string Program { get; init; }
    public required string Kind { get; init; }

    /// <summary>Whose postback it is; null for a webhook.</summary>
    public string? Partner { get; init; }

    public required string Url { get; init; }
    public required IReadOnlyList<string> Events { get; init; }
    public string? Description { get; init; }

    /// <summary>Up to here of Attribution's log it has its deliveries.</summary>
    public required long Position { get; init; }

    public bool Enabled { get; init; } = true;

    /// <summary>Why it is disabled; null while it is not.</summary>
    public string? DisabledReason { get; init; }

    /// <summary>When the first of the failures happened since which nothing has been taken; null where the last attempt was.</summary>
    public DateTimeOffset? FailingSince { get; init; }

    /// <summary>Null for a postback.</summary>
    public byte[]? Secret { get; init; }
    public byte[]? PreviousSecret { get; init; }
    public DateTimeOffset? PreviousSecretUntil { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>What signs at a time: the secret, and the one before it while it is still valid.</summary>
    public IEnumerable<byte[]> SecretsAt(DateTimeOffset time)
    {
        if (Secret is not null)
        {
            yield return Secret;
        }

        if (PreviousSecret is not null && time < PreviousSecretUntil)
        {
            yield return PreviousSecret;
        }
    }
}
