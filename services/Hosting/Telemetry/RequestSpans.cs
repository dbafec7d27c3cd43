using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace PartnerPulse.Hosting;

/// <summary>
/// Names the span of a request by its route, and by nothing that the visitor sent: the framework leaves it without a word, or, where it is
/// told otherwise, with path and query. Probes of health have none.
/// </summary>
internal sealed class RequestSpans : IObserver<KeyValuePair<string, object?>>
{
    private const string Request = "Microsoft.AspNetCore.Hosting.HttpRequestIn";
    private const string Started = Request + ".Start";
    private const string Stopped = Request + ".Stop";

    /// <param name="listener">The framework's own, which tells of every request.</param>
    /// <returns>Ends it.</returns>
    public static IDisposable Watch(DiagnosticListener listener) => listener.Subscribe(new RequestSpans(), static name => name is Request or Started or Stopped);

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (Activity.Current is not { Recorded: true } span || value.Value is not HttpContext http)
        {
            return;
        }

        if (value.Key == Started)
        {
            if (http.Request.Path.Value is "/live" or "/ready")
            {
                // What it asks of the database follows it.
                span.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
                span.IsAllDataRequested = false;
            }
        }
        else if (value.Key == Stopped)
        {
            var route = (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText;
            span.DisplayName = route is null ? http.Request.Method : $"{http.Request.Method} {route}";
            span.SetTag("http.request.method", http.Request.Method);
            span.SetTag("http.route", route);
            span.SetTag("http.response.status_code", http.Response.StatusCode);
            if (http.Response.StatusCode >= StatusCodes.Status500InternalServerError)
            {
                span.SetStatus(ActivityStatusCode.Error);
            }
        }
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }
}
