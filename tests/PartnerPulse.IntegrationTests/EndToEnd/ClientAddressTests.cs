using System.Net;
using System.Text;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>What becomes of a visitor's address on the way from a proxy over the gateway into the attribution log.</summary>
[Collection(WholeSystems.Name)]
public sealed class ClientAddressTests(RunningSystems systems)
{
    [Theory]
    [Distributed]
    public async Task Visitors_behind_the_gateway_are_told_apart_by_a_hash_and_their_address_is_in_no_event(Mode mode)
    {
        var system = await systems.GetAsync(mode);
        var slug = await system.EnrolAsync($"address-{Guid.NewGuid():N}"[..20]);
        var hashes = new List<(string Forwarded, Guid Click)>();
        foreach (var forwarded in new[] { "203.0.113.187", "192.0.2.1, 203.0.113.5", "198.51.100.20", "2001:db8:a1b2::7" })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, system.Address($"/r/{slug}"));
            request.Headers.Add("X-Forwarded-For", forwarded);
            using var response = await system.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.Found, response.StatusCode);
            hashes.Add((forwarded, PulseSystem.ClickId(response.Headers.Location!.OriginalString)));
        }

        await system.SettleAsync();
        var texts = new List<string>();
        var byClick = new Dictionary<Guid, string?>();
        await foreach (var stored in system.Log.StreamAllAsync(0, int.MaxValue, CancellationToken.None))
        {
            texts.Add(Encoding.UTF8.GetString(stored.Data.Span));
            if (EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span) is ClickRecorded click)
            {
                byClick[click.EventId] = click.AddressHash;
            }
        }

        var found = hashes.Select(h => byClick[h.Click]).ToArray();
        Assert.All(found, Assert.NotNull);
        Assert.Equal(found[0], found[1]);
        Assert.Equal(3, found.Distinct(StringComparer.Ordinal).Count());
        Assert.All(texts, text => Assert.DoesNotContain("203.0.113", text, StringComparison.Ordinal));
        Assert.All(texts, text => Assert.DoesNotContain("2001:db8", text, StringComparison.Ordinal));
    }
}
