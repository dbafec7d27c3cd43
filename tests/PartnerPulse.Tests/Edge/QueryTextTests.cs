using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class QueryTextTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a+b%20c", "a b c")]
    [InlineData("%C3%A4", "ä")]
    [InlineData("ä%C3%A4", "ää")]
    [InlineData("😀+%F0%9F%98%80", "😀 😀")]
    [InlineData("100%", "100%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz%41", "%zzA")]
    public void A_value_is_read_as_the_landing_page_reads_it(string raw, string expected) => Assert.Equal(expected, QueryText.Decode(raw));

    [Theory]
    [InlineData("%00")]
    [InlineData("a%00b")]
    [InlineData("%FF+")]
    [InlineData("%ED%A0%80")]
    [InlineData("%C3")]
    public void What_the_log_cannot_hold_decoded_stays_as_it_was_sent(string raw) => Assert.Equal(raw, QueryText.Decode(raw));

    [Fact]
    public void Campaign_labels_and_test_are_read_and_the_first_of_two_counts()
    {
        var facts = QueryText.Read("utm_source=a&utm_medium=b&utm_campaign=c+d&utm_term=e&utm_content=f&utm_source=z&sub1=1&sub5=5&subId=x&sub1=2&sub6=6&pp_test=1");
        Assert.Equal(new() { Source = "a", Medium = "b", Name = "c d", Term = "e", Content = "f" }, facts.Campaign);
        Assert.Equal(["sub1=1", "sub5=5", "subId=x"], facts.SubIds!.Select(s => $"{s.Key}={s.Value}"));
        Assert.True(facts.Test);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a=1&&=2&utm_source")]
    [InlineData("pp_test=0")]
    public void A_query_without_them_says_nothing(string query) => Assert.Equal(default, QueryText.Read(query));

    [Theory]
    [InlineData("via=b&ref=a", "a")]
    [InlineData("ref=&ref=b", "b")]
    [InlineData("REF=x&ref=b%20c", "b%20c")]
    [InlineData("r%65f=a&ref=z", "a")]
    [InlineData("ref", null)]
    [InlineData("", null)]
    [InlineData("refs=1&xref=2&=3", null)]
    public void The_first_value_of_a_name_that_says_something_counts(string query, string? expected) =>
        Assert.Equal((expected is not null, expected ?? ""), (QueryText.TryFind(query, "ref", out var value), value.ToString()));
}
