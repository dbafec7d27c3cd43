using System.Net;
using PartnerPulse.IntegrationTests.Edge;
using PartnerPulse.IntegrationTests.EndToEnd;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>What leaves the process is what the standard variables ask for. Run alone: who listens, listens to all of the process.</summary>
[Collection(WholeSystems.Name)]
public sealed class SwitchTests
{
    [Theory]
    [InlineData(null, null, true, true)]
    [InlineData("OTEL_SDK_DISABLED", "true", false, false)]
    [InlineData("OTEL_TRACES_EXPORTER", "none", false, true)]
    [InlineData("OTEL_METRICS_EXPORTER", "none", true, false)]
    [InlineData("OTEL_TRACES_SAMPLER", "always_off", false, true)]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "", false, false)]
    public async Task Nothing_is_sent_that_was_not_asked_for(string? variable, string? value, bool traces, bool metrics)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var settings = new Dictionary<string, string?>(receiver.Variables, StringComparer.Ordinal);
        if (variable is not null)
        {
            settings[variable] = value;
        }

        // A host that ends sends what it has.
        await using (var edge = await EdgeHost.StartAsync([EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "sale", "https://shop.example/")], settings: settings))
        {
            using var answer = await edge.FollowAsync("/r/sale");
            Assert.Equal(HttpStatusCode.Found, answer.StatusCode);
        }

        Assert.Equal(traces, receiver.Spans.Any(span => span.Name == "GET /r/{slug}"));
        Assert.Equal(metrics, receiver.Metrics.Any(metric => metric.Name == "pulse.edge.redirect_seconds"));
        Assert.Equal(traces, receiver.Spans.Count > 0);
        Assert.Equal(metrics, receiver.Metrics.Count > 0);
    }

    [Theory]
    [InlineData(null, false)]
    [InlineData("true", true)]
    public async Task The_framework_measures_requests_of_an_edge_where_it_is_told_to(string? told, bool measured)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var settings = new Dictionary<string, string?>(receiver.Variables, StringComparer.Ordinal) { ["Telemetry:RequestMetrics"] = told };
        await using (var edge = await EdgeHost.StartAsync([], settings: settings))
        {
            using var answer = await edge.FollowAsync("/r/none");
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }

        Assert.Equal(measured, receiver.Metrics.Any(metric => metric.Name == "http.server.request.duration"));
    }

    [Fact]
    public async Task A_method_that_nobody_knows_is_no_name_of_a_span()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using (var edge = await EdgeHost.StartAsync([], settings: receiver.Variables))
        {
            using var request = new HttpRequestMessage(new HttpMethod("visitor-4711"), new Uri(edge.Address, "/t"));
            using var answer = await edge.Client.SendAsync(request);
        }

        Assert.Contains(receiver.Spans, span => span.Attributes.TryGetValue("http.request.method", out var method) && method == "_OTHER");
        Assert.False(receiver.Holds("visitor-4711"));
    }
}
