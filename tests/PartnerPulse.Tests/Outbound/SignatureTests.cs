using System.Text;
using PartnerPulse.Outbound;

namespace PartnerPulse.Tests.Outbound;

public class SignatureTests
{
    /// <summary>The example of the Standard Webhooks specification.</summary>
    [Fact]
    public void The_example_of_the_specification_is_signed_as_it_says()
    {
        var secret = Convert.FromBase64String("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");

        var signed = Signature.Of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, Encoding.UTF8.GetBytes("""{"test": 2432232314}"""), secret);

        Assert.Equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signed);
        Assert.Equal("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Signature.Text(secret));
    }

    [Fact]
    public void Two_secrets_give_two_signatures_until_the_old_one_has_run_out()
    {
        var now = new DateTimeOffset(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);
        var webhook = A.Webhook with { Secret = [1] };

        var rotated = RotateSecret.Decide(webhook, [2], hours: 24, now);

        Assert.Equal([[2], [1]], rotated.SecretsAt(now.AddHours(24).AddTicks(-1)));
        Assert.Equal([[2]], rotated.SecretsAt(now.AddHours(24)));
        Assert.Equal([[2]], RotateSecret.Decide(webhook, [2], hours: 0, now).SecretsAt(now));
        Assert.Equal(2, Signature.Of("m", 1, "{}"u8, rotated.SecretsAt(now)).Split(' ').Length);
    }
}
