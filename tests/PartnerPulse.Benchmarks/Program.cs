using System.CommandLine;
using System.Text.Json;
using PartnerPulse.Benchmarks;
using Spectre.Console;

var names = new Argument<string[]>("benchmarks") { Description = "redirect, telemetry, catalogue, drain, intake, append, rebuild, seals, generation, live, replay; all where none is named.", Arity = ArgumentArity.ZeroOrMore };
names.AcceptOnlyFromAmong("redirect", "telemetry", "catalogue", "drain", "intake", "append", "rebuild", "seals", "generation", "live", "replay");
var json = new Option<bool>("--json") { Description = "One JSON document on standard output." };
var rounds = new Option<int>("--rounds") { Description = "Rounds; each measures every side once. The median counts.", DefaultValueFactory = _ => 3 };
var seconds = new Option<int>("--seconds") { Description = "Seconds of load a side and round (redirect, telemetry; live: four times as many).", DefaultValueFactory = _ => 5 };
var connections = new Option<int>("--connections") { Description = "Open connections (redirect).", DefaultValueFactory = _ => 256 };
var events = new Option<int>("--events") { Description = "Events in the log (append: a fifth of it; drain: half of it as clicks; intake: a fiftieth of it as orders; generation: a fifth of it as conversions; rebuild; seals).", DefaultValueFactory = _ => 1_000_000 };
var clicks = new Option<int>("--clicks") { Description = "Clicks of all visitors (replay: a fiftieth of it as conversions).", DefaultValueFactory = _ => 10_000_000 };

var root = new RootCommand("Measures PartnerPulse against the plainest thing that could do the same work, side by side in one run.")
{
    names, json, rounds, seconds, connections, events, clicks,
};
root.Subcommands.Add(BenchServers.Command());
root.SetAction(async (parsed, cancellation) =>
{
    var wanted = parsed.GetValue(names) is { Length: > 0 } some ? some : ["redirect", "telemetry", "catalogue", "drain", "intake", "append", "rebuild", "seals", "generation", "live", "replay"];
    var results = new List<Measured>();
    foreach (var name in wanted)
    {
        Console.Error.WriteLine($"{name}…");
        results.AddRange(name switch
        {
            "redirect" => await RedirectBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(seconds), parsed.GetValue(connections), cancellation),
            "telemetry" => await TelemetryBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(seconds), cancellation),
            "catalogue" => await CatalogueBenchmark.RunAsync(parsed.GetValue(rounds), cancellation),
            "drain" => await DrainBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(events) / 2, cancellation),
            "intake" => await IntakeBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(events) / 50, cancellation),
            "append" => await AppendBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(events) / 5, cancellation),
            "seals" => await SealBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(events), cancellation),
            "rebuild" => await RebuildBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(events), cancellation),
            "generation" => await GenerationBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(events), cancellation),
            "live" => await LiveBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(seconds) * LiveBenchmark.LengthFactor, cancellation),
            "replay" => await ReplayBenchmark.RunAsync(parsed.GetValue(rounds), parsed.GetValue(clicks), cancellation),
            _ => throw new System.Diagnostics.UnreachableException(name),
        });
    }

    var report = new Report($"{Environment.ProcessorCount} cores, {System.Runtime.InteropServices.RuntimeInformation.FrameworkDescription}", parsed.GetValue(rounds), results);
    if (parsed.GetValue(json))
    {
        Console.WriteLine(JsonSerializer.Serialize(report, ReportJson.Default.Report));
        return;
    }

    var table = new Table().Border(TableBorder.Simple).AddColumns("benchmark", "what", "unit", "ours", "against", "baseline", "ratio", "aim");
    foreach (var r in results)
    {
        table.AddRow(r.Benchmark, r.What, r.Unit, $"{r.Ours:N2}", r.Against, $"{r.Baseline:N2}", $"{r.Ratio:F2}", r.Aim is { } aim ? $"{aim:F2}" : "");
    }

    AnsiConsole.Write(table);
});
return await root.Parse(args).InvokeAsync();
