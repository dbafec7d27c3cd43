using System.Globalization;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;
using Xunit.Abstractions;

namespace PartnerPulse.Tests;

/// <summary>
/// Runs one property over many generated cases. The seed (<see cref="Seeds"/>) is printed, and named in a failure.
/// <c>PULSE_CASES</c> runs more cases than usual; <c>PULSE_LONG=1</c> (<c>./pulse test --long</c>) runs ten times as many, and others.
/// </summary>
public static class Properties
{
    public static void Hold<T>(ITestOutputHelper output, Arbitrary<T> cases, int count, Action<T> property)
    {
        var seed = (ulong)Seeds.Number(output);
        if (Environment.GetEnvironmentVariable("PULSE_CASES") is { } more)
        {
            count = int.Parse(more, CultureInfo.InvariantCulture);
        }
        else if (Seeds.IsLong)
        {
            count *= 10;
        }

        output.WriteLine($"{count} cases");

        // The second half of FsCheck's generator must be odd; one number is easier to hand on than two.
        var replay = new Replay(new Rnd(seed, seed | 1), FSharpOption<int>.None);
        var config = Config.QuickThrowOnFailure
            .WithMaxTest(count)
            .WithReplay(FSharpOption<Replay>.Some(replay))
            .WithQuietOnSuccess(true);
        try
        {
            Check.One(config, Prop.ForAll(cases, property));
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"PULSE_SEED={seed} with {count} cases shows it. {failure.Message}", failure);
        }
    }
}
