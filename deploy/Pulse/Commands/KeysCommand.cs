using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.RegularExpressions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

/// <summary>API keys: made, listed, rotated and revoked in the file that running services read.</summary>
internal static partial class KeysCommand
{
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(3660);

    public static Command Build()
    {
        var command = new Command("keys", "API keys: make, list, rotate and revoke them. Running services follow at their next request.")
        {
            Create(), List(), Rotate(), Revoke(),
        };
        Examples.Of(command,
            "./pulse keys create shop --scope conversions:write --purpose 'orders of the shop'",
            "./pulse keys create acme --partner acme --expires 365d",
            "./pulse keys list",
            "./pulse keys rotate shop --grace 24h",
            "./pulse keys revoke shop",
            "./pulse keys list --file /etc/partnerpulse/keys/keys.json     of a deployment that ./pulse up did not start");
        return command;
    }

    private static Command Create()
    {
        var name = Name();
        var scope = new Option<string[]>("--scope") { Description = $"What it may do, once for each: {string.Join(", ", Scope.All.Order(StringComparer.Ordinal))}.", HelpName = "SCOPE" };
        scope.Validators.Add(result =>
        {
            foreach (var unknown in result.Tokens.Select(token => token.Value).Where(value => !Scope.IsKnown(value)))
            {
                result.AddError($"--scope: '{unknown}' is not a scope; it must be one of {string.Join(", ", Scope.All.Order(StringComparer.Ordinal))}, or partner:ID.");
            }
        });
        var partner = new Option<string?>("--partner") { Description = "A partner's key: it sees what is this partner's alone.", HelpName = "ID" };
        partner.Validators.Add(result => Check(result, "--partner", value => string.IsNullOrWhiteSpace(value) ? "must not be empty" : null));
        var program = new Option<string>("--program") { Description = "The program it belongs to.", DefaultValueFactory = _ => Services.Program, HelpName = "ID" };
        program.Validators.Add(result => Check(result, "--program", value => value.Trim().Length is 0 or > 64 ? "must have 1 to 64 characters" : null));
        var purpose = new Option<string?>("--purpose") { Description = "What it is for, for those who read the list.", HelpName = "TEXT" };
        purpose.Validators.Add(result => Check(result, "--purpose", value => value.Length > 200 ? $"has {value.Length} characters; at most 200" : null));
        var expires = Expires();
        var (data, file, json) = (Shared.Data(), File(), Shared.Json());
        var command = new Command("create", "Make a key. It is shown once; only its hash is kept.") { name, scope, partner, program, purpose, expires, data, file, json };
        command.Validators.Add(result =>
        {
            if (result.GetValue(name) is { } value && !NamePattern().IsMatch(value))
            {
                result.AddError($"name: '{value}' must be 1 to 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter or a digit.");
            }

            if (result.GetValue(scope) is null or [] && result.GetValue(partner) is null)
            {
                result.AddError("--scope: say what the key may do, or whose it is with --partner.");
            }

            if (result.GetValue(partner) is not null && result.GetValue(scope) is { Length: > 0 })
            {
                result.AddError("--partner: a partner's key may see what is the partner's, and has no --scope besides.");
            }

            if (result.GetValue(file) is null && RunKeys.Names.Contains(result.GetValue(name), StringComparer.Ordinal))
            {
                result.AddError($"name: '{result.GetValue(name)}' is the name of a key that ./pulse up makes for itself.");
            }
        });
        Examples.Of(command,
            "./pulse keys create shop --scope conversions:write --purpose 'orders of the shop'",
            "./pulse keys create books --scope read --expires 2027-06-30",
            "./pulse keys create acme --partner acme --expires 365d");
        command.SetAction(async (parsed, cancellation) =>
        {
            var keys = Of(parsed.GetValue(data), parsed.GetValue(file));
            IReadOnlyList<string> scopes = parsed.GetValue(partner) is { } id ? [Scope.PartnerPrefix + id] : [.. parsed.GetValue(scope)!.Distinct(StringComparer.Ordinal)];
            var until = Time(parsed.GetValue(expires));
            var secret = await keys.CreateAsync(parsed.GetValue(name)!, scopes, parsed.GetValue(program)!, parsed.GetValue(purpose), until, cancellation);
            return Tell(parsed.GetValue(json), keys.Read().Single(key => key.Name == parsed.GetValue(name)), secret, until is null ? null : $"It expires at {until:u}.");
        });
        return command;
    }

