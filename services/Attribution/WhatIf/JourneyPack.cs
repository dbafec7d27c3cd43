using System.Runtime.InteropServices;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>
/// Journeys as numbers, end to end in arrays of a few thousand journeys each, so that a rule set goes through all of them at the
/// speed of memory, in the order of their changes. Who changes it excludes who reads it: it has no lock.
/// </summary>
internal sealed class JourneyPack
{
    /// <summary>Journeys of one chunk, which is what one thread takes at a time.</summary>
    public const int ChunkSize = 4_096;

    // What a conversion costs beside its facts: the place by its id (a dictionary's entry and bucket).
    private const int BytesOfPlace = 48;

    private readonly Dictionary<Guid, (int Chunk, int Slot)> _places = [];
    private readonly List<Chunk> _chunks = [];
    private readonly List<ConversionFacts> _conversions = [];
    private readonly List<TouchFacts> _touches = [];
    private readonly List<TouchName> _touchNames = [];
    private long _bytesOfNames;
    private int _namedRequests;
    private int _namedLabels;
    private int _tests;

    public FactNames Names { get; } = new();

    public IReadOnlyList<Chunk> Chunks => _chunks;

    /// <summary>Journeys, each of a conversion that is no test.</summary>
    public int Conversions => _places.Count - _tests;

    /// <summary>What it takes in memory, measured by its arrays and estimated for its tables of names.</summary>
    public long Bytes => _chunks.Sum(chunk => chunk.Bytes) + ((long)_places.Count * BytesOfPlace) + _bytesOfNames;

    /// <summary>Puts a journey in, after all others and instead of the one before of the same conversion.</summary>
    /// <param name="journey">The journey.</param>
    /// <param name="changedAt">The log position up to which it is known; by it and the conversion's id it comes after all that are in.</param>
    public void Put(Journey journey, long changedAt)
    {
        var id = journey.Conversion.ConversionId;
        Remove(id);
        _conversions.Clear();
        _touches.Clear();
        _touchNames.Clear();
        JourneyFacts.Write(journey, Names, _conversions, _touches);
        NameTouches(journey);
        foreach (var lead in journey.Introductions)
        {
            NameTouches(lead);
        }

        Put(
            new JourneyKey(changedAt, id), journey.Conversion.Test, CollectionsMarshal.AsSpan(_conversions), CollectionsMarshal.AsSpan(_touches),
            CollectionsMarshal.AsSpan(_touchNames));
    }

    /// <summary>The same of a new journey that is facts already, by the numbers of <see cref="Names"/>.</summary>
    public void Put(
        JourneyKey key, bool test, ReadOnlySpan<ConversionFacts> conversions, ReadOnlySpan<TouchFacts> touches, ReadOnlySpan<TouchName> touchNames)
    {
        if (_chunks.Count == 0 || _chunks[^1].IsFull)
        {
            if (_chunks.Count > 0)
            {
                _chunks[^1].Trim();
            }

            _chunks.Add(new Chunk());
        }

        _places[key.ConversionId] = (_chunks.Count - 1, _chunks[^1].Add(key, test, conversions, touches, touchNames));
        _tests += test ? 1 : 0;
        for (; _namedRequests < Names.Requests; _namedRequests++)
        {
            _bytesOfNames += 160 + (2L * (Names.RequestOf(_namedRequests).UserAgent?.Length ?? 0));
        }

        for (; _namedLabels < Names.Labels; _namedLabels++)
        {
            _bytesOfNames += 80 + (2L * Names.LabelOf(_namedLabels)!.Length);
        }
    }

    public void Clear()
    {
        _chunks.Clear();
        _places.Clear();
        _tests = 0;
    }

    private void NameTouches(Journey journey)
    {
        foreach (var touch in journey.Touches)
        {
            _touchNames.Add(new TouchName(touch.Click.EventId, Names.Label(touch.Click.Link), Names.Label(touch.Click.Campaign?.Name)));
        }
    }

    private void Remove(Guid id)
    {
        if (!_places.Remove(id, out var place))
        {
            return;
        }

        var chunk = _chunks[place.Chunk];
        _tests -= chunk.IsTest(place.Slot) ? 1 : 0;
        chunk.Remove(place.Slot);
        if (chunk.IsMostlyGone)
        {
            foreach (var (kept, slot) in chunk.Compact())
            {
                _places[kept] = (place.Chunk, slot);
            }
        }
    }

    /// <summary>Some thousand journeys.</summary>
    internal sealed class Chunk
    {
        private ConversionFacts[] _conversions = new ConversionFacts[256];
        private TouchFacts[] _touches = new TouchFacts[1_024];

        // Beside the facts, as long: what no rule asks.
        private TouchName[] _touchNames = new TouchName[1_024];
        private Slot[] _slots = new Slot[256];
        private int _conversionCount;
        private int _touchCount;
        private int _slotCount;
        private int _gone;

        public bool IsFull => _slotCount == ChunkSize;

