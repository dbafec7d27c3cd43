namespace PartnerPulse.Contracts;

/// <summary>Coupon codes as they are compared: people type them in any case, and forms bring blanks along.</summary>
public static class CouponCode
{
    /// <summary>Trimmed, in the upper case of the invariant culture.</summary>
    public static string Of(string code) => code.Trim().ToUpperInvariant();
}
