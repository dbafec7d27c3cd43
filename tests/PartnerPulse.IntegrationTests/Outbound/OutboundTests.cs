using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Outbound;
using Answer = PartnerPulse.IntegrationTests.Hosting.Answer;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Outbound;

/// <summary>Webhooks and postbacks from Attribution's log on a real PostgreSQL to servers on this machine.</summary>
public sealed class OutboundTests
{
    private static readonly DateTimeOffset s_at = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    [PostgresFact]
    public async Task An_order_a_refund_and_their_credit_are_told_signed_and_what_was_not_asked_for_is_not()
    {
        await using var service = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        await using var other = await Receiver.StartAsync();
        await AppendAsync(service, Order("before"));
        var secret = (await RegisterAsync(service, receiver, "conversion.recorded", "conversion.adjusted", "credit.revised", "statement.closed")).GetProperty("secret").GetString()!;
        await RegisterAsync(service, other, "conversion.adjusted");

        await AppendAsync(service, Click("acme"), Order("1001"), Refund("1001"), Credited("1001", "acme"), Order("test-1", test: true));

        var told = await receiver.UntilAsync(4);
        Assert.Equal(
            ["conversion.adjusted", "conversion.recorded", "conversion.recorded", "credit.revised"], told.Select(r => r.Type).Order(StringComparer.Ordinal));
        Assert.All(told, r => Assert.True(r.IsSignedWith(secret, TimeProvider.System.GetUtcNow())));
        Assert.All(told, r => Assert.False(r.IsSignedWith("whsec_" + Convert.ToBase64String(new byte[32]), TimeProvider.System.GetUtcNow())));
        Assert.All(told, r => Assert.Equal(("POST", "application/json"), (r.Method, r.Headers.ContentType.ToString())));
        Assert.Equal(4, told.Select(r => r.Id).Distinct().Count());
        Assert.Equal("test-1", Assert.Single(told, r => r.Json.GetProperty("test").GetBoolean()).Json.GetProperty("data").GetProperty("orderId").GetString());
        var credit = Assert.Single(told, r => r.Type == "credit.revised").Json.GetProperty("data");
        Assert.Equal(("shop", "1001", "sale"), (credit.GetProperty("source").GetString(), credit.GetProperty("orderId").GetString(), credit.GetProperty("kind").GetString()));
        Assert.Equal("9.98", credit.GetProperty("partners")[0].GetProperty("after").GetProperty("commission").GetString());
        Assert.Equal("conversion.adjusted", Assert.Single(await other.UntilAsync(1)).Type);
    }

    [PostgresFact]
    public async Task A_receiver_that_fails_three_times_is_told_the_fourth_time_under_the_same_id()
    {
        await using var service = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        receiver.Answer = async (context, before) =>
        {
            context.Response.StatusCode = before < 3 ? 500 : 204;
            if (before < 3)
            {
                await context.Response.WriteAsync($"out of order {before}\0");
            }
        };
        var webhook = await RegisterAsync(service, receiver, "conversion.recorded");

        await AppendAsync(service, Order("1001"));

        var told = await receiver.UntilAsync(4);
        Assert.Single(told.Select(r => r.Id).Distinct());
        Assert.Single(told.Select(r => Convert.ToHexString(r.Body)).Distinct());
        var delivery = await FinishedAsync(service, webhook, "delivered");
        Assert.Equal((4, 204), (delivery.GetProperty("attempts").GetInt32(), delivery.GetProperty("lastStatus").GetInt32()));
        Assert.Equal($"msg_{delivery.GetProperty("id").GetGuid():N}", told[0].Id);
        Assert.False((await service.GetAsync(PathOf(webhook))).Json.TryGetProperty("failingSince", out _));
    }

