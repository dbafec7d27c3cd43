using PartnerPulse.Contracts;

namespace PartnerPulse.Hosting.Problems;

/// <summary>Collects every fault of one request or one line of a batch, so that the sender mends them all at once.</summary>
public sealed class Checks(TimeProvider time, string prefix = "")
{
    /// <summary>How far a sender's clock may be ahead of ours.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(5);

    /// <summary>Before this nothing that we record can have happened.</summary>
    public static readonly DateTimeOffset Earliest = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly List<FieldFault> _faults = [];

    public IReadOnlyList<FieldFault> Faults => _faults;

    public bool Passed => _faults.Count == 0;

    public void Add(string field, string reason) => _faults.Add(new FieldFault(prefix + field, reason));

    /// <summary>A text that must be there, of at most <paramref name="maxLength"/> characters, without control characters.</summary>
    public string Required(string field, string? value, int maxLength)
    {
        if (string.IsNullOrWhiteSpace(value))
        {
            Add(field, "is required");
            return "";
        }

        return Optional(field, value, maxLength) ?? "";
    }

    /// <summary>The same for a text that may be absent. Empty counts as absent.</summary>
    public string? Optional(string field, string? value, int maxLength)
    {
        if (string.IsNullOrEmpty(value))
        {
            return null;
        }

        if (value.Length > maxLength)
        {
            Add(field, $"has {value.Length} characters; at most {maxLength} are allowed");
            return null;
        }

        foreach (var c in value)
        {
            if (char.IsControl(c))
            {
                Add(field, $"holds the control character U+{(int)c:X4}");
                return null;
            }
        }

        return value;
    }

    /// <summary>A time with offset, not before 2000 and not in the future; now where absent.</summary>
    public DateTimeOffset TimeOrNow(string field, DateTimeOffset? value)
    {
        var now = time.GetUtcNow();
        return value is null ? now : Time(field, value);
    }

    /// <summary>A time that must be there, not before 2000 and not in the future. In UTC.</summary>
    public DateTimeOffset Time(string field, DateTimeOffset? value)
    {
        if (value is not { } at)
        {
            Add(field, "is required");
            return Earliest;
        }

        var now = time.GetUtcNow();
        if (at > now + ClockSkew)
        {
            Add(field, $"is in the future ({at:O}; now it is {now:O})");
        }
        else if (at < Earliest)
        {
            Add(field, $"is before {Earliest:O}");
        }

        return at.ToUniversalTime();
    }

    /// <summary>An amount as a decimal string in the currency's own decimals, as minor units.</summary>
    public long Amount(string field, string? value, string? currency, string currencyField)
    {
        if (string.IsNullOrEmpty(currency) || Currency.Decimals(currency) is null)
        {
            Add(currencyField, string.IsNullOrEmpty(currency) ? "is required" : $"'{currency}' is not a currency of ISO 4217");
            return 0;
        }

        if (string.IsNullOrEmpty(value))
        {
            Add(field, "is required");
            return 0;
        }

        if (!Currency.TryParse(value, currency, out var minor, out var reason))
        {
            Add(field, reason!);
        }

        return minor;
    }

    /// <summary>An absolute http or https address without user or password.</summary>
    public string? Address(string field, string? value, int maxLength)
    {
        var text = Optional(field, value, maxLength);
        if (text is null)
        {
            return null;
        }

        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps) || uri.AsciiHost() is null)
        {
            Add(field, "is not an absolute http or https address");
            return null;
        }

        if (uri.UserInfo.Length > 0)
        {
            Add(field, "must not carry a user or password");
            return null;
        }

        return text;
    }
}