        /// <summary>More than half of its places are gone: what is left is worth moving together.</summary>
        public bool IsMostlyGone => 2 * _gone > _slotCount;

        /// <summary>Places, some of which may be gone.</summary>
        public int Count => _slotCount;

        public long Bytes => ((long)_conversions.Length * Marshal<ConversionFacts>.Size) + ((long)_touches.Length * Marshal<TouchFacts>.Size)
            + ((long)_touchNames.Length * Marshal<TouchName>.Size) + ((long)_slots.Length * Marshal<Slot>.Size);

        /// <summary>Of the journey that was added last, which may be gone: everything in here is at or before it.</summary>
        public JourneyKey Last { get; private set; }

        /// <summary>A journey of which sums have something: false where it is gone, or a test.</summary>
        public bool TryGet(int slot, out JourneyFacts journey)
        {
            ref readonly var at = ref _slots[slot];
            journey = FactsOf(at);
            return at.Conversions > 0 && !at.Test;
        }

        /// <summary>The journey in this place with its key; false where it is gone.</summary>
        public bool TryGet(int slot, out JourneyKey key, out JourneyFacts journey)
        {
            ref readonly var at = ref _slots[slot];
            key = at.Key;
            journey = FactsOf(at);
            return at.Conversions > 0;
        }

        public bool IsTest(int slot) => _slots[slot].Test;

        /// <summary>The click of a touch of the journey in this place.</summary>
        /// <param name="slot">The place.</param>
        /// <param name="touch">Its place among all touches of the journey.</param>
        public ref readonly TouchName NameOf(int slot, int touch) => ref _touchNames[_slots[slot].FirstTouch + touch];

        public int Add(
            JourneyKey key, bool test, ReadOnlySpan<ConversionFacts> conversions, ReadOnlySpan<TouchFacts> touches, ReadOnlySpan<TouchName> touchNames)
        {
            Reserve(ref _conversions, _conversionCount + conversions.Length);
            Reserve(ref _touches, _touchCount + touches.Length);
            Reserve(ref _touchNames, _touchCount + touches.Length);
            Reserve(ref _slots, _slotCount + 1);
            conversions.CopyTo(_conversions.AsSpan(_conversionCount));
            touches.CopyTo(_touches.AsSpan(_touchCount));
            touchNames.CopyTo(_touchNames.AsSpan(_touchCount));
            _slots[_slotCount] = new Slot(key, _conversionCount, conversions.Length, _touchCount, touches.Length, test);
            Last = key;
            _conversionCount += conversions.Length;
            _touchCount += touches.Length;
            return _slotCount++;
        }

        public void Remove(int slot)
        {
            _slots[slot] = default;
            _gone++;
        }

        /// <summary>Nothing more is added: gives back what was reserved.</summary>
        public void Trim()
        {
            Array.Resize(ref _conversions, _conversionCount);
            Array.Resize(ref _touches, _touchCount);
            Array.Resize(ref _touchNames, _touchCount);
            Array.Resize(ref _slots, _slotCount);
        }

        /// <summary>Moves together what is left.</summary>
        /// <returns>The new places.</returns>
        public IEnumerable<(Guid Id, int Slot)> Compact()
        {
            var (conversions, touches, touchNames, slots) = (_conversions, _touches, _touchNames, _slots.AsSpan(0, _slotCount).ToArray());
            (_conversions, _touches) = (new ConversionFacts[conversions.Length], new TouchFacts[touches.Length]);
            (_touchNames, _slots) = (new TouchName[touchNames.Length], new Slot[slots.Length]);
            (_conversionCount, _touchCount, _slotCount, _gone) = (0, 0, 0, 0);
            foreach (var slot in slots)
            {
                if (slot.Conversions > 0)
                {
                    Add(
                        slot.Key, slot.Test, conversions.AsSpan(slot.FirstConversion, slot.Conversions), touches.AsSpan(slot.FirstTouch, slot.Touches),
                        touchNames.AsSpan(slot.FirstTouch, slot.Touches));
                }
            }

            Trim();
            return _slots.Select((slot, index) => (slot.Key.ConversionId, index));
        }

        private JourneyFacts FactsOf(in Slot slot) =>
            new(_conversions.AsSpan(slot.FirstConversion, slot.Conversions), _touches.AsSpan(slot.FirstTouch, slot.Touches));

        private static void Reserve<T>(ref T[] array, int length)
        {
            if (array.Length < length)
            {
                Array.Resize(ref array, int.Max(length, array.Length + (array.Length / 2)));
            }
        }

        [StructLayout(LayoutKind.Auto)]
        private readonly record struct Slot(JourneyKey Key, int FirstConversion, int Conversions, int FirstTouch, int Touches, bool Test);
    }

    private static class Marshal<T>
    {
        public static readonly int Size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
    }
}

/// <summary>What no rule asks of a touch: its click, and by their numbers in <see cref="FactNames"/> the link and the campaign.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TouchName(Guid ClickId, int Link, int Campaign);
