using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Orders by an address with macros.</summary>
public sealed class PostbackTests(ConversionsFixture fixture) : IClassFixture<ConversionsFixture>
{
    private const string Token = "key-of-conversions:write";

    private readonly string _order = $"{Guid.NewGuid():N}";

    [PostgresFact]
    public async Task A_postback_records_an_order_once_and_says_what_it_did()
    {
        var click = Guid.NewGuid();

        var first = (await CallAsync($"click_id={click}&order_id={_order}&amount=49.90&currency=EUR&source=shop&coupon=SPRING&customer=ann%40example.org&test=1")).AssertStatus(HttpStatusCode.OK);
        var again = (await CallAsync($"click_id={click}&order_id={_order}&amount=49.90&currency=EUR&source=shop&coupon=SPRING&customer=ann%40example.org&test=1")).AssertStatus(HttpStatusCode.OK);

        Assert.Equal(("recorded", "already-recorded"), (Status(first), Status(again)));
        var recorded = await fixture.EventAsync(_order);
        Assert.Equal(recorded.ConversionId, first.Json.GetProperty("conversionId").GetGuid());
        Assert.Equal((ConversionKind.Sale, 4_990L, "EUR", click, "SPRING", true), (recorded.Kind, recorded.AmountMinor, recorded.Currency, recorded.ClickId!.Value, recorded.Coupon, recorded.Test));
        (await CallAsync($"order_id={_order}&amount=59.90&currency=EUR&source=shop")).AssertFault(HttpStatusCode.Conflict, "amount", "is recorded as '49.90'; this says '59.90'");
    }

