using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    AllowDuplicateProperties = false,
    NumberHandling = JsonNumberHandling.Strict,
    Converters = [typeof(TimeWithOffset)])]
[JsonSerializable(typeof(EnrolPartnerAsk))]
[JsonSerializable(typeof(PublishLinkAsk))]
[JsonSerializable(typeof(LinkTermsAsk))]
[JsonSerializable(typeof(PublishLinksAnswer))]
[JsonSerializable(typeof(ConfigureProgramAsk))]
[JsonSerializable(typeof(ProgramBody))]
[JsonSerializable(typeof(SuspendPartnerAsk))]
[JsonSerializable(typeof(GroupPartnerAsk))]
[JsonSerializable(typeof(PartnerBody))]
[JsonSerializable(typeof(PartnersPage))]
[JsonSerializable(typeof(AssignCouponAsk))]
[JsonSerializable(typeof(CouponBody))]
[JsonSerializable(typeof(CouponsPage))]
internal sealed partial class PartnersJson : JsonSerializerContext;
