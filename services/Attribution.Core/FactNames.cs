using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>What a click's request said of itself: all that rules can ask of it beside its time and partner.</summary>
/// <param name="UserAgent">As sent.</param>
/// <param name="Signals">As recorded.</param>
/// <param name="Imported">It was brought in from elsewhere: what is absent says nothing.</param>
public readonly record struct ClickRequest(string? UserAgent, ClickSignals? Signals, bool Imported)
{
    public static ClickRequest Of(ClickRecorded click) => new(click.UserAgent, click.Signals, click.Via == ClickVia.Import);
}

/// <summary>
/// Gives names a number and finds the name of a number. Numbers count from zero in the order of asking, so they are good within one
/// table only, and nothing that is decided may depend on them. Who adds excludes who reads: it has no lock.
/// </summary>
public sealed class FactNames
{
    private readonly Numbered<(string Program, string Partner)> _partners = new(EqualityComparer<(string, string)>.Default);
    private readonly Numbered<ClickRequest> _requests = new(EqualityComparer<ClickRequest>.Default);
    private readonly Numbered<string> _labels = new(StringComparer.Ordinal);
    private readonly Numbered<string> _currencies = new(StringComparer.Ordinal);
    private readonly Numbered<ImmutableArray<ItemFacts>> _items = new(Sequences<ItemFacts>.Equality);
    private readonly Numbered<ImmutableArray<int>> _ownPurchases = new(Sequences<int>.Equality);

    /// <summary>The number of no items, of no label and of nobody.</summary>
    public const int None = -1;

    public int Partners => _partners.Names.Count;

    public int Requests => _requests.Names.Count;

    public int Currencies => _currencies.Names.Count;

    public int Partner(string program, string partnerId) => _partners.NumberOf((program, partnerId));

    public string ProgramOf(int partner) => _partners.Names[partner].Program;

    public string PartnerId(int partner) => _partners.Names[partner].Partner;

    public int Labels => _labels.Names.Count;

    /// <summary>A click's link or campaign.</summary>
    public int Label(string? name) => name is null ? None : _labels.NumberOf(name);

    public string? LabelOf(int number) => number == None ? null : _labels.Names[number];

    public int Request(ClickRequest request) => _requests.NumberOf(request);

    public ClickRequest RequestOf(int number) => _requests.Names[number];

    public int Currency(string code) => _currencies.NumberOf(code);

    public string CurrencyCode(int number) => _currencies.Names[number];

    public int Items(IReadOnlyList<LineItem>? items) => items is null or [] ? None : _items.NumberOf([.. items.Select(ItemFacts.Of)]);

    /// <summary>In the order of the conversion.</summary>
    internal ImmutableArray<ItemFacts> ItemsOf(int number) => _items.Names[number];

    public int OwnPurchase(string program, ImmutableArray<string> partners) =>
        partners.IsEmpty ? None : _ownPurchases.NumberOf([.. partners.Select(partner => Partner(program, partner))]);

    internal bool IsOwnPurchaseOf(int number, int partner) => number != None && _ownPurchases.Names[number].Contains(partner);

    private sealed class Numbered<T>(IEqualityComparer<T> equality)
        where T : notnull
    {
        private readonly Dictionary<T, int> _numbers = new(equality);

        public List<T> Names { get; } = [];

        public int NumberOf(T name)
        {
            if (!_numbers.TryGetValue(name, out var number))
            {
                number = Names.Count;
                _numbers.Add(name, number);
                Names.Add(name);
            }

            return number;
        }
    }

    private sealed class Sequences<T> : IEqualityComparer<ImmutableArray<T>>
        where T : notnull
    {
        public static Sequences<T> Equality { get; } = new();

        public bool Equals(ImmutableArray<T> x, ImmutableArray<T> y) => x.AsSpan().SequenceEqual(y.AsSpan(), EqualityComparer<T>.Default);

        public int GetHashCode(ImmutableArray<T> obj)
        {
            var hash = default(HashCode);
            foreach (var item in obj)
            {
                hash.Add(item);
            }

            return hash.ToHashCode();
        }
    }
}

/// <summary>One item of an order.</summary>
/// <param name="Product">What it is.</param>
/// <param name="AmountMinor">What it costs; a line below zero (a discount) is of no product in particular and counts as nothing.</param>
internal readonly record struct ItemFacts(string Product, long AmountMinor)
{
    public static ItemFacts Of(LineItem item) => new(item.Product, long.Max(0, item.AmountMinor));
}
