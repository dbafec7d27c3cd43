using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>What a delivery says, in our words.</summary>
internal abstract record Told;

/// <summary>Nothing that concerns orders, and why.</summary>
internal sealed record Nothing(string Reason) : Told;

/// <summary>It cannot be told what it says: every field that stands in the way.</summary>
internal sealed record Unclear(IReadOnlyList<FieldFault> Faults) : Told;

/// <summary>What it says of one order. All of it is recorded, or nothing.</summary>
internal sealed record OrderNews : Told
{
    /// <summary>Where the payload names one; else the source that the operator set up for the scheme.</summary>
    public string? Source { get; init; }

    public required string? OrderId { get; init; }

    /// <summary>The order itself; absent where the delivery says only what became of it.</summary>
    public ConversionAsk? Order { get; init; }

    /// <summary>
    /// As of when <see cref="Order"/> and <see cref="Statement"/> are said; null where the shop says an order once.
    /// </summary>
    public DateTimeOffset? AsOf { get; init; }

    /// <summary>What the order amounts to as of <see cref="AsOf"/>; absent where nothing is said of it.</summary>
    public AmountTold? Statement { get; init; }

    public IReadOnlyList<AdjustmentAsk> Adjustments { get; init; } = [];

    /// <summary>What was refunded of a charge by now, where the single refunds are not told.</summary>
    public RefundedByNow? Refunded { get; init; }

    /// <summary>A payment that belongs to the order: what is said of the payment, whenever it is said, concerns the order too.</summary>
    public string? Payment { get; init; }

    /// <summary><see cref="OrderId"/> is a payment's, which may belong to an order of another id.</summary>
    public bool IsPayment { get; init; }

    /// <summary>A known order that is told otherwise is a contradiction. Not so where a shop's orders change as they go.</summary>
    public bool Compare { get; init; }

    /// <summary>What was of no use and left out, so that it stands in nobody's way.</summary>
    public IReadOnlyList<FieldFault> LeftOut { get; init; } = [];

    /// <summary>How the payload calls our fields, for faults.</summary>
    public IReadOnlyDictionary<string, string> Names { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}

/// <param name="Amount">Decimal string in the currency's own decimals.</param>
/// <param name="Cancelled">The order was called off; the amount is then 0.</param>
internal sealed record AmountTold(string? Amount, string? Currency, bool Cancelled);

/// <param name="ChargeId">Whose refunds they are.</param>
/// <param name="Total">All that was refunded of it, a positive decimal string.</param>
internal sealed record RefundedByNow(string ChargeId, string Total, string? Currency, DateTimeOffset OccurredAt);

/// <summary>
/// What ties an order to a visit. It passed through the visitor's hands and may hold anything, so what cannot be used is left out
/// and told, and the order is recorded all the same.
/// </summary>
internal sealed class Marks
{
    private readonly List<FieldFault> _leftOut = [];

    public string? ClickId { get; private set; }

    public string? VisitorId { get; private set; }

    public string? Coupon { get; private set; }

    public string? Customer { get; private set; }

    public IReadOnlyList<FieldFault> LeftOut => _leftOut;

    public bool Any => ClickId is not null || VisitorId is not null || Coupon is not null;

    /// <summary>Takes a mark by its name in links and forms: <c>pp_click</c>, <c>pp_vid</c>, <c>coupon</c>; others are passed over. The first of a name counts.</summary>
    public void Take(string name, string? value, string path)
    {
        switch (name)
        {
            case "pp_click":
                ClickId ??= Usable(value, ConversionReader.MaxClickId, path);
                break;
            case "pp_vid":
                VisitorId ??= Usable(value, Contracts.VisitorId.MaxLength, path);
                break;
            case "coupon":
                TakeCoupon(value, path);
                break;
            default:
                break;
        }
    }

    public void TakeCoupon(string? value, string path) => Coupon ??= Usable(value, ConversionReader.MaxCoupon, path);

    public void TakeCustomer(string? value, string path) => Customer ??= Usable(value, ConversionReader.MaxCustomer, path);

    public ConversionAsk Onto(ConversionAsk ask) => ask with { ClickId = ClickId, VisitorId = VisitorId, Coupon = Coupon, Customer = Customer };

    private string? Usable(string? value, int max, string path)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            return null;
        }

        var text = value.Trim();
        var reason = text.Length > max ? $"has {text.Length} characters; at most {max} are allowed"
            : text.Any(char.IsControl) ? "holds a control character"
            : null;
        if (reason is null)
        {
            return text;
        }

        _leftOut.Add(new FieldFault(path, reason));
        return null;
    }
}
