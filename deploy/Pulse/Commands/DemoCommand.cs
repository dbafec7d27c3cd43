using System.CommandLine;
using PartnerPulse.Pulse.Demo;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class DemoCommand
{
    public static Command Build()
    {
        var seed = new Option<int>("--seed") { Description = "Another seed, other people.", DefaultValueFactory = _ => 42, HelpName = "N" };
        seed.Validators.Add(result =>
        {
            if (result.Tokens is [var word, ..] && word.Value.StartsWith('-'))
            {
                result.AddError("--seed must not be negative.");
            }
        });
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("demo", "Put a believable program into a running system: a dozen partners, 60 days, live clicks.") { seed, url, key, data, json };
        Examples.Of(command, "./pulse demo", "./pulse demo --seed 7", "./pulse demo --url http://localhost:9000 --key $PULSE_ADMIN_KEY --json");
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var asJson = parsed.GetValue(json);
            var result = await new RunDemo(api, parsed.GetValue(seed), asJson).RunAsync(TimeProvider.System.GetUtcNow(), cancellation);
            if (asJson)
            {
                Terminal.WriteJson(result);
            }
            else
            {
                Show(result, parsed.GetValue(data));
            }

            return Exit.Ok;
        });
        return command;
    }

    private static void Show(DemoResult result, string? dataFolder)
    {
        var flag = Terminal.DataFlag(DataFolder.Resolve(dataFolder));
        AnsiConsole.WriteLine(result.OrdersRecorded + result.LiveOrders == 0
            ? $"The demo of seed {result.Seed} was there already; nothing was added. ({result.Seconds:0.0} s)"
            : $"{result.NewPartners} partners, {result.ClicksImported} clicks of 60 days, {result.OrdersRecorded} orders, {result.RefundsRecorded} refunds; " +
              $"live {result.LiveClicks} redirects followed and {result.LiveOrders} orders. ({result.Seconds:0.0} s)");
        AnsiConsole.WriteLine();
        Tables.Credits(result.Credits);
        Tables.Receipt(result.Receipt);
        AnsiConsole.WriteLine();
        AnsiConsole.WriteLine("A dry run under last-touch, discarded again:");
        Tables.Difference(result.Diff);
        Console.Out.WriteLine("Next:");
        Console.Out.WriteLine($"  ./pulse replay --model position-based{flag}     what would another model pay?");
        Console.Out.WriteLine($"  ./pulse replay --model last-touch --promote{flag}     let it count");
        Console.Out.WriteLine($"  ./pulse receipt {DemoProgram.Source} {result.ShownOrder} --partner deal-otter{flag}     what a partner may see");
        Console.Out.WriteLine($"  ./pulse status{flag}");
    }
}
