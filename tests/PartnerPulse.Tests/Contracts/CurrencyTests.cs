using System.Globalization;
using System.Text;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.ContractsPinned;

public sealed class CurrencyTests
{
    private const string Iso = "currency/iso4217_codes-all.csv";

    [Theory]
    [InlineData(4_990, "EUR", "49.90")]
    [InlineData(-5, "EUR", "-0.05")]
    [InlineData(0, "EUR", "0.00")]
    [InlineData(4_990, "JPY", "4990")]
    [InlineData(4_990, "KWD", "4.990")]
    [InlineData(4_990, "CLF", "0.4990")]
    [InlineData(100_000_000_000_000, "EUR", "1000000000000.00")]
    public void An_amount_is_written_in_the_decimals_of_its_currency_and_read_back(long minor, string currency, string text)
    {
        Assert.Equal(text, Currency.Format(minor, currency));
        Assert.True(Currency.TryParse(text, currency, out var read, out _));
        Assert.Equal(minor, read);
    }

    [Theory]
    [InlineData(long.MinValue, "EUR", "-92233720368547758.08")]
    [InlineData(long.MaxValue, "CLF", "922337203685477.5807")]
    public void Any_64_bits_can_be_written(long minor, string currency, string text) => Assert.Equal(text, Currency.Format(minor, currency));

    [Theory]
    [InlineData("1", "EUR", 100)]
    [InlineData("1.5", "EUR", 150)]
    [InlineData("1.500", "EUR", 150)]
    [InlineData("-10.00", "EUR", -1_000)]
    [InlineData("7.00", "JPY", 7)]
    public void What_means_the_same_amount_is_read_the_same(string text, string currency, long minor)
    {
        Assert.True(Currency.TryParse(text, currency, out var read, out var reason), reason);
        Assert.Equal(minor, read);
    }

    [Theory]
    [InlineData("1.005", "EUR", "'1.005' has more decimals than the 2 of EUR")]
    [InlineData("1.5", "JPY", "'1.5' has more decimals than the 0 of JPY")]
    [InlineData("1,50", "EUR", "'1,50' is not a decimal number such as \"49.90\"")]
    [InlineData("", "EUR", "'' is not a decimal number such as \"49.90\"")]
    [InlineData(" 1", "EUR", "' 1' is not a decimal number such as \"49.90\"")]
    [InlineData("1e3", "EUR", "'1e3' is not a decimal number such as \"49.90\"")]
    [InlineData("NaN", "EUR", "'NaN' is not a decimal number such as \"49.90\"")]
    [InlineData("1000000000000.01", "EUR", "'1000000000000.01' is larger than 1000000000000.00 EUR")]
    [InlineData("1.00000000000000000000000000001", "EUR", "'1.00000000000000000000000000001' is not a decimal number such as \"49.90\"")]
    [InlineData("1", "eur", "'eur' is not a currency of ISO 4217")]
    [InlineData("1", "XAU", "'XAU' is not a currency of ISO 4217")]
    public void What_is_no_amount_is_refused_with_a_reason(string text, string currency, string reason)
    {
        Assert.False(Currency.TryParse(text, currency, out var minor, out var given));
        Assert.Equal((0, reason), (minor, given));
    }

    [Fact]
    public void An_amount_too_large_for_any_number_is_refused_and_not_thrown()
    {
        Assert.False(Currency.TryParse(new string('9', 28), "EUR", out _, out var reason));
        Assert.Contains("is larger than", reason, StringComparison.Ordinal);
        Assert.False(Currency.TryParse(decimal.MaxValue.ToString(CultureInfo.InvariantCulture), "EUR", out _, out _));
        Assert.False(Currency.TryParse(new string('9', 40), "EUR", out _, out _));
    }

    [Fact]
    public void Writing_an_unknown_currency_is_a_broken_promise() => Assert.Throws<ArgumentException>(() => Currency.Format(1, "EURO"));

    [FixtureFact(Iso)]
    public void The_table_is_that_of_iso_4217()
    {
        var listed = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var row in File.ReadLines(Fixtures.Find(Iso)).Skip(1).Select(Fields))
        {
            // A row with a date of withdrawal is history; one without a number of decimals is no money.
            if (row[5].Length == 0 && int.TryParse(row[4], NumberStyles.None, CultureInfo.InvariantCulture, out var decimals))
            {
                listed[row[2]] = decimals;
            }
        }

        Assert.InRange(listed.Count, 150, 200);
        Assert.Equal(listed, Currency.Codes.Order(StringComparer.Ordinal).ToDictionary(code => code, code => Currency.Decimals(code)!.Value, StringComparer.Ordinal));
    }

    /// <summary>One line of CSV; a quote inside quotes is doubled.</summary>
    private static List<string> Fields(string line)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        foreach (var c in line)
        {
            switch (c)
            {
                case '"':
                    quoted = !quoted;
                    break;
                case ',' when !quoted:
                    fields.Add(field.ToString());
                    field.Clear();
                    break;
                default:
                    field.Append(c);
                    break;
            }
        }

        fields.Add(field.ToString());
        return fields;
    }
}
