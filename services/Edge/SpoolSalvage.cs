using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>A row that was read out of a damaged file.</summary>
internal sealed record SalvagedRow(int Count, byte[] Data, long At);

/// <summary>
/// Reads a damaged spool page by page, past whatever SQLite stops at: its tree, its header, a broken write-ahead log. A row is
/// taken where it matches its own checksum, so it does not matter where it was found; what was once a row, on a page that is
/// free by now, was handed on long ago and is known to the receivers.
/// </summary>
/// <remarks>File format: https://www.sqlite.org/fileformat2.html, sections 1.5 (leaf pages, overflow), 2.1 (records) and 4 (the log).</remarks>
internal sealed class SpoolSalvage
{
    private const byte LeafPage = 0x0D;
    private const byte InteriorPage = 0x05;
    private const int MostRowBytes = 64 * 1024 * 1024;

    // Bytes of a record on a leaf page before it overflows, and after; for pages of 4096 bytes.
    private const int MostLocal = SpoolFile.PageBytes - 35;
    private const int LeastLocal = ((SpoolFile.PageBytes - 12) * 32 / 255) - 23;

    private const int InFile = -1;
    private const int Newest = int.MaxValue;

    private readonly string _file;
    private readonly SortedDictionary<(long Last, uint Checksum), Place> _rows = [];
    private readonly byte[] _overflow = new byte[SpoolFile.PageBytes];
    private long _checkpoint = -1;

    private SpoolSalvage(string file) => _file = file;

    /// <summary>Clicks that can be read.</summary>
    public long Clicks { get; private set; }

    /// <summary>Positions after the last checkpoint that can be read, up to the last click, whose clicks cannot.</summary>
    public long Unreadable { get; private set; }

    /// <summary>Finds everything that can be read in <paramref name="file"/> and its write-ahead log. Neither is changed.</summary>
    public static SpoolSalvage Read(string file)
    {
        var salvage = new SpoolSalvage(file);
        using (var pages = new Pages(file))
        {
            salvage.Find(pages);
        }

        salvage.Count();
        return salvage;
    }

    /// <summary>The rows in the order of their positions, one at a time: a spool may be larger than the memory.</summary>
    public IEnumerable<SalvagedRow> Rows()
    {
        using var pages = new Pages(_file);
        var page = new byte[SpoolFile.PageBytes];
        foreach (var place in _rows.Values)
        {
            pages.TryRead(place.Page, place.Frame, page);
            yield return ReadRow(pages, page, place)!.Value.Row;
        }
    }

    private void Find(Pages pages)
    {
        var content = new byte[SpoolFile.PageBytes];
        for (var page = 1u; page <= pages.PageCount; page++)
        {
            pages.TryRead(page, InFile, content);
            FindIn(pages, content, page, InFile);
        }

        for (var frame = 0; frame < pages.FrameCount; frame++)
        {
            pages.TryRead(0, frame, content);
            FindIn(pages, content, pages.PageOf(frame), frame);
        }
    }

    private void FindIn(Pages pages, byte[] page, uint number, int frame)
    {
        if (number == 1)
        {
            return;
        }

        // An overflow page begins with the number of the next, and so with a zero in any file below 64 GB.
        if (page[0] is 0 or InteriorPage)
        {
            return;
        }

        var whole = page[0] == LeafPage;
        var cells = BinaryPrimitives.ReadUInt16BigEndian(page.AsSpan(3));
        for (var i = 0; i < cells && 8 + (2 * i) + 2 <= page.Length; i++)
        {
            whole &= Take(pages, page, new Place(number, frame, BinaryPrimitives.ReadUInt16BigEndian(page.AsSpan(8 + (2 * i)))));
        }

        // Where the page does not say where its rows are, they may be anywhere.
        for (var offset = 8; !whole && offset < page.Length - 8; offset++)
        {
            Take(pages, page, new Place(number, frame, offset));
        }
    }

    private bool Take(Pages pages, byte[] page, Place place)
    {
        if (ReadRow(pages, page, place) is { } found)
        {
            _rows.TryAdd((found.Last, found.Checksum), found.Place);
            return true;
        }

        return ReadState(page, place.Offset);
    }

    private void Count()
    {
        var covered = Math.Max(0, _checkpoint);
        var first = _checkpoint < 0;
        foreach (var ((last, _), place) in _rows)
        {
            Clicks += place.Count;
            var before = last - place.Count;
            if (!first && before > covered)
            {
                Unreadable += before - covered;
            }

            first = false;
            covered = Math.Max(covered, last);
        }
    }

