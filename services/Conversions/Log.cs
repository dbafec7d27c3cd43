namespace PartnerPulse.Conversions;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "Attribution at {Url} could not be asked which orders are matched; they are recorded all the same")]
    public static partial void MatchesNotFound(this ILogger logger, string url, Exception exception);
}
