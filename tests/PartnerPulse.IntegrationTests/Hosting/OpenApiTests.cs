using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using PartnerPulse.Attribution;
using PartnerPulse.Conversions;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Outbound;
using PartnerPulse.Partners;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>What <c>/openapi.json</c> shows works as it stands.</summary>
public sealed class OpenApiTests
{
    [PostgresFact]
    public async Task Every_body_of_JSON_has_an_example_and_the_service_takes_it()
    {
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.AddAttribution();
                builder.AddPartners();
                builder.AddConversions();
                builder.AddOutbound();
            },
            app =>
            {
                app.MapAttribution();
                app.MapPartners();
                app.MapConversions();
                app.MapOutbound();
            });
        var paths = (await service.GetAsync("/openapi.json", scope: null)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("paths");
        var bodies = paths.EnumerateObject().SelectMany(path => path.Value.EnumerateObject().Where(o => o.Value.ValueKind == JsonValueKind.Object && o.Value.TryGetProperty("requestBody", out _))
            .Select(o => (Path: path.Name, Method: new HttpMethod(o.Name.ToUpperInvariant()), Content: o.Value.GetProperty("requestBody").GetProperty("content"))))
            .Where(body => body.Content.TryGetProperty("application/json", out _))
            // Its bodies are the shops' own, and signed: see OrderStoriesTests.
            .Where(body => body.Path != "/v1/hooks/{scheme}/{program}").ToArray();
        Assert.True(bodies.Length >= 12, $"{bodies.Length} bodies");

        Assert.Empty(bodies.Where(body => !body.Content.GetProperty("application/json").TryGetProperty("example", out _)).Select(body => $"{body.Method} {body.Path}"));

        // Partners come before their links and coupons, orders before their adjustments: shorter paths first.
        var hook = "";
        foreach (var body in bodies.OrderBy(b => b.Path.Contains("/v1/partners", StringComparison.Ordinal) ? 0 : 1).ThenBy(b => b.Path.Count(c => c == '/')).ThenBy(b => b.Method != HttpMethod.Post))
        {
            var example = body.Content.GetProperty("application/json").GetProperty("example");
            var path = body.Path.Replace("{source}", "shop", StringComparison.Ordinal).Replace("{orderId}", "1001", StringComparison.Ordinal)
                .Replace("{scheme}", "shopify", StringComparison.Ordinal).Replace("{partner}", "acme", StringComparison.Ordinal).Replace("{slug}", "acme-shoes", StringComparison.Ordinal)
                .Replace("{period}", "2026-01", StringComparison.Ordinal)
                .Replace("{id}", body.Path.StartsWith("/v1/webhooks", StringComparison.Ordinal) ? hook : "acme", StringComparison.Ordinal);
            var answer = await service.CallAsync(body.Method, path, example.GetRawText());

            // A partner that was just enrolled is a moment on its way.
            for (var waited = Stopwatch.StartNew(); answer.Status == HttpStatusCode.NotFound && waited.Elapsed < TimeSpan.FromSeconds(15); await Task.Delay(100))
            {
                answer = await service.CallAsync(body.Method, path, example.GetRawText());
            }

            Assert.True((int)answer.Status is >= 200 and < 300, $"{body.Method} {path} {example}: {(int)answer.Status} {answer.Text}");
            if (body.Path == "/v1/webhooks")
            {
                hook = answer.Json.GetProperty("id").GetString()!;
            }
        }
    }
}
