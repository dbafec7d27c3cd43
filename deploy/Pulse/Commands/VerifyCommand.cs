using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;
using PartnerPulse.Attribution.Seals;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

/// <summary>
/// Holds the attribution log against its seals, or a click against its attestation. Here it reads the database and the file of
/// checkpoints itself and believes no service; with <c>--url</c> the system does it and says what it found.
/// </summary>
internal static class VerifyCommand
{
    private const string Schema = "attribution";

    public static Command Build()
    {
        var click = new Option<string?>("--click") { Description = "Prove one click instead: fetch its attestation and check it.", HelpName = "ID" };
        var attestation = new Option<string?>("--attestation") { Description = "Check a saved attestation; asks nobody.", HelpName = "FILE" };
        var save = new Option<string?>("--save") { Description = "With --click: keep the attestation in a file.", HelpName = "FILE" };
        var postgres = new Option<string?>("--postgres") { Description = "Connection string of the database with the log (default: the one that runs in the data folder).", HelpName = "CONNECTION" };
        var checkpoints = new Option<string?>("--checkpoints") { Description = "File of signed checkpoints (default: that of the data folder).", HelpName = "FILE" };
        var publicKey = new Option<string?>("--public-key") { Description = "Public key that must have signed, PEM (default: that of the data folder).", HelpName = "FILE" };
        var program = new Option<string>("--program") { Description = "Program of the log.", DefaultValueFactory = _ => Services.Program, HelpName = "NAME" };
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("verify", "Prove that nobody has changed the attribution log: compute every seal anew and compare it with what was signed.")
        {
            click, attestation, save, postgres, checkpoints, publicKey, program, url, key, data, json,
        };
        Examples.Of(command,
            "./pulse verify                                    the log of the system that runs here, from its database",
            "./pulse verify --url https://go.example --key $PULSE_ADMIN_KEY",
            "./pulse verify --postgres 'Host=db;…' --checkpoints /backup/checkpoints --public-key seal.pub",
            "./pulse verify --click 0195501a-2f00-7abc-8def-0123456789ab --save click.json",
            "./pulse verify --attestation click.json --public-key seal.pub");
        command.Validators.Add(result =>
        {
            var chosen = new Option[] { click, attestation, postgres }.Where(option => result.GetResult(option) is { Implicit: false }).Select(option => option.Name).ToList();
            if (chosen.Count > 1)
            {
                result.AddError($"{string.Join(" and ", chosen)} contradict each other; give one of them.");
            }

            if (result.GetResult(save) is { Implicit: false } && result.GetResult(click) is not { Implicit: false })
            {
                result.AddError("--save goes with --click only.");
            }

            if (result.GetResult(url) is { Implicit: false } && (result.GetResult(postgres) ?? result.GetResult(attestation) ?? result.GetResult(checkpoints)) is { Implicit: false })
            {
                result.AddError("--url asks the system; --postgres, --checkpoints and --attestation look without it.");
            }
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            var asJson = parsed.GetValue(json);
            var folder = DataFolder.At(parsed.GetValue(data));
            if (parsed.GetValue(attestation) is { } saved)
            {
                return ShowClick(ReadAttestation(saved), PublicKey(parsed.GetValue(publicKey), folder), asJson);
            }

            if (parsed.GetValue(click) is { } id)
            {
                using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
                var text = (await api.GetAsync($"/v1/attestations/clicks/{Uri.EscapeDataString(id)}", cancellation)).ToJsonString();
                if (parsed.GetValue(save) is { } file)
                {
                    await File.WriteAllTextAsync(file, text + "\n", cancellation);
                }

                return ShowClick(ClickAttestation.Parse(text), PublicKey(parsed.GetValue(publicKey), parsed.GetValue(url) is null ? folder : null), asJson);
            }

            if (parsed.GetValue(url) is { } address)
            {
                using var api = Api.Connect(address, parsed.GetValue(key), parsed.GetValue(data));
                return Show(await api.PostAsync("/v1/seals/verification", new { }, cancellation), asJson);
            }

            var connection = parsed.GetValue(postgres) ?? RunState.Read(folder)?.Postgres ?? throw new UnreachableSystemException(
                $"Nothing runs in {folder.Path}. Start it with ./pulse up, or name a database with --postgres or a system with --url.");
            await using var database = NpgsqlDataSource.Create(connection);
            var result = await Terminal.WithBarAsync(asJson, "computing every seal anew", report => VerifyLog.RunAsync(
                database, $"{parsed.GetValue(program)}/{Schema}", Schema, parsed.GetValue(checkpoints) ?? Services.SealFile(folder),
                PublicKey(parsed.GetValue(publicKey), folder) ?? throw new ProvisioningException($"There is no public key in {folder.Path}; name one with --public-key."),
                (_, position) => report(position, position), cancellation));
            return Show(JsonSerializer.SerializeToNode(result, Api.Json)!, asJson);
        });
        return command;
    }

