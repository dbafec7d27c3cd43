using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Orders;

namespace PartnerPulse.Tests.Conversions;

public sealed class CustomerKeysTests
{
    private static readonly CustomerKeys s_keys = new(new byte[CustomerKeys.SecretLength]);

    [Theory]
    [InlineData("Ann@Example.org", " ann@example.ORG\t", true)]
    [InlineData("ann@example.org", "a.nn@example.org", false)]
    [InlineData("ann@example.org", "ann+shop@example.org", false)]
    [InlineData("ann@example.org", "ann@example.com", false)]
    public void One_person_is_one_key_by_blanks_and_case_alone(string one, string other, bool same) =>
        Assert.Equal(same, s_keys.Key("main", one) == s_keys.Key("main", other));

    [Fact]
    public void A_hash_of_an_e_mail_leads_to_the_key_of_its_customer()
    {
        var hash = System.Security.Cryptography.SHA256.HashData("ann@example.org"u8);
        Assert.Equal(s_keys.Key("main", " Ann@Example.org"), s_keys.KeyOfHash("main", hash));
        Assert.NotEqual(s_keys.Key("other", "ann@example.org"), s_keys.KeyOfHash("main", hash));
        Assert.DoesNotContain(Convert.ToHexStringLower(hash), s_keys.KeyOfHash("main", hash), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_of_before_is_known_as_such_and_an_order_under_it_that_is_sent_again_is_the_same_order()
    {
        var former = s_keys.FormerKey("main", "Ann");
        Assert.True(CustomerKeys.IsKey(former) && CustomerKeys.IsFormer(former));
        Assert.False(CustomerKeys.IsFormer(s_keys.Key("main", "ann")));
        var id = Ids.Conversion("main", "shop", "1");
        var order = new ConversionRecorded
        {
            EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, Kind = ConversionKind.Sale, Source = "shop", OrderId = "1",
            CustomerKey = s_keys.Key("main", "ann"), AmountMinor = 1, Currency = "EUR",
        };
        Assert.IsType<RecordConversion.AlreadyRecorded>(RecordConversion.Decide(order with { CustomerKey = former }, new RecordConversion.Asked(order, TimeGiven: true)));
    }

    [Fact]
    public void A_key_has_its_form_and_a_token_is_none_and_never_the_same()
    {
        var (key, token) = (s_keys.Key("main", "ann"), CustomerKeys.NewToken());
        Assert.True(CustomerKeys.IsKey(key));
        Assert.False(CustomerKeys.IsErased(key));
        Assert.False(CustomerKeys.IsKey(token));
        Assert.True(CustomerKeys.IsErased(token));
        Assert.NotEqual(token, CustomerKeys.NewToken());
        Assert.False(CustomerKeys.IsKey(key + "'"));
    }

    [Fact]
    public void An_order_of_an_erased_customer_that_is_sent_again_is_the_same_order()
    {
        var id = Ids.Conversion("main", "shop", "1");
        var order = new ConversionRecorded
        {
            EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, Kind = ConversionKind.Sale, Source = "shop", OrderId = "1",
            CustomerKey = s_keys.Key("main", "ann"), AmountMinor = 1, Currency = "EUR",
        };
        var asked = new RecordConversion.Asked(order, TimeGiven: true);
        Assert.IsType<RecordConversion.AlreadyRecorded>(RecordConversion.Decide(order with { CustomerKey = CustomerKeys.NewToken() }, asked));
        Assert.IsType<RecordConversion.RecordedDifferently>(RecordConversion.Decide(order with { CustomerKey = s_keys.Key("main", "bob") }, asked));
    }
}
