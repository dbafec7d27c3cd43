using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using RabbitMQ.Client;

namespace PartnerPulse.IntegrationTests.EndToEnd.OrderStories;

/// <summary><c>POST /v1/conversions</c> and its adjustments.</summary>
internal sealed class ApiWay(string source) : WayIn("API")
{
    public override string Source => source;

    protected internal override async Task OrderAsync(PulseSystem system, Ordered order) =>
        AssertTaken(await system.PostAsync("/v1/conversions", OrderBody(order, source)));

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) =>
        AdjustAsync(system, moved.Order, Adjustment(moved), moved.At);

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) =>
        AdjustAsync(system, repriced.Order, Adjustment(repriced), repriced.At);

    private async Task AdjustAsync(PulseSystem system, Ordered order, (string Id, string Amount, string Reason) adjustment, DateTimeOffset at) =>
        AssertTaken(await system.PostAsync(
            $"/v1/conversions/{source}/{order.OrderId}/adjustments",
            new { id = adjustment.Id, amount = adjustment.Amount, currency = OrderStory.Currency, reason = adjustment.Reason, occurredAt = at }));
}

/// <summary>A report as files and the queue take it: an order, or an adjustment of one.</summary>
internal abstract class ReportWay(string name) : WayIn(name)
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    protected internal override Task OrderAsync(PulseSystem system, Ordered order) => SendAsync(system, JsonSerializer.Serialize(OrderBody(order, Source), s_json));

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) => AdjustAsync(system, moved.Order, Adjustment(moved), moved.At);

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) => AdjustAsync(system, repriced.Order, Adjustment(repriced), repriced.At);

    /// <param name="system">Where to.</param>
    /// <param name="report">One JSON object.</param>
    protected abstract Task SendAsync(PulseSystem system, string report);

    private Task AdjustAsync(PulseSystem system, Ordered order, (string Id, string Amount, string Reason) adjustment, DateTimeOffset at) =>
        SendAsync(system, JsonSerializer.Serialize(new
        {
            source = Source, orderId = order.OrderId, adjustmentId = adjustment.Id, amount = adjustment.Amount, currency = OrderStory.Currency, reason = adjustment.Reason, occurredAt = at,
        }, s_json));
}

/// <summary><c>POST /v1/imports/conversions</c> with a line of JSON.</summary>
internal sealed class NdjsonWay() : ReportWay("ndjson")
{
    protected override Task SendAsync(PulseSystem system, string report) => ImportAsync(system, report, "application/x-ndjson");

    public static async Task ImportAsync(PulseSystem system, string file, string type)
    {
        using var content = new StringContent(file, Encoding.UTF8, type);
        var end = (await system.SendAsync(HttpMethod.Post, "/v1/imports/conversions", content)).AssertStatus(HttpStatusCode.OK);
        Assert.Equal(0, end.Json.GetProperty("end").GetProperty("rejectedTotal").GetInt64());
    }
}

/// <summary><c>POST /v1/imports/conversions</c> with a file that a spreadsheet wrote.</summary>
internal sealed class CsvWay() : ReportWay("csv")
{
    protected override async Task SendAsync(PulseSystem system, string report)
    {
        using var json = JsonDocument.Parse(report);
        var fields = json.RootElement.EnumerateObject().ToArray();
        await NdjsonWay.ImportAsync(
            system,
            $"{string.Join(',', fields.Select(f => Header(f.Name)))}\r\n{string.Join(',', fields.Select(f => $"\"{f.Value}\""))}\r\n",
            "text/csv");
    }

    private static string Header(string name) => name switch { "orderId" => "Order ID", "amount" => "Total", "customer" => "E-Mail", _ => name };
}

/// <summary>The queue <c>orders</c>.</summary>
internal sealed class BusWay() : ReportWay("bus")
{
    private IChannel? _channel;

    public override async Task SetUpAsync(PulseSystem system)
    {
        var connection = await new ConnectionFactory { Uri = new Uri(system.Broker!) }.CreateConnectionAsync();
        _channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
    }

