using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Attribution.Seals;

namespace PartnerPulse.Tests.Attribution;

/// <summary>The published vectors of what the seals are made of.</summary>
public sealed class SealVectorsTests
{
    // The leaves and roots of the reference implementation of RFC 6962 (certificate-transparency, merkle_tree_test).
    private static readonly string[] s_entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

    private static byte[][] Leaves(int count) => [.. s_entries.Take(count).Select(entry => MerkleTree.Leaf(Convert.FromHexString(entry)))];

    [Theory]
    [InlineData(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    [InlineData(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d")]
    [InlineData(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125")]
    [InlineData(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77")]
    [InlineData(4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")]
    [InlineData(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4")]
    [InlineData(6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef")]
    [InlineData(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c")]
    [InlineData(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")]
    public void Roots_are_those_of_RFC_6962(int leaves, string root) => Assert.Equal(root, Convert.ToHexStringLower(MerkleTree.Root(Leaves(leaves))));

    [Fact]
    public void The_way_of_the_first_of_eight_leaves_is_that_of_RFC_6962() =>
        Assert.Equal(
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
            MerkleTree.Proof(Leaves(8), 0).Select(Convert.ToHexStringLower));

    [Fact]
    public void Every_leaf_of_every_tree_leads_to_its_root_and_no_other_leaf_place_or_length_does()
    {
        for (var count = 1; count <= 70; count++)
        {
            var leaves = Enumerable.Range(0, count).Select(i => MerkleTree.Leaf(BitConverter.GetBytes(i))).ToArray();
            var root = MerkleTree.Root(leaves);
            for (var i = 0; i < count; i++)
            {
                var proof = MerkleTree.Proof(leaves, i);
                Assert.Equal(root, MerkleTree.RootOf(leaves[i], i, count, proof));
                if (count > 1)
                {
                    Assert.NotEqual(root, MerkleTree.RootOf(leaves[(i + 1) % count], i, count, proof));
                    Assert.NotEqual(root, MerkleTree.RootOf(leaves[i], (i + 1) % count, count, proof));
                }

                Assert.Null(MerkleTree.RootOf(leaves[i], i, count, [.. proof, root]));
                Assert.Null(MerkleTree.RootOf(leaves[i], count, count, proof));
            }
        }
    }

    [Theory]
    // RFC 8785, 3.2.2; its numbers stay exact here.
    [InlineData(
        """{ "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001], "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false] }""",
        """{"literals":[null,true,false],"numbers":[333333333.33333329,1000000000000000000000000000000,4.5,0.002,0.000000000000000000000000001],"string":"€$\u000f\nA'B\"\\\\\"/"}""")]
    // RFC 8785, 3.2.3.
    [InlineData(
        """{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}""",
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}")]
    [InlineData("""{"b": {"z": 1, "a": [ {"y": -0, "x": 0.0}, -1.50 ]}, "a": 9223372036854775807}""", """{"a":9223372036854775807,"b":{"a":[{"x":0,"y":0},-1.5],"z":1}}""")]
    public void Json_has_one_text(string json, string canonical)
    {
        Assert.Equal(canonical, Canonical(json));
        Assert.Equal(canonical, Canonical(canonical));
    }

    [Fact]
    public void An_entry_of_the_chain_is_made_of_all_that_it_attests()
    {
        var (before, root) = (Convert.FromHexString(new string('a', 64)), Convert.FromHexString(new string('b', 64)));

        // Written out once more, as somebody else would check it.
        var text = "pulse-page-v1\n"u8.ToArray().Concat(before).Concat(Convert.FromHexString("0000000000000003" + "0000000000001000" + "0000000000002005" + "0000000000001001")).Concat(root).ToArray();
        Assert.Equal(SHA256.HashData(text), SealPage.EntryOf(before, 3, 4_096, 8_197, 4_097, root));
    }

    private static string Canonical(string json)
    {
        var text = new ArrayBufferWriter<byte>();
        new CanonicalJson().Write(Encoding.UTF8.GetBytes(json), text);
        return Encoding.UTF8.GetString(text.WrittenSpan);
    }
}
