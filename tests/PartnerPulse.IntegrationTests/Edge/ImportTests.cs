using System.Net;
using System.Text;
using System.Text.Json;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.Edge;

public class ImportTests
{
    private const string Good = """{"partner":"acme","occurredAt":"2026-01-02T03:04:05+01:00","visitorId":"v1"}""";

    private static readonly IEvent[] s_catalogue = [EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/")];

    [Fact]
    public async Task Good_lines_are_kept_and_each_bad_one_is_told_with_line_field_and_reason()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var lines = string.Join('\n',
            Good,
            """{"partner":"nobody","occurredAt":"2026-01-02T03:04:05Z"}""",
            "",
            """{"partner":"acme"}""",
            "{not json",
            """{"partner":"acme","occurredAt":"2126-01-02T03:04:05Z"}""",
            """{"partner":"acme","occurredAt":"2026-01-02T03:04:05Z","colour":"red"}""",
            """{"partner":"acme","occurredAt":"2026-01-02T03:04:05Z","campaign":"\ud800"}""",
            """{"partner":"acme","occurredAt":"2026-01-02T03:04:05Z","visitorId":"a\u0000b"}""",
            """{"partner":"acme","occurredAt":"2026-01-02T03:04:05Z","userAgent":""" + $"\"{new string('x', 20_000)}\"}}",
            Good.Replace("v1", "v2", StringComparison.Ordinal) + "\r",
            Good.Replace("v1", "v3", StringComparison.Ordinal));
        var (status, body) = await edge.ImportAsync(lines);

        Assert.Equal((HttpStatusCode.Accepted, 3, 8), (status, body.GetProperty("accepted").GetInt32(), body.GetProperty("rejectedTotal").GetInt32()));
        Assert.Equal(
            ["2 partner", "4 occurredAt", "5 line", "6 occurredAt", "7 colour", "8 campaign", "9 visitorId", "10 line"],
            body.GetProperty("rejected").EnumerateArray().Select(r => $"{r.GetProperty("line")} {r.GetProperty("field").GetString()}"));
        Assert.All(body.GetProperty("rejected").EnumerateArray(), r => Assert.NotEmpty(r.GetProperty("reason").GetString()!));
        Assert.Equal(["v1", "v2", "v3"], (await edge.ClicksAsync()).Select(c => c.VisitorId));
    }

    [Fact]
    public async Task The_same_file_twice_has_the_same_ids()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var lines = string.Join('\n', Enumerable.Range(0, 700).Select(i => Good.Replace("v1", $"v{i}", StringComparison.Ordinal)));
        await edge.ImportAsync(lines);
        await edge.ImportAsync(lines);
        var ids = (await edge.ClicksAsync()).Select(c => c.EventId).ToArray();
        Assert.Equal((1_400, 700), (ids.Length, ids.Distinct().Count()));
        Assert.Equal(ids[..700], ids[700..]);
    }

    [Fact]
    public async Task Where_no_line_is_good_the_request_is_refused()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var (status, body) = await edge.ImportAsync("""{"partner":"nobody","occurredAt":"2026-01-02T03:04:05Z"}""");
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal("line 1: partner", body.GetProperty("errors")[0].GetProperty("field").GetString());
        Assert.Equal((0, 1), (body.GetProperty("accepted").GetInt32(), body.GetProperty("rejected").GetArrayLength()));
    }

    [Fact]
    public async Task Who_may_not_import_is_told_so()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        Assert.Equal(HttpStatusCode.Unauthorized, (await edge.ImportAsync(Good, key: null)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await edge.ImportAsync(Good, key: "wrong")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await edge.ImportAsync(Good, EdgeHost.ReadOnlyKey)).Status);
        var (status, body) = await edge.ImportAsync(Good, type: "application/json");
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "Content-Type"), (status, body.GetProperty("errors")[0].GetProperty("field").GetString()));
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_refused_with_the_limit()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:ImportMaxBytes"] = "1048576" });
        var (status, body) = await edge.ImportAsync(new string('\n', 1_100_000));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, status);
        Assert.Contains("1048576", body.GetProperty("errors")[0].GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_line_without_end_does_not_fill_the_memory()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var lines = new StringBuilder(Good).Append('\n').Append('{').Append('x', 4_000_000).Append('\n').Append(Good.Replace("v1", "v2", StringComparison.Ordinal));
        var (_, body) = await edge.ImportAsync(lines.ToString());
        Assert.Equal((2, 1), (body.GetProperty("accepted").GetInt32(), body.GetProperty("rejectedTotal").GetInt32()));
        Assert.Equal(2, body.GetProperty("rejected")[0].GetProperty("line").GetInt32());
    }

    [Fact]
    public async Task The_list_of_refused_lines_is_bounded_and_their_number_is_told()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var (_, body) = await edge.ImportAsync(Good + "\n" + string.Concat(Enumerable.Repeat("{}\n", 3_000)));
        Assert.Equal((1, 3_000, 1_000), (body.GetProperty("accepted").GetInt32(), body.GetProperty("rejectedTotal").GetInt32(), body.GetProperty("rejected").GetArrayLength()));
    }
}
