namespace PartnerPulse.Edge;

/// <summary>What a visitor reads where there is no redirect.</summary>
internal static class PlainAnswer
{
    /// <summary>One line of text that nothing between here and there keeps.</summary>
    public static Task SayAsync(this HttpResponse response, int status, string text)
    {
        response.StatusCode = status;
        response.Headers.CacheControl = "no-store";
        response.Headers.XContentTypeOptions = "nosniff";
        response.ContentType = "text/plain; charset=utf-8";
        return response.WriteAsync(text);
    }
}