    [PostgresFact]
    public async Task What_is_never_taken_is_a_dead_letter_and_is_delivered_when_somebody_asks()
    {
        await using var service = await StartAsync(settings: new() { ["Outbound:MaxAttempts"] = "2", ["Outbound:GiveUpAfter"] = "00:00:00" });
        await using var receiver = await Receiver.StartAsync();
        var broken = true;
        receiver.Answer = (context, _) =>
        {
            context.Response.StatusCode = Volatile.Read(ref broken) ? 404 : 200;
            return Task.CompletedTask;
        };
        var webhook = await RegisterAsync(service, receiver, "conversion.recorded");
        await AppendAsync(service, Order("1001"), Order("1002"), Order("1003"));

        var dead = await UntilAsync("three dead letters", async () =>
            (await service.GetAsync("/v1/webhooks/dead-letters")).Json.GetProperty("deliveries") is var list && list.GetArrayLength() == 3 ? list : (JsonElement?)null);
        Assert.All(dead.EnumerateArray(), letter => Assert.Equal((2, 404, "dead"), (letter.GetProperty("attempts").GetInt32(), letter.GetProperty("lastStatus").GetInt32(), letter.GetProperty("state").GetString())));
        var ids = receiver.Received.Select(r => r.Id).ToHashSet(StringComparer.Ordinal);
        var one = dead[0].GetProperty("id").GetGuid();
        Volatile.Write(ref broken, false);

        (await service.PostAsync($"/v1/webhooks/dead-letters/{one}/redeliver", body: null)).AssertStatus(HttpStatusCode.OK);
        await FinishedAsync(service, webhook, "delivered");
        (await service.PostAsync($"/v1/webhooks/dead-letters/{one}/redeliver", body: null)).AssertFault(HttpStatusCode.Conflict, "state", "is 'delivered'");
        Assert.Equal(2, (await service.PostAsync($"/v1/webhooks/dead-letters/redeliver?subscription={webhook.GetProperty("id").GetGuid()}", body: null)).Json.GetProperty("count").GetInt32());

        await receiver.UntilAsync(9);
        Assert.Equal(ids, receiver.Received.Select(r => r.Id).ToHashSet(StringComparer.Ordinal));
        await Waits.UntilAsync("no dead letters", async () => (await service.GetAsync("/v1/webhooks/dead-letters")).Json.GetProperty("deliveries").GetArrayLength() == 0);
        (await service.PostAsync($"/v1/webhooks/dead-letters/{Guid.NewGuid()}/redeliver", body: null)).AssertFault(HttpStatusCode.NotFound, "delivery", "is not a delivery");
    }

    /// <summary>When it is set up the name leads to a public address; when it is told, to this machine.</summary>
    [PostgresFact]
    public async Task A_name_that_leads_to_this_machine_when_it_is_told_is_never_connected_to()
    {
        await using var receiver = await Receiver.StartAsync();
        IPAddress[][] spellings = [[IPAddress.Loopback], [IPAddress.IPv6Loopback], [IPAddress.Parse("::ffff:127.0.0.1")], [IPAddress.Parse("64:ff9b::7f00:1"), IPAddress.Any], []];
        var resolved = 0;
        await using var service = await StartAsync(
            allow: null,
            add: services => services.AddSingleton(provider => new PublicConnection(provider.GetRequiredService<IOptions<OutboundOptions>>())
            {
                Resolve = (_, _) => Task.FromResult(spellings[(Interlocked.Increment(ref resolved) - 1) % spellings.Length]),
            }));
        var webhook = (await service.PostAsync(
            "/v1/webhooks", $$"""{"url":"http://rebound.example:{{receiver.Address.Port}}/","events":["conversion.recorded"]}""")).AssertStatus(HttpStatusCode.Created).Json;

        await AppendAsync(service, Order("1001"));

        var delivery = await UntilAsync("every spelling was tried", async () =>
            await LastAsync(service, webhook) is { } last && last.GetProperty("attempts").GetInt32() >= spellings.Length ? last : (JsonElement?)null);
        Assert.Equal("waiting", delivery.GetProperty("state").GetString());
        Assert.Contains("rebound.example", delivery.GetProperty("lastAnswer").GetString(), StringComparison.Ordinal);
        Assert.False(delivery.TryGetProperty("lastStatus", out _));
        Assert.Empty(receiver.Received);
    }

