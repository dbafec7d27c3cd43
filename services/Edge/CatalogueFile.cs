using System.Globalization;
using System.Text;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>
/// The catalogue on disk, beside the spool, so that an edge restarts with everything else down. It can be thrown away: Partners
/// has it all.
/// </summary>
internal sealed class CatalogueFile : IDisposable
{
    /// <summary>Of the tables; raised with every change of them.</summary>
    private const int Shape = 1;

    /// <summary>SQLite's result codes for a file that is damaged, and for one that is none of its.</summary>
    private const int Corrupt = 11;
    private const int NotADatabase = 26;

    /// <summary>Links from which on two threads load them.</summary>
    private const int LoadTogetherFrom = 50_000;

    private static readonly Campaign s_none = new();

    private readonly Catalogue _catalogue;
    private readonly SqliteConnection _connection;
    private readonly ILogger<CatalogueFile> _logger;

    public CatalogueFile(IOptions<EdgeOptions> options, Catalogue catalogue, ILogger<CatalogueFile> logger)
        : this(options.Value.Data, catalogue, logger)
    {
    }

    /// <summary>Opens the file in <paramref name="folder"/> and fills <paramref name="catalogue"/> from it.</summary>
    internal CatalogueFile(string folder, Catalogue catalogue, ILogger<CatalogueFile> logger)
    {
        _catalogue = catalogue;
        _logger = logger;
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "catalogue.db");
        _connection = Open(file);
        try
        {
            Load();
        }
        catch (Exception e) when (e is SqliteException { SqliteErrorCode: Corrupt } or SqliteFault { Code: Corrupt }
            or AggregateException { InnerException: SqliteFault { Code: Corrupt } })
        {
            // Damaged further in. What was read of it stays in memory; the log of Partners comes over it from its beginning.
            _connection.Dispose();
            Delete(file);
            _connection = Open(file);
            catalogue.Position = 0;
            logger.CatalogueDamaged(file, e);
        }
    }

    /// <summary>Takes in a page of the log of Partners: disk first, then memory.</summary>
    /// <param name="events">In the order of the log.</param>
    /// <param name="position">Position of the last event that was read.</param>
    public void Apply(IReadOnlyList<IEvent> events, long position)
    {
        using var transaction = _connection.BeginTransaction();
        using var putPartner = Command("insert into partner (program, id, ref) values ($0, $1, $2) on conflict (program, id) do update set ref = excluded.ref", 3);
        using var putProgram = Command("insert into program (id, settings) values ($0, $1) on conflict (id) do update set settings = excluded.settings", 2);
        using var putLink = Command(
            """
            insert into link (slug, program, partner, destination, campaign, source, medium, term, content, expires, fallback, retired)
            values ($0, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (slug) do update set program = excluded.program, partner = excluded.partner, destination = excluded.destination,
              campaign = excluded.campaign, source = excluded.source, medium = excluded.medium, term = excluded.term, content = excluded.content,
              expires = excluded.expires, fallback = excluded.fallback, retired = excluded.retired
            """,
            12);
        using var savePosition = Command("update state set position = $0", 1);
        foreach (var @event in events)
        {
            // A later event of the page may build on this one, so memory follows at once. A commit that fails leaves memory
            // ahead of the disk, which is no harm: the page is read again, and taking it in twice changes nothing.
            switch (_catalogue.Changed(@event))
            {
                case Partner partner:
                    Run(putPartner, partner.Program, partner.Id, partner.Ref);
                    _catalogue.Put(partner);
                    break;
                case Link link:
                    Run(
                        putLink, link.Slug, link.Partner.Program, link.Partner.Id, link.Destination.Address,
                        link.Campaign?.Name, link.Campaign?.Source, link.Campaign?.Medium, link.Campaign?.Term, link.Campaign?.Content,
                        link.ExpiresAt?.UtcTicks, link.Fallback, link.Retired);
                    _catalogue.Put(link);
                    break;
                case ProgramSettings program:
                    Run(putProgram, program.Id, Encoding.UTF8.GetString(EventTypes.Serialize(@event)));
                    _catalogue.Put(program);
                    break;
                default:
                    if (@event is LinkPublished unusable)
                    {
                        _logger.LinkNotUsable(unusable.Slug);
                    }

                    break;
            }
        }

        Run(savePosition, position);
        transaction.Commit();
        _catalogue.Position = position;
    }

    public void Dispose() => _connection.Dispose();

    private static SqliteConnection Open(string file)
    {
        try
        {
            return TryOpen(file);
        }
        catch (SqliteException e) when (e.SqliteErrorCode is Corrupt or NotADatabase)
        {
            Delete(file);
            return TryOpen(file);
        }
    }

    /// <summary>The file holds nothing of its own; Partners has it all.</summary>
    private static void Delete(string file)
    {
        File.Delete(file);
        File.Delete(file + "-wal");
        File.Delete(file + "-shm");
    }

    private static SqliteConnection TryOpen(string file)
    {
        var connection = SqliteFiles.Open(file);
        try
        {
            using var command = connection.CreateCommand();
            command.CommandText = "pragma user_version";

            // Another shape holds less than the log of Partners says; it is read again from its beginning.
            var forget = (long)command.ExecuteScalar()! == Shape
                ? ""
                : "drop table if exists partner; drop table if exists program; drop table if exists link; drop table if exists state;";
            command.CommandText =
                $"""
                pragma journal_mode = wal;
                pragma synchronous = normal;
                begin;
                {forget}
                create table if not exists partner (program text, id text, ref text not null, primary key (program, id)) without rowid;
                create table if not exists program (id text primary key, settings text not null) without rowid;
                create table if not exists link (
                  slug text primary key, program text not null, partner text not null, destination text not null,
                  campaign text, source text, medium text, term text, content text,
                  expires integer, fallback text, retired integer not null) without rowid;
                create table if not exists state (only integer primary key check (only = 1), position integer not null);
                insert into state (only, position) values (1, 0) on conflict (only) do nothing;
                pragma user_version = {Shape};
                commit;
                """;
            command.ExecuteNonQuery();
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private void Load()
    {
        using (var partners = Command("select program, id, ref from partner", 0).ExecuteReader())
        {
            while (partners.Read())
            {
                _catalogue.Put(new Partner(partners.GetString(0), partners.GetString(1), partners.GetString(2)));
            }
        }

        using (var programs = Command("select settings from program", 0).ExecuteReader())
        {
            while (programs.Read())
            {
                var settings = Encoding.UTF8.GetBytes(programs.GetString(0));
                _catalogue.Put(Catalogue.Settings((ProgramConfigured)EventTypes.Deserialize(EventTypes.Of<ProgramConfigured>(), settings)));
            }
        }

        LoadLinks();
        using var state = Command("select position from state", 0);
        _catalogue.Position = (long)state.ExecuteScalar()!;
        _logger.CatalogueLoaded(_catalogue.LinkCount, _catalogue.PartnerCount, _catalogue.Position);
    }

    /// <summary>
    /// A million links within the few seconds that a start may take: a row is one value with its fields between zero bytes, which no text of the log holds,
    /// and what many links share, their partner and their destination, is one object.
    /// </summary>
    private void LoadLinks()
    {
        int count;
        using (var counted = Command("select count(*) from link", 0))
        {
            count = (int)(long)counted.ExecuteScalar()!;
        }

        _catalogue.Reserve(count);
        if (count < LoadTogetherFrom)
        {
            LoadLinks("", before: null);
            return;
        }

        using var half = Command($"select slug from link order by slug limit 1 offset {count / 2}", 0);
        var middle = (string)half.ExecuteScalar()!;
        Parallel.Invoke(() => LoadLinks("", middle), () => LoadLinks(middle, before: null));
    }

    private void LoadLinks(string from, string? before)
    {
        var partners = new Dictionary<string, Partner>(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        var destinations = new Dictionary<string, Destination>(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        var row = new char[1024];
        using var connection = SqliteFiles.Open(_connection.DataSource, SqliteOpenMode.ReadOnly);
        using var links = new Statement(
            connection.Handle!,
            $"""
            select cast(slug || char(0) || program || char(0) || partner || char(0) || destination || char(0) || retired || char(0) || coalesce(expires, '')
              || char(0) || coalesce(fallback, '') || char(0) || coalesce(campaign, '') || char(0) || coalesce(source, '') || char(0) || coalesce(medium, '')
              || char(0) || coalesce(term, '') || char(0) || coalesce(content, '') as blob)
            from link where slug >= ?1{(before is null ? "" : " and slug < ?2")}
            """);
        links.Bind(1, from);
        if (before is not null)
        {
            links.Bind(2, before);
        }

        while (links.Next())
        {
            var bytes = links.Blob(0);
            if (row.Length < bytes.Length)
            {
                row = new char[bytes.Length * 2];
            }

            var rest = row.AsSpan(0, Encoding.UTF8.GetChars(bytes, row));
            var slug = Field(ref rest);
            var program = Field(ref rest);
            var id = Field(ref rest);
            var whose = row.AsSpan(slug.Length + 1, program.Length + 1 + id.Length);
            if (!partners.TryGetValue(whose, out var partner))
            {
                var (programId, partnerId) = (program.ToString(), id.ToString());
                partners[whose] = partner = _catalogue.FindPartner(programId, partnerId) ?? new Partner(programId, partnerId, "");
            }

            var address = Field(ref rest);
            if (!destinations.TryGetValue(address, out var destination))
            {
                destinations[address] = destination = Destination.OfKnown(address.ToString());
            }

            var retired = Field(ref rest) is "1";
            var expires = Field(ref rest);
            var fallback = Text(ref rest);
            var campaign = new Campaign { Name = Text(ref rest), Source = Text(ref rest), Medium = Text(ref rest), Term = Text(ref rest), Content = Text(ref rest) };
            _catalogue.Put(new Link(
                slug.ToString(),
                partner,
                destination,
                campaign == s_none ? null : campaign,
                expires.IsEmpty ? null : new DateTimeOffset(long.Parse(expires, CultureInfo.InvariantCulture), TimeSpan.Zero),
                fallback,
                retired));
        }
    }

    private static Span<char> Field(ref Span<char> rest)
    {
        var end = rest.IndexOf('\0');
        var field = end < 0 ? rest : rest[..end];
        rest = end < 0 ? default : rest[(end + 1)..];
        return field;
    }

    private static string? Text(ref Span<char> rest) => Field(ref rest) is { IsEmpty: false } text ? text.ToString() : null;

    private SqliteCommand Command(string sql, int parameters)
    {
        var command = _connection.CreateCommand();
        command.CommandText = sql;
        for (var i = 0; i < parameters; i++)
        {
            command.Parameters.Add(new SqliteParameter { ParameterName = $"${i}" });
        }

        return command;
    }

    private static void Run(SqliteCommand command, params ReadOnlySpan<object?> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        }

        command.ExecuteNonQuery();
    }
}
