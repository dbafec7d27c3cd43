using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Imports;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Tests.Edge;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Conversions;

/// <summary>
/// Mutated files, bodies and messages, through everything that reads them. Whatever comes, each line is told of or is whole: nothing
/// throws, and what passes is an event that the log takes and gives back.
/// </summary>
public sealed class HostileReportsTests(ITestOutputHelper output)
{
    private const int Cases = 30_000;

    private const string Event = """{"specversion":"1.0","id":"e-1","source":"/shop","type":"order.paid","time":"2026-03-01T10:00:00Z","data":""" + Mutations.Order + "}";

    private static readonly ManualTime s_time = new();
    private static readonly ReportReader s_reader = new(new ConversionReader(new CustomerKeys(new byte[32]), "main", "EUR"), "main");

    [Fact]
    public async Task Lines_of_a_csv()
    {
        var random = Seeds.Random(output);
        var read = (Lines: 0, Passed: 0);
        while (read.Lines < Cases)
        {
            var file = new StringBuilder("source,orderId,kind,occurredAt,amount,currency,visitorId,clickId,customer,coupon,newCustomer,test,adjustmentId,reason\n");
            for (var i = 0; i < 200; i++)
            {
                file.Append(CultureInfo.InvariantCulture, $"shop,{i},sale,2026-03-01T10:00:00Z,49.90,EUR,v1,c-1,ann@example.org,SPRING,true,false,,\nshop,{i},,2026-03-02T10:00:00Z,-1.00,EUR,,,,,,,r-1,refund\n");
            }

            var bytes = Encoding.UTF8.GetBytes(file.ToString());
            for (var mutations = random.Next(1, 150); mutations > 0; mutations--)
            {
                bytes = Mutations.Of(random, bytes, mayCut: false);
            }

            var last = 0L;
            await foreach (var line in ImportLines.ReadCsvAsync(new MemoryStream(bytes), new Dictionary<string, string>(), random.Next(4) == 0, random.Next(3), default))
            {
                if (line is { Header: [], Stopped: null, Ignored: null })
                {
                    Assert.True(line.Number >= last || line.Ask is null, $"Line {line.Number} after {last}.");
                    last = Math.Max(last, line.Number);
                    read.Lines++;
                    read.Passed += Holds(line.Ask, line.Faults) ? 1 : 0;
                }
            }
        }

        AssertBoth(read.Lines, read.Passed);
    }

    [Fact]
    public async Task Lines_of_json()
    {
        var random = Seeds.Random(output);
        var read = (Lines: 0, Passed: 0);
        while (read.Lines < Cases)
        {
            var file = new MemoryStream();
            for (var i = 0; i < 200; i++)
            {
                file.Write(Mutations.Of(random, i % 3 == 0 ? Mutations.Adjustment : Mutations.Order));
                file.WriteByte((byte)'\n');
            }

            file.Position = 0;
            await foreach (var line in ImportLines.ReadJsonAsync(PipeReader.Create(file), default))
            {
                read.Lines++;
                read.Passed += Holds(line.Ask, line.Faults) ? 1 : 0;
            }
        }

        AssertBoth(read.Lines, read.Passed);
    }

    [Fact]
    public void Bodies_of_orders_and_adjustments()
    {
        var random = Seeds.Random(output);
        var passed = 0;
        for (var i = 0; i < Cases; i++)
        {
            var body = Mutations.Of(random, random.Next(3) == 0 ? $"[{Mutations.Order},{Mutations.Order}]" : Mutations.Order);
            var (elements, _, fault) = RequestBody.Elements(body, RecordConversion.MaxBatch, "orders");
            Assert.True(fault is null || fault.Reason.Length > 0);
            foreach (var element in fault is null ? elements : [])
            {
                var (ask, wrong) = RequestBody.Parse(element.Span, ConversionsJson.Default.ReportAsk);
                passed += Holds(ask, wrong is null ? [] : [wrong]) ? 1 : 0;
            }
        }

        AssertBoth(Cases, passed);
    }

    [Fact]
    public void Messages_of_the_queue()
    {
        var random = Seeds.Random(output);
        string?[] types = [null, "application/json", "application/cloudevents+json", "application/cloudevents-batch+json", "application/cloudevents", "text/plain"];
        var passed = 0;
        for (var i = 0; i < Cases; i++)
        {
            var type = types[random.Next(types.Length)];
            var plain = type?.Contains("batch", StringComparison.Ordinal) == true ? $"[{Event},{Event}]"
                : type?.Contains("cloud", StringComparison.Ordinal) == true ? Event
                : random.Next(2) == 0 ? $"[{Mutations.Order},{Mutations.Adjustment}]" : Mutations.Order;
            var binary = random.Next(5);
            var message = OrderMessage.Read(
                Mutations.Of(random, plain), type, random.Next(50) == 0 ? "gzip" : null,
                name => binary > 2 ? null : name.EndsWith("specversion", StringComparison.Ordinal) ? (binary == 0 ? "1.0" : "x") : binary == 1 ? null : "a");
            Assert.All(message.Faults, fault => Assert.True(fault is { Field.Length: > 0, Reason.Length: > 0 }));
            passed += message.Reports.Count(report => Holds(report.Ask, []));
        }

        AssertBoth(Cases, passed);
    }

    /// <summary>Whether the report passes. Either way it is accounted for.</summary>
    private static bool Holds(ReportAsk? ask, IReadOnlyList<FieldFault> faults)
    {
        if (ask is null)
        {
            Assert.NotEmpty(faults);
            Assert.All(faults, fault => Assert.True(fault is { Field.Length: > 0, Reason.Length: > 0 }));
            return false;
        }

        var checks = new Checks(s_time);
        switch (s_reader.Read(ask, checks))
        {
            case null:
                Assert.NotEmpty(checks.Faults);
                return false;
            case Report.OfOrder { Asked.Order: var order }:
                Assert.Equal(Ids.Conversion("main", order.Source, order.OrderId), order.EventId);
                Assert.InRange(order.AmountMinor, 0, Currency.MaxMinor);
                Assert.NotNull(Currency.Decimals(order.Currency));
                Assert.Equal(ask.Items?.Count > 0 ? ask.Items.Count : null, order.Items?.Count);
                AssertKept(order);
                return true;
            case Report.OfAdjustment adjustment:
                if (AdjustConversion.Decide(Conversion.Unknown, adjustment.Asked, "main") is AdjustConversion.Adjusted adjusted)
                {
                    AssertKept(adjusted.Event);
                    return true;
                }

                return false;
            case var other:
                throw new InvalidOperationException(other.ToString());
        }
    }

    /// <summary>The log gives back what it took, and PostgreSQL can hold it: no U+0000 and no half of a character.</summary>
    private static void AssertKept(IEvent e)
    {
        var json = EventTypes.Serialize(e);
        Assert.Equal(json, EventTypes.Serialize(EventTypes.Deserialize(EventTypes.Of(e), json)));
        using var document = JsonDocument.Parse(json);
        foreach (var text in document.RootElement.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.String).Select(p => p.Value.GetString()!))
        {
            Assert.DoesNotContain('\0', text);
            Assert.DoesNotContain('\uFFFD', text);
        }
    }

    private void AssertBoth(int cases, int passed)
    {
        output.WriteLine($"{cases} cases, {passed} passed");
        Assert.True(cases >= Cases);
        Assert.InRange(passed, Cases / 10, cases * 2);
    }
}
