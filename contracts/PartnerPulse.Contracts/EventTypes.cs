using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace PartnerPulse.Contracts;

/// <summary>One row of the table of events: its published name, its record and how it is written.</summary>
/// <param name="Name">snake_case of the record's name; a published name never changes meaning.</param>
/// <param name="DotnetType">What Marten keeps in <c>mt_dotnet_type</c>.</param>
/// <param name="ClrType">The record.</param>
/// <param name="Json">Its serializer.</param>
public sealed record EventType(string Name, string DotnetType, Type ClrType, JsonTypeInfo Json);

/// <summary>The table of all events. A changed shape is a new record and a new name (<c>click_recorded_v2</c>).</summary>
public static class EventTypes
{
    private static readonly EventType[] s_all =
    [
        Row("click_recorded", ContractsJson.Default.ClickRecorded),
        Row("conversion_recorded", ContractsJson.Default.ConversionRecorded),
        Row("conversion_adjusted", ContractsJson.Default.ConversionAdjusted),
        Row("conversion_merged", ContractsJson.Default.ConversionMerged),
        Row("conversion_separated", ContractsJson.Default.ConversionSeparated),
        Row("order_identities_declared", ContractsJson.Default.OrderIdentitiesDeclared),
        Row("partner_enrolled", ContractsJson.Default.PartnerEnrolled),
        Row("partner_suspended", ContractsJson.Default.PartnerSuspended),
        Row("partner_reinstated", ContractsJson.Default.PartnerReinstated),
        Row("partner_grouped", ContractsJson.Default.PartnerGrouped),
        Row("link_published", ContractsJson.Default.LinkPublished),
        Row("link_retired", ContractsJson.Default.LinkRetired),
        Row("program_configured", ContractsJson.Default.ProgramConfigured),
        Row("rules_published", ContractsJson.Default.RulesPublished),
        Row("replay_requested", ContractsJson.Default.ReplayRequested),
        Row("model_fitted", ContractsJson.Default.ModelFitted),
        Row("replay_completed", ContractsJson.Default.ReplayCompleted),
        Row("replay_promoted", ContractsJson.Default.ReplayPromoted),
        Row("replay_discarded", ContractsJson.Default.ReplayDiscarded),
        Row("credits_revised", ContractsJson.Default.CreditsRevised),
        Row("conversion_restated", ContractsJson.Default.ConversionRestated),
        Row("coupon_assigned", ContractsJson.Default.CouponAssigned),
        Row("coupon_withdrawn", ContractsJson.Default.CouponWithdrawn),
        Row("visitor_identified", ContractsJson.Default.VisitorIdentified),
        Row("partner_identified", ContractsJson.Default.PartnerIdentified),
        Row("customer_erased", ContractsJson.Default.CustomerErased),
        Row("statement_closed", ContractsJson.Default.StatementClosed),
    ];

    private static readonly FrozenDictionary<string, EventType> s_byName = s_all.ToFrozenDictionary(t => t.Name, StringComparer.Ordinal);
    private static readonly FrozenDictionary<Type, EventType> s_byType = s_all.ToFrozenDictionary(t => t.ClrType);

    public static IReadOnlyList<EventType> All => s_all;

    /// <exception cref="ArgumentException">The record is not in the table.</exception>
    public static EventType Of(IEvent @event) =>
        s_byType.TryGetValue(@event.GetType(), out var type)
            ? type
            : throw new ArgumentException($"{@event.GetType().FullName} is not in the table of events.", nameof(@event));

    /// <summary>The row of <typeparamref name="T"/>.</summary>
    public static EventType Of<T>() where T : IEvent => s_byType[typeof(T)];

    /// <summary>Null where the name is unknown here: a newer version of PartnerPulse may have written it.</summary>
    public static EventType? Find(string name) => s_byName.GetValueOrDefault(name);

    public static byte[] Serialize(IEvent @event) => JsonSerializer.SerializeToUtf8Bytes(@event, Of(@event).Json);

    /// <summary>The event of a known name.</summary>
    /// <exception cref="JsonException">The text is not that event.</exception>
    public static IEvent Deserialize(EventType type, ReadOnlySpan<byte> json) =>
        (IEvent?)JsonSerializer.Deserialize(json, type.Json) ?? throw new JsonException($"{type.Name} is null.");

    private static EventType Row<T>(string name, JsonTypeInfo<T> json) where T : IEvent =>
        new(name, $"{typeof(T).FullName}, {typeof(T).Assembly.GetName().Name}", typeof(T), json);
}
