using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Attribution.Leakage;

/// <summary>The rules in force with one thing changed.</summary>
/// <param name="Name">One word for columns and queries.</param>
/// <param name="Says">What is changed, in words.</param>
/// <param name="Rules">The rules with it.</param>
internal sealed record Variant(string Name, string Says, Rules Rules)
{
    private static readonly int[] s_windows = [30, 60, 90];
    private static readonly Model[] s_models = [new FirstTouch(), new LastTouch(), new Linear()];

    /// <summary>Those that say another thing than the rules in force.</summary>
    public static IReadOnlyList<Variant> Of(Rules rules)
    {
        var variants = s_windows.Where(days => days != rules.WindowDays)
            .Select(days => new Variant($"window-{days}", $"touches count for {days} days instead of {rules.WindowDays}", rules with { WindowDays = days })).ToList();
        if (rules.Coupon is null or CouponUse.Ignore)
        {
            variants.Add(new Variant("coupons", "a partner's coupon counts where no touch does", rules with { Coupon = CouponUse.Fallback }));
        }

        if (!rules.Evidence.Contains(Evidence.Customer))
        {
            variants.Add(new Variant(
                "cross-device", "touches of a customer's other devices count", rules with { Evidence = [.. Rules.AllEvidence.Where(e => e == Evidence.Customer || rules.Evidence.Contains(e))] }));
        }

        variants.AddRange(s_models.Where(model => model.Kind != rules.Model.Kind)
            .Select(model => new Variant($"model-{model.Kind}", $"the model is {model.Kind} instead of {rules.Model.Kind}", rules with { Model = model })));
        return variants;
    }
}
