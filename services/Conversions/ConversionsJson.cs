using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Imports;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Conversions.SameOrders;
using PartnerPulse.Conversions.Webhooks;
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
[JsonSerializable(typeof(ReportAsk))]
[JsonSerializable(typeof(CloudEventAsk))]
[JsonSerializable(typeof(IReadOnlyList<FieldFault>))]
[JsonSerializable(typeof(ImportAnswer))]
[JsonSerializable(typeof(ImportEnd))]
[JsonSerializable(typeof(RejectedLine))]
[JsonSerializable(typeof(IReadOnlyList<OrderIdentityAsk>))]
[JsonSerializable(typeof(OrderIdentitiesBody))]
[JsonSerializable(typeof(SeparationAnswer))]
[JsonSerializable(typeof(OrderErrorsBody))]
[JsonSerializable(typeof(ReturnedBody))]
[JsonSerializable(typeof(ConversionAnswer))]
[JsonSerializable(typeof(IReadOnlyList<ConversionAnswer>))]
[JsonSerializable(typeof(AdjustmentAnswer))]
[JsonSerializable(typeof(ConversionBody))]
[JsonSerializable(typeof(DeliveryAnswer))]
[JsonSerializable(typeof(AdjustmentTold))]
[JsonSerializable(typeof(HookAsk))]
[JsonSerializable(typeof(HookBody))]
[JsonSerializable(typeof(IdentityAsk))]
[JsonSerializable(typeof(IdentityAnswer))]
[JsonSerializable(typeof(IReadOnlyList<IdentityAnswer>))]
[JsonSerializable(typeof(ErasureAnswer))]
[JsonSerializable(typeof(KeyCustomersAsk))]
internal sealed partial class ConversionsJson : JsonSerializerContext;
