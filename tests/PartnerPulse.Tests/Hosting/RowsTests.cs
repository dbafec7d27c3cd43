using System.Text;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Rows;

namespace PartnerPulse.Tests.Hosting;

/// <summary>Lists as CSV and as JSON lines.</summary>
public partial class RowsTests
{
    private static readonly Column<Row>[] s_columns =
        [new("partner", r => r.Partner), new("commission", r => r.Minor is { } minor ? Currency.ToDecimal(minor, "EUR") : null)];

    internal sealed record Row(string Partner, long? Minor);

    [JsonSerializable(typeof(Row))]
    private sealed partial class RowsJson : JsonSerializerContext;

    [Theory]
    [InlineData(null, RowFormat.Json)]
    [InlineData("*/*", RowFormat.Json)]
    [InlineData("application/json", RowFormat.Json)]
    [InlineData("text/html", RowFormat.Json)]
    [InlineData("text/csv", RowFormat.Csv)]
    [InlineData("TEXT/CSV; charset=utf-8", RowFormat.Csv)]
    [InlineData("application/x-ndjson", RowFormat.Ndjson)]
    [InlineData("application/jsonl, text/csv", RowFormat.Ndjson)]
    [InlineData("application/json;q=0.5, text/csv", RowFormat.Csv)]
    [InlineData("text/csv;q=0, application/x-ndjson;q=0.1", RowFormat.Ndjson)]
    [InlineData("text/html, */*;q=0.8", RowFormat.Json)]
    [InlineData("no such thing", RowFormat.Json)]
    public void The_one_that_the_client_likes_best(string? accept, RowFormat expected)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers.Accept = accept;

        Assert.Equal(expected, context.Request.RowFormat());
    }

    [Fact]
    public async Task Csv_quotes_what_must_be_and_marks_what_a_spreadsheet_would_run()
    {
        var (type, text) = await AnswerAsync(RowFormat.Csv, [new("a, \"b\"", 4990), new("=1+1", -50), new("ö", null)]);

        Assert.Equal("text/csv; charset=utf-8; header=present", type);
        Assert.Equal("partner,commission\r\n\"a, \"\"b\"\"\",49.90\r\n\"'=1+1\",-0.50\r\nö,\r\n", text);
    }

    [Fact]
    public async Task Csv_of_nothing_has_its_header() => Assert.Equal("partner,commission\r\n", (await AnswerAsync(RowFormat.Csv, [])).Text);

    [Fact]
    public async Task Json_lines_are_a_row_each()
    {
        var (type, text) = await AnswerAsync(RowFormat.Ndjson, [new("a\nb", 1), new("c", null)]);

        Assert.Equal("application/x-ndjson", type);
        Assert.Equal("{\"Partner\":\"a\\nb\",\"Minor\":1}\n{\"Partner\":\"c\",\"Minor\":null}\n", text);
    }

    [Theory]
    [InlineData(RowFormat.Csv)]
    [InlineData(RowFormat.Ndjson)]
    public async Task What_fails_before_the_first_row_has_sent_nothing(RowFormat format)
    {
        var context = Context();

        await Assert.ThrowsAsync<InvalidOperationException>(() => Stream(format, Failing(0)).ExecuteAsync(context));

        Assert.Equal(0, context.Response.Body.Length);
        Assert.Null(context.Response.ContentType);
    }

    [Theory]
    [InlineData(RowFormat.Csv)]
    [InlineData(RowFormat.Ndjson)]
    public async Task What_fails_later_is_not_a_whole_list(RowFormat format) =>
        await Assert.ThrowsAsync<InvalidOperationException>(() => Stream(format, Failing(3)).ExecuteAsync(Context()));

    [Theory]
    [InlineData(0, "EUR", "0.00")]
    [InlineData(-5, "EUR", "-0.05")]
    [InlineData(4990, "JPY", "4990")]
    [InlineData(long.MaxValue, "KWD", "9223372036854775.807")]
    [InlineData(long.MinValue, "KWD", "-9223372036854775.808")]
    public void Money_keeps_its_decimals(long minor, string currency, string expected) =>
        Assert.Equal(expected, Currency.ToDecimal(minor, currency).ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static async Task<(string? Type, string Text)> AnswerAsync(RowFormat format, Row[] rows)
    {
        var context = Context();
        await Stream(format, rows.ToAsyncEnumerable()).ExecuteAsync(context);
        await context.Response.BodyWriter.FlushAsync();
        return (context.Response.ContentType, Encoding.UTF8.GetString(((MemoryStream)context.Response.Body).ToArray()));
    }

    private static RowStream<Row> Stream(RowFormat format, IAsyncEnumerable<Row> rows) => new(format, rows, RowsJson.Default.Row, s_columns);

    private static DefaultHttpContext Context() => new() { Response = { Body = new MemoryStream() } };

    private static async IAsyncEnumerable<Row> Failing(int after)
    {
        for (var i = 0; i < after; i++)
        {
            await Task.Yield();
            yield return new Row("a", i);
        }

        throw new InvalidOperationException("the database went away");
    }
}