    private static Command List()
    {
        var (data, file, json) = (Shared.Data(), File(), Shared.Json());
        var command = new Command("list", "All keys, without what would let anybody use them.") { data, file, json };
        Examples.Of(command, "./pulse keys list", "./pulse keys list --json | jq -r '.keys[] | select(.state == \"valid\") | .name'");
        command.SetAction(parsed =>
        {
            var (keys, now) = (Of(parsed.GetValue(data), parsed.GetValue(file)), TimeProvider.System.GetUtcNow());
            var views = keys.Read().Select(key => View(key, now)).ToArray();
            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(new { file = keys.Path, keys = views });
                return Exit.Ok;
            }

            var table = Tables.New("name", "may", "program", "purpose", "created", "rotated", "expires", "state");
            foreach (var key in views)
            {
                table.AddRow(
                    key.Name.EscapeMarkup(), string.Join('\n', key.Scopes).EscapeMarkup(), key.Program.EscapeMarkup(), (key.Purpose ?? "").EscapeMarkup(),
                    Day(key.CreatedAt), Day(key.RotatedAt), Day(key.ExpiresAt), key.State + (key.OldValidUntil is { } until ? $"\nold one until {until:yyyy-MM-dd HH:mm}" : ""));
            }

            AnsiConsole.Write(table);
            return Exit.Ok;
        });
        return command;
    }

    private static Command Rotate()
    {
        var name = Name();
        var grace = new Option<string>("--grace") { Description = "How long the old key stays valid: 90m, 24h, 7d, or 0.", DefaultValueFactory = _ => "24h", HelpName = "TIME" };
        grace.Validators.Add(result => Check(result, "--grace", value => Span(value) is null ? $"is '{value}'; it must be a time such as 90m, 24h or 7d, at most ten years" : null));
        var expires = Expires();
        var (data, file, json) = (Shared.Data(), File(), Shared.Json());
        var command = new Command("rotate", "Exchange a key for another of the same name and scopes; the old one stays valid for the grace.") { name, grace, expires, data, file, json };
        Examples.Of(command, "./pulse keys rotate shop", "./pulse keys rotate shop --grace 7d", "./pulse keys rotate edge     a running edge takes the new one at its next call");
        command.SetAction(async (parsed, cancellation) =>
        {
            var (folder, id) = (Folder(parsed.GetValue(data), parsed.GetValue(file)), parsed.GetValue(name)!);
            var ours = folder is not null && RunKeys.Names.Contains(id, StringComparer.Ordinal);
            if (ours && id == "admin" && Environment.GetEnvironmentVariable(AdminKey.Variable) is { Length: > 0 })
            {
                throw new ProvisioningException($"name: {AdminKey.Variable} is set, and says what the key 'admin' is. Change it there, and start again.");
            }

            var (key, secret) = await Of(parsed.GetValue(data), parsed.GetValue(file)).RotateAsync(id, Span(parsed.GetValue(grace)!)!.Value, Time(parsed.GetValue(expires)), cancellation);
            if (ours)
            {
                RunKeys.Keep(folder!, id, secret);
            }

            var until = key.Previous?.Max(previous => previous.Until);
            return Tell(parsed.GetValue(json), key, secret, until is null ? "The old one is nobody's any more." : $"The old one stays valid until {until:u}.");
        });
        return command;
    }

    private static Command Revoke()
    {
        var name = Name();
        var (data, file, json) = (Shared.Data(), File(), Shared.Json());
        var command = new Command("revoke", "Take a key back: every running service refuses it from its next request on.") { name, data, file, json };
        Examples.Of(command, "./pulse keys revoke shop");
        command.SetAction(async (parsed, cancellation) =>
        {
            var (folder, id) = (Folder(parsed.GetValue(data), parsed.GetValue(file)), parsed.GetValue(name)!);
            var key = await Of(parsed.GetValue(data), parsed.GetValue(file)).RevokeAsync(id, cancellation);
            var ours = folder is not null && RunKeys.Names.Contains(id, StringComparer.Ordinal);
            if (ours)
            {
                RunKeys.Forget(folder!, id);
            }

            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(View(key, TimeProvider.System.GetUtcNow()));
            }
            else
            {
                Console.Out.WriteLine($"{id} is revoked.{(ours ? " The next ./pulse up makes another." : "")}");
            }

            return Exit.Ok;
        });
        return command;
    }

    private static int Tell(bool json, ApiKey key, string secret, string? more)
    {
        if (json)
        {
            Terminal.WriteJson(new { secret, key = View(key, TimeProvider.System.GetUtcNow()) });
            return Exit.Ok;
        }

        // Written plainly: a line that is copied must not be broken at the width of the terminal.
        Console.Out.WriteLine(secret);
        Console.Error.WriteLine($"The key of {key.Name}, for {string.Join(", ", key.Scopes)}. It is not shown again. {more}".TrimEnd());
        return Exit.Ok;
    }

    private static Argument<string> Name() => new("name") { Description = "Who has it; histories name it." };

    private static Option<string?> File() => new("--file") { Description = "The file of keys (default: keys.json of the data folder).", HelpName = "FILE" };

    private static Option<string?> Expires()
    {
        var expires = new Option<string?>("--expires") { Description = "When it ends by itself: 90d from now, or a date or time (UTC).", HelpName = "TIME" };
        expires.Validators.Add(result => Check(result, "--expires", value =>
            Time(value) is not { } time ? $"is '{value}'; it must be a time from now such as 90d, or a date such as 2027-06-30"
            : time <= TimeProvider.System.GetUtcNow() ? $"is {value}, which is past"
            : null));
        return expires;
    }

    private static void Check(OptionResult result, string option, Func<string, string?> fault)
    {
        if (result.Tokens is [{ Value: var value }] && fault(value) is { } reason)
        {
            result.AddError($"{option} {reason}.");
        }
    }

    /// <summary>The data folder whose keys are meant; null where a file is named.</summary>
    private static DataFolder? Folder(string? data, string? file) => file is null ? DataFolder.At(data) : null;

    private static KeysFile Of(string? data, string? file) =>
        file is null ? RunKeys.File(DataFolder.At(data)) : new KeysFile(Path.GetFullPath(file), TimeProvider.System);

    private static DateTimeOffset? Time(string? text) =>
        text is null ? null
        : Span(text) is { } span && span > TimeSpan.Zero ? TimeProvider.System.GetUtcNow() + span
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time
        : null;

    /// <summary>90m, 24h, 7d, 0; null where it is none of them or longer than ten years.</summary>
    private static TimeSpan? Span(string text)
    {
        if (text == "0")
        {
            return TimeSpan.Zero;
        }

        if (SpanPattern().Match(text) is not { Success: true } match)
        {
            return null;
        }

        var number = int.Parse(match.Groups["number"].ValueSpan, CultureInfo.InvariantCulture);
        var span = match.Groups["unit"].Value switch { "m" => TimeSpan.FromMinutes(number), "h" => TimeSpan.FromHours(number), _ => TimeSpan.FromDays(number) };
        return span <= s_longest ? span : null;
    }

    private static string Day(DateTimeOffset? time) => time is { } at ? at.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) : "";

    private static KeyView View(ApiKey key, DateTimeOffset now) => new(
        key.Name, key.Purpose, key.Scopes, key.Partner, key.Program,
        key.RevokedAt is not null ? "revoked" : key.ExpiresAt <= now ? "expired" : "valid",
        key.CreatedAt, key.ExpiresAt, key.RotatedAt, key.RevokedAt,
        key.RevokedAt is null ? (key.Previous ?? []).Where(previous => previous.Until > now).Select(previous => (DateTimeOffset?)previous.Until).Max() : null);

    /// <summary>A key for those who may see that it is there.</summary>
    private sealed record KeyView(
        string Name, string? Purpose, IReadOnlyList<string> Scopes, string? Partner, string Program, string State,
        DateTimeOffset? CreatedAt, DateTimeOffset? ExpiresAt, DateTimeOffset? RotatedAt, DateTimeOffset? RevokedAt, DateTimeOffset? OldValidUntil);

    [GeneratedRegex("^[a-z0-9][a-z0-9._-]{0,62}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NamePattern();

    [GeneratedRegex("^(?<number>[0-9]{1,6})(?<unit>[mhd])$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SpanPattern();
}
