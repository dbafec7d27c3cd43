using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Reads one rule document and collects every fault of it.</summary>
internal sealed class RulesReader(BotLists lists, bool isPublished = false)
{
    private const int MaxNameLength = 200;
    private const int MaxPartnerLength = 64;
    private const int MaxWindowDays = 3_650;
    private const int MaxRepeatMinutes = 43_200;
    private const int MaxHalfLifeDays = 3_650;
    private const int MaxInheritDays = 36_500;
    private const int MaxCommissionEntries = 1_000;

    private const int MaxPartnerWindows = 10_000;
    private const int MaxProductLength = 256;

    // What a partner has earned this month depends on all conversions of the month, and every one of them on the others: a credit
    // would no longer follow from its own journey.
    private static readonly string[] s_capsOfAPeriod = ["capPerDay", "capPerWeek", "capPerMonth", "capPerPeriod", "dailyCap", "monthlyCap", "periodCap"];

    private static readonly string[] s_times = ["yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mmK"];

    private readonly ImmutableArray<Fault>.Builder _faults = ImmutableArray.CreateBuilder<Fault>();

    public RulesParse Read(JsonElement document)
    {
        if (document.ValueKind != JsonValueKind.Object)
        {
            Refuse("$", "must be a JSON object");
            return new RulesRefused(_faults.ToImmutable());
        }

        var rules = Rules.Default(lists) with
        {
            Name = string.Empty,
            Coupon = isPublished ? null : CouponUse.Fallback,
            SelfReferral = isPublished ? null : SelfReferrals.Exclude,
        };
        var named = false;
        JsonElement? scope = null;
        foreach (var (field, value) in Fields(document, string.Empty))
        {
            switch (field)
            {
                case "name":
                    named = true;
                    rules = rules with { Name = Name(value) };
                    break;
                case "effectiveFrom":
                    rules = rules with { EffectiveFrom = TimeOf(field, value) };
                    break;
                case "scope":
                    scope = value;
                    break;
                case "model":
                    rules = rules with { Model = ReadModel(value) };
                    break;
                case "windowDays":
                    rules = rules with { WindowDays = Whole(field, value, 1, MaxWindowDays) };
                    break;
                case "partnerWindows":
                    rules = rules with { PartnerWindows = ReadPartnerWindows(value) };
                    break;
                case "repeatMinutes":
                    rules = rules with { RepeatMinutes = Whole(field, value, 0, MaxRepeatMinutes) };
                    break;
                case "bots":
                    rules = rules with { Bots = ReadBots(value) };
                    break;
                case "consent":
                    rules = rules with { Consent = Choice(field, value, Words.Of, ConsentUse.Ignore, ConsentUse.Require) };
                    break;
                case "selfReferral":
                    rules = rules with { SelfReferral = Choice(field, value, Words.Of, SelfReferrals.Exclude, SelfReferrals.Include) };
                    break;
                case "suspended":
                    rules = rules with { Suspended = Choice(field, value, Words.Of, SuspendedPartners.PassOn, SuspendedPartners.Forfeit) };
                    break;
                case "kinds":
                    rules = rules with { Kinds = Choices(field, value, Words.Of, Rules.AllKinds) };
                    break;
                case "evidence":
                    rules = rules with { Evidence = Choices(field, value, Words.Of, Rules.AllEvidence) };
                    break;
                case "coupon":
                    rules = rules with { Coupon = Choice(field, value, Words.Of, CouponUse.Fallback, CouponUse.Override, CouponUse.Ignore) };
                    break;
                case "inherit":
                    rules = rules with { Inherit = ReadInherit(value) };
                    break;
                case "commission":
                    rules = rules with { Commission = ReadCommission(value) };
                    break;
                default:
                    Refuse(field, "is not a known field");
                    break;
            }
        }

        rules = rules with { Scope = ReadScope(scope, document.TryGetProperty("effectiveFrom", out _)) };

        if (!named)
        {
            Refuse("name", "is missing");
        }

        return _faults.Count == 0 ? new RulesAccepted(rules) : new RulesRefused(_faults.ToImmutable());
    }

