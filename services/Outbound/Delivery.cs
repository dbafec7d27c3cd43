using PartnerPulse.Contracts;

namespace PartnerPulse.Outbound;

/// <summary>One event for one subscription.</summary>
internal sealed record Delivery
{
    public const string Waiting = "waiting";
    public const string Delivered = "delivered";
    public const string Dead = "dead";

    public required Guid Id { get; init; }
    public required long Number { get; init; }
    public required Guid SubscriptionId { get; init; }
    public required Guid EventId { get; init; }
    public required string Event { get; init; }
    public required bool Test { get; init; }

    /// <summary>Of a webhook what is posted; of a postback the values of its macros as JSON.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }
    public required string State { get; init; }

    /// <summary>Attempts that have come to an end, since the delivery was made or put back.</summary>
    public required int Attempts { get; init; }
    public required DateTimeOffset DueAt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? FirstAttemptAt { get; init; }
    public DateTimeOffset? LastAttemptAt { get; init; }

    /// <summary>HTTP status of the last answer; null where there was none.</summary>
    public int? LastStatus { get; init; }

    /// <summary>The beginning of the last answer, or why there was none.</summary>
    public string? LastAnswer { get; init; }

    /// <summary>The W3C trace context of the event, where its trace is sampled.</summary>
    public string? TraceParent { get; init; }

    /// <summary>What receivers know a delivery by: the same at every attempt, so that they can drop a second one.</summary>
    public string MessageId => $"msg_{Id:N}";

    /// <summary>The same event for the same subscription is the same delivery, however often the log is read.</summary>
    public static Guid IdOf(Guid subscription, Guid @event) => Ids.Derive("delivery", $"{subscription:N}", $"{@event:N}");
}

/// <summary>What came of one attempt, as the network saw it.</summary>
/// <param name="Status">HTTP status; null where there was no answer.</param>
/// <param name="Text">The beginning of the answer, or why there was none.</param>
/// <param name="RetryAfter">How long the receiver asked to be left alone.</param>
internal sealed record Answer(int? Status, string Text, TimeSpan? RetryAfter = null);

/// <summary>What an answer means for the delivery.</summary>
internal abstract record Verdict
{
    public sealed record Taken : Verdict;

    public sealed record Again(DateTimeOffset DueAt) : Verdict;

    public sealed record GivenUp : Verdict;

    /// <summary>410: the receiver asks never to be told again.</summary>
    public sealed record Gone : Verdict;

    /// <param name="attempts">Attempts so far, this one included.</param>
    /// <param name="firstAttempt">When the first of them began.</param>
    /// <param name="answer">What came of this one.</param>
    /// <param name="now">The time.</param>
    /// <param name="jitter">0 to 1: spreads what failed together, so that it does not come back together.</param>
    /// <param name="options">Pauses and limits.</param>
    public static Verdict Decide(int attempts, DateTimeOffset firstAttempt, Answer answer, DateTimeOffset now, double jitter, OutboundOptions options)
    {
        switch (answer.Status)
        {
            case >= 200 and < 300:
                return new Taken();
            case 410:
                return new Gone();
            default:
                if (attempts >= options.MaxAttempts && now - firstAttempt >= options.GiveUpAfter)
                {
                    return new GivenUp();
                }

                var pause = Math.Min(options.FirstPause.TotalSeconds * Math.Pow(3, attempts - 1), options.LongestPause.TotalSeconds) * (0.8 + (0.4 * jitter));
                var asked = Math.Min(answer.RetryAfter?.TotalSeconds ?? 0, options.LongestPause.TotalSeconds);
                return new Again(now + TimeSpan.FromSeconds(Math.Max(pause, asked)));
        }
    }
}