    [PostgresFact]
    public async Task A_redirect_is_not_followed_and_an_endless_answer_is_not_read()
    {
        await using var service = await StartAsync();
        await using var inside = await Receiver.StartAsync();
        await using var redirecting = await Receiver.StartAsync();
        await using var endless = await Receiver.StartAsync();
        redirecting.Answer = (context, _) =>
        {
            context.Response.Redirect(inside.Address.ToString(), permanent: false, preserveMethod: true);
            return Task.CompletedTask;
        };
        endless.Answer = async (context, _) =>
        {
            context.Response.StatusCode = 500;
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.WriteAsync(new string('x', 10_000));
            }
        };
        var first = await RegisterAsync(service, redirecting, "conversion.recorded");
        var second = await RegisterAsync(service, endless, "conversion.recorded");

        await AppendAsync(service, Order("1001"));

        var redirected = await UntilAsync("an attempt", async () => await LastAsync(service, first) is { } last && last.GetProperty("attempts").GetInt32() > 0 ? last : (JsonElement?)null);
        Assert.Equal(307, redirected.GetProperty("lastStatus").GetInt32());
        Assert.StartsWith("redirects are not followed", redirected.GetProperty("lastAnswer").GetString(), StringComparison.Ordinal);
        var cut = await UntilAsync("an attempt", async () => await LastAsync(service, second) is { } last && last.GetProperty("attempts").GetInt32() > 0 ? last : (JsonElement?)null);
        Assert.Equal(1_024, cut.GetProperty("lastAnswer").GetString()!.Length);
        Assert.Empty(inside.Received);
    }

    [PostgresFact]
    public async Task A_receiver_that_hangs_delays_nobody_else()
    {
        await using var service = await StartAsync(settings: new() { ["Outbound:AtOnce"] = "8" });
        await using var hanging = await Receiver.StartAsync();
        await using var quick = await Receiver.StartAsync();
        hanging.Answer = (context, _) => Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        await RegisterAsync(service, hanging, "conversion.recorded");
        await RegisterAsync(service, quick, "conversion.recorded");

        await AppendAsync(service, [.. Enumerable.Range(0, 200).Select(i => Order($"o-{i}"))]);

        // One of the two has a place of its own in the queue: at once a timeout's length is enough for all of the other's.
        Assert.Equal(200, (await quick.UntilAsync(200, TimeSpan.FromSeconds(20))).Select(r => r.Id).Distinct().Count());
        Assert.InRange(hanging.Received.Count, 1, 100);
    }

    [PostgresFact]
    public async Task A_receiver_that_is_gone_is_disabled_and_goes_on_where_it_stopped_when_it_is_back()
    {
        await using var service = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        var gone = true;
        receiver.Answer = (context, _) =>
        {
            context.Response.StatusCode = Volatile.Read(ref gone) ? 410 : 200;
            return Task.CompletedTask;
        };
        var webhook = await RegisterAsync(service, receiver, "conversion.recorded");
        await AppendAsync(service, Order("1001"));
        var disabled = await UntilAsync("it is disabled", async () => (await service.GetAsync(PathOf(webhook))).Json is var now && !now.GetProperty("enabled").GetBoolean() ? now : (JsonElement?)null);
        Assert.Equal("the receiver answered 410 Gone", disabled.GetProperty("disabledReason").GetString());
        (await service.PostAsync($"{PathOf(webhook)}/test", body: null)).AssertFault(HttpStatusCode.Conflict, "enabled", "410 Gone");

        await AppendAsync(service, Order("1002"), Order("1003"));
        Volatile.Write(ref gone, false);
        (await service.CallAsync(HttpMethod.Patch, PathOf(webhook), """{"enabled":true}""")).AssertStatus(HttpStatusCode.OK);

        var told = (await receiver.UntilAsync(3)).Skip(1).Select(r => r.Json.GetProperty("data").GetProperty("orderId").GetString()).Order(StringComparer.Ordinal);
        Assert.Equal(["1002", "1003"], told);
    }

    [PostgresFact]
    public async Task A_receiver_that_has_taken_nothing_for_too_long_is_disabled_with_the_reason_and_what_waits_is_kept()
    {
        await using var service = await StartAsync(settings: new() { ["Outbound:DisableAfter"] = "00:00:00.5" });
        await using var receiver = await Receiver.StartAsync();
        var broken = true;
        receiver.Answer = (context, _) =>
        {
            context.Response.StatusCode = Volatile.Read(ref broken) ? 500 : 200;
            return Task.CompletedTask;
        };
        var webhook = await RegisterAsync(service, receiver, "conversion.recorded");
        await AppendAsync(service, Order("1001"), Order("1002"));

        var disabled = await UntilAsync("it is disabled", async () => (await service.GetAsync(PathOf(webhook))).Json is var now && !now.GetProperty("enabled").GetBoolean() ? now : (JsonElement?)null);
        Assert.StartsWith("nothing was taken since 20", disabled.GetProperty("disabledReason").GetString(), StringComparison.Ordinal);
        Assert.Equal(1, (await service.GetAsync("/v1/status")).Json.GetProperty("services")[0].GetProperty("figures").GetProperty("disabled").GetInt32());

        Volatile.Write(ref broken, false);
        (await service.CallAsync(HttpMethod.Patch, PathOf(webhook), """{"enabled":true}""")).AssertStatus(HttpStatusCode.OK);
        await FinishedAsync(service, $"{PathOf(webhook)}/deliveries", "delivered", count: 2);
        Assert.False((await service.GetAsync(PathOf(webhook))).Json.TryGetProperty("disabledReason", out _));
    }

    [PostgresFact]
    public async Task Changes_at_the_same_time_lose_nothing_of_each_other()
    {
        await using var service = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        var webhook = await RegisterAsync(service, receiver, "credit.revised");

        var answers = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => service.CallAsync(HttpMethod.Patch, PathOf(webhook), $$"""{"description":"change {{i}}"}"""))
                .Append(service.PostAsync($"{PathOf(webhook)}/secret", """{"previousValidHours":0}""")));

        (await service.PostAsync($"{PathOf(webhook)}/test", body: null)).AssertStatus(HttpStatusCode.Accepted);
        Assert.True(Assert.Single(await receiver.UntilAsync(1)).IsSignedWith(answers[^1].Json.GetProperty("secret").GetString()!, TimeProvider.System.GetUtcNow()));
    }

    [PostgresFact]
    public async Task The_description_of_the_service_names_every_path()
    {
        await using var service = await StartAsync();
        var paths = (await service.GetAsync("/openapi.json", scope: null)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("paths");
        Assert.All(
            new[]
            {
                "/v1/webhooks", "/v1/webhooks/{id}", "/v1/webhooks/{id}/secret", "/v1/webhooks/{id}/test", "/v1/webhooks/{id}/deliveries", "/v1/webhooks/dead-letters",
                "/v1/webhooks/dead-letters/redeliver", "/v1/webhooks/dead-letters/{delivery}/redeliver", "/v1/postbacks", "/v1/postbacks/{partner}", "/v1/postbacks/{partner}/deliveries",
            },
            path => Assert.True(paths.TryGetProperty(path, out _), path));
    }

    [PostgresFact]
    public async Task Nothing_is_lost_where_a_process_ends_in_the_middle_and_another_begins()
    {
        await using var receiver = await Receiver.StartAsync();
        var arrived = new TaskCompletionSource();
        var held = true;
        receiver.Answer = async (context, before) =>
        {
            if (before == 20)
            {
                arrived.TrySetResult();
            }

            if (before >= 20 && Volatile.Read(ref held))
            {
                await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
            }
        };
        var settings = new Dictionary<string, string?>(StringComparer.Ordinal) { ["Outbound:Lease"] = "00:00:03", ["Outbound:Timeout"] = "00:00:02.5" };
        var first = await StartAsync(settings: settings);
        await RegisterAsync(first, receiver, "conversion.recorded");
        await AppendAsync(first, [.. Enumerable.Range(0, 60).Select(i => Order($"o-{i}"))]);
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await first.DisposeAsync();
        Volatile.Write(ref held, false);

        await using var second = await StartAsync(besides: first, settings: settings);
        await AppendAsync(second, [.. Enumerable.Range(60, 40).Select(i => Order($"o-{i}"))]);

        await Waits.UntilAsync("all are delivered", async () => await ScalarAsync<long>(second, "select count(*) from outbound.deliveries where state = 'delivered'") == 100);
        Assert.Equal(100L, await ScalarAsync<long>(second, "select count(*) from outbound.deliveries"));
        Assert.Equal(
            Enumerable.Range(0, 100).Select(i => $"o-{i}").Order(StringComparer.Ordinal),
            receiver.Received.Select(r => r.Json.GetProperty("data").GetProperty("orderId").GetString()!).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    [PostgresFact]
    public async Task Two_instances_tell_everything_and_make_each_delivery_once()
    {
        await using var one = await StartAsync();
        await using var two = await StartAsync(besides: one);
        await using var receiver = await Receiver.StartAsync();
        await RegisterAsync(one, receiver, "conversion.recorded");

        for (var i = 0; i < 300; i += 10)
        {
            await AppendAsync(one, [.. Enumerable.Range(i, 10).Select(n => Order($"o-{n}"))]);
        }

        var told = await receiver.UntilAsync(300);
        await Waits.UntilAsync("all are delivered", async () => await ScalarAsync<long>(two, "select count(*) from outbound.deliveries where state = 'delivered'") == 300);
        Assert.Equal(300, told.Select(r => r.Id).Distinct().Count());
        Assert.Equal(300, receiver.Received.Count);
    }

    [PostgresFact]
    public async Task What_waits_for_a_dead_receiver_is_bounded_and_the_rest_waits_in_the_log()
    {
        await using var service = await StartAsync(settings: new() { ["Outbound:MaxWaiting"] = "100" });
        await using var dead = await Receiver.StartAsync();
        await using var quick = await Receiver.StartAsync();
        dead.Answer = (context, _) =>
        {
            context.Response.StatusCode = 503;
            context.Response.Headers.RetryAfter = "3600";
            return Task.CompletedTask;
        };
        var webhook = await RegisterAsync(service, dead, "conversion.recorded");
        await RegisterAsync(service, quick, "conversion.adjusted");

        // More than a page of the log, and then one that only the other wants.
        await AppendAsync(service, [.. Enumerable.Range(0, 5_200).Select(i => Order($"o-{i}"))]);
        await AppendAsync(service, Refund("o-1"));

        await quick.UntilAsync(1);
        Assert.InRange(await ScalarAsync<long>(service, "select count(*) from outbound.deliveries where event = 'conversion.recorded'"), 100, 5_000);
        Assert.True((await service.GetAsync(PathOf(webhook))).Json.GetProperty("position").GetInt64() < await ScalarAsync<long>(service, "select max(seq_id) from attribution.mt_events"));
    }

    [PostgresFact]
    public async Task A_secret_is_shown_once_and_both_sign_while_it_is_changed()
    {
        await using var service = await StartAsync();
        await using var receiver = await Receiver.StartAsync();
        var webhook = await RegisterAsync(service, receiver, "credit.revised");
        var old = webhook.GetProperty("secret").GetString()!;
        Assert.DoesNotContain("whsec_", (await service.GetAsync(PathOf(webhook))).Text + (await service.GetAsync("/v1/webhooks")).Text, StringComparison.Ordinal);

        var rotated = (await service.PostAsync($"{PathOf(webhook)}/secret", """{"previousValidHours":1}""")).AssertStatus(HttpStatusCode.OK).Json;
        (await service.PostAsync($"{PathOf(webhook)}/test", body: null)).AssertStatus(HttpStatusCode.Accepted);

        var told = Assert.Single(await receiver.UntilAsync(1));
        Assert.True(told.IsSignedWith(old, TimeProvider.System.GetUtcNow()));
        Assert.True(told.IsSignedWith(rotated.GetProperty("secret").GetString()!, TimeProvider.System.GetUtcNow()));
        Assert.NotEqual(old, rotated.GetProperty("secret").GetString());
        Assert.True(told.Json.GetProperty("test").GetBoolean());
        Assert.Equal("credit.revised", told.Type);

        (await service.PostAsync($"{PathOf(webhook)}/secret", """{"previousValidHours":0}""")).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync($"{PathOf(webhook)}/test", """{"event":"conversion.adjusted"}""")).AssertStatus(HttpStatusCode.Accepted);
        var after = (await receiver.UntilAsync(2))[1];
        Assert.Equal("conversion.adjusted", after.Type);
        Assert.False(after.IsSignedWith(old, TimeProvider.System.GetUtcNow()));
    }

    [PostgresFact]
    public async Task A_partner_is_told_its_own_part_with_its_own_labels_percent_encoded()
    {
        await using var service = await StartAsync();
        await using var tracker = await Receiver.StartAsync();
        var click = Click("acme");
        await AppendAsync(service, Enrolled("acme"), click);
        var template = $"{tracker.Address}pb/{{sub2}}?cid={{click_id}}&s={{sub1}}&p={{payout}}&pc={{payout_change}}&a={{amount}}&c={{currency}}&o={{order_id}}&k={{kind}}&st={{status}}&x={{sub5}}";
        (await service.PutAsync("/v1/postbacks/acme", JsonSerializer.Serialize(new { url = template }))).AssertStatus(HttpStatusCode.Created);
        (await service.PutAsync("/v1/postbacks/acme", JsonSerializer.Serialize(new { url = template }))).AssertStatus(HttpStatusCode.OK);

        var credited = Credited("10/01 & co", "acme", click.EventId);
        await AppendAsync(
            service,
            Order("10/01 & co"), credited, Credited("10/01 & co", "rival"),
            Order("test-1", test: true), Credited("test-1", "acme", click.EventId),
            credited with { EventId = Guid.NewGuid(), Before = credited.After, After = [], Clicks = null });

        var told = await tracker.UntilAsync(2);
        await FinishedAsync(service, "/v1/postbacks/acme/deliveries", "delivered", count: 2);
        Assert.Equal(2, tracker.Received.Count);
        Assert.All(told, r => Assert.Equal("GET", r.Method));
        Assert.Contains($"/pb/%2E%2E?cid={click.EventId}&s=Gr%C3%B6%C3%9Fe%2042%26x%3D1&p=9.98&pc=9.98&a=49.90&c=EUR&o=10%2F01%20%26%20co&k=sale&st=approved&x=", told.Select(r => r.Target));
        Assert.Contains("/pb/?cid=&s=&p=0.00&pc=-9.98&a=0.00&c=EUR&o=10%2F01%20%26%20co&k=sale&st=reversed&x=", told.Select(r => r.Target));
        Assert.DoesNotContain(told, r => r.Headers.ContainsKey("webhook-signature"));

        (await service.PutAsync("/v1/postbacks/nobody", """{"url":"https://t.example/?c={click_id}"}""")).AssertFault(HttpStatusCode.NotFound, "partner", "is not enrolled");
        (await service.PutAsync("/v1/postbacks/acme", """{"url":"https://t.example/?c={clickid}"}""")).AssertFault(HttpStatusCode.BadRequest, "url", "unknown macro '{clickid}'");
        (await service.DeleteAsync("/v1/postbacks/acme")).AssertStatus(HttpStatusCode.NoContent);
        (await service.GetAsync("/v1/postbacks/acme")).AssertFault(HttpStatusCode.NotFound, "partner", "has no postback");
    }

    [PostgresFact]
    public async Task Faults_are_told_by_field_and_only_administrators_set_webhooks()
    {
        await using var service = await StartAsync(allow: null);
        var bad = await service.PostAsync("/v1/webhooks", """{"url":"ftp://hooks.example/","events":["credit.revised","credit.made"]}""");
        bad.AssertFault(HttpStatusCode.BadRequest, "url", "http or https");
        bad.AssertFault(HttpStatusCode.BadRequest, "events[1]", "is 'credit.made'; it must be one of conversion.adjusted, conversion.recorded, credit.revised, statement.closed");
        (await service.PostAsync("/v1/webhooks", """{"url":"http://127.0.0.1/","events":[]}""")).AssertFault(HttpStatusCode.BadRequest, "url", "not a public address");
        (await service.PostAsync("/v1/webhooks", """{"url":"https://hooks.example/","events":[]}""")).AssertFault(HttpStatusCode.BadRequest, "events", "at least one");
        (await service.PostAsync("/v1/webhooks", """{"uri":"https://hooks.example/"}""")).AssertFault(HttpStatusCode.BadRequest, "uri", "not a field");

        var webhook = (await service.PostAsync("/v1/webhooks", """{"url":"https://hooks.example/","events":["credit.revised"],"description":"books"}""")).AssertStatus(HttpStatusCode.Created).Json;
        (await service.PostAsync("/v1/webhooks", """{"url":"https://hooks.example/","events":["credit.revised"]}""")).AssertFault(HttpStatusCode.Conflict, "url", "is another webhook's");
        (await service.CallAsync(HttpMethod.Patch, PathOf(webhook), """{"skipMissed":true}""")).AssertFault(HttpStatusCode.BadRequest, "skipMissed", "goes with");
        (await service.CallAsync(HttpMethod.Patch, PathOf(webhook), """{"url":"http://[::ffff:10.0.0.1]/"}""")).AssertFault(HttpStatusCode.BadRequest, "url", "not a public address");
        var changed = (await service.CallAsync(HttpMethod.Patch, PathOf(webhook), """{"events":["conversion.recorded"],"enabled":false}""")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(("conversion.recorded", "books", "disabled by hand"), (changed.GetProperty("events")[0].GetString(), changed.GetProperty("description").GetString(), changed.GetProperty("disabledReason").GetString()));
        (await service.GetAsync($"{PathOf(webhook)}/deliveries?state=lost&limit=0")).AssertFault(HttpStatusCode.BadRequest, "state", "must be one of");

        foreach (var scope in new[] { Scope.Read, Scope.WriteCatalogue })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await service.GetAsync("/v1/webhooks", scope)).Status);
        }

        Assert.Equal(HttpStatusCode.OK, (await service.GetAsync("/v1/postbacks", Scope.WriteCatalogue)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await service.PostAsync("/v1/webhooks", "{}", scope: null)).Status);

        Assert.Equal(HttpStatusCode.Forbidden, (await service.GetAsync(PathOf(webhook), "other")).Status);
        (await service.DeleteAsync(PathOf(webhook))).AssertStatus(HttpStatusCode.NoContent);
        (await service.DeleteAsync(PathOf(webhook))).AssertFault(HttpStatusCode.NotFound, "id", "is not a webhook");
    }

    private static string PathOf(JsonElement webhook) => $"/v1/webhooks/{webhook.GetProperty("id").GetGuid()}";

    private static Task<TestService> StartAsync(
        string? allow = "127.0.0.0/8", Dictionary<string, string?>? settings = null, TestService? besides = null, Action<IServiceCollection>? add = null) =>
        TestService.StartAsync(
            builder =>
            {
                builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(settings ?? [], StringComparer.Ordinal)
                {
                    ["Outbound:AllowedNetworks:0"] = allow ?? "192.0.2.0/24", ["Outbound:FirstPause"] = "00:00:00.02", ["Outbound:LongestPause"] = "00:00:00.2",
                });
                builder.AddEventLog(AttributionService.Schema);
                builder.AddOutbound();
                add?.Invoke(builder.Services);
            },
            app => app.MapOutbound(),
            besides);

    private static async Task<JsonElement> RegisterAsync(TestService service, Receiver receiver, params string[] events) =>
        (await service.PostAsync("/v1/webhooks", JsonSerializer.Serialize(new { url = $"{receiver.Address}hook", events }))).AssertStatus(HttpStatusCode.Created).Json;

    private static async Task AppendAsync(TestService service, params IReadOnlyList<IEvent> events) =>
        await service.Services.GetRequiredKeyedService<EventLog>("attribution").AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

    private static async Task<JsonElement?> LastAsync(TestService service, JsonElement webhook) =>
        (await service.GetAsync($"{PathOf(webhook)}/deliveries?limit=1")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("deliveries") is var list && list.GetArrayLength() == 1 ? list[0] : null;

    private static Task<JsonElement> FinishedAsync(TestService service, JsonElement webhook, string state) => FinishedAsync(service, $"{PathOf(webhook)}/deliveries", state, count: 1);

    private static Task<JsonElement> FinishedAsync(TestService service, string path, string state, int count) =>
        UntilAsync($"{count} {state}", async () =>
            (await service.GetAsync($"{path}?state={state}")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("deliveries") is var list && list.GetArrayLength() == count ? list[0] : (JsonElement?)null);

    private static async Task<T> ScalarAsync<T>(TestService service, string sql)
    {
        await using var connection = new NpgsqlConnection(service.Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    private static async Task<T> UntilAsync<T>(string fact, Func<Task<T?>> ask) where T : struct
    {
        T? answer = null;
        await Waits.UntilAsync(fact, async () => (answer = await ask()) is not null);
        return answer!.Value;
    }

    private static PartnerEnrolled Enrolled(string partner) => new()
    {
        EventId = Ids.Derive("partner-enrolled", "main", partner), ProgramId = "main", OccurredAt = s_at, PartnerId = partner, Name = partner, Ref = partner, Destination = "https://shop.example/",
    };

    private static ClickRecorded Click(string partner) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at.AddDays(-1), PartnerId = partner, Via = ClickVia.Redirect,
        SubIds = new Dictionary<string, string>(StringComparer.Ordinal) { ["sub1"] = "Größe 42&x=1", ["sub2"] = ".." },
    };

    private static ConversionRecorded Order(string order, bool test = false) => new()
    {
        EventId = Ids.Conversion("main", "shop", order), ProgramId = "main", OccurredAt = s_at, ConversionId = Ids.Conversion("main", "shop", order), Kind = ConversionKind.Sale,
        Source = "shop", OrderId = order, AmountMinor = 4_990, Currency = "EUR", Test = test,
    };

    private static ConversionAdjusted Refund(string order) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at, ConversionId = Ids.Conversion("main", "shop", order), Source = "shop", OrderId = order,
        AdjustmentId = "r-1", AmountMinor = -1_000, Currency = "EUR", Reason = AdjustmentReason.Refund,
    };

    private static CreditsRevised Credited(string order, string partner, Guid? click = null) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at, ConversionId = Ids.Conversion("main", "shop", order), Generation = 1, Currency = "EUR", Before = [],
        After = [new PartnerCredit { PartnerId = partner, Share = 1m, AmountMinor = 4_990, CommissionMinor = 998 }],
        Clicks = click is { } id ? [new CreditedClick { ClickId = id, PartnerId = partner }] : null,
    };
}
