using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using PartnerPulse.Attribution.Seals;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Whoever changes the log afterwards is found out, on a real PostgreSQL.</summary>
public sealed class SealsTests : IDisposable
{
    private const string Ann = "ann@example.org";
    private readonly string _folder = Directory.CreateTempSubdirectory("pulse-seals-").FullName;

    private long _free;

    private string File => Path.Combine(_folder, "checkpoints");

    private Dictionary<string, string?> Settings => new(StringComparer.Ordinal)
    {
        ["Attribution:SealFile"] = File, ["Attribution:SealSeconds"] = "0.05",
    };

    [PostgresFact]
    public async Task Each_way_of_tampering_is_found_and_named()
    {
        var system = await FilledAsync();
        await system.DisposeAsync();
        await using var log = NpgsqlDataSource.Create(system.Service.Database);
        var intact = await VerifyAsync(log);
        Assert.True(intact.Intact, string.Join('\n', intact.Findings));
        Assert.True(intact is { Events: > 15, Pages: > 2, Checkpoints: > 1, Unsealed: 0 } && intact.SignedTo == intact.SealedTo, $"{intact}");

        var at = await PositionAsync(log, "type = 'click_recorded'");
        var next = await PositionAsync(log, $"seq_id > {at} and type = 'click_recorded'");
        var rules = await PositionAsync(log, "type = 'rules_published'");
        await FindAsync(log, SealFinding.AlteredData, at, $"update attribution.mt_events set data = jsonb_set(data, '{{partnerId}}', '\"rival\"') where seq_id = {at}");
        await FindAsync(log, SealFinding.AlteredData, at, $"update attribution.mt_events set data = jsonb_set(data, '{{visitorId}}', '\"nobody\"') where seq_id = {at}");
        await FindAsync(log, SealFinding.AlteredTime, at, $"update attribution.mt_events set timestamp = timestamp - interval '1 microsecond' where seq_id = {at}");
        await FindAsync(log, SealFinding.AlteredTime, rules, $"update attribution.mt_events set timestamp = timestamp + interval '40 days' where seq_id = {rules}");
        await FindAsync(log, SealFinding.AlteredRecord, rules, $"update attribution.mt_events set version = 5 where seq_id = {rules}");
        await FindAsync(log, SealFinding.AlteredRecord, rules, $"update attribution.mt_events set type = 'replay_requested' where seq_id = {rules}");
        await FindAsync(log, SealFinding.DeletedEvent, at, $"delete from attribution.mt_events where seq_id = {at}");

        await FindAsync(
            log, SealFinding.InsertedEvent, _free,
            $"insert into attribution.mt_events (seq_id, id, stream_id, version, data, type) select {_free}, gen_random_uuid(), gen_random_uuid(), 1, data, type from attribution.mt_events limit 1");

        // Two clicks of one page change places.
        var swapped = await TamperAsync(
            log, $"update attribution.mt_events set seq_id = -1 where seq_id = {at}", $"update attribution.mt_events set seq_id = {at} where seq_id = {next}",
            $"update attribution.mt_events set seq_id = {next} where seq_id = -1");
        Assert.Equal([(SealFinding.MovedEvent, at), (SealFinding.MovedEvent, next)], swapped.Findings.Select(finding => (finding.Kind, finding.Position!.Value)));

        // The end of the log goes, with its seals and the mark of the sealer.
        const string End = "(select to_position from attribution.seals where page = 2)";
        var truncated = await TamperAsync(
            log, $"delete from attribution.mt_events where seq_id > {End}", $"update attribution.mt_event_progression set last_seq_id = {End} where name = 'seals'",
            "delete from attribution.seals where page > 2");
        Assert.Equal([(SealFinding.TruncatedLog, 2)], truncated.Findings.Select(finding => (finding.Kind, finding.Page!.Value)));

        // An event and the whole chain after it are made anew by somebody who knows how, and has another key.
        await SaveAsync(log);
        await ExecuteAsync(
            log, $"update attribution.mt_events set data = jsonb_set(data, '{{partnerId}}', '\"rival\"') where seq_id = {at}", "delete from attribution.seals",
            "delete from attribution.seal_salts", "delete from attribution.seal_checkpoints", "update attribution.mt_event_progression set last_seq_id = 0 where name = 'seals'");
        await using (var forger = await ThreeServices.StartAsync(new Dictionary<string, string?>(Settings, StringComparer.Ordinal) { ["Attribution:SealFile"] = File + "-forged" }, system))
        {
            await SealedAsync(forger);
        }

        var rewritten = await VerifyAsync(log);
        Assert.Contains(rewritten.Findings, finding => finding.Kind is SealFinding.BrokenChain or SealFinding.TruncatedLog);
        await ExecuteAsync(log, "delete from attribution.seal_checkpoints");
        await RestoreAsync(log);

        var page = await TamperAsync(log, "update attribution.seals set to_position = to_position - 1 where page = 1");
        Assert.Contains(page.Findings, finding => finding is { Kind: SealFinding.AlteredPage, Page: 1 });
        var gone = await TamperAsync(log, "delete from attribution.seals where page = 1");
        Assert.Contains(gone.Findings, finding => finding is { Kind: SealFinding.MissingPage, Page: 1 });
    }

