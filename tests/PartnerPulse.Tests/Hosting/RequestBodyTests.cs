using System.Text;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Tests.Hosting;

public class RequestBodyTests
{
    [Theory]
    [InlineData("""{"a":1}""", false, new[] { """{"a":1}""" })]
    [InlineData("""[{"a":[1,2]}, 7 ,"x"]""", true, new[] { """{"a":[1,2]}""", "7", "\"x\"" })]
    [InlineData("\uFEFF[1,2]", true, new[] { "1", "2" })]
    [InlineData("\uFEFF{}", false, new[] { "{}" })]
    [InlineData("[]", true, new string[0])]
    [InlineData("""{"a":""", false, new[] { """{"a":""" })]
    public void A_list_is_cut_and_anything_else_left_whole(string body, bool isList, string[] elements)
    {
        var cut = RequestBody.Elements(Encoding.UTF8.GetBytes(body), most: 3, "things");
        Assert.Null(cut.Fault);
        Assert.Equal(isList, cut.IsList);
        Assert.Equal(elements, cut.Elements.Select(e => Encoding.UTF8.GetString(e.Span)));
    }

    [Theory]
    [InlineData("[1,2,3,4]", "holds 4 things; at most 3 are allowed")]
    [InlineData("[1,2", "is not valid JSON")]
    [InlineData("[1] x", "is not valid JSON")]
    public void A_list_that_is_too_long_or_broken_is_at_fault_as_a_whole(string body, string reason)
    {
        var fault = RequestBody.Elements(Encoding.UTF8.GetBytes(body), most: 3, "things").Fault;
        Assert.Equal("body", fault!.Field);
        Assert.StartsWith(reason, fault.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("null", "body", "is null")]
    [InlineData("""{"line":1}""", "line", "is not a field that is known here")]
    [InlineData("""{"amount":1}""", "amount", "is a number where a string is expected")]
    public void An_element_that_cannot_be_read_names_its_field_and_is_not_checked(string json, string field, string reason)
    {
        var (value, faults) = RequestBody.Read<ConversionAsk, object>(
            Encoding.UTF8.GetBytes(json), ConversionsJson.Default.ConversionAsk, new Checks(TimeProvider.System), (_, _) => throw new InvalidOperationException("It was not read."));
        Assert.Null(value);
        Assert.Equal(new FieldFault(field, reason), Assert.Single(faults));
    }
}