    /// <summary>The row that begins at a place, where it is whole. Its overflow pages are tried as they were at that moment, and as they are now.</summary>
    private (long Last, uint Checksum, Place Place, SalvagedRow Row)? ReadRow(Pages pages, byte[] page, Place place)
    {
        var at = place.Offset;
        if (!TryVarint(page, ref at, out var length) || length is < 8 or > MostRowBytes || !TryVarint(page, ref at, out var last) || last <= 0)
        {
            return null;
        }

        // The shape of a row: a number that is the row's key and so not in it, a number, a blob, and but for the first version of
        // the file two numbers.
        var head = at;
        Span<long> types = stackalloc long[5];
        if (!TryVarint(page, ref head, out var headerLength) || headerLength is < 4 or > 16)
        {
            return null;
        }

        var columns = 0;
        while (columns < types.Length && head - at < headerLength && TryVarint(page, ref head, out types[columns]))
        {
            columns++;
        }

        if (head - at != headerLength || columns is not (3 or 5) || types[0] != 0 || !IsNumber(types[1]) || types[2] < 12 || types[2] % 2 != 0
            || (columns == 5 && !(IsNumber(types[3]) && IsNumber(types[4]))))
        {
            return null;
        }

        foreach (var moment in (ReadOnlySpan<int>)[place.Frame, place.Frame == InFile ? Newest : InFile])
        {
            var from = (int)headerLength;
            if (Record(pages, page, at, (int)length, moment) is not { } record
                || !TryNumber(record, ref from, types[1], out var count) || count is <= 0 or > int.MaxValue || !TryBytes(record, ref from, types[2], out var data))
            {
                continue;
            }

            var sum = SpoolFile.Checksum(last, count, data);
            var time = 0L;
            if (columns == 5 ? TryNumber(record, ref from, types[3], out time) && TryNumber(record, ref from, types[4], out var said) && said == sum : AreClicks(data, count))
            {
                return (last, sum, place with { Count = (int)count }, new SalvagedRow((int)count, data.ToArray(), time));
            }
        }

        return null;
    }

