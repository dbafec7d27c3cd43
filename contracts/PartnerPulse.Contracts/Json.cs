using System.Text.Json;
using System.Text.Json.Serialization;

namespace PartnerPulse.Contracts;

/// <summary>
/// The one serializer. camelCase, absent instead of null, enums in camelCase, times with offset. What it writes is what the
/// log keeps and what Marten reads with <c>Casing.CamelCase</c>.
/// </summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(ClickRecorded))]
[JsonSerializable(typeof(ConversionRecorded))]
[JsonSerializable(typeof(ConversionAdjusted))]
[JsonSerializable(typeof(ConversionMerged))]
[JsonSerializable(typeof(ConversionSeparated))]
[JsonSerializable(typeof(OrderIdentitiesDeclared))]
[JsonSerializable(typeof(PartnerEnrolled))]
[JsonSerializable(typeof(PartnerSuspended))]
[JsonSerializable(typeof(PartnerReinstated))]
[JsonSerializable(typeof(PartnerGrouped))]
[JsonSerializable(typeof(LinkPublished))]
[JsonSerializable(typeof(LinkRetired))]
[JsonSerializable(typeof(ProgramConfigured))]
[JsonSerializable(typeof(RulesPublished))]
[JsonSerializable(typeof(ReplayRequested))]
[JsonSerializable(typeof(ModelFitted))]
[JsonSerializable(typeof(ReplayCompleted))]
[JsonSerializable(typeof(ReplayPromoted))]
[JsonSerializable(typeof(ReplayDiscarded))]
[JsonSerializable(typeof(CreditsRevised))]
[JsonSerializable(typeof(ConversionRestated))]
[JsonSerializable(typeof(CouponAssigned))]
[JsonSerializable(typeof(CouponWithdrawn))]
[JsonSerializable(typeof(VisitorIdentified))]
[JsonSerializable(typeof(PartnerIdentified))]
[JsonSerializable(typeof(CustomerErased))]
[JsonSerializable(typeof(StatementClosed))]
public sealed partial class ContractsJson : JsonSerializerContext;

/// <summary>Enums as camelCase words; numbers are refused.</summary>
public sealed class CamelCaseEnum<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase, allowIntegerValues: false)
    where T : struct, Enum;
