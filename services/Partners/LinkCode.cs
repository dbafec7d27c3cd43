using System.Globalization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using QRCoder;

namespace PartnerPulse.Partners;

/// <summary>
/// <c>GET /v1/partners/{id}/links/{slug}/qr.svg</c> and <c>…/qr.png</c>, <c>?size=</c> in pixels: the link's address as a QR code
/// (ISO/IEC 18004) with its quiet zone, of error correction level M: 15 % of it may be covered.
/// </summary>
internal static class LinkCode
{
    private const int DefaultSize = 512;
    private const int MinSize = 64;
    private const int MaxSize = 4_096;

    // The quiet zone of four modules on each side that the standard demands is part of the library's matrix.
    private const QRCodeGenerator.ECCLevel Level = QRCodeGenerator.ECCLevel.M;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/partners/{id}/links/{slug}/qr.svg", (
                string id, string slug, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken, string? size = null) =>
                HandleAsync(id, slug, size, "image/svg+xml", Svg, log, programs, time, cancellationToken))
            .RequireScope(Scope.Read)
            .Produces(StatusCodes.Status200OK, contentType: "image/svg+xml")
            .WithName("ReadLinkCodeAsSvg").WithTags("Partners").WithSummary("The address of a live link as a QR code, SVG");
        routes.MapGet("/v1/partners/{id}/links/{slug}/qr.png", (
                string id, string slug, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken, string? size = null) =>
                HandleAsync(id, slug, size, "image/png", Png, log, programs, time, cancellationToken))
            .RequireScope(Scope.Read)
            .Produces(StatusCodes.Status200OK, contentType: "image/png")
            .WithName("ReadLinkCodeAsPng").WithTags("Partners").WithSummary("The address of a live link as a QR code, PNG");
    }

    /// <summary>As large as asked: the picture scales.</summary>
    public static byte[] Svg(string url, int size)
    {
        using var matrix = QRCodeGenerator.GenerateQrCode(url, Level);
        using var code = new SvgQRCode(matrix);
        var svg = code.GetGraphic(new System.Drawing.Size(size, size), "#000000", "#ffffff", drawQuietZones: true, SvgQRCode.SizingMode.WidthHeightAttribute);
        return System.Text.Encoding.UTF8.GetBytes(svg);
    }

    /// <summary>At most as large as asked, for each module has a whole number of pixels; at least one.</summary>
    public static byte[] Png(string url, int size)
    {
        using var matrix = QRCodeGenerator.GenerateQrCode(url, Level);
        using var code = new PngByteQRCode(matrix);
        return code.GetGraphic(Math.Max(1, size / matrix.ModuleMatrix.Count), drawQuietZones: true);
    }

    private static async Task<Results<FileContentHttpResult, ProblemHttpResult>> HandleAsync(
        string id, string slug, string? size, string contentType, Func<string, int, byte[]> draw,
        PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
    {
        var checks = new Checks(time);
        var pixels = DefaultSize;
        if (size is not null && (!int.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out pixels) || pixels is < MinSize or > MaxSize))
        {
            checks.Add("size", $"must be {MinSize} to {MaxSize} pixels");
            return Problem.Invalid(checks.Faults);
        }

        var (partner, _) = await log.LoadAsync(id, cancellationToken);
        return partner is null ? PartnerProblem.Unknown(id)
            : partner.FindLink(slug) is not { Retired: false } ? PartnerProblem.UnknownLink(id, slug)
            : TypedResults.Bytes(draw((await programs.LinksAsync(cancellationToken)).Url(slug), pixels), contentType);
    }
}
