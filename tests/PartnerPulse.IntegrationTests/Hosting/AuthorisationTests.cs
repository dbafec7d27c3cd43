using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Conversions;
using PartnerPulse.Edge;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Outbound;
using PartnerPulse.Partners;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>
/// Every endpoint of every service, as the route table has it: who may call it, and that nobody else may. A new endpoint is among them
/// without a word here.
/// </summary>
public sealed class AuthorisationTests
{
    /// <summary>
    /// What asks for no key in <c>Authorization</c>. Visitors follow links and land; probes and people look at health and description; an
    /// order by postback has its key in the address, a shop's webhook is signed (PostbackTests, HooksTests).
    /// </summary>
    private static readonly string[] s_public =
    [
        "GET /live", "GET /openapi.json", "GET /r/{slug}", "GET /ready", "GET /t.js", "GET /v1/postback", "HEAD /r/{slug}", "HEAD /t.js", "OPTIONS /t", "POST /t",
        "POST /v1/hooks/{scheme}/{program}",
    ];

    [PostgresFact]
    public async Task Every_endpoint_is_refused_without_a_key_with_a_key_of_another_scope_and_with_another_programs()
    {
        await using var service = await StartAsync();
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = service.Address };
        var endpoints = Endpoints(service);
        Assert.Equal(s_public, endpoints.Where(e => e.Scopes is null).Select(e => e.Name).Order(StringComparer.Ordinal));
        var closed = endpoints.Where(e => e.Scopes is not null).ToArray();
        Assert.True(closed.Length > 80, $"{closed.Length} endpoints");

        var wrong = new List<string>();
        foreach (var endpoint in closed)
        {
            await ExpectAsync(endpoint, key: null, HttpStatusCode.Unauthorized);
            await ExpectAsync(endpoint, "key-of-nobody", HttpStatusCode.Unauthorized);
            await ExpectAsync(endpoint, "key-of-other", HttpStatusCode.Forbidden);
            foreach (var scope in Scope.All.Append($"{Scope.PartnerPrefix}acme"))
            {
                var may = scope == Scope.Admin || endpoint.Scopes!.Any(asked => scope == asked || (asked == Scope.PartnerPrefix && scope.StartsWith(asked, StringComparison.Ordinal)));
                if (!may)
                {
                    await ExpectAsync(endpoint, $"key-of-{scope}", HttpStatusCode.Forbidden);
                }
            }

            // Each of its own scopes, and the administrator: the request is looked at, whatever then is wrong with it.
            foreach (var scope in endpoint.Scopes!.Select(asked => asked == Scope.PartnerPrefix ? $"{Scope.PartnerPrefix}acme" : asked).Append(Scope.Admin))
            {
                var answer = await CallAsync(client, endpoint, $"key-of-{scope}");
                if (answer is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.InternalServerError)
                {
                    wrong.Add($"{endpoint.Name} with {scope}: {(int)answer}");
                }
            }
        }

        Assert.Empty(wrong);

