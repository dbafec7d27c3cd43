using System.Globalization;
using PartnerPulse.Contracts;

namespace PartnerPulse.Conversions.SameOrders;

/// <summary>
/// A conversion under one of the declared identities: two with the same key, of the two sides, are one sale where the time between
/// them allows it.
/// </summary>
/// <param name="Key">Derived from the identity and from the values of its fields.</param>
/// <param name="Identity">Its index in the declaration.</param>
/// <param name="IsFirst">Of the source that is kept.</param>
internal readonly record struct OrderKey(Guid Key, int Identity, bool IsFirst)
{
    /// <summary>The keys of a conversion; none where no identity names its source, or a field is absent.</summary>
    public static IEnumerable<OrderKey> Of(ConversionRecorded conversion, IReadOnlyList<OrderIdentity> identities)
    {
        for (var i = 0; i < identities.Count; i++)
        {
            var identity = identities[i];
            var side = identity.Sources.Count == 2 ? identity.Sources[0] == conversion.Source ? 0 : identity.Sources[1] == conversion.Source ? 1 : -1 : -1;
            if (side >= 0 && Values(conversion, identity) is { } values)
            {
                yield return new OrderKey(Ids.Derive("same-order", values), i, side == 0);
            }
        }
    }

    /// <summary>What must be equal; null where something is absent. A test is never the same sale as a real one.</summary>
    private static string[]? Values(ConversionRecorded conversion, OrderIdentity identity)
    {
        List<string> values = [.. identity.Sources, identity.WithinHours.ToString(CultureInfo.InvariantCulture), conversion.Test ? "test" : ""];
        foreach (var field in identity.Fields.Distinct().Order())
        {
            if (Value(conversion, field) is not { } value)
            {
                return null;
            }

            values.Add(field.ToString());
            values.Add(value);
        }

        return [.. values];
    }

    private static string? Value(ConversionRecorded conversion, OrderField field) => field switch
    {
        OrderField.OrderId => conversion.OrderId,
        OrderField.ClickId => conversion.ClickId?.ToString("N"),
        OrderField.VisitorId => conversion.VisitorId,
        OrderField.Customer => conversion.CustomerKey,
        OrderField.Coupon => conversion.Coupon?.ToUpperInvariant(),
        OrderField.Amount => conversion.AmountMinor.ToString(CultureInfo.InvariantCulture),
        OrderField.Currency => conversion.Currency,
        OrderField.Kind => conversion.Kind.ToString(),
        _ => throw new System.Diagnostics.UnreachableException(field.ToString()),
    };
}
