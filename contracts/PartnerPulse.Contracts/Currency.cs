using System.Collections.Frozen;
using System.Globalization;

namespace PartnerPulse.Contracts;

/// <summary>The currencies of ISO 4217 and their minor units.</summary>
public static class Currency
{
    // Active codes by number of decimals. Codes without a minor unit (XAU, XTS, XXX…) are not money and are left out.
    private const string ZeroDecimals =
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";

    private const string TwoDecimals =
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY " +
        "COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS " +
        "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR " +
        "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP " +
        "STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG";

    private const string ThreeDecimals = "BHD IQD JOD KWD LYD OMR TND";

    private const string FourDecimals = "CLF UYW";

    private static readonly FrozenDictionary<string, int> s_decimals = new[]
        {
            (ZeroDecimals, 0), (TwoDecimals, 2), (ThreeDecimals, 3), (FourDecimals, 4),
        }
        .SelectMany(group => group.Item1.Split(' ').Select(code => KeyValuePair.Create(code, group.Item2)))
        .ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>Number of decimals of the currency's minor unit; null for a code that is not one.</summary>
    public static int? Decimals(string code) => s_decimals.TryGetValue(code, out var decimals) ? decimals : null;

    /// <summary>All known codes.</summary>
    public static IEnumerable<string> Codes => s_decimals.Keys;

    /// <summary>Minor units as a decimal string in the currency's own decimals: 4990 EUR is <c>49.90</c>.</summary>
    /// <exception cref="ArgumentException">The code is unknown.</exception>
    public static string Format(long minor, string code)
    {
        var decimals = Decimals(code) ?? throw new ArgumentException($"'{code}' is not a currency of ISO 4217.", nameof(code));
        return new decimal(minor).Scaled(decimals).ToString("F" + decimals.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }

    /// <summary>Minor units as a number with the currency's own decimals, zeros kept: 4990 EUR is 49.90.</summary>
    /// <exception cref="ArgumentException">The code is unknown.</exception>
    public static decimal ToDecimal(long minor, string code)
    {
        var decimals = Decimals(code) ?? throw new ArgumentException($"'{code}' is not a currency of ISO 4217.", nameof(code));
        var size = minor < 0 ? 0UL - (ulong)minor : (ulong)minor;
        return new decimal((int)size, (int)(size >> 32), hi: 0, minor < 0, (byte)decimals);
    }

    /// <summary>Reads a decimal string in the currency's own decimals into minor units.</summary>
    /// <param name="reason">Why not, in words for the person who sent it.</param>
    public static bool TryParse(string text, string code, out long minor, out string? reason)
    {
        minor = 0;
        if (Decimals(code) is not { } decimals)
        {
            reason = $"'{code}' is not a currency of ISO 4217";
            return false;
        }

        // More digits than a decimal holds would be rounded in silence.
        if (text.Length > MaxDigits || !decimal.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var amount))
        {
            reason = $"'{text}' is not a decimal number such as \"{Format(4990, code)}\"";
            return false;
        }

        if (amount.Scale > decimals && amount != decimal.Round(amount, decimals))
        {
            reason = $"'{text}' has more decimals than the {decimals} of {code}";
            return false;
        }

        // Compared before it is scaled: the largest decimals overflow.
        if (Math.Abs(amount) > MaxMinor / Power(decimals))
        {
            reason = $"'{text}' is larger than {Format(MaxMinor, code)} {code}";
            return false;
        }

        minor = (long)(amount * Power(decimals));
        reason = null;
        return true;
    }

    /// <summary>Bound of one amount: 10^14 minor units, so that an amount times basis points stays exact in 64 bits.</summary>
    public const long MaxMinor = 100_000_000_000_000;

    private const int MaxDigits = 28;

    private static decimal Power(int decimals) => decimals switch { 0 => 1m, 2 => 100m, 3 => 1_000m, _ => 10_000m };

    private static decimal Scaled(this decimal minor, int decimals) => minor / Power(decimals);
}