        async Task ExpectAsync(Endpoint endpoint, string? key, HttpStatusCode expected)
        {
            var status = await CallAsync(client, endpoint, key);
            if (status != expected)
            {
                wrong.Add($"{endpoint.Name} with {key ?? "no key"}: {(int)status} instead of {(int)expected}");
            }
        }
    }

    /// <summary>Whatever is open to partners: its own partner's key gets it, another's learns nothing of the partner or its order.</summary>
    [PostgresFact]
    public async Task A_partners_key_sees_nothing_of_another_partner()
    {
        var folder = Directory.CreateTempSubdirectory("pulse-seals-").FullName;
        await using var system = await ThreeServices.StartAsync(new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Attribution:SealFile"] = Path.Combine(folder, "checkpoints"), ["Attribution:SealKeyFile"] = Path.Combine(folder, "seal.key"), ["Attribution:SealSeconds"] = "1",
        });
        var service = system.Service;
        await system.EnrolAsync("acme");
        await system.EnrolAsync("alpha");
        await system.ClickAsync("acme", "visitor-1", daysAgo: 1);
        var order = (await system.PostAsync(
            "/v1/conversions", new { kind = "sale", source = "shop", orderId = "order-of-acme", amount = "100.00", currency = "EUR", visitorId = "visitor-1" }, HttpStatusCode.Created)).Json;
        await system.SettleAsync();
        var click = (await system.ReceiptAsync("order-of-acme")).GetProperty("touches")[0].GetProperty("clickId").GetGuid();
        var claims = new StringContent("order_id,amount,currency\norder-of-acme,100.00,EUR\n", Encoding.UTF8, "text/csv");
        using var client = new HttpClient { BaseAddress = service.Address };
        var reconciliation = await SendAsync(client, HttpMethod.Post, "/v1/reconciliations?source=shop&partner=acme", "key-of-partner:acme", claims);
        Assert.True(reconciliation.Status is HttpStatusCode.Created or HttpStatusCode.OK, reconciliation.Text);
        await Waits.UntilAsync("the click is sealed", async () => (await service.GetAsync($"/v1/attestations/clicks/{click}")).Status == HttpStatusCode.OK);
        var month = TimeProvider.System.GetUtcNow().ToString("yyyy-MM", CultureInfo.InvariantCulture);
        var known = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["/v1/receipts/{conversionId}"] = $"/v1/receipts/{order.GetProperty("conversionId").GetGuid()}",
            ["/v1/receipts"] = "/v1/receipts?source=shop&orderId=order-of-acme",
            ["/v1/reconciliations/{id}"] = $"/v1/reconciliations/{JsonDocument.Parse(reconciliation.Text).RootElement.GetProperty("summary").GetProperty("id").GetGuid()}",
            ["/v1/attestations/clicks/{clickId}"] = $"/v1/attestations/clicks/{click}",
            ["/v1/statements/{id}"] = $"/v1/statements/{month}",
            ["/v1/statements/{id}/payouts"] = $"/v1/statements/{month}/payouts",
        };
        var open = Endpoints(service).Where(e => e.Scopes?.Contains(Scope.PartnerPrefix, StringComparer.Ordinal) == true && e.Method == HttpMethod.Get).ToArray();
        Assert.True(open.Length >= 9, $"{open.Length} endpoints");
        var seen = new List<string>();
        var leaks = new List<string>();
        foreach (var endpoint in open)
        {
            var path = known.GetValueOrDefault(endpoint.Pattern) ?? endpoint.Path;
            var own = await SendAsync(client, HttpMethod.Get, path, "key-of-partner:acme");
            var others = await SendAsync(client, HttpMethod.Get, path, "key-of-partner:alpha");
            if (own.Status == HttpStatusCode.OK && own.Text.Contains("acme", StringComparison.Ordinal))
            {
                seen.Add(endpoint.Pattern);
            }

            // It may know which order it asked for, where it asks by its own words.
            if (others.Text.Replace("order-of-acme", "", StringComparison.Ordinal).Contains("acme", StringComparison.Ordinal)
                || (others.Status == HttpStatusCode.OK && others.Text.Contains("100.00", StringComparison.Ordinal) && !endpoint.Pattern.StartsWith("/v1/receipts", StringComparison.Ordinal)))
            {
                leaks.Add($"{path}: {others.Text}");
            }
        }

        Assert.Empty(leaks);
        // The test would hold of an endpoint that answers nothing: what has the partner in it shows it to the partner.
        Assert.Equal(
            open.Select(e => e.Pattern).Except(["/v1/statements", "/v1/seals/checkpoint"], StringComparer.Ordinal).Order(StringComparer.Ordinal), seen.Order(StringComparer.Ordinal));
    }

    private sealed record Endpoint(HttpMethod Method, string Pattern, string Path, IReadOnlyList<string>? Scopes)
    {
        public string Name => $"{Method} {Pattern}";
    }

    /// <summary>The route table: each method of each pattern once, and an address that fits.</summary>
    private static IReadOnlyList<Endpoint> Endpoints(TestService service) =>
        service.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .SelectMany(endpoint => (endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["GET"]).Select(method => new Endpoint(
                new HttpMethod(method),
                "/" + string.Join('/', endpoint.RoutePattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part => part switch
                {
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart parameter => $"{{{parameter.Name}}}",
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal => literal.Content,
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternSeparatorPart separator => separator.Content,
                    _ => "",
                })))),
                "/" + string.Join('/', endpoint.RoutePattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part => part switch
                {
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart parameter => Value(parameter),
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal => literal.Content,
                    Microsoft.AspNetCore.Routing.Patterns.RoutePatternSeparatorPart separator => separator.Content,
                    _ => "",
                })))),
                endpoint.Metadata.GetMetadata<RequiredScope>()?.AnyOf)))
            .DistinctBy(endpoint => endpoint.Name).ToArray();

    private static string Value(Microsoft.AspNetCore.Routing.Patterns.RoutePatternParameterPart parameter) =>
        parameter.ParameterPolicies.Select(policy => policy.Content).FirstOrDefault() switch
        {
            "guid" => Guid.NewGuid().ToString(),
            "int" or "long" => 999_999.ToString(CultureInfo.InvariantCulture),
            _ => "none",
        };

    private static async Task<HttpStatusCode> CallAsync(HttpClient client, Endpoint endpoint, string? key) =>
        (await SendAsync(client, endpoint.Method, endpoint.Path, key, endpoint.Method == HttpMethod.Get ? null : new StringContent("{}", Encoding.UTF8, "application/json"))).Status;

    private static async Task<(HttpStatusCode Status, string Text)> SendAsync(HttpClient client, HttpMethod method, string path, string? key, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (key is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        }

        using var response = await client.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static async Task<TestService> StartAsync()
    {
        var service = await TestService.StartAsync(
            builder =>
            {
                builder.Configuration.AddInMemoryCollection([new("Edge:Data", Directory.CreateTempSubdirectory("pulse-edge-").FullName), new("Edge:Durability", "Process")]);
                builder.AddAttribution();
                builder.AddPartners();
                builder.AddConversions();
                builder.AddEdge();
                builder.AddOutbound();
            },
            app =>
            {
                app.MapAttribution();
                app.MapPartners();
                app.MapConversions();
                app.MapEdge();
                app.MapOutbound();
            });
        return service;
    }
}
