using System.Text.Json;
using System.Text.Json.Nodes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Pulse.Doctor;

/// <summary>
/// What the active rules of a deployment say of facts that the doctor made itself: the same document, judged here, from what was sent.
/// Whatever got lost or changed on the way from the browser to the receipt makes the two differ.
/// </summary>
internal sealed class Expectation
{
    private const string Program = "doctor";

    private readonly Rules _rules;

    private Expectation(Rules rules, bool sharesAreKnown) => (_rules, SharesAreKnown) = (rules, sharesAreKnown);

    public Rules Rules => _rules;

    /// <summary>False where the shares follow from everybody's journeys (markov): then only who competes is compared.</summary>
    public bool SharesAreKnown { get; }

    /// <summary>Reads the document as the deployment publishes it; or says why it cannot be read here.</summary>
    /// <param name="document">The active rules.</param>
    /// <param name="botLists">A folder with bot lists of the operator's own; null where there is none.</param>
    public static (Expectation? Rules, string? Fault) Read(JsonNode document, string? botLists)
    {
        var folders = new[] { Path.Combine(AppContext.BaseDirectory, "Bots"), botLists };
        var files = folders.OfType<string>().SelectMany(folder => Directory.EnumerateFiles(folder, "*.txt").Order(StringComparer.Ordinal))
            .Select(path => new BotListFile(path, Path.GetFileNameWithoutExtension(path), File.ReadAllText(path))).ToArray();
        if (BotLists.Read(files) is not BotListsAccepted { Lists: var lists })
        {
            return (null, $"the bot lists in {string.Join(" and ", folders.OfType<string>())} cannot be read");
        }

        var copy = document.DeepClone();
        var fitted = copy["model"]?["kind"]?.ToString() is "markov" or "shapley";
        if (fitted)
        {
            copy["model"] = new JsonObject { ["kind"] = "linear" };
        }

        using var parsed = JsonDocument.Parse(copy.ToJsonString());
        return Rules.ReadPublished(parsed.RootElement, lists) switch
        {
            RulesAccepted accepted => (new Expectation(accepted.Rules, !fitted), null),
            RulesRefused refused => (null, string.Join("; ", refused.Faults.Select(fault => $"{fault.Field} {fault.Reason}")) + " (--bot-lists names a folder with the operator's own lists)"),
            var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
        };
    }

    /// <summary>What comes of the conversion.</summary>
    public Decision Of(Trial trial)
    {
        var journey = History.Fold([.. trial.Facts, .. trial.Adjustments]).Journeys.Single(j => j.Conversion.ConversionId == trial.Conversion.ConversionId);
        return Crediting.Decide(journey, History.Fold([]).Standings, _rules);
    }

    /// <summary>A click as the log should have it.</summary>
    public static ClickRecorded Click(Guid id, string partner, DateTimeOffset at, string? visitor, string userAgent, ClickSignals? signals = null, ClickVia via = ClickVia.Redirect) => new()
    {
        EventId = id, ProgramId = Program, OccurredAt = at, PartnerId = partner, VisitorId = visitor is null ? null : VisitorId.FromIdOrCookie(visitor), UserAgent = userAgent,
        Signals = signals, Via = via, Test = true,
    };

    /// <summary>When a click of an edge happened: its id says so.</summary>
    public static DateTimeOffset TimeOf(Guid click)
    {
        Span<byte> bytes = stackalloc byte[16];
        click.TryWriteBytes(bytes, bigEndian: true, out _);
        return DateTimeOffset.FromUnixTimeMilliseconds((long)(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(bytes) >> 16));
    }

    public static VisitorIdentified Login(string customer, string visitor, DateTimeOffset at) => new()
    {
        EventId = Ids.Derive("doctor-login", customer, visitor), ProgramId = Program, OccurredAt = at, CustomerKey = customer, VisitorId = VisitorId.FromIdOrCookie(visitor),
    };

    public static CouponAssigned Coupon(string code, string partner) => new()
    {
        EventId = Ids.Derive("doctor-coupon", code), ProgramId = Program, OccurredAt = DateTimeOffset.UnixEpoch, Code = code, PartnerId = partner, From = DateTimeOffset.UnixEpoch,
    };

    public static ConversionRecorded Sale(string order, DateTimeOffset at, string? visitor = null, Guid? click = null, string? customer = null, string? coupon = null)
    {
        var id = Ids.Conversion(Program, Trial.Source, order);
        return new ConversionRecorded
        {
            EventId = id, ConversionId = id, ProgramId = Program, OccurredAt = at, Kind = ConversionKind.Sale, Source = Trial.Source, OrderId = order,
            VisitorId = visitor is null ? null : VisitorId.FromIdOrCookie(visitor), ClickId = click, CustomerKey = customer, Coupon = coupon, AmountMinor = Trial.AmountMinor,
            Currency = Trial.Currency, Test = true,
        };
    }

    public static ConversionAdjusted Refund(Trial trial, string id, long minor) => new()
    {
        EventId = Ids.Derive("doctor-refund", trial.Conversion.OrderId, id), ProgramId = Program, OccurredAt = trial.Conversion.OccurredAt.AddSeconds(1),
        ConversionId = trial.Conversion.ConversionId, Source = Trial.Source, OrderId = trial.Conversion.OrderId, AdjustmentId = id, AmountMinor = minor, Currency = Trial.Currency,
        Reason = AdjustmentReason.Refund,
    };
}

/// <summary>One order, what led to it, and what should come of it.</summary>
internal sealed class Trial
{
    /// <summary>Source of the doctor's orders; with <c>test</c> nobody is told of them.</summary>
    public const string Source = TestTraffic.DoctorSource;

    public const long AmountMinor = 1_000;
    public const string Currency = "EUR";

    public required string Name { get; init; }
    public required ConversionRecorded Conversion { get; init; }
    public required IReadOnlyList<IEvent> Facts { get; init; }

    /// <summary>Who must have it whatever the rules say, lest they credit nothing at all; null where the rules alone decide.</summary>
    public string? MustCredit { get; init; }

    public List<ConversionAdjusted> Adjustments { get; } = [];
}
