using System.Collections.Frozen;
using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace PartnerPulse.Pulse.Gateway;

/// <summary>
/// Hands a request to a service and its answer back, both as streams: nothing is held in memory, nothing is followed,
/// unpacked or stored. What it cannot hand on is answered with problem details.
/// </summary>
internal sealed partial class Forwarder(IReadOnlyDictionary<Upstream, Uri> upstreams, ILogger<Forwarder> log) : IDisposable
{
    // Fields of one connection, which do not go on to the next (RFC 9110, section 7.6.1).
    private static readonly FrozenSet<string> s_ofThisConnection = new[]
    {
        "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    // A larger body waits for the service's word, so that a refusal is read instead of a broken pipe.
    private const long LargeBody = 64 * 1024;

    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        Expect100ContinueTimeout = TimeSpan.FromSeconds(30),
    });

    public async Task ForwardAsync(HttpContext context)
    {
        if (Routes.Of(context.Request.Path) is not { } upstream)
        {
            await ProblemAsync(context, StatusCodes.Status404NotFound, "Nothing here", $"No service has the path {context.Request.Path}.");
            return;
        }

        using var request = Request(context, upstreams[upstream]);
        HttpResponseMessage response;
        try
        {
            response = await _client.SendAsync(request, context.RequestAborted);
        }
        catch (HttpRequestException fault) when (fault.InnerException is BadHttpRequestException bad)
        {
            await ProblemAsync(context, bad.StatusCode, "The request cannot be read", bad.Message);
            return;
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            NotReached(log, upstream, fault.Message);
            context.Response.Headers.RetryAfter = "1";
            await ProblemAsync(
                context, StatusCodes.Status503ServiceUnavailable, "The service is away", $"{upstream} does not answer; it is started again by itself. Try again.");
            return;
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        catch (OperationCanceledException)
        {
            await ProblemAsync(context, StatusCodes.Status504GatewayTimeout, "The service is slow", $"{upstream} did not accept a connection in time.");
            return;
        }

        using (response)
        {
            await AnswerAsync(context, response);
        }
    }

    private static HttpRequestMessage Request(HttpContext context, Uri upstream)
    {
        var incoming = context.Request;
        // The raw target, because a path that was decoded and encoded again may be another one.
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var target = raw.StartsWith('/') ? raw : incoming.PathBase + incoming.Path + incoming.QueryString;
        var request = new HttpRequestMessage(new HttpMethod(incoming.Method), new Uri(upstream.GetLeftPart(UriPartial.Authority) + target, s_asItIs))
        {
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        var length = incoming.ContentLength;
        var hasBody = length > 0 || (length is null && context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true);
        if (hasBody)
        {
            request.Content = new StreamContent(incoming.Body);
            request.Headers.ExpectContinue = length is null or > LargeBody;
        }
        else if (length == 0)
        {
            request.Content = new ByteArrayContent([]);
        }

        var listed = incoming.Headers.Connection.ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (var (name, values) in incoming.Headers)
        {
            if (name.StartsWith(':') || s_ofThisConnection.Contains(name) || listed.Contains(name, StringComparer.OrdinalIgnoreCase)
                || name.Equals("Expect", StringComparison.OrdinalIgnoreCase) || name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            if (!request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            }
        }

        request.Headers.Host = incoming.Host.Value;
        Add("X-Forwarded-For", context.Connection.RemoteIpAddress?.ToString());
        Add("X-Forwarded-Proto", incoming.Headers["X-Forwarded-Proto"].Count > 0 ? null : incoming.Scheme);
        Add("X-Forwarded-Host", incoming.Headers["X-Forwarded-Host"].Count > 0 ? null : incoming.Host.Value);
        return request;

        // What stood there before stays, so that a proxy in front of this one is seen by the service.
        void Add(string name, string? own)
        {
            var value = StringValues.Concat(incoming.Headers[name], own);
            if (value.Count > 0)
            {
                request.Headers.TryAddWithoutValidation(name, string.Join(", ", value.Where(part => !string.IsNullOrEmpty(part))));
            }
        }
    }

    private static readonly UriCreationOptions s_asItIs = new() { DangerousDisablePathAndQueryCanonicalization = true };

    private static async Task AnswerAsync(HttpContext context, HttpResponseMessage response)
    {
        var outgoing = context.Response;
        outgoing.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            if (!s_ofThisConnection.Contains(name))
            {
                outgoing.Headers[name] = values.ToArray();
            }
        }

        if (HttpMethods.IsHead(context.Request.Method) || outgoing.StatusCode is 204 or 304)
        {
            return;
        }

        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(context.RequestAborted);
            if (response.Content.Headers.ContentLength is not null)
            {
                await body.CopyToAsync(outgoing.Body, context.RequestAborted);
                return;
            }

            // Of unknown length: events of a stream, which must not wait for the next one.
            await outgoing.StartAsync(context.RequestAborted);
            var buffer = new byte[16 * 1024];
            int read;
            while ((read = await body.ReadAsync(buffer, context.RequestAborted)) > 0)
            {
                await outgoing.Body.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
                await outgoing.Body.FlushAsync(context.RequestAborted);
            }
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException or OperationCanceledException)
        {
            // Half an answer must not look like a whole one.
            context.Abort();
        }
    }

    private static Task ProblemAsync(HttpContext context, int status, string title, string detail) =>
        Results.Problem(detail, statusCode: status, title: title).ExecuteAsync(context);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Upstream} is not reached: {Reason}")]
    private static partial void NotReached(ILogger logger, Upstream upstream, string reason);

    public void Dispose() => _client.Dispose();
}
