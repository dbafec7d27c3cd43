namespace PartnerPulse.Conversions;

internal static partial class Log
{
    [LoggerMessage(20, LogLevel.Information, "A customer was erased from {Orders} orders and {Identities} ties (event {EventId})")]
    public static partial void CustomerErased(this ILogger logger, Guid eventId, int orders, int identities);

    [LoggerMessage(21, LogLevel.Warning, "What was handed on of erased customers cannot be scrubbed now (attempt {Attempt})")]
    public static partial void ScrubRetries(this ILogger logger, int attempt, Exception exception);
}
