using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace PartnerPulse.Hosting.Problems;

/// <summary>Something cannot be done until whoever runs the service mends a setting. The caller is told which, and may try again: 503.</summary>
/// <param name="setting">Its name.</param>
/// <param name="reason">What is wrong with it, and how it is mended.</param>
/// <param name="cause">What was met.</param>
public sealed class SettingException(string setting, string reason, Exception cause) : Exception($"{setting} {reason}", cause)
{
    public FieldFault Fault { get; } = new(setting, reason);
}

/// <summary>Turns what Kestrel refuses into problem details, and anything unforeseen into a 500 that tells nothing.</summary>
internal sealed class ProblemExceptionHandler(ILogger<ProblemExceptionHandler> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        // The database is away, or comes back just now: the caller has done nothing wrong and may try again.
        if (exception is Npgsql.NpgsqlException { IsTransient: true } or Npgsql.NpgsqlException { InnerException: System.Net.Sockets.SocketException })
        {
            httpContext.Response.Headers.RetryAfter = "1";
            await Problem.Of(StatusCodes.Status503ServiceUnavailable, "The database does not answer", new FieldFault("database", "is away; try again"))
                .ExecuteAsync(httpContext);
            return true;
        }

        if (exception is SettingException setting)
        {
            logger.SettingToMend(setting.Fault.Field, setting.Fault.Reason);
            await Problem.Of(StatusCodes.Status503ServiceUnavailable, "A setting of the service has to be mended", setting.Fault).ExecuteAsync(httpContext);
            return true;
        }

        if (exception is not BadHttpRequestException bad)
        {
            return false;
        }

        var fault = bad.StatusCode == StatusCodes.Status413PayloadTooLarge
            ? new FieldFault("body", $"is larger than the {httpContext.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpMaxRequestBodySizeFeature>()?.MaxRequestBodySize} bytes that are allowed")
            : new FieldFault("request", bad.Message);
        httpContext.Response.StatusCode = bad.StatusCode;
        await Problem.Of(bad.StatusCode, "The request is not valid", fault).ExecuteAsync(httpContext);
        return true;
    }
}
