using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Commands;

/// <summary>Nothing answers at the address.</summary>
internal sealed class UnreachableSystemException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The system answered with a refusal; the message is its problem details in words.</summary>
internal sealed class RefusedException(string message, HttpStatusCode status) : Exception(message)
{
    public HttpStatusCode Status { get; } = status;
}

/// <summary>A running system over HTTP, as anybody else would use it.</summary>
internal sealed class Api : IDisposable
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly HttpClient _http;

    public Api(string url, string? key)
    {
        Url = url.TrimEnd('/');
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, ConnectTimeout = TimeSpan.FromSeconds(5) })
        {
            BaseAddress = new Uri(Url),
            Timeout = TimeSpan.FromMinutes(2),
        };
        if (key is not null)
        {
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }
    }

    public string Url { get; }

    /// <summary>The system of <c>--url</c>, else the one that runs in the data folder.</summary>
    public static Api Connect(string? url, string? key, string? dataFolder)
    {
        var data = DataFolder.At(dataFolder);
        url ??= RunState.Read(data)?.Url ?? throw new UnreachableSystemException(
            $"Nothing runs in {data.Path}. Start it with ./pulse up, or name another system with --url.");
        return new Api(url, key ?? AdminKey.Find(data));
    }

    public async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation, bool streamed = false)
    {
        try
        {
            return await _http.SendAsync(
                request, streamed ? HttpCompletionOption.ResponseHeadersRead : HttpCompletionOption.ResponseContentRead, cancellation);
        }
        catch (HttpRequestException fault) when (fault.StatusCode is null)
        {
            throw new UnreachableSystemException($"{Url} does not answer: {fault.Message}", fault);
        }
        catch (TaskCanceledException fault) when (!cancellation.IsCancellationRequested)
        {
            throw new UnreachableSystemException($"{Url} did not answer in time.", fault);
        }
    }

    public async Task<JsonNode> GetAsync(string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await SendAsync(request, cancellation);
        return await ReadAsync(response, cancellation);
    }

    /// <summary>The page of plain text at the path.</summary>
    public async Task<string> GetTextAsync(string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/plain"));
        using var response = await SendAsync(request, cancellation);
        if (!response.IsSuccessStatusCode)
        {
            await ReadAsync(response, cancellation);
        }

        return await response.Content.ReadAsStringAsync(cancellation);
    }

    public Task<JsonNode> PostAsync(string path, object body, CancellationToken cancellation) =>
        SendBodyAsync(HttpMethod.Post, path, JsonSerializer.Serialize(body, Json), "application/json", cancellation);

    public async Task<JsonNode> SendBodyAsync(HttpMethod method, string path, string body, string mediaType, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Content = new StringContent(body, new MediaTypeHeaderValue(mediaType));
        using var response = await SendAsync(request, cancellation);
        return await ReadAsync(response, cancellation);
    }

    public async Task DeleteAsync(string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, path);
        using var response = await SendAsync(request, cancellation);
        await ReadAsync(response, cancellation);
    }

    /// <exception cref="RefusedException">Anything but a success.</exception>
    public static async Task<JsonNode> ReadAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var text = await response.Content.ReadAsStringAsync(cancellation);
        if (response.IsSuccessStatusCode)
        {
            return text.Length == 0 ? new JsonObject() : JsonNode.Parse(text)!;
        }

        var where = $"{response.RequestMessage!.Method} {response.RequestMessage.RequestUri!.AbsolutePath}: {(int)response.StatusCode}";
        var hint = response.StatusCode == HttpStatusCode.Unauthorized ? ". Set PULSE_ADMIN_KEY or pass --key." : "";
        throw new RefusedException($"{where} {InWords(text)}{hint}", response.StatusCode);
    }

    private static string InWords(string text)
    {
        try
        {
            var problem = JsonNode.Parse(text) as JsonObject;
            var said = new[] { problem?["title"], problem?["detail"] }.Where(part => part is not null).Select(part => part!.ToString());
            // The detail names the faults already.
            var errors = problem?["detail"] is null && problem?["errors"] is { } list ? " " + list.ToJsonString() : "";
            return string.Join(": ", said) + errors;
        }
        catch (JsonException)
        {
            return text.Length > 300 ? text[..300] : text;
        }
    }

    public void Dispose() => _http.Dispose();
}
