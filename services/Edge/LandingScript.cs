using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Net.Http.Headers;

namespace PartnerPulse.Edge;

/// <summary>
/// <c>GET /t.js</c>: the script that merchant pages load. Packed once, at start; the same bytes for everyone, so that caches and
/// delivery networks may keep it.
/// </summary>
internal sealed class LandingScript
{
    // An hour: a page that has it needs no answer from us, and a new version is everywhere within a working day at most.
    private const string CacheControl = "public, max-age=3600, stale-while-revalidate=86400";

    private readonly Packed _plain;
    private readonly Packed _gzip;
    private readonly Packed _brotli;

    public LandingScript()
    {
        using var resource = typeof(LandingScript).Assembly.GetManifestResourceStream("Landing.js")!;
        using var reader = new StreamReader(resource, Encoding.UTF8);
        var script = Encoding.UTF8.GetBytes(WithoutComments(reader.ReadToEnd()));
        var version = Convert.ToHexStringLower(SHA256.HashData(script)[..8]);
        _plain = new Packed(script, Encoding: null, $"\"{version}\"");
        _gzip = new Packed(Pack(script, to => new GZipStream(to, CompressionLevel.SmallestSize)), "gzip", $"\"{version}-gzip\"");
        _brotli = new Packed(Pack(script, to => new BrotliStream(to, CompressionLevel.SmallestSize)), "br", $"\"{version}-br\"");
    }

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapMethods("/t.js", [HttpMethods.Get, HttpMethods.Head], routes.ServiceProvider.GetRequiredService<LandingScript>().HandleAsync)
            .WithTags("Landings").WithSummary("The script for landing pages").ShortCircuit();

    /// <summary>The script as it goes out. No text in it spans lines, so what stands alone on a line may go.</summary>
    internal static string WithoutComments(string source)
    {
        var text = new StringBuilder(source.Length);
        foreach (var line in source.AsSpan().EnumerateLines())
        {
            var trimmed = line.Trim();
            if (!trimmed.IsEmpty && !trimmed.StartsWith("//", StringComparison.Ordinal))
            {
                text.Append(trimmed).Append('\n');
            }
        }

        return text.ToString();
    }

    private Task HandleAsync(HttpContext http)
    {
        var (request, response) = (http.Request, http.Response);
        var packed = Choose(request);
        var headers = response.Headers;
        headers.CacheControl = CacheControl;
        headers.ETag = packed.ETag;
        headers.Vary = HeaderNames.AcceptEncoding;
        // Any page may load it, also with integrity= and under Cross-Origin-Embedder-Policy. It holds nobody's data.
        headers.AccessControlAllowOrigin = "*";
        headers["Cross-Origin-Resource-Policy"] = "cross-origin";
        headers.XContentTypeOptions = "nosniff";
        if (IsKnown(request, packed.ETag))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return Task.CompletedTask;
        }

        response.ContentType = "text/javascript; charset=utf-8";
        response.ContentLength = packed.Bytes.Length;
        headers.ContentEncoding = packed.Encoding;
        return HttpMethods.IsHead(request.Method) ? Task.CompletedTask : response.Body.WriteAsync(packed.Bytes, http.RequestAborted).AsTask();
    }

    private static bool IsKnown(HttpRequest request, string etag) =>
        EntityTagHeaderValue.TryParseList(request.Headers.IfNoneMatch, out var known)
        && known.Any(k => k.Equals(EntityTagHeaderValue.Any) || k.Tag.Equals(etag, StringComparison.Ordinal));

    private Packed Choose(HttpRequest request)
    {
        if (!StringWithQualityHeaderValue.TryParseList(request.Headers.AcceptEncoding, out var accepted))
        {
            return _plain;
        }

        foreach (var packed in (ReadOnlySpan<Packed>)[_brotli, _gzip])
        {
            if (accepted.Any(a => a.Value.Equals(packed.Encoding!, StringComparison.OrdinalIgnoreCase) && a.Quality is null or > 0))
            {
                return packed;
            }
        }

        return _plain;
    }

    private static byte[] Pack(byte[] script, Func<Stream, Stream> packer)
    {
        using var packed = new MemoryStream();
        using (var stream = packer(packed))
        {
            stream.Write(script);
        }

        return packed.ToArray();
    }

    private sealed record Packed(byte[] Bytes, string? Encoding, string ETag);
}