    [PostgresFact]
    public async Task A_lead_needs_no_amount_and_can_be_called_off()
    {
        Assert.Equal("recorded", Status(await CallAsync($"order_id={_order}&kind=lead&click_id=c-1")));
        Assert.Equal("cancelled", Status(await CallAsync($"order_id={_order}&status=rejected")));
        Assert.Equal("already-recorded", Status(await CallAsync($"order_id={_order}&status=rejected")));
        Assert.Equal("already-recorded", Status(await CallAsync($"order_id={_order}&kind=lead&click_id=c-1")));

        var read = (await (await fixture.ServiceAsync()).GetAsync($"/v1/conversions/postback/{_order}")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal((true, "0.00"), (read.GetProperty("cancelled").GetBoolean(), read.GetProperty("net").GetString()));
    }

    [PostgresFact]
    public async Task Money_comes_back_in_parts_or_whole_also_before_the_order()
    {
        Assert.Equal("adjusted", Status(await CallAsync($"order_id={_order}&status=refund&amount=10.00&currency=EUR&adjustment_id=r-1")));
        (await CallAsync($"order_id={_order}&status=refund&adjustment_id=r-2")).AssertFault(HttpStatusCode.BadRequest, "amount", "is required while the order is not known");
        (await CallAsync($"order_id={_order}&status=reversed")).AssertFault(HttpStatusCode.BadRequest, "currency", "is required while the order is not known");
        Assert.Equal("recorded", Status(await CallAsync($"order_id={_order}&amount=49.90&currency=EUR")));
        Assert.Equal("already-recorded", Status(await CallAsync($"order_id={_order}&status=refund&amount=-10.00&adjustment_id=r-1")));
        (await CallAsync($"order_id={_order}&status=refund&amount=11.00&adjustment_id=r-1")).AssertFault(HttpStatusCode.Conflict, "amount", "is recorded as '-10.00'");

        var rest = await CallAsync($"order_id={_order}&status=chargeback");
        Assert.Equal(("adjusted", "0.00"), (Status(rest), rest.Json.GetProperty("net").GetString()));
        Assert.Equal("already-recorded", Status(await CallAsync($"order_id={_order}&status=chargeback")));
        Assert.Equal("ignored", Status(await CallAsync($"order_id={_order}&status=pending")));
    }

    [PostgresTheory]
    [InlineData("amount=1&currency=EUR", "order_id", "is required")]
    [InlineData("order_id=x&amount=1", "currency", "is required")]
    [InlineData("order_id=x&amount=one&currency=EUR", "amount", "is not a decimal number")]
    [InlineData("order_id=x&amount=1&currency=EUR&status=lost", "status", "must be one of approved")]
    [InlineData("order_id=x&amount=1&currency=EUR&test=maybe", "test", "must be 1 or 0")]
    [InlineData("order_id=x&order_id=y&amount=1&currency=EUR", "order_id", "is given twice")]
    [InlineData("order_id=x&amount=1&currency=EUR&click_id=%7Bclick_id%7D", "click_id", "is '{click_id}': a macro that the sender did not replace")]
    [InlineData("order_id=%5BORDER%5D&amount=1&currency=EUR", "order_id", "a macro that the sender did not replace")]
    [InlineData("order_id=x&amount=1&currency=EUR&kind=gift", "kind", "must be 'lead'")]
    [InlineData("order_id=x&amount=1&currency=EUR&source=My+Shop", "source", "must be lower-case")]
    [InlineData("order_id=x&status=refund&amount=0&currency=EUR", "amount", "must not be zero")]
    [InlineData("status=refund&amount=1&currency=EUR", "order_id", "is required")]
    public async Task A_bad_postback_is_told_by_the_parameter(string query, string field, string reason) =>
        (await CallAsync(query)).AssertFault(HttpStatusCode.BadRequest, field, reason);

    [PostgresFact]
    public async Task The_token_is_a_key_with_the_scope()
    {
        var query = $"order_id={_order}&amount=1&currency=EUR";
        (await CallAsync(query, token: null)).AssertFault(HttpStatusCode.Unauthorized, "token", "is missing");
        (await CallAsync(query, token: "nobody")).AssertFault(HttpStatusCode.Unauthorized, "token", "is not the key of anyone");
        (await CallAsync(query, token: "key-of-other")).AssertFault(HttpStatusCode.Forbidden, "token", "is a key of the program 'other'");
        (await CallAsync(query, token: "key-of-read")).AssertFault(HttpStatusCode.Forbidden, "token", "needs the scope conversions:write");
    }

    [PostgresFact]
    public async Task The_token_is_in_no_log_and_in_no_trace_even_where_the_framework_is_turned_up()
    {
        var said = new ConcurrentBag<string>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                // The client's own span is the test's.
                if (activity.Source.Name != "System.Net.Http")
                {
                    said.Add($"trace {activity.DisplayName} {string.Join(' ', activity.TagObjects)}");
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.AddConversions();
                builder.Configuration["Logging:LogLevel:Default"] = "Trace";
                builder.Configuration["Logging:LogLevel:Microsoft.AspNetCore.Hosting"] = "Trace";
                builder.Configuration["Logging:LogLevel:Microsoft.AspNetCore.Routing"] = "Trace";
                builder.Configuration["Logging:LogLevel:Microsoft.AspNetCore.Server"] = "Trace";
                builder.Logging.SetMinimumLevel(LogLevel.Trace);
                builder.Logging.ClearProviders();
                builder.Services.AddSingleton<ILoggerProvider>(new Listening(said));
            },
            app => app.MapConversions());

        (await service.GetAsync($"/v1/postback?order_id={_order}&amount=1&currency=EUR&token={Token}", scope: null)).AssertStatus(HttpStatusCode.OK);
        (await service.GetAsync($"/v1/postback?order_id={_order}&amount=x&currency=EUR&token={Token}", scope: null)).AssertStatus(HttpStatusCode.BadRequest);
        (await service.GetAsync("/v1/postback?token=wrong-secret-token", scope: null)).AssertStatus(HttpStatusCode.Unauthorized);

        Assert.Contains(said, line => line.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal));
        Assert.Contains(said, line => line.StartsWith("trace Microsoft.AspNetCore", StringComparison.Ordinal));
        Assert.DoesNotContain(said, line => line.Contains("key-of", StringComparison.Ordinal) || line.Contains("wrong-secret-token", StringComparison.Ordinal));
    }

    private async Task<Answer> CallAsync(string query, string? token = Token) =>
        await (await fixture.ServiceAsync()).GetAsync($"/v1/postback?{query}{(token is null ? "" : $"&token={Uri.EscapeDataString(token)}")}", scope: null);

    private static string Status(Answer answer) => answer.AssertStatus(HttpStatusCode.OK).Json.GetProperty("status").GetString()!;

    private sealed class Listening(ConcurrentBag<string> said) : ILoggerProvider, ILogger
    {
        private string _category = "";

        public ILogger CreateLogger(string categoryName) => new Listening(said) { _category = categoryName };

        public void Dispose()
        {
            // It holds nothing.
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            said.Add($"scope {state}");
            return null;
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            said.Add($"{_category} {formatter(state, exception)} {exception}");
    }
}
