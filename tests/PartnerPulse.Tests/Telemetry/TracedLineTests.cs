using System.Buffers;
using System.Text;
using System.Text.Json;
using FsCheck.Fluent;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Telemetry;

/// <summary>A click and its trace context on one line.</summary>
public sealed class TracedLineTests(ITestOutputHelper output)
{
    private const string Context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    [Fact]
    public void What_was_put_together_comes_apart_byte_for_byte() =>
        Properties.Hold(output, ArbMap.Default.ArbFor<string>(), 200, text =>
        {
            var click = JsonSerializer.SerializeToUtf8Bytes(new { eventId = Guid.NewGuid(), text });

            var line = TracedLine.With(click, Context);

            Assert.Equal(Context, TracedLine.Read(line, out var alone));
            Assert.Equal(click, alone.ToArray());
            using var json = JsonDocument.Parse(line);
            Assert.Equal(Context, json.RootElement.GetProperty("traceparent").GetString());
        });

    [Theory]
    [InlineData("""{"eventId":"1"}""")]
    [InlineData("""{"traceparent":"00-too-short"}""")]
    [InlineData("""{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}""")]
    [InlineData("""{"query":"{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\","}""")]
    [InlineData("")]
    public void Any_other_line_is_its_own_click(string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line).AsMemory();

        Assert.Null(TracedLine.Read(bytes, out var click));
        Assert.True(bytes.Span == click.Span);
    }

    [Fact]
    public void A_click_in_the_spool_is_the_same_click_with_a_context_and_without()
    {
        var click = new ClickRecorded
        {
            EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, PartnerId = "acme", Via = ClickVia.Redirect, Query = "a=<b>&c=ü",
        };
        using var plain = new SpoolEntry(TimeProvider.System, _ => { });
        using var traced = new SpoolEntry(TimeProvider.System, _ => { });
        plain.Add(click);
        traced.Add(click, Context);
        traced.Add(click);

        var lines = traced.Lines.ToArray().AsMemory();
        var first = lines[..lines.Span.IndexOf((byte)'\n')];
        Assert.Equal(Context, TracedLine.Read(first, out var alone));
        Assert.Equal(plain.Lines[..^1].ToArray(), alone.ToArray());
        Assert.Equal(plain.Lines.ToArray(), lines[(first.Length + 1)..].ToArray());
        Assert.Equal(2, traced.Count);
    }
}
