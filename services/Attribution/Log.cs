namespace PartnerPulse.Attribution;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "Event {EventId} ({Type}) was set aside at {Stage}: {Reason}")]
    public static partial void EventSetAside(this ILogger logger, Guid eventId, string type, string stage, string reason);

    [LoggerMessage(2, LogLevel.Warning, "The projector tries again (attempt {Attempt})")]
    public static partial void ProjectorRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(3, LogLevel.Warning, "The replay worker tries again (attempt {Attempt})")]
    public static partial void ReplayWorkerRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(4, LogLevel.Information, "Rebuilding the projections of the first {Position} positions of the log")]
    public static partial void Rebuilding(this ILogger logger, long position);

    [LoggerMessage(50, LogLevel.Warning, "The log cannot be sealed now (attempt {Attempt})")]
    public static partial void SealerRetries(this ILogger logger, int attempt, Exception exception);
    [LoggerMessage(12, LogLevel.Warning, "The journeys in memory are read again (attempt {Attempt})")]
    public static partial void PackRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(13, LogLevel.Warning, "{Conversions} journeys take {Bytes} bytes of {Most} (Attribution:WhatIfMegabytes): what-ifs read the table from now on")]
    public static partial void PackOverflows(this ILogger logger, long conversions, long bytes, long most);

    [LoggerMessage(6, LogLevel.Warning, "The fit worker tries again (attempt {Attempt})")]
    public static partial void FitWorkerRetries(this ILogger logger, int attempt, Exception exception);

    [LoggerMessage(7, LogLevel.Information, "Generation {Generation}: a chain of order {Order} with {States} states is fitted to {Converted} journeys that converted and {NotConverted} that did not, up to position {Position}")]
    public static partial void ModelFitted(this ILogger logger, int generation, int order, int states, long converted, long notConverted, long position);

    [LoggerMessage(20, LogLevel.Warning, "What can no longer come of erased customers cannot be forgotten now (attempt {Attempt})")]
    public static partial void ForgettingRetries(this ILogger logger, int attempt, Exception exception);
}
