using System.Globalization;
using Xunit.Abstractions;

namespace PartnerPulse.Tests;

/// <summary>
/// Where generated cases begin. Usually the same cases every time, so that a run tells of the change and not of its luck; others in
/// every long run (<c>./pulse test --long</c>). <c>PULSE_SEED</c> gives one, which runs the cases of a failure again.
/// </summary>
public static class Seeds
{
    private const int Usual = 20_260_301;

    public static bool IsLong => Environment.GetEnvironmentVariable("PULSE_LONG") == "1";

    public static Random Random(ITestOutputHelper output) => new(Number(output));

    /// <summary>The seed, which the output names.</summary>
    public static int Number(ITestOutputHelper output)
    {
        var seed = Environment.GetEnvironmentVariable("PULSE_SEED") is { } given ? int.Parse(given, CultureInfo.InvariantCulture)
            : IsLong ? System.Random.Shared.Next()
            : Usual;
        output.WriteLine($"PULSE_SEED={seed}");
        return seed;
    }
}