    [PostgresFact]
    public async Task What_is_done_to_the_file_of_checkpoints_is_found()
    {
        await using var system = await FilledAsync();
        await using var log = NpgsqlDataSource.Create(system.Service.Database);
        var lines = await System.IO.File.ReadAllLinesAsync(File);
        Assert.True(lines.Length > 1);

        await System.IO.File.WriteAllLinesAsync(File, [.. lines[..^1], Forged(lines[^1])]);
        Assert.Contains((await VerifyAsync(log)).Findings, finding => finding.Kind == SealFinding.ForgedCheckpoint && finding.Said.Contains($"line {lines.Length} ", StringComparison.Ordinal));

        await System.IO.File.WriteAllLinesAsync(File, lines[..^1]);
        Assert.Equal([SealFinding.ShortenedFile], (await VerifyAsync(log)).Findings.Select(finding => finding.Kind));

        System.IO.File.Delete(File);
        Assert.Equal([SealFinding.MissingFile], (await VerifyAsync(log)).Findings.Where(finding => finding.Kind != SealFinding.ShortenedFile).Select(finding => finding.Kind));

        // Half a line, as a power cut leaves it, accuses nobody.
        await System.IO.File.WriteAllTextAsync(File, string.Join('\n', lines) + "\n" + lines[0][..20]);
        Assert.True((await VerifyAsync(log)).Intact);
    }

    [PostgresFact]
    public async Task An_erasure_keeps_every_seal_right_and_a_change_that_pretends_to_be_one_is_found()
    {
        await using var system = await FilledAsync();
        await using var log = NpgsqlDataSource.Create(system.Service.Database);
        var (order, tie) = (await PositionAsync(log, "type = 'conversion_recorded'"), await PositionAsync(log, "type = 'visitor_identified'"));
        Assert.Equal(2L, await system.ScalarAsync<long>($"select count(*) from attribution.seal_salts where position in ({order}, {tie}) and salt is not null"));

        (await system.Service.DeleteAsync($"/v1/customers?customer={Ann}")).AssertStatus(HttpStatusCode.OK);
        await system.SettleAsync();
        await SealedAsync(system);

        var after = await VerifyAsync(log);
        Assert.True(after.Intact, string.Join('\n', after.Findings));
        Assert.Equal(2, after.Erased);
        Assert.Equal(2L, await system.ScalarAsync<long>($"select count(*) from attribution.seal_salts where position in ({order}, {tie}) and salt is null"));
        Assert.Equal(0L, await system.ScalarAsync<long>($"select count(*) from attribution.mt_events where seq_id = {tie}"));

        // The seal of what was erased still proves that nothing else of it has changed.
        Assert.Contains(
            (await TamperAsync(log, $"update attribution.mt_events set data = jsonb_set(data, '{{amountMinor}}', '1') where seq_id = {order}")).Findings,
            finding => finding.Kind == SealFinding.AlteredData && finding.Position == order);

        // Nor can another order's customer be taken away in this way.
        var other = await PositionAsync(log, $"type = 'conversion_recorded' and data ->> 'customerKey' not like 'e1.%' and seq_id <> {order}");
        Assert.Contains(
            (await TamperAsync(
                log, $"update attribution.mt_events set data = jsonb_set(data, '{{customerKey}}', '\"e1.nobody\"') where seq_id = {other}",
                $"update attribution.seal_salts set salt = null where position = {other}")).Findings,
            finding => finding.Kind == SealFinding.AlteredData && finding.Position == other && finding.Said.Contains("no erasure", StringComparison.Ordinal));
    }