    /// <summary>What proves a row of the first version, which has no checksum.</summary>
    private static bool AreClicks(ReadOnlySpan<byte> lines, long count)
    {
        if (lines.Count((byte)'\n') != count || lines.IsEmpty || lines[^1] != (byte)'\n')
        {
            return false;
        }

        try
        {
            foreach (var line in lines[..^1].Split((byte)'\n'))
            {
                if (JsonSerializer.Deserialize(lines[line], ContractsJson.Default.ClickRecorded) is null)
                {
                    return false;
                }
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The state: a key of 1, an id of text, a checkpoint, a checksum. All of it lies on the page.</summary>
    private bool ReadState(byte[] page, int at)
    {
        if (!TryVarint(page, ref at, out var length) || length is < 0 or > 64 || !TryVarint(page, ref at, out var key) || key != 1 || at + length > page.Length)
        {
            return false;
        }

        ReadOnlySpan<byte> record = page.AsSpan(at, (int)length);
        var head = 0;
        if (!TryVarint(record, ref head, out var headerLength) || !TryVarint(record, ref head, out var only) || only != 0
            || !TryVarint(record, ref head, out var idType) || idType < 13 || idType % 2 == 0
            || !TryVarint(record, ref head, out var checkpointType) || !IsNumber(checkpointType)
            || !TryVarint(record, ref head, out var checksumType) || !IsNumber(checksumType) || head != headerLength)
        {
            return false;
        }

        if (!TryBytes(record, ref head, idType - 1, out var id) || !TryNumber(record, ref head, checkpointType, out var checkpoint)
            || !TryNumber(record, ref head, checksumType, out var checksum) || checksum != SpoolFile.Checksum(Encoding.UTF8.GetString(id), checkpoint))
        {
            return false;
        }

        _checkpoint = Math.Max(_checkpoint, checkpoint);
        return true;
    }

    /// <summary>The bytes of a record, from its leaf page and its overflow pages.</summary>
    private byte[]? Record(Pages pages, byte[] leaf, int at, int length, int moment)
    {
        var local = length <= MostLocal ? length : LeastLocal + ((length - LeastLocal) % (SpoolFile.PageBytes - 4));
        local = local > MostLocal ? LeastLocal : local;
        if (at + local + (length > local ? 4 : 0) > leaf.Length)
        {
            return null;
        }

        var record = new byte[length];
        leaf.AsSpan(at, local).CopyTo(record);
        var next = length > local ? BinaryPrimitives.ReadUInt32BigEndian(leaf.AsSpan(at + local)) : 0;
        for (var filled = local; filled < length;)
        {
            if (next == 0 || !pages.TryRead(next, pages.Version(next, moment), _overflow))
            {
                return null;
            }

            var part = Math.Min(SpoolFile.PageBytes - 4, length - filled);
            _overflow.AsSpan(4, part).CopyTo(record.AsSpan(filled));
            filled += part;
            next = BinaryPrimitives.ReadUInt32BigEndian(_overflow);
        }

        return record;
    }

    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Place(uint Page, int Frame, int Offset, int Count = 0);

    /// <summary>The pages of the file and the versions of them in its write-ahead log.</summary>
    private sealed class Pages : IDisposable
    {
        private const int FrameBytes = SpoolFile.WalFrameHeaderBytes + SpoolFile.PageBytes;

        private readonly SafeFileHandle? _file;
        private readonly SafeFileHandle? _log;
        private readonly uint[] _pageOf = [];
        private readonly int[] _endOf = [];
        private readonly Dictionary<uint, List<int>> _versions = [];

        public Pages(string file)
        {
            _file = Open(file);
            _log = Open(file + "-wal");
            PageCount = _file is null ? 0 : (uint)((RandomAccess.GetLength(_file) + SpoolFile.PageBytes - 1) / SpoolFile.PageBytes);
            if (_log is null)
            {
                return;
            }

            var frames = (int)Math.Max(0, (RandomAccess.GetLength(_log) - SpoolFile.WalHeaderBytes) / FrameBytes);
            (_pageOf, _endOf) = (new uint[frames], new int[frames]);
            Span<byte> header = stackalloc byte[8];
            var first = 0;
            for (var frame = 0; frame < frames; frame++)
            {
                RandomAccess.Read(_log, header, At(frame));
                _pageOf[frame] = BinaryPrimitives.ReadUInt32BigEndian(header);
                if (!_versions.TryGetValue(_pageOf[frame], out var versions))
                {
                    _versions[_pageOf[frame]] = versions = [];
                }

                versions.Add(frame);
                _endOf[frame] = frames - 1;
                if (BinaryPrimitives.ReadUInt32BigEndian(header[4..]) != 0)
                {
                    _endOf.AsSpan(first..(frame + 1)).Fill(frame);
                    first = frame + 1;
                }
            }
        }

        public uint PageCount { get; }

        public int FrameCount => _pageOf.Length;

        public uint PageOf(int frame) => _pageOf[frame];

        /// <summary>
        /// The newest version of a page as the transaction of a frame left it; the newest of all for <see cref="Newest"/>, and
        /// that of the file for <see cref="InFile"/>.
        /// </summary>
        public int Version(uint page, int frame)
        {
            var found = InFile;
            if (frame != InFile && _versions.TryGetValue(page, out var versions))
            {
                var end = frame == Newest ? Newest : _endOf[frame];
                foreach (var version in versions)
                {
                    found = version <= end ? version : found;
                }
            }

            return found;
        }

        /// <summary>False where there is no such page. What a file that was cut short lacks is read as zeros.</summary>
        public bool TryRead(uint page, int frame, Span<byte> content)
        {
            if (frame == InFile ? _file is null || page == 0 || page > PageCount : _log is null)
            {
                return false;
            }

            var read = frame == InFile
                ? RandomAccess.Read(_file!, content, (page - 1L) * SpoolFile.PageBytes)
                : RandomAccess.Read(_log!, content, At(frame) + SpoolFile.WalFrameHeaderBytes);
            content[read..].Clear();
            return true;
        }

        public void Dispose()
        {
            _file?.Dispose();
            _log?.Dispose();
        }

        private static long At(int frame) => SpoolFile.WalHeaderBytes + ((long)frame * FrameBytes);

        private static SafeFileHandle? Open(string file) =>
            File.Exists(file) ? File.OpenHandle(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite) : null;
    }

    private static bool IsNumber(long type) => type is >= 1 and <= 6 or 8 or 9;

    private static bool TryVarint(ReadOnlySpan<byte> bytes, ref int at, out long value)
    {
        value = 0;
        for (var i = 0; i < 9; i++)
        {
            if (at >= bytes.Length)
            {
                return false;
            }

            var b = bytes[at++];
            if (i == 8)
            {
                value = (value << 8) | b;
                return true;
            }

            value = (value << 7) | (uint)(b & 0x7F);
            if (b < 0x80)
            {
                return true;
            }
        }

        return true;
    }

    /// <summary>A number of 0 to 8 bytes, big-endian with a sign; types 8 and 9 are the numbers 0 and 1 themselves.</summary>
    private static bool TryNumber(ReadOnlySpan<byte> record, ref int at, long type, out long value)
    {
        value = type == 9 ? 1 : 0;
        var length = type switch { 5 => 6, 6 => 8, >= 8 => 0, _ => (int)type };
        if (at + length > record.Length)
        {
            return false;
        }

        for (var i = 0; i < length; i++)
        {
            value = i == 0 ? (sbyte)record[at] : (value << 8) | record[at + i];
        }

        at += length;
        return true;
    }

    private static bool TryBytes(ReadOnlySpan<byte> record, ref int at, long type, out ReadOnlySpan<byte> value)
    {
        var length = (type - 12) / 2;
        if (length > record.Length - at)
        {
            value = default;
            return false;
        }

        value = record.Slice(at, (int)length);
        at += (int)length;
        return true;
    }
}
