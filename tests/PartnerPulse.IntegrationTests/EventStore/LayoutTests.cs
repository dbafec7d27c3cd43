using Npgsql;
using PartnerPulse.EventStore;

namespace PartnerPulse.IntegrationTests.EventStore;

/// <summary>Marten opens the log only if every table, default, constraint and index is what it expects.</summary>
public sealed class LayoutTests(LogDatabase database) : IClassFixture<LogDatabase>
{
    [Servers.PostgresFact]
    public async Task Columns_are_those_of_Marten_to_the_letter()
    {
        var log = await database.NewLogAsync();

        var columns = await database.ColumnAsync(
            $"""
             select table_name || '.' || column_name || ' ' || data_type
                    || coalesce('(' || character_maximum_length || ')', '')
                    || case is_nullable when 'NO' then ' not null' else '' end
                    || coalesce(' default ' || column_default, '')
               from information_schema.columns where table_schema = '{log.Schema}' order by table_name, ordinal_position
             """);

        Assert.Equal(
            [
                "mt_event_progression.name character varying not null",
                "mt_event_progression.last_seq_id bigint",
                "mt_event_progression.last_updated timestamp with time zone default transaction_timestamp()",
                "mt_events.seq_id bigint not null",
                "mt_events.id uuid not null",
                "mt_events.stream_id uuid not null",
                "mt_events.version bigint not null",
                "mt_events.data jsonb not null",
                "mt_events.bdata bytea",
                "mt_events.type character varying(500) not null",
                "mt_events.timestamp timestamp with time zone not null default now()",
                "mt_events.tenant_id character varying default '*DEFAULT*'::character varying",
                "mt_events.mt_dotnet_type character varying",
                "mt_events.is_archived boolean default false",
                "mt_high_water_skips.ending_sequence bigint not null",
                "mt_high_water_skips.starting_sequence bigint not null",
                "mt_high_water_skips.timestamp timestamp with time zone default transaction_timestamp()",
                "mt_streams.id uuid not null",
                "mt_streams.type character varying",
                "mt_streams.version bigint",
                "mt_streams.timestamp timestamp with time zone not null default now()",
                "mt_streams.created timestamp with time zone not null default now()",
                "mt_streams.tenant_id character varying default '*DEFAULT*'::character varying",
                "mt_streams.is_archived boolean default false",

                // Ours, beside Marten's.
                "traces.position bigint not null",
                "traces.traceparent character varying not null",
                "traces.saved_at timestamp with time zone not null default now()",
            ],
            columns);
    }

    [Servers.PostgresFact]
    public async Task Constraints_and_indexes_bear_the_names_that_are_recognised()
    {
        var log = await database.NewLogAsync();

        var constraints = await database.ColumnAsync(
            $"""
             select conname || ': ' || pg_get_constraintdef(oid) from pg_constraint
              where connamespace = '{log.Schema}'::regnamespace and contype in ('p', 'f', 'u', 'c') order by conname
             """);
        var indexes = await database.ColumnAsync(
            $"select replace(indexdef, '{log.Schema}.', '') from pg_indexes where schemaname = '{log.Schema}' and tablename = 'mt_events' order by indexname");

        Assert.Equal(
            [
                "mt_high_water_skips_pkey: PRIMARY KEY (ending_sequence)",
                "pk_mt_event_progression: PRIMARY KEY (name)",
                "pk_traces: PRIMARY KEY (\"position\")",
                "pkey_mt_events_seq_id: PRIMARY KEY (seq_id)",
                "pkey_mt_streams_id: PRIMARY KEY (id)",
            ],
            constraints);
        Assert.Equal(
            [
                "CREATE UNIQUE INDEX pk_mt_events_stream_and_version ON mt_events USING btree (stream_id, version)",
                "CREATE UNIQUE INDEX pkey_mt_events_seq_id ON mt_events USING btree (seq_id)",
                "CREATE UNIQUE INDEX pulse_mt_events_id ON mt_events USING btree (id)",
            ],
            indexes);
    }

    [Servers.PostgresFact]
    public async Task The_sequence_belongs_to_the_position()
    {
        var log = await database.NewLogAsync();

        Assert.Equal($"{log.Schema}.mt_events_sequence", await database.ScalarAsync<string>($"select pg_get_serial_sequence('{log.Schema}.mt_events', 'seq_id')"));
    }

    [Servers.PostgresFact]
    public async Task Rows_are_written_as_Marten_reads_them()
    {
        var log = await database.NewLogAsync();
        await log.AppendAsync([An.Event(data: """{"partnerId":"acme"}""")], CancellationToken.None);

        Assert.Equal(
            ["1|1|something_happened|PartnerPulse.Contracts.SomethingHappened, PartnerPulse.Contracts|*DEFAULT*|false|acme|true"],
            await database.ColumnAsync(
                $"""
                 select concat_ws('|', seq_id, version, type, mt_dotnet_type, tenant_id, is_archived::text, data ->> 'partnerId', (bdata is null)::text)
                   from {log.Schema}.mt_events
                 """));
        Assert.Equal(
            ["test|1|*DEFAULT*|false"],
            await database.ColumnAsync($"select concat_ws('|', type, version, tenant_id, is_archived::text) from {log.Schema}.mt_streams"));
    }

    [Servers.PostgresFact]
    public async Task Several_processes_may_create_the_schema_at_once()
    {
        var first = await database.NewLogAsync();
        var logs = Enumerable.Range(0, 6).Select(_ => new EventLog(first.DataSource, "made_at_once")).ToArray();

        await Task.WhenAll(logs.Select(log => log.CreateSchemaAsync(CancellationToken.None)));

        Assert.Equal(1, await logs[0].AppendAsync([An.Event()], CancellationToken.None));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Log")]
    [InlineData("log; drop table x")]
    [InlineData("1log")]
    public void A_schema_is_a_plain_name(string schema)
    {
        using var nowhere = NpgsqlDataSource.Create("Host=127.0.0.1");

        var fault = Assert.Throws<ArgumentException>(() => new EventLog(nowhere, schema));

        Assert.Contains($"'{schema}'", fault.Message, StringComparison.Ordinal);
    }
}