    /// <summary>Null where the attestation's own key is all there is.</summary>
    private static string? PublicKey(string? given, DataFolder? data)
    {
        var file = given ?? (data is null ? null : Services.SealKeyFile(data) + ".pub");
        if (file is null || (given is null && !File.Exists(file)))
        {
            return null;
        }

        try
        {
            return File.ReadAllText(file);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new ProvisioningException($"The public key {file} cannot be read: {fault.Message}", fault);
        }
    }

    private static ClickAttestation ReadAttestation(string file)
    {
        try
        {
            return ClickAttestation.Parse(File.ReadAllText(file));
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new ProvisioningException($"{file} holds no attestation: {fault.Message}", fault);
        }
    }

    private static int ShowClick(ClickAttestation attestation, string? publicKey, bool json)
    {
        var refuted = attestation.Refute(publicKey ?? attestation.PublicKey);
        var by = publicKey is null ? "the key that it brings along; compare it with one that you were given otherwise (--public-key)" : "the key that you named";
        if (json)
        {
            Terminal.WriteJson(new { proven = refuted is null, clickId = attestation.ClickId, reason = refuted, keyIsItsOwn = publicKey is null });
        }
        else if (refuted is null)
        {
            AnsiConsole.MarkupLineInterpolated($"[green]proven[/]  click {attestation.ClickId} is event {attestation.Position} of the log {attestation.Checkpoint.Log}, recorded {attestation.RecordedAt:u}");
            Console.Out.WriteLine($"        {attestation.Click.GetRawText()}");
            Console.Out.WriteLine($"        page {attestation.Pages[0].Page}, signed with page {attestation.Checkpoint.Page} at {attestation.Checkpoint.At}, by {by}");
        }
        else
        {
            Terminal.Fail($"not proven: {refuted}");
        }

        return refuted is null ? Exit.Ok : Exit.Failed;
    }

    private static int Show(JsonNode result, bool json)
    {
        var intact = result["intact"]!.GetValue<bool>();
        if (json)
        {
            Terminal.WriteJson(result);
            return intact ? Exit.Ok : Exit.Failed;
        }

        var seconds = result["seconds"]!.GetValue<double>();
        var events = result["events"]!.GetValue<long>();
        AnsiConsole.WriteLine(
            $"{events:N0} events in {result["pages"]} pages up to position {result["sealedTo"]}; {result["checkpoints"]} signed checkpoints up to position {result["signedTo"]}; "
            + $"{result["erased"]} changed by erasures, as the log says; {result["unsealed"]} not sealed yet. ({seconds:0.0} s, {events / Math.Max(seconds, 0.001):N0} events/s)");
        if (intact)
        {
            AnsiConsole.MarkupLine("[green]intact[/]  everything is as it was sealed and signed");
            return Exit.Ok;
        }

        var table = Tables.New("what", "page", "position", "event", "how");
        foreach (var finding in (result["findings"] as JsonArray ?? []).OfType<JsonNode>())
        {
            table.AddRow($"{finding["kind"]}", $"{finding["page"]}", $"{finding["position"]}", $"{finding["eventId"]}", $"{finding["said"]}".EscapeMarkup());
        }

        AnsiConsole.Write(table);
        Terminal.Fail($"{result["findingsTotal"]} findings: the log is not what was sealed.");
        return Exit.Failed;
    }
}
