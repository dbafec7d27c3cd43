using System.Text;
using System.Text.Json;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.ContractsPinned;

/// <summary>
/// One JSON file an event, as a log may hold it. A file here never changes: what was written once must be read for ever. A changed
/// shape is a new record, a new name and a new file.
/// </summary>
public sealed class GoldenTests
{
    private static readonly DateTimeOffset s_at = new(2026, 3, 1, 9, 30, 15, 250, TimeSpan.Zero);
    private static readonly Guid s_event = new("0195501a-2f00-7abc-8def-0123456789ab");
    private static readonly Guid s_conversion = Ids.Conversion("default", "shop", "1001");
    private static readonly Guid s_replay = new("0195501a-2f00-7abc-8def-00000000000a");

    private static readonly OrderIdentity s_identity = new()
    {
        Sources = ["shop", "network"], Fields = [OrderField.ClickId, OrderField.Amount, OrderField.Currency], WithinHours = 72,
    };

    private static readonly Dictionary<string, IEvent> s_samples = new(StringComparer.Ordinal)
    {
        ["click_recorded"] = new ClickRecorded
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            PartnerId = "acme",
            Link = "acme-spring",
            VisitorId = "4f0c2d6a8b1e4c3f9a7d5e2b1c0f8a6d",
            Destination = "https://shop.example/shoes?utm_campaign=spring&pp_click=0195501a-2f00-7abc-8def-0123456789ab",
            Campaign = new Campaign { Source = "newsletter", Medium = "e-mail", Name = "spring", Term = "shoes", Content = "top" },
            SubIds = new Dictionary<string, string>(StringComparer.Ordinal) { ["sub1"] = "left", ["sub2"] = "Größe 42" },
            Query = "utm_campaign=spring&sub1=left",
            ReferrerHost = "blog.example",
            UserAgent = "Mozilla/5.0 (X11; Linux x86_64)",
            Signals = new ClickSignals { Method = "HEAD", Purpose = "prefetch;prerender", Gpc = true, Dnt = true, Consent = false },
            AddressHash = "9f86d081884c7d65",
            Via = ClickVia.Redirect,
            Test = true,
        },
        ["click_recorded.least"] = new ClickRecorded
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Via = ClickVia.Import,
        },
        ["click_recorded.burst"] = new ClickRecorded
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Signals = new ClickSignals { Burst = true }, Via = ClickVia.Landing,
        },
        ["conversion_recorded"] = new ConversionRecorded
        {
            EventId = s_conversion,
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Kind = ConversionKind.Sale,
            Source = "shop",
            OrderId = "1001",
            CustomerKey = "c8a1f0",
            VisitorId = "4f0c2d6a8b1e4c3f9a7d5e2b1c0f8a6d",
            ClickId = s_event,
            Coupon = "SPRING10",
            AmountMinor = 4_990,
            Currency = "EUR",
            NewCustomer = true,
            Test = true,
            Items = [new LineItem { Product = "shoe", Quantity = 2, AmountMinor = 4_000 }, new LineItem { Product = "lace", AmountMinor = 990 }],
        },
        ["conversion_recorded.least"] = new ConversionRecorded
        {
            EventId = s_conversion,
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Kind = ConversionKind.Lead,
            Source = "shop",
            OrderId = "1001",
            AmountMinor = 0,
            Currency = "JPY",
        },
        ["conversion_adjusted"] = new ConversionAdjusted
        {
            EventId = Ids.Adjustment(s_conversion, "r-1"),
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Source = "shop",
            OrderId = "1001",
            AdjustmentId = "r-1",
            AmountMinor = -1_000,
            Currency = "EUR",
            Reason = AdjustmentReason.Refund,
        },
        ["conversion_recorded.snapshot"] = new ConversionRecorded
        {
            EventId = s_conversion,
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Kind = ConversionKind.Sale,
            Source = "shop",
            OrderId = "1001",
            AmountMinor = 4_990,
            Currency = "EUR",
            AmountAsOf = s_at.AddHours(1),
        },
        ["conversion_restated"] = new ConversionRestated
        {
            EventId = Ids.Restatement(s_conversion, s_at, 3_990, cancelled: false),
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Source = "shop",
            OrderId = "1001",
            AmountMinor = 3_990,
            Currency = "EUR",
        },
        ["conversion_restated.cancelled"] = new ConversionRestated
        {
            EventId = Ids.Restatement(s_conversion, s_at, 0, cancelled: true),
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Source = "shop",
            OrderId = "1001",
            AmountMinor = 0,
            Currency = "EUR",
            Cancelled = true,
        },
        ["conversion_merged"] = new ConversionMerged
        {
            EventId = Ids.Merge(Ids.Conversion("default", "network", "N-7"), s_conversion),
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = Ids.Conversion("default", "network", "N-7"),
            Source = "network",
            OrderId = "N-7",
            Into = s_conversion,
            IntoSource = "shop",
            IntoOrderId = "1001",
            IntoOccurredAt = s_at.AddHours(-1),
            Rule = s_identity,
        },
        ["conversion_separated"] = new ConversionSeparated
        {
            EventId = Ids.Separation(s_conversion), ProgramId = "default", OccurredAt = s_at, ConversionId = s_conversion, Source = "shop", OrderId = "1001", By = "admin",
        },
        ["order_identities_declared"] = new OrderIdentitiesDeclared
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, Identities = [s_identity], By = "admin",
        },
        ["partner_enrolled"] = new PartnerEnrolled
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Name = "Acme", Ref = "acme", Destination = "https://shop.example/",
        },
        ["partner_suspended"] = new PartnerSuspended { EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme" },
        ["partner_reinstated"] = new PartnerReinstated { EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme" },
        ["link_published"] = new LinkPublished
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Slug = "acme-spring", Destination = "https://shop.example/shoes", Campaign = "spring",
        },
        ["link_published.expiring"] = new LinkPublished
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            PartnerId = "acme",
            Slug = "acme-spring",
            Destination = "https://shop.example/shoes",
            Utm = new Campaign { Source = "partner", Medium = "affiliate" },
            ExpiresAt = s_at.AddDays(30),
            Fallback = "https://shop.example/",
        },
        ["program_configured"] = new ProgramConfigured
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            LinkHosts = ["go.example"],
            Origins = ["https://shop.example"],
            DeepLinkHosts = ["blog.shop.example"],
            PartnerParameters = ["ref", "aff"],
            Fallback = "https://shop.example/",
        },
        ["coupon_assigned"] = new CouponAssigned
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Code = "SPRING10", From = s_at.AddDays(1), Until = s_at.AddDays(31),
        },
        ["coupon_assigned.least"] = new CouponAssigned
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Code = "SPRING10", From = s_at,
        },
        ["coupon_withdrawn"] = new CouponWithdrawn
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Code = "SPRING10", AssignmentId = s_replay,
        },
        ["partner_identified"] = new PartnerIdentified
        {
            EventId = Ids.PartnerIdentity("default", "c8a1f0", "acme"), ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", CustomerKey = "c8a1f0",
        },
        ["partner_grouped"] = new PartnerGrouped { EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Group = "gold" },
        ["partner_grouped.none"] = new PartnerGrouped { EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme" },
        ["replay_requested.under"] = new ReplayRequested
        {
            EventId = s_replay, ProgramId = "default", OccurredAt = s_at, ReplayId = s_replay, RulesVersion = 3, Generation = 4, Under = [2, 1], By = "admin",
        },
        ["visitor_identified"] = new VisitorIdentified
        {
            EventId = Ids.Identity("default", "c8a1f0", "4f0c2d6a8b1e4c3f9a7d5e2b1c0f8a6d", s_event),
            ProgramId = "default",
            OccurredAt = s_at,
            CustomerKey = "c8a1f0",
            VisitorId = "4f0c2d6a8b1e4c3f9a7d5e2b1c0f8a6d",
            ClickId = s_event,
        },
        ["customer_erased"] = new CustomerErased
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, Token = "e1.0b5f", Conversions = [s_replay], Identities = [s_event],
        },
        ["customer_erased.sealed"] = new CustomerErased
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, Token = "e1.0b5f", Conversions = [s_replay], Rewritten = [7, 4_099], Removed = [12],
        },
        ["customer_erased.least"] = new CustomerErased { EventId = s_event, ProgramId = "default", OccurredAt = s_at, Token = "e1.0b5f", Conversions = [] },
        ["link_retired"] = new LinkRetired { EventId = s_event, ProgramId = "default", OccurredAt = s_at, PartnerId = "acme", Slug = "acme-spring" },
        ["rules_published"] = new RulesPublished
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            Version = 2,
            Hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            Document = JsonDocument.Parse("""{"name":"spring","model":{"kind":"linear"}}""").RootElement,
            By = "admin",
        },
        ["replay_requested"] = new ReplayRequested
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, ReplayId = s_replay, RulesVersion = 2, Generation = 3, By = "admin",
        },
        ["rules_published.why"] = new RulesPublished
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            Version = 3,
            Hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            Document = JsonDocument.Parse("""{"name":"spring","model":{"kind":"linear"}}""").RootElement,
            By = "admin",
            Why = "Partners asked for a longer window.",
        },
        ["model_fitted"] = new ModelFitted
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            ReplayId = s_replay,
            Generation = 3,
            RulesVersion = 2,
            Position = 123_456,
            Order = 2,
            Converted = 2_000,
            NotConverted = 18_000,
            States = 7,
            Effects = [new RemovalEffect { ProgramId = "default", PartnerId = "acme", Units = 549_755_813_888 }, new RemovalEffect { ProgramId = "default", PartnerId = "bravo", Units = 1 }],
        },
        ["replay_completed"] = new ReplayCompleted
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, ReplayId = s_replay, Generation = 3, Position = 123_456, EngineVersion = "1",
        },
        ["replay_promoted"] = new ReplayPromoted
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, ReplayId = s_replay, Generation = 3, PreviousGeneration = 1, By = "admin",
        },
        ["statement_closed"] = new StatementClosed
        {
            EventId = Ids.Statement("default", "2026-02"), ProgramId = "default", OccurredAt = s_at, Period = "2026-02", Position = 123_456, Generation = 3, RulesVersion = 2,
            RulesHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", EngineVersion = "4", HoldDays = 30, PayableAsOf = "2026-03-01",
            Balances =
            [
                new StatementBalance
                {
                    PartnerId = "acme", Currency = "EUR", AmountMinor = 499_000, OpeningMinor = -500, EarnedMinor = 99_800, AdjustedMinor = -1_000, HeldMinor = 20_000,
                    PayableMinor = 78_300, CarriedMinor = 20_000,
                },
            ],
            By = "admin",
        },
        ["replay_discarded"] = new ReplayDiscarded
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, ReplayId = s_replay, Generation = 3, By = "admin",
        },
        ["credits_revised"] = new CreditsRevised
        {
            EventId = s_event,
            ProgramId = "default",
            OccurredAt = s_at,
            ConversionId = s_conversion,
            Generation = 3,
            Currency = "EUR",
            Before = [],
            After = [new PartnerCredit { PartnerId = "acme", Share = 1.000000000000000000m, AmountMinor = 4_990, CommissionMinor = 998 }],
        },
        ["credits_revised.clicks"] = new CreditsRevised
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, ConversionId = s_conversion, Generation = 3, Currency = "EUR", Before = [], After = [],
            Clicks = [new CreditedClick { ClickId = s_replay, PartnerId = "acme" }],
        },
        ["credits_revised.causes"] = new CreditsRevised
        {
            EventId = s_event, ProgramId = "default", OccurredAt = s_at, ConversionId = s_conversion, Generation = 3, Currency = "EUR", Before = [], After = [],
            Causes = [new RevisionCause { Kind = RevisionCause.Replay, EventId = s_event, ReplayId = s_replay }, new RevisionCause { Kind = RevisionCause.Rebuild }],
        },
    };

    public static TheoryData<string> Names => [.. s_samples.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void An_event_is_written_as_its_golden_file_says(string name) =>
        Assert.Equal(Golden(name), Encoding.UTF8.GetString(EventTypes.Serialize(s_samples[name])));

    [Theory]
    [MemberData(nameof(Names))]
    public void A_golden_file_is_read_and_written_back_without_loss(string name)
    {
        var type = EventTypes.Of(s_samples[name]);
        var read = EventTypes.Deserialize(type, Encoding.UTF8.GetBytes(Golden(name)));
        Assert.IsType(type.ClrType, read);
        Assert.Equal(Golden(name), Encoding.UTF8.GetString(EventTypes.Serialize(read)));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void What_a_newer_version_adds_is_read_past(string name)
    {
        var type = EventTypes.Of(s_samples[name]);
        var newer = Golden(name)[..^1] + ""","fieldOfTomorrow":{"a":[1]}}""";
        Assert.Equal(Golden(name), Encoding.UTF8.GetString(EventTypes.Serialize(EventTypes.Deserialize(type, Encoding.UTF8.GetBytes(newer)))));
    }

    [Fact]
    public void Every_event_of_the_table_has_a_golden_file_and_every_file_an_event()
    {
        var files = Directory.EnumerateFiles(Folder, "*.json").Select(file => Path.GetFileNameWithoutExtension(file)!).Order(StringComparer.Ordinal);
        Assert.Equal(s_samples.Keys.Order(StringComparer.Ordinal), files);
        Assert.Superset(EventTypes.All.Select(t => t.Name).ToHashSet(), s_samples.Keys.ToHashSet());
        Assert.All(s_samples, sample => Assert.Equal(sample.Key.Split('.')[0], EventTypes.Of(sample.Value).Name));
    }

    [Fact]
    public void Every_record_of_an_event_is_in_the_table() => Assert.Equal(
        typeof(IEvent).Assembly.GetTypes().Where(t => t.IsClass && t.IsAssignableTo(typeof(IEvent))).Select(t => t.Name).Order(StringComparer.Ordinal),
        EventTypes.All.Select(t => t.ClrType.Name).Order(StringComparer.Ordinal));

    [Fact]
    public void Names_are_the_snake_case_of_the_records_and_dotnet_types_are_those_that_marten_keeps() => Assert.All(EventTypes.All, type =>
    {
        var snake = string.Concat(type.ClrType.Name.Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));
        Assert.Equal(snake, type.Name);
        Assert.Equal($"PartnerPulse.Contracts.{type.ClrType.Name}, PartnerPulse.Contracts", type.DotnetType);
        Assert.Same(type, EventTypes.Find(type.Name));
    });

    [Fact]
    public void A_name_of_tomorrow_is_not_found_and_stops_nothing() => Assert.Null(EventTypes.Find("click_recorded_v2"));

    [Fact]
    public void A_number_in_place_of_a_word_and_a_missing_field_are_refused()
    {
        var click = EventTypes.Of<ClickRecorded>();
        var golden = Golden("click_recorded.least");
        Assert.Throws<JsonException>(() => EventTypes.Deserialize(click, Encoding.UTF8.GetBytes(golden.Replace("\"import\"", "2", StringComparison.Ordinal))));
        Assert.Throws<JsonException>(() => EventTypes.Deserialize(click, Encoding.UTF8.GetBytes(golden.Replace("\"partnerId\":\"acme\",", "", StringComparison.Ordinal))));
        Assert.Throws<JsonException>(() => EventTypes.Deserialize(click, "null"u8));
    }

    private static string Folder => Path.Combine(Fixtures.Tests, "Contracts", "Golden");

    private static string Golden(string name) => Fixtures.Pinned(
        Path.Combine("Contracts", "Golden", $"{name}.json"), () => Encoding.UTF8.GetString(EventTypes.Serialize(s_samples[name])));
}
