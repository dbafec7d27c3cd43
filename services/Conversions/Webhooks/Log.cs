namespace PartnerPulse.Conversions.Webhooks;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Warning, "A signed delivery of {Scheme} was not recorded ({Status}) because of {Fields}; the shop was told why")]
    public static partial void DeliveryRefused(this ILogger logger, string scheme, string status, string fields);
}
