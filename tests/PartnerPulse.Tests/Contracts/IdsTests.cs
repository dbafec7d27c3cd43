using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.ContractsPinned;

public sealed class IdsTests
{
    [Fact]
    public void Derived_ids_are_pinned_for_ever()
    {
        Assert.Equal(new Guid("bf699492-67fb-5863-9fb1-a5e524478090"), Ids.Conversion("default", "shop", "1001"));
        Assert.Equal(new Guid("0f484a72-4144-5787-968c-b915b45b6883"), Ids.Adjustment(Ids.Conversion("default", "shop", "1001"), "r-1"));
        Assert.Equal(new Guid("40131ecf-f08f-5ada-a838-ca84824ecd9d"), Ids.Click("default", "abc-123"));
    }

    [Fact]
    public void A_derived_id_is_the_version_5_uuid_of_rfc_9562()
    {
        // Written out once more from the RFC: SHA-1 over namespace and name, version and variant set in bytes 6 and 8.
        byte[] name = [.. Convert.FromHexString("6f9b7f523a0e5c7d9a417d2c1f0b8e11"), .. Encoding.UTF8.GetBytes("visitor\u001fdefault\u001fGröße")];
#pragma warning disable CA5350 // SHA-1 is what UUID v5 is made of.
        var hash = SHA1.HashData(name);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        Assert.Equal(Convert.ToHexStringLower(hash.AsSpan(0, 16)), Ids.VisitorStream("default", "Größe").ToString("N"));
    }

    [Fact]
    public void The_parts_of_a_key_do_not_run_into_each_other() =>
        Assert.NotEqual(Ids.Conversion("default", "shop", "1001"), Ids.Conversion("default", "shop1", "001"));

    [Fact]
    public void A_key_of_any_length_has_an_id()
    {
        var longest = new string('€', 2_000);
        Assert.Equal(5, Ids.Conversion("default", "shop", longest).Version);
        Assert.NotEqual(Ids.Conversion("default", "shop", longest), Ids.Conversion("default", "shop", longest[1..]));
    }

    [Fact]
    public void A_click_id_that_is_a_uuid_is_itself_however_it_is_written()
    {
        var id = new Guid("0195501a-2f00-7abc-8def-0123456789ab");
        Assert.Equal(id, Ids.Click("default", "0195501a-2f00-7abc-8def-0123456789ab"));
        Assert.Equal(id, Ids.Click("default", "0195501A2F007ABC8DEF0123456789AB"));
        Assert.NotEqual(Ids.Click("default", "abc"), Ids.Click("other", "abc"));
    }

    [Fact]
    public void A_click_belongs_to_the_stream_of_its_visitor_or_to_its_own()
    {
        var click = new ClickRecorded
        {
            EventId = new Guid("0195501a-2f00-7abc-8def-0123456789ab"), ProgramId = "default", OccurredAt = DateTimeOffset.UnixEpoch, PartnerId = "acme", Via = ClickVia.Redirect,
        };
        Assert.Equal(click.EventId, Ids.ClickStream(click));
        Assert.Equal(Ids.VisitorStream("default", "v"), Ids.ClickStream(click with { VisitorId = "v" }));
    }

    [Fact]
    public void Ids_are_compared_as_their_bytes_in_the_network()
    {
        string[] ordered =
        [
            "00000000-0000-0000-0000-000000000001", "00000001-0000-0000-0000-000000000000", "01000000-0000-0000-0000-000000000000",
            "7f000000-0000-0000-0000-000000000000", "80000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ];
        for (var i = 0; i < ordered.Length; i++)
        {
            for (var j = 0; j < ordered.Length; j++)
            {
                Assert.Equal(i.CompareTo(j), Math.Sign(Ids.CompareBytes(new Guid(ordered[i]), new Guid(ordered[j]))));
            }
        }
    }

    [Theory]
    [InlineData("0123456789abcdef0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAA", "0123456789abcdef0123456789abcdef")]
    [InlineData("0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef")]
    [InlineData("0123456789ABCDEF0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAA", "0123456789ABCDEF0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("customer.42", "customer.42")]
    [InlineData("", "")]
    [InlineData("refused", null)]
    public void A_visitor_is_named_by_its_id_or_by_the_whole_cookie(string value, string? visitor) =>
        Assert.Equal(visitor, VisitorId.FromIdOrCookie(value));
}
