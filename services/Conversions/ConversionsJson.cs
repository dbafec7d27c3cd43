using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions;

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    AllowDuplicateProperties = false,
    NumberHandling = JsonNumberHandling.Strict,
    Converters = [typeof(TimeWithOffset)])]
[JsonSerializable(typeof(ConversionAsk))]
[JsonSerializable(typeof(AdjustmentAsk))]
[JsonSerializable(typeof(ConversionAnswer))]
[JsonSerializable(typeof(IReadOnlyList<ConversionAnswer>))]
[JsonSerializable(typeof(AdjustmentAnswer))]
[JsonSerializable(typeof(ConversionBody))]
[JsonSerializable(typeof(IdentityAsk))]
[JsonSerializable(typeof(IdentityAnswer))]
[JsonSerializable(typeof(IReadOnlyList<IdentityAnswer>))]
[JsonSerializable(typeof(ErasureAnswer))]
internal sealed partial class ConversionsJson : JsonSerializerContext;