    [PostgresFact]
    public async Task A_partner_proves_its_click_offline_and_sees_nothing_of_the_visitor_or_of_others()
    {
        await using var system = await FilledAsync();
        var mine = await system.ScalarAsync<string>("select id::text from attribution.mt_events where type = 'click_recorded' and data ->> 'partnerId' = 'acme' order by seq_id limit 1");
        var theirs = await system.ScalarAsync<string>("select id::text from attribution.mt_events where type = 'click_recorded' and data ->> 'partnerId' = 'bravo' order by seq_id limit 1");

        var answer = (await system.Service.GetAsync($"/v1/attestations/clicks/{mine}", "partner:acme")).AssertStatus(HttpStatusCode.OK);
        var publicKey = await System.IO.File.ReadAllTextAsync(File + ".key.pub");
        Assert.Null(ClickAttestation.Parse(answer.Text).Refute(publicKey));
        Assert.DoesNotContain("phone", answer.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("Mozilla", answer.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("bravo", answer.Text, StringComparison.Ordinal);
        (await system.Service.GetAsync($"/v1/attestations/clicks/{theirs}", "partner:acme")).AssertFault(HttpStatusCode.NotFound, "clickId", "is not a click of partner 'acme'");
        (await system.Service.GetAsync($"/v1/attestations/clicks/{theirs}", "read")).AssertStatus(HttpStatusCode.OK);

        // Whatever is changed in it, it proves nothing any more.
        foreach (var (path, value) in new (string Path, JsonNode Value)[]
        {
            ("click.partnerId", "rival"), ("click.occurredAt", "2020-01-01T00:00:00+00:00"), ("position", 1), ("recordedAt", "2020-01-01T00:00:00+00:00"), ("closed", new string('0', 64)),
            ("index", 1_000), ("checkpoint.page", 99), ("checkpoint.at", "2020-01-01T00:00:00Z"), ("checkpoint.signature", ""), ("previous", new string('1', 64)),
        })
        {
            var forged = JsonNode.Parse(answer.Text)!;
            var steps = path.Split('.');
            (steps.Length == 2 ? forged[steps[0]]! : forged)[steps[^1]] = value;
            Assert.True(ClickAttestation.Parse(forged.ToJsonString()).Refute(publicKey) is not null, path);
        }

        using var stranger = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        Assert.Contains("is not signed by the key", ClickAttestation.Parse(answer.Text).Refute(stranger.ExportSubjectPublicKeyInfoPem()), StringComparison.Ordinal);
        var head = (await system.Service.GetAsync("/v1/seals/checkpoint", "partner:acme")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(System.IO.File.ReadLines(File).Last(), head.GetProperty("checkpoint").GetRawText());
    }

    [PostgresFact]
    public async Task A_sealer_that_was_killed_goes_on_where_it_was_and_another_instance_takes_its_place()
    {
        await using var second = await FilledAsync(async first =>
        {
            // Both run on one database and one file; one of them seals.
            var other = await ThreeServices.StartAsync(Settings, first);
            await first.ClickAsync("acme", "phone", daysAgo: 1);
            await SealedAsync(other);
            await first.DisposeAsync();
            return other;
        });
        await second.ClickAsync("acme", "phone", daysAgo: 1);
        await SealedAsync(second);
        Assert.True((await VerifyAsync(second)).Intact);

        // Killed between the commit of a page and its signature: the pages are there, the last lines are not.
        var lines = await System.IO.File.ReadAllLinesAsync(File);
        await second.Service.DisposeAsync();
        await using var log = NpgsqlDataSource.Create(second.Service.Database);
        await System.IO.File.WriteAllTextAsync(File, string.Join('\n', lines[..^2]) + "\n" + lines[^2][..30]);
        await ExecuteAsync(log, "delete from attribution.seal_checkpoints where page > (select max(page) - 2 from attribution.seals)");
        await using (var third = await ThreeServices.StartAsync(Settings, second))
        {
            await third.ClickAsync("acme", "phone", daysAgo: 1);
            await SealedAsync(third);
            var again = await VerifyAsync(third);
            Assert.True(again.Intact, string.Join('\n', again.Findings));
            Assert.Equal(again.SealedTo, again.SignedTo);
        }

        // Over a log that was changed meanwhile it signs nothing, and says why.
        await ExecuteAsync(log, "update attribution.mt_events set timestamp = now() where seq_id = (select max(to_position) from attribution.seals)");
        await using var fourth = await ThreeServices.StartAsync(Settings, second);
        await fourth.ClickAsync("acme", "phone", daysAgo: 1);
        await Waits.UntilAsync("it says why it does not sign", async () =>
            (await fourth.Service.GetAsync("/ready", scope: null)).AssertStatus(HttpStatusCode.OK).Text.Contains("is not what was sealed", StringComparison.Ordinal));
    }

    private Task<ThreeServices> FilledAsync() => FilledAsync(Task.FromResult);

    /// <summary>Clicks of two partners, orders with and without customers, a login; sealed in several pages.</summary>
    private async Task<ThreeServices> FilledAsync(Func<ThreeServices, Task<ThreeServices>> then)
    {
        var system = await ThreeServices.StartAsync(Settings);
        await SealedAsync(system);
        await system.Log.AppendAsync([.. Clicks("acme"), .. Clicks("bravo")], CancellationToken.None);
        // A position that went to a transaction which was taken back.
        _free = await system.ScalarAsync<long>("select nextval('attribution.mt_events_sequence')");
        await system.PostAsync("/v1/identities", new { customer = Ann, visitorId = "phone" }, HttpStatusCode.Created);
        await SealedAsync(system);
        await system.PostAsync(
            "/v1/conversions", new { source = "shop", orderId = "one", kind = "sale", amount = "10.00", currency = "EUR", customer = Ann, visitorId = "phone" }, HttpStatusCode.Created);
        await system.SettleAsync();
        await system.PostAsync(
            "/v1/conversions", new { source = "shop", orderId = "two", kind = "sale", amount = "10.00", currency = "EUR", customer = "bob@example.org" }, HttpStatusCode.Created);
        await system.SettleAsync();
        await SealedAsync(system);
        return await then(system);
    }

    private static IEnumerable<PartnerPulse.EventStore.NewEvent> Clicks(string partner) => Enumerable.Range(0, 6).Select(i => PartnerPulse.Attribution.Intake.IntakeWriter.ToNewEvent(new ClickRecorded
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = TimeProvider.System.GetUtcNow().AddDays(-i), PartnerId = partner, VisitorId = "phone",
        UserAgent = "Mozilla/5.0 (X11; Linux x86_64)", Via = ClickVia.Redirect,
    }));

    private static Task SealedAsync(ThreeServices system) => Waits.UntilAsync("all is sealed and signed", async () =>
        await system.ScalarAsync<bool>(
            """
            select coalesce((select max(page) from attribution.seal_checkpoints) = (select max(page) from attribution.seals)
               and (select max(to_position) from attribution.seals) = (select max(seq_id) from attribution.mt_events), false)
            """));

    private Task<LogVerification> VerifyAsync(NpgsqlDataSource log) =>
        VerifyLog.RunAsync(log, "main/attribution", "attribution", File, System.IO.File.ReadAllText(File + ".key.pub"), progress: null, CancellationToken.None);

    private async Task<LogVerification> VerifyAsync(ThreeServices system)
    {
        await using var log = NpgsqlDataSource.Create(system.Service.Database);
        return await VerifyAsync(log);
    }

    private async Task FindAsync(NpgsqlDataSource log, string kind, long position, string tampering)
    {
        var found = await TamperAsync(log, tampering);
        Assert.Equal([(kind, position)], found.Findings.Select(finding => (finding.Kind, finding.Position!.Value)));
        Assert.NotNull(found.Findings[0].Page);
        Assert.NotEmpty(found.Findings[0].Said);
    }

    private async Task<LogVerification> TamperAsync(NpgsqlDataSource log, params string[] tampering)
    {
        await SaveAsync(log);
        await ExecuteAsync(log, tampering);
        var found = await VerifyAsync(log);
        Assert.False(found.Intact);
        await RestoreAsync(log);
        return found;
    }

    private static Task SaveAsync(NpgsqlDataSource log) => ExecuteAsync(
        log, ["drop schema if exists kept cascade", "create schema kept", .. s_tables.Select(table => $"create table kept.{table} as table attribution.{table}")]);

    private static Task RestoreAsync(NpgsqlDataSource log) => ExecuteAsync(
        log, [.. s_tables.SelectMany(table => new[] { $"delete from attribution.{table}", $"insert into attribution.{table} select * from kept.{table}" })]);

    private static readonly string[] s_tables = ["mt_events", "seals", "seal_salts", "mt_event_progression"];

    private static string Forged(string line)
    {
        var checkpoint = JsonNode.Parse(line)!;
        checkpoint["to"] = (long)checkpoint["to"]! + 1;
        return checkpoint.ToJsonString();
    }

    private static async Task ExecuteAsync(NpgsqlDataSource log, params string[] statements)
    {
        await using var connection = await log.OpenConnectionAsync();
        foreach (var statement in statements)
        {
            await using var command = new NpgsqlCommand(statement, connection);
            await command.ExecuteNonQueryAsync();
        }
    }

    private static async Task<long> PositionAsync(NpgsqlDataSource log, string which)
    {
        await using var command = log.CreateCommand($"select seq_id from attribution.mt_events where {which} order by seq_id limit 1");
        return (long)(await command.ExecuteScalarAsync())!;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
