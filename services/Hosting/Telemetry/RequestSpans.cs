using System.Collections.Frozen;
using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace PartnerPulse.Hosting;

/// <summary>
/// The span of a request, named by its route, and by nothing that the visitor sent. The framework's own is made for each request, sampled or
/// not, and a redirect feels it; this one is made where the sampler takes the request, and other requests pay for the question. Probes of
/// health have none.
/// </summary>
internal sealed class RequestSpans : IStartupFilter
{
    private static readonly FrozenSet<string> s_methods = FrozenSet.Create(
        StringComparer.Ordinal, HttpMethods.Connect, HttpMethods.Delete, HttpMethods.Get, HttpMethods.Head, HttpMethods.Options, HttpMethods.Patch,
        HttpMethods.Post, HttpMethods.Put, HttpMethods.Trace);

    /// <summary>Says which requests are traced; none where it is null.</summary>
    public EntrySampler? Sampler { get; set; }

    // Before the routes: some of them end the pipeline.
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use(inner => http => HandleAsync(http, inner));
        next(app);
    };

    private Task HandleAsync(HttpContext http, RequestDelegate inner) =>
        Sampler is { } sampler && http.Request.Path.Value is not ("/live" or "/ready") && Caller(http.Request) is var caller && sampler.Takes(caller)
            ? TraceAsync(http, inner, caller)
            : inner(http);

    /// <summary>The trace in which the request came; none where the header names none.</summary>
    private static ActivityContext Caller(HttpRequest request) =>
        ActivityContext.TryParse(request.Headers.TraceParent, request.Headers.TraceState, isRemote: true, out var caller) ? caller : default;

    private static async Task TraceAsync(HttpContext http, RequestDelegate inner, ActivityContext caller)
    {
        using var span = Diagnostics.Source.StartActivity("HTTP", ActivityKind.Server, caller);
        try
        {
            await inner(http);
        }
        finally
        {
            if (span is not null)
            {
                Describe(span, http);
            }
        }
    }

    private static void Describe(Activity span, HttpContext http)
    {
        // A method may be any word that the visitor likes. Whoever answers for a fault takes the endpoint off the request.
        var method = s_methods.Contains(http.Request.Method) ? http.Request.Method : null;
        var endpoint = http.GetEndpoint() ?? http.Features.Get<IExceptionHandlerFeature>()?.Endpoint;
        if (endpoint is RouteEndpoint { RoutePattern.RawText: { } route })
        {
            span.DisplayName = $"{method ?? "HTTP"} {route}";
            span.SetTag("http.route", route);
        }
        else if (method is not null)
        {
            span.DisplayName = method;
        }

        span.SetTag("http.request.method", method ?? "_OTHER");
        span.SetTag("http.response.status_code", http.Response.StatusCode);
        if (http.Response.StatusCode >= StatusCodes.Status500InternalServerError)
        {
            span.SetStatus(ActivityStatusCode.Error);
        }
    }
}
