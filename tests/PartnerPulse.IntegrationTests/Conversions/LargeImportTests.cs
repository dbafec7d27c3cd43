using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Servers;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>A file of many lines. It measures the memory of the process, so nothing else runs beside it.</summary>
[Collection(WholeSystems.Name)]
public sealed class LargeImportTests(ConversionsFixture fixture, ITestOutputHelper output) : IClassFixture<ConversionsFixture>
{
    [PostgresFact]
    public async Task Three_hundred_thousand_lines_pass_in_bounded_memory()
    {
        const int Lines = 300_000;
        const int Sample = 30_000;
        var order = $"{Guid.NewGuid():N}";
        using (var warm = new StringContent($"source,orderId,kind,amount,currency\nshop,{order}-warm,sale,1.00,EUR", Encoding.UTF8))
        {
            await ImportAsync(warm, "");
        }

        var baseline = GC.GetTotalMemory(forceFullCollection: true);
        var most = 0L;
        using var content = new GeneratedContent(async stream =>
        {
            await stream.WriteAsync("Order ID,occurred_at,total,currency,email\n"u8.ToArray());
            var page = new StringBuilder();
            for (var i = 1; i <= Lines; i++)
            {
                page.Append(CultureInfo.InvariantCulture, $"{order}-{i},2026-03-01T10:00:00Z,{i % 1000}.50,EUR,customer-{i}@example.org\n");
                if (i % 1_000 == 0)
                {
                    await stream.WriteAsync(Encoding.UTF8.GetBytes(page.ToString()));
                    page.Clear();
                }

                if (i % Sample == 0)
                {
                    most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: true) - baseline);
                }
            }
        });
        var clock = Stopwatch.StartNew();

        var end = await ImportAsync(content, "?source=shop&kind=sale");

        output.WriteLine($"{Lines} lines in {clock.Elapsed.TotalSeconds:0.0} s, {Lines / clock.Elapsed.TotalSeconds:0} a second; at most {most / 1024 / 1024} MB more than before");
        Assert.Equal(
            (Lines, 0, 0, Lines + 1),
            (end.GetProperty("recorded").GetInt32(), end.GetProperty("alreadyRecorded").GetInt32(), end.GetProperty("rejectedTotal").GetInt32(), end.GetProperty("committedTo").GetInt32()));
        Assert.InRange(clock.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(60));

        // As text alone the file has more than 20 MB, as events ten times that.
        Assert.InRange(most, long.MinValue, 24L * 1024 * 1024);
        Assert.Equal(Lines + 1L, await fixture.ScalarAsync<long>($"select count(*) from conversions.mt_events where data ->> 'orderId' like '{order}%'"));
    }

    private async Task<JsonElement> ImportAsync(HttpContent content, string query)
    {
        var service = await fixture.ServiceAsync();
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Address, $"/v1/imports/conversions{query}")) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{Scope.WriteConversions}");
        content.Headers.ContentType = new MediaTypeHeaderValue("text/csv");
        using var response = await client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonDocument.Parse(text).RootElement.GetProperty("end");
    }

    /// <summary>A body that is made while it is sent.</summary>
    private sealed class GeneratedContent(Func<Stream, Task> write) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => write(stream);

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
