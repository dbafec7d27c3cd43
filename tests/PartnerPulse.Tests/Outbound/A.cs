using PartnerPulse.Outbound;

namespace PartnerPulse.Tests.Outbound;

/// <summary>Things to vary.</summary>
internal static class A
{
    public static Subscription Webhook { get; } = new()
    {
        Id = Guid.Parse("0195501a-2f00-7abc-8def-000000000001"), Program = "main", Kind = Subscription.Webhook, Url = "https://hooks.example/", Events = [EventNames.CreditRevised],
        Position = 7, Secret = [1], CreatedAt = new DateTimeOffset(2026, 11, 1, 0, 0, 0, TimeSpan.Zero),
    };
}
