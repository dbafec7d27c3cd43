using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace PartnerPulse.Edge;

/// <summary>A failed call of SQLite, with SQLite's own words.</summary>
internal sealed class SqliteFault(int code, string message) : Exception(message)
{
    /// <summary>SQLite's result code.</summary>
    public int Code { get; } = code;
}

/// <summary>Connections to the edge's files.</summary>
internal static class SqliteFiles
{
    /// <summary>Opens a connection that is closed when it is disposed: a pool would hold the file beyond that.</summary>
    /// <exception cref="SqliteException">The file cannot be opened.</exception>
    public static SqliteConnection Open(string file, SqliteOpenMode mode = SqliteOpenMode.ReadWriteCreate)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = file, Mode = mode, Pooling = false }.ToString());
        try
        {
            connection.Open();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}

/// <summary>
/// A prepared statement where it is felt: writing clicks, loading a million links. The ADO.NET layer copies every blob and makes
/// several objects for each execution; this makes none.
/// </summary>
internal sealed class Statement(sqlite3 db, string sql) : IDisposable
{
    private readonly sqlite3_stmt _statement = Prepare(db, sql);

    public Statement Bind(int index, long value)
    {
        Check(raw.sqlite3_bind_int64(_statement, index, value));
        return this;
    }

    public Statement Bind(int index, string text)
    {
        Check(raw.sqlite3_bind_text(_statement, index, text));
        return this;
    }

    public Statement Bind(int index, ReadOnlySpan<byte> blob)
    {
        Check(raw.sqlite3_bind_blob(_statement, index, blob));
        return this;
    }

    /// <summary>Runs to the end; the sum of the first column of what it returns.</summary>
    /// <exception cref="SqliteFault">SQLite refused.</exception>
    public long Run()
    {
        var sum = 0L;
        int code;
        while ((code = raw.sqlite3_step(_statement)) == raw.SQLITE_ROW)
        {
            sum += raw.sqlite3_column_int64(_statement, 0);
        }

        var fault = code == raw.SQLITE_DONE ? null : new SqliteFault(code, raw.sqlite3_errmsg(db).utf8_to_string());
        raw.sqlite3_reset(_statement);
        return fault is null ? sum : throw fault;
    }

    /// <summary>The next row of a query; false at its end.</summary>
    /// <exception cref="SqliteFault">SQLite refused.</exception>
    public bool Next()
    {
        var code = raw.sqlite3_step(_statement);
        if (code == raw.SQLITE_ROW)
        {
            return true;
        }

        raw.sqlite3_reset(_statement);
        return code == raw.SQLITE_DONE ? false : throw new SqliteFault(code, raw.sqlite3_errmsg(db).utf8_to_string());
    }

    /// <summary>A column of the row, until the next one is asked for.</summary>
    public ReadOnlySpan<byte> Blob(int column) => raw.sqlite3_column_blob(_statement, column);

    public void Dispose() => _statement.Dispose();

    private static sqlite3_stmt Prepare(sqlite3 db, string sql)
    {
        var code = raw.sqlite3_prepare_v2(db, sql, out var statement);
        return code == raw.SQLITE_OK ? statement : throw new SqliteFault(code, raw.sqlite3_errmsg(db).utf8_to_string());
    }

    private void Check(int code)
    {
        if (code != raw.SQLITE_OK)
        {
            throw new SqliteFault(code, raw.sqlite3_errmsg(db).utf8_to_string());
        }
    }
}
