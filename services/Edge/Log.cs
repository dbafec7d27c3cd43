namespace PartnerPulse.Edge;

internal static partial class Log
{
    [LoggerMessage(1, LogLevel.Error, "The spool cannot keep clicks: {Reason}")]
    public static partial void SpoolFails(this ILogger logger, string reason);

    [LoggerMessage(2, LogLevel.Information, "The spool keeps clicks again; {Lost} were lost")]
    public static partial void SpoolRecovered(this ILogger logger, long lost);

    [LoggerMessage(3, LogLevel.Information, "Spool {Origin} open: last click {Last}, handed on up to {Checkpoint}")]
    public static partial void SpoolOpen(this ILogger logger, string origin, long last, long checkpoint);

    [LoggerMessage(4, LogLevel.Information, "Catalogue from disk: {Links} links, {Partners} partners, position {Position}")]
    public static partial void CatalogueLoaded(this ILogger logger, int links, int partners, long position);

    [LoggerMessage(5, LogLevel.Warning, "The catalogue cannot be read from {Url}; the edge goes on with position {Position}")]
    public static partial void CatalogueNotReached(this ILogger logger, Uri url, long position, Exception exception);

    [LoggerMessage(6, LogLevel.Warning, "The catalogue's log ends at {Last}, before our position {Position}: it is another one and is read from its beginning")]
    public static partial void CatalogueStartsOver(this ILogger logger, long last, long position);

    [LoggerMessage(7, LogLevel.Warning, "Catalogue event {Type} at {Position} is not known here and is passed over")]
    public static partial void CatalogueEventUnknown(this ILogger logger, string type, long position);

    [LoggerMessage(8, LogLevel.Warning, "Link {Slug} has a destination that no redirect can carry; it is not followed")]
    public static partial void LinkNotUsable(this ILogger logger, string slug);

    [LoggerMessage(9, LogLevel.Information, "Made the signing key {File}")]
    public static partial void SigningKeyMade(this ILogger logger, string file);

    [LoggerMessage(10, LogLevel.Warning, "Edge:Partners:Url is not set: the catalogue on disk is all there is")]
    public static partial void CatalogueNotTailed(this ILogger logger);

    [LoggerMessage(11, LogLevel.Warning, "More than {Clicks} clicks in 10 seconds came from one loopback or private network. If a proxy stands there, list it in Edge:TrustedProxies; until then its visitors cannot be told apart")]
    public static partial void ProxyNotListed(this ILogger logger, int clicks);

    [LoggerMessage(12, LogLevel.Error, "The spool was damaged: {Damage}. It lies aside as {File}; {Clicks} clicks were salvaged from it and go on under a new name, {Unreadable} could not be read")]
    public static partial void SpoolSalvaged(this ILogger logger, string damage, string file, long clicks, long unreadable);

    [LoggerMessage(13, LogLevel.Error, "Catalogue event {Type} at {Position} is not one and is passed over: {Reason}")]
    public static partial void CatalogueEventUnusable(this ILogger logger, string type, long position, string reason);

    [LoggerMessage(14, LogLevel.Warning, "The catalogue {File} was damaged and is made anew from the log of Partners")]
    public static partial void CatalogueDamaged(this ILogger logger, string file, Exception exception);
}
