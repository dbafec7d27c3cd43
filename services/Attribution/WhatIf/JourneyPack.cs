using System.Runtime.InteropServices;
using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>
/// Journeys as numbers, end to end in arrays of a few thousand journeys each, so that a rule set goes through all of them at the
/// speed of memory. Who changes it excludes who reads it: it has no lock.
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
    private long _bytesOfNames;
    private int _namedRequests;

    public FactNames Names { get; } = new();

    public IReadOnlyList<Chunk> Chunks => _chunks;

    /// <summary>Journeys, each of a conversion that is no test.</summary>
    public int Conversions => _places.Count;

    /// <summary>What it takes in memory, measured by its arrays and estimated for its tables of names.</summary>
    public long Bytes => _chunks.Sum(chunk => chunk.Bytes) + ((long)_places.Count * BytesOfPlace) + _bytesOfNames;

    /// <summary>Puts a journey in, in the place of the one before of the same conversion. Tests are left out: no sum has them.</summary>
    public void Put(Journey journey)
    {
        var id = journey.Conversion.ConversionId;
        Remove(id);
        if (journey.Conversion.Test)
        {
            return;
        }

        _conversions.Clear();
        _touches.Clear();
        JourneyFacts.Write(journey, Names, _conversions, _touches);
        Put(id, CollectionsMarshal.AsSpan(_conversions), CollectionsMarshal.AsSpan(_touches));
    }

    /// <summary>The same of a journey that is facts already, by the numbers of <see cref="Names"/>.</summary>
    public void Put(Guid id, ReadOnlySpan<ConversionFacts> conversions, ReadOnlySpan<TouchFacts> touches)
    {
        if (_chunks.Count == 0 || _chunks[^1].IsFull)
        {
            if (_chunks.Count > 0)
            {
                _chunks[^1].Trim();
            }

            _chunks.Add(new Chunk());
        }

        _places[id] = (_chunks.Count - 1, _chunks[^1].Add(id, conversions, touches));
        for (; _namedRequests < Names.Requests; _namedRequests++)
        {
            _bytesOfNames += 160 + (2L * (Names.RequestOf(_namedRequests).UserAgent?.Length ?? 0));
        }
    }

    public void Clear()
    {
        _chunks.Clear();
        _places.Clear();
    }

    private void Remove(Guid id)
    {
        if (!_places.Remove(id, out var place))
        {
            return;
        }

        var chunk = _chunks[place.Chunk];
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
            + ((long)_slots.Length * Marshal<Slot>.Size);

        /// <summary>False where the journey in this place is gone.</summary>
        public bool TryGet(int slot, out JourneyFacts journey)
        {
            ref readonly var at = ref _slots[slot];
            journey = new JourneyFacts(_conversions.AsSpan(at.FirstConversion, at.Conversions), _touches.AsSpan(at.FirstTouch, at.Touches));
            return at.Conversions > 0;
        }

        public int Add(Guid id, ReadOnlySpan<ConversionFacts> conversions, ReadOnlySpan<TouchFacts> touches)
        {
            Reserve(ref _conversions, _conversionCount + conversions.Length);
            Reserve(ref _touches, _touchCount + touches.Length);
            Reserve(ref _slots, _slotCount + 1);
            conversions.CopyTo(_conversions.AsSpan(_conversionCount));
            touches.CopyTo(_touches.AsSpan(_touchCount));
            _slots[_slotCount] = new Slot(id, _conversionCount, conversions.Length, _touchCount, touches.Length);
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
            Array.Resize(ref _slots, _slotCount);
        }

        /// <summary>Moves together what is left.</summary>
        /// <returns>The new places.</returns>
        public IEnumerable<(Guid Id, int Slot)> Compact()
        {
            var (conversions, touches, slots) = (_conversions, _touches, _slots.AsSpan(0, _slotCount).ToArray());
            (_conversions, _touches, _slots) = (new ConversionFacts[conversions.Length], new TouchFacts[touches.Length], new Slot[slots.Length]);
            (_conversionCount, _touchCount, _slotCount, _gone) = (0, 0, 0, 0);
            foreach (var slot in slots)
            {
                if (slot.Conversions > 0)
                {
                    Add(slot.Id, conversions.AsSpan(slot.FirstConversion, slot.Conversions), touches.AsSpan(slot.FirstTouch, slot.Touches));
                }
            }

            Trim();
            return _slots.Select((slot, index) => (slot.Id, index));
        }

        private static void Reserve<T>(ref T[] array, int length)
        {
            if (array.Length < length)
            {
                Array.Resize(ref array, int.Max(length, array.Length + (array.Length / 2)));
            }
        }

        [StructLayout(LayoutKind.Auto)]
        private readonly record struct Slot(Guid Id, int FirstConversion, int Conversions, int FirstTouch, int Touches);
    }

    private static class Marshal<T>
    {
        public static readonly int Size = System.Runtime.CompilerServices.Unsafe.SizeOf<T>();
    }
}
