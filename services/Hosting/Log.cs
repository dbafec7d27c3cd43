using Microsoft.Extensions.Logging;

namespace PartnerPulse.Hosting;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "Relay of {Origin} tries again (attempt {Attempt})")]
    public static partial void RelayRetries(this ILogger logger, string origin, int attempt, Exception exception);

    [LoggerMessage(2, LogLevel.Warning, "The log {Schema} cannot be opened yet (attempt {Attempt})")]
    public static partial void LogNotOpenYet(this ILogger logger, string schema, int attempt, Exception exception);

    [LoggerMessage(3, LogLevel.Warning, "Status of {Peer} cannot be read")]
    public static partial void PeerNotReached(this ILogger logger, string peer, Exception exception);

    [LoggerMessage(4, LogLevel.Error, "The keys file {File} cannot be read; the keys that were in it before stay in force")]
    public static partial void KeysNotRead(this ILogger logger, string file, Exception exception);

    [LoggerMessage(5, LogLevel.Debug, "Some figures could not be asked for; the last ones stand")]
    public static partial void FiguresMissing(this ILogger logger, Exception exception);

    [LoggerMessage(6, LogLevel.Error, "{Setting} {Reason}")]
    public static partial void SettingToMend(this ILogger logger, string setting, string reason);
}
