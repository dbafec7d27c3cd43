using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;

namespace PartnerPulse.Hosting.Problems;

/// <summary>Reading of JSON with faults that name the field.</summary>
public static class RequestBody
{
    /// <summary>The body as JSON, or what is wrong with it.</summary>
    public static async ValueTask<(T? Value, FieldFault? Fault)> ReadJsonAsync<T>(
        this HttpRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        try
        {
            var value = await JsonSerializer.DeserializeAsync(request.Body, type, cancellationToken);
            return value is null ? (default, new FieldFault("body", "is null")) : (value, null);
        }
        catch (JsonException e)
        {
            return (default, Fault(e));
        }
    }

    /// <summary>One line or one element of a batch as JSON, or what is wrong with it.</summary>
    public static (T? Value, FieldFault? Fault) Parse<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        try
        {
            var value = JsonSerializer.Deserialize(json, type);
            return value is null ? (default, new FieldFault("line", "is null")) : (value, null);
        }
        catch (JsonException e)
        {
            return (default, Fault(e));
        }
    }

    private static FieldFault Fault(JsonException e)
    {
        var path = e.Path is null or "$" ? "body" : e.Path.StartsWith("$.", StringComparison.Ordinal) ? e.Path[2..] : e.Path[1..];
        var reason = e.InnerException?.Message ?? e.Message;
        var end = reason.IndexOf(" Path: ", StringComparison.Ordinal);
        reason = end >= 0 ? reason[..end] : reason;
        return new FieldFault(path, reason.Contains("could not be converted", StringComparison.Ordinal) ? "is not of the right type" : $"is not valid JSON: {reason}");
    }
}

/// <summary>Turns what Kestrel refuses into problem details, and anything unforeseen into a 500 that tells nothing.</summary>
internal sealed class ProblemExceptionHandler : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
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
