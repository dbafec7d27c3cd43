using System.Text.Json;
using System.Text.Json.Serialization;
using MassTransit;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Attribution.Intake;

/// <summary>
/// Appends a batch of clicks as the bytes they came as. Of a click only what places it in the log is read; the rest is read when a
/// conversion wants it, and goes aside then where it cannot be.
/// </summary>
internal sealed class ClicksRecordedConsumer(IntakeWriter intake) : IConsumer<ClicksRecorded>
{
    private static readonly EventType s_click = EventTypes.Of<ClickRecorded>();

    public Task Consume(ConsumeContext<ClicksRecorded> context)
    {
        var clicks = context.Message.Clicks;
        var events = new NewEvent[clicks.Count];
        for (var i = 0; i < events.Length; i++)
        {
            var traceParent = TracedLine.Read(clicks[i], out var click);
            var place = JsonSerializer.Deserialize(click.Span, ClickPlaceJson.Default.ClickPlace)
                ?? throw new JsonException($"Click {i + 1} of {events.Length} is null.");
            events[i] = new NewEvent(
                place.EventId, Ids.ClickStream(place.ProgramId, place.EventId, place.VisitorId), IntakeWriter.VisitorStream, s_click.Name, s_click.DotnetType, click)
            {
                TraceParent = traceParent,
            };
        }

        return intake.AppendAsync(events, Handover.From(context), context.CancellationToken);
    }
}

/// <summary>What of a <see cref="ClickRecorded"/> says where it lies in the log.</summary>
internal sealed record ClickPlace
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public string? VisitorId { get; init; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, PropertyNameCaseInsensitive = false)]
[JsonSerializable(typeof(ClickPlace))]
internal sealed partial class ClickPlaceJson : JsonSerializerContext;
