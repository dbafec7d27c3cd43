using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace PartnerPulse.Edge;

/// <summary>
/// The spool on disk: its tables, and how it is opened. Every row proves by a checksum of its own that it is whole and in its
/// place, because SQLite proves its tree but not what it holds. A file that is not whole is set aside and salvaged.
/// </summary>
internal static class SpoolFile
{
    public const string Name = "spool.db";

    /// <summary>What a salvage has written as a whole, and not yet put in the place of the damaged file.</summary>
    private const string Salvaged = "spool.salvage.db";
    private const string Unfinished = "spool.salvage.tmp";

    public const int PageBytes = 4_096;
    private const int HeaderBytes = 100;
    public const int WalHeaderBytes = 32;
    public const int WalFrameHeaderBytes = 24;

    private static readonly string[] s_tables =
    [
        "CREATE TABLE clicks (last integer primary key, count integer not null, data blob not null, at integer not null, checksum integer not null)",
        "CREATE TABLE salvage (file text primary key, clicks integer not null, unreadable integer not null)",
        "CREATE TABLE state (only integer primary key check (only = 1), id text not null, checkpoint integer not null, checksum integer not null)",
    ];

    /// <summary>What a row of clicks is checked by: CRC-32C over its position, its count and its lines.</summary>
    public static uint Checksum(long last, long count, ReadOnlySpan<byte> data)
    {
        var sum = BitOperations.Crc32C(BitOperations.Crc32C(uint.MaxValue, (ulong)last), (ulong)count);
        while (data.Length >= sizeof(ulong))
        {
            sum = BitOperations.Crc32C(sum, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[sizeof(ulong)..];
        }

        foreach (var b in data)
        {
            sum = BitOperations.Crc32C(sum, b);
        }

        return ~sum;
    }

    /// <summary>What the state is checked by: a checkpoint too high would skip clicks, another id would give them wrong positions.</summary>
    public static uint Checksum(string id, long checkpoint) => Checksum(checkpoint, id.Length, Encoding.UTF8.GetBytes(id));

    /// <summary>Opens the file in <paramref name="folder"/>, or makes it; salvages it first where it is damaged.</summary>
    /// <exception cref="SqliteException">The disk refuses, or the file belongs to somebody else.</exception>
    public static SqliteConnection Open(string folder, Durability durability, TimeProvider time, ILogger logger)
    {
        var file = Path.Combine(folder, Name);
        if (File.Exists(Path.Combine(folder, Salvaged)))
        {
            // The edge ended between the salvage and the exchange of the files.
            Exchange(folder, time);
        }

        if (Damage(file) is { } damage)
        {
            var salvage = SpoolSalvage.Read(file);
            var aside = Path.Combine(folder, AsideName(folder, time));
            Write(folder, salvage, Path.GetFileName(aside));
            Exchange(folder, time);
            logger.SpoolSalvaged(damage, aside, salvage.Clicks, salvage.Unreadable);
        }

        var connection = SqliteFiles.Open(file);
        try
        {
            Execute(connection, "pragma journal_mode = wal");
            Execute(connection, durability == Durability.Disk ? "pragma synchronous = full" : "pragma synchronous = normal");
            Make(connection);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>What is wrong with the file; null where it is whole, or none.</summary>
    internal static string? Damage(string file)
    {
        var wal = file + "-wal";
        var length = File.Exists(file) ? new FileInfo(file).Length : 0;
        var walLength = File.Exists(wal) ? new FileInfo(wal).Length : 0;
        if (length == 0)
        {
            return walLength > WalHeaderBytes + WalFrameHeaderBytes ? "there is a write-ahead log without its file" : null;
        }

        try
        {
            return DamageOfHeader(file) ?? DamageOfWal(wal) ?? DamageOfContent(file);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is not (3 or 5 or 6 or 7 or 8 or 10 or 13 or 14 or 23)) // What the machine refuses says nothing about the file.
        {
            return $"SQLite: {e.Message}";
        }
        catch (Exception e) when (e is InvalidCastException or FormatException or OverflowException or ArgumentException)
        {
            return $"a value is of another kind: {e.Message}";
        }
    }

    private static string? DamageOfHeader(string file)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        if (stream.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false) < HeaderBytes)
        {
            return "it is shorter than its header";
        }

        // Version 2 stands for the write-ahead log; then no reserved bytes, and three fractions that SQLite has fixed.
        return header[..16].SequenceEqual("SQLite format 3\0"u8)
            && BinaryPrimitives.ReadUInt16BigEndian(header[16..]) == PageBytes
            && header[18..24].SequenceEqual((ReadOnlySpan<byte>)[2, 2, 0, 64, 32, 32])
            ? null
            : "its header is not that of a spool";
    }

    /// <summary>
    /// SQLite ends a write-ahead log at the first frame that is not whole, as it should after a power cut, and says nothing. A
    /// committed frame behind it means that more is damaged than the end.
    /// </summary>
    private static string? DamageOfWal(string wal)
    {
        if (!File.Exists(wal))
        {
            return null;
        }

        using var stream = new FileStream(wal, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var header = new byte[WalHeaderBytes];
        var frame = new byte[WalFrameHeaderBytes + PageBytes];
        if (stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length || stream.Length < header.Length + frame.Length)
        {
            return null;
        }

        var bigEndian = (header[3] & 1) == 1;
        var sum = WalChecksum(header.AsSpan(0, 24), default, bigEndian);
        if ((BinaryPrimitives.ReadUInt32BigEndian(header) & ~1u) != 0x377F_0682
            || sum != (BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(24)), BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(28))))
        {
            return "the header of its write-ahead log is damaged";
        }

        var whole = true;
        while (stream.ReadAtLeast(frame, frame.Length, throwOnEndOfStream: false) == frame.Length)
        {
            var isOurs = frame.AsSpan(8, 8).SequenceEqual(header.AsSpan(16, 8));
            if (whole)
            {
                sum = WalChecksum(frame.AsSpan(WalFrameHeaderBytes), WalChecksum(frame.AsSpan(0, 8), sum, bigEndian), bigEndian);
                whole = isOurs && sum == (BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(16)), BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(20)));
            }
            else if (isOurs && BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(4)) != 0)
            {
                return "its write-ahead log is damaged within";
            }
        }

        return null;
    }

    private static (uint, uint) WalChecksum(ReadOnlySpan<byte> bytes, (uint First, uint Second) sum, bool bigEndian)
    {
        var (first, second) = sum;
        for (var i = 0; i < bytes.Length; i += 8)
        {
            first += (bigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes[i..]) : BinaryPrimitives.ReadUInt32LittleEndian(bytes[i..])) + second;
            second += (bigEndian ? BinaryPrimitives.ReadUInt32BigEndian(bytes[(i + 4)..]) : BinaryPrimitives.ReadUInt32LittleEndian(bytes[(i + 4)..])) + first;
        }

        return (first, second);
    }

    private static string? DamageOfContent(string file)
    {
        using var connection = SqliteFiles.Open(file);

        // The last connection copies the log into the file as it closes; a damaged file stays as it was found.
        _ = raw.sqlite3_db_config(connection.Handle, raw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, out _);
        if (Scalar(connection, "select group_concat(sql, ';') from (select sql from sqlite_schema where sql is not null order by name)") is var tables
            && tables as string != string.Join(';', s_tables))
        {
            // Until its first transaction a file has no tables; what ends in it has lost nothing.
            return tables is DBNull && Scalar(connection, "pragma page_count") is 1L ? null : "its tables are not those of a spool";
        }

        if (Scalar(connection, "pragma quick_check(1)") is not "ok" and var fault)
        {
            return fault?.ToString();
        }

        long checkpoint;
        using (var state = Command(connection, "select id, checkpoint, checksum from state"))
        using (var reader = state.ExecuteReader())
        {
            if (!reader.Read() || reader.GetInt64(2) != Checksum(reader.GetString(0), checkpoint = reader.GetInt64(1)))
            {
                return "its state does not match its checksum";
            }
        }

        using var clicks = Command(connection, $"select last, count, data, checksum from clicks where last > {checkpoint} order by last");
        using var rows = clicks.ExecuteReader();
        long? before = null;
        while (rows.Read())
        {
            var (last, count) = (rows.GetInt64(0), rows.GetInt64(1));
            if (rows.GetInt64(3) != Checksum(last, count, (byte[])rows.GetValue(2)))
            {
                return $"the clicks up to position {last} do not match their checksum";
            }

            if (before is { } previous ? last - count != previous : last - count > checkpoint)
            {
                return $"the clicks before position {last - count} are missing";
            }

            before = last;
        }

        return null;
    }

    /// <summary>
    /// The new file is a new log, with a name and positions of its own. A damaged file cannot prove where its log ended, and a
    /// position that was handed on must never come to mean another click. What it had handed on goes out again with the rest:
    /// receivers know it by its ids.
    /// </summary>
    private static void Write(string folder, SpoolSalvage salvage, string aside)
    {
        var file = Path.Combine(folder, Unfinished);
        File.Delete(file);
        File.Delete(file + "-journal");
        using (var connection = SqliteFiles.Open(file))
        {
            Execute(connection, "pragma journal_mode = delete");
            Execute(connection, "pragma synchronous = full");
            Make(connection);
            using var transaction = connection.BeginTransaction();
            using var insert = Command(connection, "insert into clicks (last, count, data, at, checksum) values ($last, $count, $data, $at, $checksum)");
            var last = 0L;
            foreach (var row in salvage.Rows())
            {
                last += row.Count;
                insert.Parameters.Clear();
                insert.Parameters.AddWithValue("$last", last);
                insert.Parameters.AddWithValue("$count", row.Count);
                insert.Parameters.AddWithValue("$data", row.Data);
                insert.Parameters.AddWithValue("$at", row.At);
                insert.Parameters.AddWithValue("$checksum", (long)Checksum(last, row.Count, row.Data));
                insert.ExecuteNonQuery();
            }

            using var note = Command(connection, "insert into salvage (file, clicks, unreadable) values ($file, $clicks, $unreadable)");
            note.Parameters.AddWithValue("$file", aside);
            note.Parameters.AddWithValue("$clicks", salvage.Clicks);
            note.Parameters.AddWithValue("$unreadable", salvage.Unreadable);
            note.ExecuteNonQuery();
            transaction.Commit();
        }

        File.Move(file, Path.Combine(folder, Salvaged), overwrite: true);
    }

    /// <summary>Puts the salvaged file in the place of the damaged one. It can end anywhere and be done again.</summary>
    private static void Exchange(string folder, TimeProvider time)
    {
        string aside;
        using (var connection = SqliteFiles.Open(Path.Combine(folder, Salvaged)))
        {
            aside = Path.Combine(folder, Scalar(connection, "select file from salvage order by rowid desc") as string ?? AsideName(folder, time));
        }

        var file = Path.Combine(folder, Name);
        foreach (var part in new[] { "-wal", "" })
        {
            if (File.Exists(file + part))
            {
                File.Move(file + part, aside + part, overwrite: true);
            }
        }

        File.Delete(file + "-shm");
        File.Move(Path.Combine(folder, Salvaged), file);
    }

    private static string AsideName(string folder, TimeProvider time)
    {
        var name = $"spool-damaged-{time.GetUtcNow():yyyyMMddTHHmmssZ}";
        var number = 1;
        var free = $"{name}.db";
        while (File.Exists(Path.Combine(folder, free)) || File.Exists(Path.Combine(folder, free + "-wal")))
        {
            free = $"{name}-{++number}.db";
        }

        return free;
    }

    /// <summary>Tables and state of a new file, in one transaction.</summary>
    private static void Make(SqliteConnection connection)
    {
        if (Scalar(connection, "select count(*) from sqlite_schema") is not 0L)
        {
            return;
        }

        using var transaction = connection.BeginTransaction();
        foreach (var table in s_tables)
        {
            Execute(connection, table);
        }

        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));
        using var seed = Command(connection, "insert into state (only, id, checkpoint, checksum) values (1, $id, 0, $checksum)");
        seed.Parameters.AddWithValue("$id", id);
        seed.Parameters.AddWithValue("$checksum", (long)Checksum(id, 0));
        seed.ExecuteNonQuery();
        transaction.Commit();
    }

    private static SqliteCommand Command(SqliteConnection connection, string sql)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        return command;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = Command(connection, sql);
        command.ExecuteNonQuery();
    }

    private static object? Scalar(SqliteConnection connection, string sql)
    {
        using var command = Command(connection, sql);
        return command.ExecuteScalar();
    }
}
