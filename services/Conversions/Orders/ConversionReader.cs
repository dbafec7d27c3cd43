using System.Collections.Frozen;
using System.Text.RegularExpressions;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>Turns what a shop sent into an event, or lists everything that is wrong with it.</summary>
internal sealed partial class ConversionReader(CustomerKeys customers, string program, string defaultCurrency)
{
    public const int MaxSource = 64;
    public const int MaxOrderId = 128;
    public const int MaxClickId = 64;
    public const int MaxCustomer = 320;
    public const int MaxCoupon = 64;
    public const int MaxPartner = 64;
    public const int MaxProduct = 256;
    public const int MaxItems = 500;
    public const int MaxQuantity = 1_000_000;

    // The cookie that carries a visitor id is longer than no id may be.
    private const int MaxVisitorId = VisitorId.MaxLength;

    private static readonly FrozenDictionary<string, ConversionKind> s_kinds = new Dictionary<string, ConversionKind>(StringComparer.Ordinal)
    {
        ["lead"] = ConversionKind.Lead,
        ["signup"] = ConversionKind.Signup,
        ["sale"] = ConversionKind.Sale,
        ["renewal"] = ConversionKind.Renewal,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public RecordConversion.Asked? Read(ConversionAsk ask, Checks checks)
    {
        var source = Source(checks, ask.Source);
        var orderId = checks.Required("orderId", ask.OrderId, MaxOrderId);
        var kind = Kind(checks, ask.Kind);
        var occurredAt = checks.TimeOrNow("occurredAt", ask.OccurredAt).ToUniversalTime();
        var visitorId = checks.Optional("visitorId", ask.VisitorId, MaxVisitorId);
        var clickId = checks.Optional("clickId", ask.ClickId, MaxClickId);
        var customer = Customer(checks, ask.Customer);
        var coupon = checks.Optional("coupon", ask.Coupon, MaxCoupon);

        // A lead is worth nothing by itself; naming an amount needs its currency and the other way round.
        var worthless = kind is ConversionKind.Lead or ConversionKind.Signup && string.IsNullOrEmpty(ask.Amount) && string.IsNullOrEmpty(ask.Currency);
        var currency = worthless ? defaultCurrency : ask.Currency;
        var amount = worthless ? 0 : checks.Amount("amount", ask.Amount, currency, "currency");
        if (amount < 0)
        {
            checks.Add("amount", $"'{ask.Amount}' is negative; an adjustment takes away");
        }

        var items = Items(checks, ask.Items, currency);
        if (!checks.Passed)
        {
            return null;
        }

        var id = Ids.Conversion(program, source, orderId);
        return new RecordConversion.Asked(
            new ConversionRecorded
            {
                EventId = id,
                ProgramId = program,
                OccurredAt = occurredAt,
                ConversionId = id,
                Kind = kind!.Value,
                Source = source,
                OrderId = orderId,
                CustomerKey = customer,
                VisitorId = visitorId is null ? null : VisitorId.FromIdOrCookie(visitorId),
                ClickId = clickId is null ? null : Ids.Click(program, clickId),
                Coupon = coupon,
                AmountMinor = amount,
                Currency = currency!,
                NewCustomer = ask.NewCustomer,
                Test = ask.Test ?? false,
                Items = items,
            },
            ask.OccurredAt is not null);
    }

    /// <summary>The tie of a visitor, of a click's visitor, or of a partner to a customer.</summary>
    public IEvent? Read(IdentityAsk ask, Checks checks)
    {
        var customer = Customer(checks, ask.Customer);
        var occurredAt = checks.TimeOrNow("occurredAt", ask.OccurredAt).ToUniversalTime();
        var visitorId = checks.Optional("visitorId", ask.VisitorId, MaxVisitorId) is { } visitor ? VisitorId.FromIdOrCookie(visitor) : null;
        var clickId = checks.Optional("clickId", ask.ClickId, MaxClickId) is { } click ? Ids.Click(program, click) : (Guid?)null;
        if (string.IsNullOrWhiteSpace(ask.Customer))
        {
            checks.Add("customer", "is required");
        }

        if (!string.IsNullOrEmpty(ask.Partner))
        {
            return ReadPartner(ask, customer, occurredAt, checks);
        }

        if (string.IsNullOrEmpty(ask.VisitorId) && string.IsNullOrEmpty(ask.ClickId))
        {
            checks.Add("visitorId", "is required, or clickId, or partner");
        }

        return !checks.Passed ? null : new VisitorIdentified
        {
            EventId = Ids.Identity(program, customer!, visitorId, clickId),
            ProgramId = program,
            OccurredAt = occurredAt,
            CustomerKey = customer!,
            VisitorId = visitorId,
            ClickId = clickId,
        };
    }

    private PartnerIdentified? ReadPartner(IdentityAsk ask, string? customer, DateTimeOffset occurredAt, Checks checks)
    {
        var partner = checks.Required("partner", ask.Partner, MaxPartner);
        if (partner.Length > 0 && !PartnerPattern().IsMatch(partner))
        {
            checks.Add("partner", "must be lower-case letters, digits, '-' and '_'");
        }

        if (!string.IsNullOrEmpty(ask.VisitorId) || !string.IsNullOrEmpty(ask.ClickId))
        {
            checks.Add("partner", "is given beside visitorId or clickId; an item says one of them");
        }

        return !checks.Passed ? null : new PartnerIdentified
        {
            EventId = Ids.PartnerIdentity(program, customer!, partner),
            ProgramId = program,
            OccurredAt = occurredAt,
            PartnerId = partner,
            CustomerKey = customer!,
        };
    }

    /// <summary>The key of a customer; null where none is named. Blanks name nobody: they would all be one person.</summary>
    public string? Customer(Checks checks, string? value) =>
        string.IsNullOrWhiteSpace(value) || checks.Optional("customer", value, MaxCustomer) is not { } customer ? null : customers.Key(program, customer);

    /// <summary>The key of the customer with this SHA-256 of e-mail or account id, in hex; null with a fault where it is none.</summary>
    public string? CustomerOfHash(Checks checks, string field, string? value)
    {
        if (value is not { Length: 64 } || !value.All(char.IsAsciiHexDigit))
        {
            checks.Add(field, "is not a SHA-256 of 64 hex digits");
            return null;
        }

        return customers.KeyOfHash(program, Convert.FromHexString(value));
    }

    /// <summary>The key that a customer had in what was recorded before; null where none is named.</summary>
    public string? FormerCustomer(string? value) => string.IsNullOrWhiteSpace(value) ? null : customers.FormerKey(program, value);

    public static string Source(Checks checks, string? value)
    {
        var source = checks.Required("source", value, MaxSource);
        if (source.Length > 0 && !SourcePattern().IsMatch(source))
        {
            checks.Add("source", "must be lower-case letters, digits, '.', '_' and '-'");
        }

        return source;
    }

    private static ConversionKind? Kind(Checks checks, string? value)
    {
        if (string.IsNullOrEmpty(value))
        {
            checks.Add("kind", "is required");
            return null;
        }

        if (s_kinds.TryGetValue(value, out var kind))
        {
            return kind;
        }

        checks.Add("kind", "must be 'lead', 'signup', 'sale' or 'renewal'");
        return null;
    }

    private static LineItem[]? Items(Checks checks, IReadOnlyList<ItemAsk?>? items, string? currency)
    {
        if (items is null or [])
        {
            return null;
        }

        if (items.Count > MaxItems)
        {
            checks.Add("items", $"holds {items.Count}; at most {MaxItems} are allowed");
            return null;
        }

        if (string.IsNullOrEmpty(currency) || Currency.Decimals(currency) is null)
        {
            // Said once, of the currency itself.
            return null;
        }

        var lines = new LineItem[items.Count];
        for (var i = 0; i < lines.Length; i++)
        {
            if (items[i] is not { } item)
            {
                checks.Add($"items[{i}]", "is null");
                continue;
            }

            var quantity = item.Quantity ?? 1;
            if (quantity is < 1 or > MaxQuantity)
            {
                checks.Add($"items[{i}].quantity", $"must be 1 to {MaxQuantity}");
            }

            lines[i] = new LineItem
            {
                Product = checks.Required($"items[{i}].product", item.Product, MaxProduct),
                Quantity = quantity,
                AmountMinor = checks.Amount($"items[{i}].amount", item.Amount, currency, "currency"),
            };
        }

        return lines;
    }

    [GeneratedRegex("^[a-z0-9._-]+$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SourcePattern();

    // The ids that Partners gives out. Whether it has given out this one is not asked: the fact may come before the partner.
    [GeneratedRegex("^[a-z0-9_-]+$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PartnerPattern();
}