    private string Name(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            Refuse("name", "must be a string");
            return string.Empty;
        }

        var name = value.GetString()!;
        if (string.IsNullOrWhiteSpace(name))
        {
            Refuse("name", "must not be empty");
        }
        else if (name.Length > MaxNameLength)
        {
            Refuse("name", $"has {name.Length} characters; at most {MaxNameLength}");
        }
        else if (name.Any(char.IsControl))
        {
            Refuse("name", "must not contain control characters");
        }

        return name;
    }

    /// <summary>Without a word of it: from <c>effectiveFrom</c> on where that is given, else all history.</summary>
    private RulesScope ReadScope(JsonElement? value, bool isDated)
    {
        var scope = new RulesScope(isDated ? ScopeTime.ConversionsFrom : ScopeTime.AllHistory);
        if (value is not { } given)
        {
            return scope;
        }

        if (given.ValueKind != JsonValueKind.Object)
        {
            Refuse("scope", "must be an object such as {\"applies\":\"conversions-from\",\"to\":\"all\"}");
            return scope;
        }

        foreach (var (field, part) in Fields(given, "scope"))
        {
            switch (field)
            {
                case "applies":
                    scope = scope with { Applies = ReadApplies(part, isDated) };
                    break;
                case "to" when part.ValueKind == JsonValueKind.Object:
                    scope = scope with { Partner = ReadScopePartner(part) };
                    break;
                case "to":
                    scope = scope with { NewCustomers = ReadScopeWord(part) };
                    break;
                default:
                    Refuse($"scope.{field}", "is not a known field");
                    break;
            }
        }

        return scope;
    }

    private ScopeTime ReadApplies(JsonElement value, bool isDated)
    {
        var faults = _faults.Count;
        var applies = Choice("scope.applies", value, Words.Of, ScopeTime.ConversionsFrom, ScopeTime.TouchesFrom, ScopeTime.AllHistory);
        if (_faults.Count == faults && isDated != applies is not ScopeTime.AllHistory)
        {
            Refuse("scope.applies", isDated
                ? "is 'all-history', and effectiveFrom says since when; only one of them can be meant"
                : $"is '{Words.Of(applies)}', and effectiveFrom does not say since when");
        }

        return applies;
    }

    private bool ReadScopeWord(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String || (!value.ValueEquals(RulesScope.ToAll) && !value.ValueEquals(RulesScope.ToNewCustomers)))
        {
            Refuse("scope.to", $"must be '{RulesScope.ToAll}', '{RulesScope.ToNewCustomers}' or an object such as {{\"partner\":\"acme\"}}");
            return false;
        }

        return value.ValueEquals(RulesScope.ToNewCustomers);
    }

    private string? ReadScopePartner(JsonElement value)
    {
        string? partner = null;
        var named = false;
        foreach (var (field, part) in Fields(value, "scope.to"))
        {
            if (field == "partner")
            {
                named = true;
                partner = Partner("scope.to.partner", part);
            }
            else
            {
                Refuse($"scope.to.{field}", "is not a known field");
            }
        }

        if (!named)
        {
            Refuse("scope.to.partner", "is missing; it is the id of a partner");
        }

        return partner;
    }

    private ImmutableArray<PartnerWindow> ReadPartnerWindows(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            Refuse("partnerWindows", "must be an object such as {\"acme\":90}");
            return [];
        }

        var windows = new List<PartnerWindow>();
        foreach (var (partner, days) in Fields(value, "partnerWindows"))
        {
            if (partner.Length is 0 or > MaxPartnerLength)
            {
                Refuse("partnerWindows", $"'{partner}' is no partner id of 1 to {MaxPartnerLength} characters");
                continue;
            }

            windows.Add(new PartnerWindow(partner, Whole($"partnerWindows.{partner}", days, 1, MaxWindowDays)));
        }

        if (windows.Count > MaxPartnerWindows)
        {
            Refuse("partnerWindows", $"has {windows.Count} partners; at most {MaxPartnerWindows}");
        }

        windows.Sort((left, right) => string.CompareOrdinal(left.Partner, right.Partner));
        return [.. windows];
    }

    /// <summary>A time as canonical documents have it: UTC, without zeros at the end.</summary>
    internal static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", DateTimeFormatInfo.InvariantInfo);

    private DateTimeOffset? TimeOf(string path, JsonElement value)
    {
        var text = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        var hasOffset = text.EndsWith('Z') || text is [.., '+' or '-', _, _, ':', _, _];
        if (hasOffset && DateTimeOffset.TryParseExact(text, s_times, DateTimeFormatInfo.InvariantInfo, DateTimeStyles.None, out var time))
        {
            return time.ToUniversalTime();
        }

        Refuse(path, "must be a time with its offset such as \"2026-11-01T00:00:00Z\"");
        return null;
    }

    private Model ReadModel(JsonElement value)
    {
        var nothing = new FirstTouch();
        if (value.ValueKind != JsonValueKind.Object)
        {
            Refuse("model", "must be an object such as {\"kind\":\"linear\"}");
            return nothing;
        }

        string? kind = null;
        var given = new List<(string Field, JsonElement Value)>();
        foreach (var (field, part) in Fields(value, "model"))
        {
            if (field == "kind")
            {
                kind = part.ValueKind == JsonValueKind.String ? part.GetString() : part.GetRawText();
            }
            else
            {
                given.Add((field, part));
            }
        }

        switch (kind)
        {
            case null:
                Refuse("model.kind", "is missing");
                return nothing;
            case "first-touch":
                RefuseAll(given, kind);
                return nothing;
            case "last-touch":
                RefuseAll(given, kind);
                return new LastTouch();
            case "linear":
                RefuseAll(given, kind);
                return new Linear();
            case "shapley":
                RefuseAll(given, kind);
                return new Shapley();
            case "markov":
                return ReadMarkov(given);
            case "position-based":
                return ReadPositionBased(given);
            case "time-decay":
                return ReadTimeDecay(given);
            default:
                Refuse("model.kind", $"'{kind}' is none of first-touch, last-touch, linear, position-based, time-decay, shapley, markov");
                return nothing;
        }
    }

    private PositionBased ReadPositionBased(List<(string Field, JsonElement Value)> given)
    {
        var first = 4_000;
        var last = 4_000;
        foreach (var (field, value) in given)
        {
            switch (field)
            {
                case "first":
                    first = BasisPoints("model.first", value);
                    break;
                case "last":
                    last = BasisPoints("model.last", value);
                    break;
                default:
                    Refuse($"model.{field}", "is no field of the model position-based, which has first and last");
                    break;
            }
        }

        if (first + last > 10_000)
        {
            Refuse("model", $"first {Text(Rules.Percent(first))} and last {Text(Rules.Percent(last))} together are more than 100");
        }

        return new PositionBased(first, last);
    }

    private Markov ReadMarkov(List<(string Field, JsonElement Value)> given)
    {
        var order = 1;
        foreach (var (field, value) in given)
        {
            if (field == "order")
            {
                order = Whole("model.order", value, 1, Markov.MostOrder);
            }
            else
            {
                Refuse($"model.{field}", "is no field of the model markov, which has order");
            }
        }

        return new Markov(order);
    }

    private TimeDecay ReadTimeDecay(List<(string Field, JsonElement Value)> given)
    {
        var halfLife = 7m;
        foreach (var (field, value) in given)
        {
            if (field != "halfLifeDays")
            {
                Refuse($"model.{field}", "is no field of the model time-decay, which has halfLifeDays");
                continue;
            }

            const string Path = "model.halfLifeDays";
            if (Number(Path, value) is not { } days)
            {
                continue;
            }

            if (days <= 0 || days > MaxHalfLifeDays)
            {
                Refuse(Path, $"is {Text(days)}; must be more than 0 and at most {MaxHalfLifeDays}");
            }
            else if (decimal.Round(days, 4) != days)
            {
                Refuse(Path, $"is {Text(days)}; at most 4 decimals");
            }
            else
            {
                halfLife = days;
            }
        }

        return new TimeDecay(halfLife);
    }

    private Bots ReadBots(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String && value.ValueEquals("include"u8))
        {
            return Bots.Include;
        }

        if (value.ValueKind == JsonValueKind.String && value.ValueEquals("exclude"u8))
        {
            return Bots.Exclude(lists.Newest);
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            Refuse("bots", $"must be 'include', 'exclude' or an object such as {{\"exclude\":\"{lists.Newest.Version}\"}}");
            return Bots.Include;
        }

        BotList? list = null;
        JsonElement? hash = null;
        ImmutableArray<Machine> counted = [];
        var named = false;
        foreach (var (field, part) in Fields(value, "bots"))
        {
            switch (field)
            {
                case "exclude":
                    named = true;
                    list = List(part);
                    break;
                case "sha256":
                    hash = part;
                    break;
                case "count":
                    counted = part.ValueKind == JsonValueKind.Array && part.GetArrayLength() == 0 ? [] : Choices(
                        "bots.count", part, Words.Of, [Machine.Prefetch, Machine.Preview, Machine.Bot, Machine.Head], "an empty one counts none of them");
                    break;
                default:
                    Refuse($"bots.{field}", "is not a known field");
                    break;
            }
        }

        if (!named)
        {
            Refuse("bots.exclude", $"is missing; it names the bot list, such as '{lists.Newest.Version}'");
        }

        if (list is null)
        {
            return Bots.Include;
        }

        // A list whose text was changed under its name would change what published rules mean.
        if (hash is { } content && !(content.ValueKind == JsonValueKind.String && content.ValueEquals(list.Hash)))
        {
            Refuse("bots.sha256", $"is {content.GetRawText()}; the bot list '{list.Version}' here has \"{list.Hash}\", so it is not the one that is meant");
        }

        return Bots.Exclude(list, counted.AsSpan());
    }

    private BotList? List(JsonElement value)
    {
        var version = value.ValueKind == JsonValueKind.String ? value.GetString()! : null;
        if (version is not null && lists.Find(version) is { } list)
        {
            return list;
        }

        var known = string.Join(", ", lists.All.Select(l => $"'{l.Version}'"));
        Refuse("bots.exclude", version is null ? $"must be the version of a bot list; there are {known}" : $"'{version}' is no bot list; there are {known}");
        return null;
    }

    private Inherit? ReadInherit(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            Refuse("inherit", "must be an object such as {\"from\":\"lead\",\"days\":365}; leave it out to inherit nothing");
            return null;
        }

        int? days = null;
        var named = false;
        foreach (var (field, part) in Fields(value, "inherit"))
        {
            switch (field)
            {
                case "from":
                    named = true;
                    Choice("inherit.from", part, word => word, Inherit.FromLead);
                    break;
                case "days":
                    days = Whole("inherit.days", part, 1, MaxInheritDays);
                    break;
                default:
                    Refuse($"inherit.{field}", "is not a known field");
                    break;
            }
        }

        if (!named)
        {
            Refuse("inherit.from", "is missing; it is 'lead'");
        }

        return new Inherit(days);
    }

    private ImmutableArray<CommissionEntry> ReadCommission(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            Refuse("commission", "must be a list such as [{\"percent\":20}]");
            return [];
        }

        if (value.GetArrayLength() > MaxCommissionEntries)
        {
            Refuse("commission", $"has {value.GetArrayLength()} entries; at most {MaxCommissionEntries}");
            return [];
        }

        var entries = ImmutableArray.CreateBuilder<CommissionEntry>(value.GetArrayLength());
        foreach (var entry in value.EnumerateArray())
        {
            entries.Add(ReadCommissionEntry(entry, $"commission[{entries.Count}]"));
        }

        return entries.MoveToImmutable();
    }

    private CommissionEntry ReadCommissionEntry(JsonElement value, string path)
    {
        var entry = new CommissionEntry();
        if (value.ValueKind != JsonValueKind.Object)
        {
            Refuse(path, "must be an object such as {\"percent\":20}");
            return entry;
        }

        JsonElement? percent = null;
        JsonElement? flat = null;
        JsonElement? currency = null;
        JsonElement? cap = null;
        JsonElement? minimum = null;
        foreach (var (field, part) in Fields(value, path))
        {
            switch (field)
            {
                case "percent":
                    percent = part;
                    break;
                case "flat":
                    flat = part;
                    break;
                case "currency":
                    currency = part;
                    break;
                case "kind":
                    entry = entry with { Kind = Choice($"{path}.kind", part, Words.Of, [.. Rules.AllKinds]) };
                    break;
                case "partner":
                    entry = entry with { Partner = Partner($"{path}.partner", part) };
                    break;
                case "group":
                    entry = entry with { Group = Text($"{path}.group", part, MaxPartnerLength, "a group") };
                    break;
                case "product":
                    entry = entry with { Product = Text($"{path}.product", part, MaxProductLength, "a product") };
                    break;
                case "newCustomer" when part.ValueKind is JsonValueKind.True or JsonValueKind.False:
                    entry = entry with { NewCustomer = part.GetBoolean() };
                    break;
                case "newCustomer":
                    Refuse($"{path}.newCustomer", "must be true or false");
                    break;
                case "cap":
                    cap = part;
                    break;
                case "minimum":
                    minimum = part;
                    break;
                default:
                    Refuse($"{path}.{field}", s_capsOfAPeriod.Contains(field, StringComparer.Ordinal)
                        ? "is not taken: with a cap over a period a commission would depend on every other conversion of the period; cap is for one conversion"
                        : "is not a known field");
                    break;
            }
        }

        if (percent is null && flat is null)
        {
            Refuse(path, "must give percent or flat");
        }
        else if (percent is not null && flat is not null)
        {
            Refuse(path, "gives percent and flat; only one of them can be meant");
        }

        if (percent is { } rate)
        {
            entry = entry with { PercentBasisPoints = BasisPoints($"{path}.percent", rate) };
        }

        if (currency is { } code)
        {
            entry = entry with { Currency = CurrencyCode($"{path}.currency", code) };
        }

        if (flat is { } sum)
        {
            entry = entry with { FlatMinor = Sum(path, "flat", "a flat sum", sum, currency is not null, entry.Currency) };
        }

        if (cap is { } most)
        {
            entry = entry with { CapMinor = Sum(path, "cap", "a cap", most, currency is not null, entry.Currency) };
        }

        if (minimum is { } least)
        {
            entry = entry with { MinimumMinor = Sum(path, "minimum", "a minimum", least, currency is not null, entry.Currency) };
        }

        if (flat is not null && (cap ?? minimum) is not null)
        {
            Refuse(path, "bounds a flat sum, which is the same for every conversion; cap and minimum bound a percentage");
        }
        else if (entry.MinimumMinor > entry.CapMinor)
        {
            Refuse($"{path}.minimum", "is more than cap");
        }

        return entry;
    }

    private string? Partner(string path, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= MaxPartnerLength } partner)
        {
            return partner;
        }

        Refuse(path, $"must be a partner id of 1 to {MaxPartnerLength} characters");
        return null;
    }

    private string? CurrencyCode(string path, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            Refuse(path, "must be a string such as \"EUR\"");
            return null;
        }

        var code = value.GetString()!;
        if (Currency.Decimals(code) is null)
        {
            Refuse(path, $"'{code}' is not a currency of ISO 4217");
            return null;
        }

        return code;
    }

    private long? Sum(string path, string field, string what, JsonElement value, bool currencyGiven, string? currency)
    {
        if (!currencyGiven)
        {
            Refuse($"{path}.currency", $"is missing; {what} needs its currency");
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            Refuse($"{path}.{field}", "must be a decimal string such as \"5.00\"");
            return null;
        }

        if (currency is null)
        {
            return null;
        }

        if (!Currency.TryParse(value.GetString()!, currency, out var minor, out var reason))
        {
            Refuse($"{path}.{field}", reason!);
            return null;
        }

        if (minor < 0)
        {
            Refuse($"{path}.{field}", $"'{value.GetString()}' is negative");
            return null;
        }

        return minor;
    }

    private string? Text(string path, JsonElement value, int most, string what)
    {
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text && text.Length <= most)
        {
            return text;
        }

        Refuse(path, $"must be {what} of 1 to {most} characters");
        return null;
    }

    private int BasisPoints(string path, JsonElement value)
    {
        if (Number(path, value) is not { } percent)
        {
            return 0;
        }

        if (percent is < 0 or > 100)
        {
            Refuse(path, $"is {Text(percent)}; must be 0 to 100");
            return 0;
        }

        if (decimal.Round(percent, 2) != percent)
        {
            Refuse(path, $"is {Text(percent)}; at most 2 decimals");
            return 0;
        }

        return (int)(percent * 100);
    }

    private int Whole(string path, JsonElement value, int least, int most)
    {
        if (Number(path, value) is not { } number)
        {
            return least;
        }

        if (number != decimal.Truncate(number))
        {
            Refuse(path, $"is {Text(number)}; must be a whole number");
            return least;
        }

        if (number < least || number > most)
        {
            Refuse(path, $"is {Text(number)}; must be {least} to {most}");
            return least;
        }

        return (int)number;
    }

    private decimal? Number(string path, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Number)
        {
            Refuse(path, "must be a number");
            return null;
        }

        if (!value.TryGetDecimal(out var number))
        {
            Refuse(path, "is out of range");
            return null;
        }

        return number;
    }

    private T Choice<T>(string path, JsonElement value, Func<T, string> word, params ReadOnlySpan<T> choices)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            foreach (var choice in choices)
            {
                if (value.ValueEquals(word(choice)))
                {
                    return choice;
                }
            }
        }

        var words = new List<string>(choices.Length);
        foreach (var choice in choices)
        {
            words.Add($"'{word(choice)}'");
        }

        Refuse(path, $"must be {(words.Count == 1 ? words[0] : "one of " + string.Join(", ", words))}");
        return choices[0];
    }

    /// <summary>A set of words, each at most once. Kept in one order: the order of a set means nothing and must not change a hash.</summary>
    private ImmutableArray<T> Choices<T>(string path, JsonElement value, Func<T, string> word, ImmutableArray<T> all, string empty = "leave it out to count all")
        where T : struct, Enum
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            Refuse(path, $"must be a list of at least one; {empty}");
            return all;
        }

        var chosen = new SortedSet<T>();
        var faults = _faults.Count;
        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            var at = $"{path}[{index++}]";
            var before = _faults.Count;
            var choice = Choice(at, item, word, all.AsSpan());
            if (_faults.Count == before && !chosen.Add(choice))
            {
                Refuse(at, $"'{word(choice)}' is listed twice");
            }
        }

        return _faults.Count == faults ? [.. chosen] : all;
    }

    /// <summary>The fields of an object, each once; a second one of the same name is a fault.</summary>
    private List<(string Field, JsonElement Value)> Fields(JsonElement value, string path)
    {
        var fields = new List<(string Field, JsonElement Value)>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var property in value.EnumerateObject())
        {
            if (seen.Add(property.Name))
            {
                fields.Add((property.Name, property.Value));
            }
            else
            {
                Refuse(path.Length == 0 ? property.Name : $"{path}.{property.Name}", "is given twice");
            }
        }

        return fields;
    }

    private void RefuseAll(List<(string Field, JsonElement Value)> given, string kind)
    {
        foreach (var (field, _) in given)
        {
            Refuse($"model.{field}", $"is no field of the model {kind}, which has none");
        }
    }

    private void Refuse(string field, string reason) => _faults.Add(new Fault(field, reason));

    private static string Text(decimal number) => number.ToString(NumberFormatInfo.InvariantInfo);
}