    protected override async Task SendAsync(PulseSystem system, string report) =>
        await _channel!.BasicPublishAsync("", "orders", mandatory: true, new BasicProperties { ContentType = "application/json", Persistent = true }, Encoding.UTF8.GetBytes(report));
}

/// <summary><c>GET /v1/postback</c>. It names no time, so that everything happened when it came.</summary>
internal sealed class PostbackWay() : WayIn("postback")
{
    private string _token = "";

    public override async Task SetUpAsync(PulseSystem system) => _token = await system.AddKeyAsync("conversions:write");

    protected internal override Task OrderAsync(PulseSystem system, Ordered order) => GetAsync(
        system,
        [
            ("click_id", order.Click), ("visitor_id", order.Visitor), ("order_id", order.OrderId), ("amount", order.Amount), ("currency", OrderStory.Currency), ("kind", order.Kind),
            ("customer", order.Customer), ("coupon", order.Coupon), ("test", order.Test ? "1" : null),
        ]);

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) => moved.Reason switch
    {
        Why.Refund or Why.Chargeback => TakeBackAsync(system, moved, moved.Reason == Why.Refund ? "refunded" : "chargeback"),
        Why.Cancellation => TakeBackAsync(system, moved, "reversed"),
        Why.ChargebackReversed => ByApiAsync(system, moved),
        var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
    };

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) => new ApiWay(Source).RepriceAsync(system, repriced);

    private Task TakeBackAsync(PulseSystem system, Moved moved, string status) => GetAsync(
        system,
        [
            ("order_id", moved.Order.OrderId), ("status", status), ("adjustment_id", moved.Id), ("amount", Signed(moved.AmountMinor)), ("currency", OrderStory.Currency),
        ]);

    private async Task GetAsync(PulseSystem system, IEnumerable<(string Name, string? Value)> parameters)
    {
        var query = string.Join('&', parameters.Append(("token", _token)).Where(p => p.Item2 is not null).Select(p => $"{p.Item1}={Uri.EscapeDataString(p.Item2!)}"));
        var answer = (await system.GetAsync($"/v1/postback?{query}", key: "")).AssertStatus(HttpStatusCode.OK);
        Assert.NotEqual("ignored", answer.Json.GetProperty("status").GetString());
    }
}

/// <summary>Standard Webhooks with our own shapes.</summary>
internal sealed class StandardWay() : WayIn("standard")
{
    private byte[] _secret = [];

    public override async Task SetUpAsync(PulseSystem system)
    {
        var made = (await system.SendAsync(HttpMethod.Put, "/v1/hooks/standard", PulseSystem.Json(new { make = true }))).AssertStatus(HttpStatusCode.OK);
        _secret = Convert.FromBase64String(made.Json.GetProperty("made").GetString()!["whsec_".Length..]);
    }

    protected internal override Task OrderAsync(PulseSystem system, Ordered order) => SendAsync(system, new { type = "order.recorded", data = OrderBody(order, source: null) });

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) => AdjustAsync(system, moved.Order, Adjustment(moved), moved.At);

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) => AdjustAsync(system, repriced.Order, Adjustment(repriced), repriced.At);

    private Task AdjustAsync(PulseSystem system, Ordered order, (string Id, string Amount, string Reason) adjustment, DateTimeOffset at) => SendAsync(system, new
    {
        type = "order.adjusted",
        data = new { orderId = order.OrderId, id = adjustment.Id, amount = adjustment.Amount, currency = OrderStory.Currency, reason = adjustment.Reason, occurredAt = at },
    });

    private Task SendAsync(PulseSystem system, object body) => Webhooks.SendAsync(system, "standard", body, text =>
    {
        var (id, at) = ($"msg_{Guid.NewGuid():N}", TimeProvider.System.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        return
        [
            ("webhook-id", id), ("webhook-timestamp", at),
            ("webhook-signature", $"v1,{Convert.ToBase64String(System.Security.Cryptography.HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes($"{id}.{at}.{text}")))}"),
        ];
    });
}
