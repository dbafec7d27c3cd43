namespace PartnerPulse.Attribution.Core;

/// <summary>Customers that asked to be forgotten. Their facts stay together under a random token that nobody can derive again.</summary>
public static class ErasedCustomers
{
    /// <summary>Begins a token that stands where the customer's key was.</summary>
    public const string Prefix = "e1.";

    public static bool Is(string? customerKey) => customerKey?.StartsWith(Prefix, StringComparison.Ordinal) is true;
}
