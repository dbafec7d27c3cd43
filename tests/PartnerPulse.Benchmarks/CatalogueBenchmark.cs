using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>An edge with a million links: its start from disk, its memory, a lookup, and how long one change takes.</summary>
internal static class CatalogueBenchmark
{
    private const int Links = 1_000_000;
    private const double MaxStartSeconds = 5;
    private const double MaxMegabytes = 600;
    private const double MaxChangeMilliseconds = 1_000;
    private const int Lookups = 5_000_000;

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("pulse-catalogue-").FullName;
        try
        {
            BenchServers.WriteCatalogue(folder, Links);
            var (starts, megabytes) = (new List<double>(), new List<double>());
            for (var round = 0; round < rounds; round++)
            {
                var port = Ports.Free($"{folder}/{round}");
                var watch = Stopwatch.StartNew();
                var server = BenchServers.Start(nameof(Durability.Disk), folder, port);
                try
                {
                    await BenchServers.UntilUpAsync(port, BenchServers.Slug(Links - 1), cancellation);
                    starts.Add(watch.Elapsed.TotalSeconds);
                    megabytes.Add(await ResidentMegabytesAsync(server.Id, cancellation));
                }
                finally
                {
                    await BenchServers.StopAsync(server);
                }
            }

            var (lookup, bytes, change) = Use(folder);
            return
            [
                Limit("start of an edge until the first redirect", "s", starts, MaxStartSeconds),
                Limit("resident after the start", "MB", megabytes, MaxMegabytes),
                Limit("one link changed, on disk and in memory", "ms", [change], MaxChangeMilliseconds),
                Measured.Of("catalogue", $"lookup among {Links:N0} links", "ns", [lookup], "one string hashed", [HashNanoseconds()], aim: null),
                Measured.Of("catalogue", "allocated a lookup", "bytes", [bytes], "one byte", [1], aim: 0),
            ];
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Measured Limit(string what, string unit, IReadOnlyList<double> ours, double limit) =>
        Measured.Of("catalogue", what, unit, ours, "limit", [.. ours.Select(_ => limit)], aim: 1);

    private static (double Nanoseconds, double Bytes, double ChangeMilliseconds) Use(string folder)
    {
        var catalogue = new Catalogue();
        using var file = new CatalogueFile(folder, catalogue, NullLogger<CatalogueFile>.Instance);
        string[] slugs = [.. Enumerable.Range(0, Links).Select(BenchServers.Slug)];
        new Random(7).Shuffle(slugs);
        var found = 0;
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < Lookups; i++)
        {
            found += catalogue.Find(slugs[i % Links]) is null ? 0 : 1;
        }

        var nanoseconds = watch.Elapsed.TotalNanoseconds / Lookups;
        var bytes = (double)(GC.GetAllocatedBytesForCurrentThread() - allocated) / Lookups;
        if (found != Lookups)
        {
            throw new InvalidOperationException($"{Lookups - found} lookups found nothing.");
        }

        watch.Restart();
        var at = new DateTimeOffset(2026, 2, 1, 0, 0, 0, TimeSpan.Zero);
        file.Apply(
            [
                new LinkPublished
                {
                    EventId = Ids.Derive("bench", "change"), ProgramId = "main", OccurredAt = at, PartnerId = "acme", Slug = slugs[0], Destination = "https://shop.example/moved",
                },
            ],
            Links + 2);
        return catalogue.Find(slugs[0])!.Destination.Address.EndsWith("moved", StringComparison.Ordinal)
            ? (nanoseconds, bytes, watch.Elapsed.TotalMilliseconds)
            : throw new InvalidOperationException("The change is not to be seen.");
    }

    /// <summary>What no lookup by name can save.</summary>
    private static double HashNanoseconds()
    {
        var slug = BenchServers.Slug(Links - 1);
        var sum = 0;
        var watch = Stopwatch.StartNew();
        for (var i = 0; i < Lookups; i++)
        {
            sum ^= string.GetHashCode(slug, StringComparison.Ordinal) + i;
        }

        GC.KeepAlive(sum);
        return watch.Elapsed.TotalNanoseconds / Lookups;
    }

    private static async Task<double> ResidentMegabytesAsync(int process, CancellationToken cancellation)
    {
        var status = await File.ReadAllLinesAsync($"/proc/{process}/status", cancellation);
        var line = status.Single(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return double.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
    }
}
