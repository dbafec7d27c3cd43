namespace PartnerPulse.Conversions;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "An import broke off; everything up to line {Line} is committed")]
    public static partial void ImportBroke(this ILogger logger, long line, Exception exception);

    [LoggerMessage(2, LogLevel.Warning, "The queue {Queue} is not listened to now; tried again (attempt {Attempt})")]
    public static partial void OrdersQueueRetries(this ILogger logger, string queue, int attempt, Exception exception);

    [LoggerMessage(3, LogLevel.Warning, "Orders of the queue cannot be recorded yet (attempt {Attempt})")]
    public static partial void OrdersWait(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(4, LogLevel.Warning, "A message of the queue {Queue} was refused for {Faults} faults; GET /v1/orders/errors tells them under {Id}")]
    public static partial void OrderRefused(this ILogger logger, string queue, int faults, string id);

    [LoggerMessage(5, LogLevel.Warning, "Orders that are reported twice are not looked for now; tried again (attempt {Attempt})")]
    public static partial void MergingRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(6, LogLevel.Warning, "Attribution at {Url} could not be asked which orders are matched; they are recorded all the same")]
    public static partial void MatchesNotFound(this ILogger logger, string url, Exception exception);

    [LoggerMessage(20, LogLevel.Information, "A customer was erased from {Orders} orders and {Identities} ties (event {EventId})")]
    public static partial void CustomerErased(this ILogger logger, Guid eventId, int orders, int identities);

    [LoggerMessage(21, LogLevel.Warning, "What was handed on of erased customers cannot be scrubbed now (attempt {Attempt})")]
    public static partial void ScrubRetries(this ILogger logger, int attempt, Exception exception);
}
