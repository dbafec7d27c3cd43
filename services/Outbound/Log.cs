namespace PartnerPulse.Outbound;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "The log is read again for subscriptions (attempt {Attempt})")]
    public static partial void FanOutRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(2, LogLevel.Error, "Event {Type} at {Position} cannot be told: {Reason}")]
    public static partial void EventNotTold(this ILogger logger, string type, long position, string reason);

    [LoggerMessage(3, LogLevel.Warning, "Due deliveries are claimed again (attempt {Attempt})")]
    public static partial void SenderRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "Delivery {Delivery} of subscription {Subscription} is a dead letter after {Attempts} attempts")]
    public static partial void DeadLetter(this ILogger logger, Guid delivery, Guid subscription, int attempts);

    [LoggerMessage(5, LogLevel.Warning, "Subscription {Subscription} is disabled: {Reason}")]
    public static partial void SubscriptionDisabled(this ILogger logger, Guid subscription, string reason);

    [LoggerMessage(6, LogLevel.Warning, "What became of delivery {Delivery} is not kept; it is sent again when its lease ends")]
    public static partial void OutcomeNotKept(this ILogger logger, Guid delivery, Exception exception);

    [LoggerMessage(7, LogLevel.Warning, "Finished deliveries are not tidied away yet (attempt {Attempt})")]
    public static partial void TidyRetries(this ILogger logger, int attempt, Exception exception);
}
