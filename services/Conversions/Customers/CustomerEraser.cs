using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.SameOrders;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;

namespace PartnerPulse.Conversions.Customers;

/// <summary>
/// Puts a random token where a customer's key was, in every event of the log, and tells Attribution by an event that names them.
/// Rewriting a log is the one exception to its being append-only: the facts stay, only who they are of goes.
/// </summary>
internal sealed class CustomerEraser(ConversionLog conversions, MergeConversions merging, TimeProvider time, ILogger<CustomerEraser> logger) : BackgroundService
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    private readonly EventLog _log = conversions.Log;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await new SchemaScript(typeof(CustomerEraser).Assembly, "PartnerPulse.Conversions.Sql.002_erasures.sql", _log.Schema).RunAsync(_log.DataSource, cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    public async Task<ErasureAnswer> EraseAsync(string key, CancellationToken cancellationToken)
    {
        var token = CustomerKeys.NewToken();
        var now = time.GetUtcNow();
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);

        // The log has no index of customers, so all of it is read once before anybody has to wait, and under the lock only what
        // came in meanwhile.
        var readTo = await _log.LastPositionAsync(cancellationToken);
        var orders = await OrdersAsync(connection, key, after: 0, upTo: readTo, cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await merging.LockAsync(connection, cancellationToken);
        await _log.LockAsync(connection, cancellationToken);
        orders.AddRange(await OrdersAsync(connection, key, after: readTo, upTo: long.MaxValue, cancellationToken));
        orders = await RewriteAsync(connection, orders, key, token, cancellationToken);
        await merging.RekeyAsync(connection, [.. orders], cancellationToken);
        var identities = await EraseIdentitiesAsync(connection, key, token, cancellationToken);
        if (orders.Count + identities.Count == 0)
        {
            return new ErasureAnswer(0, 0);
        }

        // At least one, and the identities in the first.
        var erased = orders.Chunk(CustomerErased.MaxConversions).DefaultIfEmpty([]).Select((part, i) => new CustomerErased
        {
            EventId = Guid.CreateVersion7(now),
            ProgramId = conversions.Program,
            OccurredAt = now,
            Token = token,
            Conversions = part,
            Identities = i == 0 && identities.Count > 0 ? identities : null,
        }).ToArray();
        await RunAsync(connection, $"insert into {_log.Schema}.erasures_to_scrub (event_id) values ($1)", cancellationToken, Parameter(erased[0].EventId));
        await _log.AppendAsync(
            connection, [.. erased.Select(e => ConversionLog.New(Ids.Customer(conversions.Program, token), e, ConversionLog.CustomerStreamType))], cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        _log.SignalAppended();
        logger.CustomerErased(erased[0].EventId, orders.Count, identities.Count);
        return new ErasureAnswer(orders.Count, identities.Count);
    }

    /// <summary>Takes what was derived from the key out of the events that the relay has handed on.</summary>
    public async Task ScrubAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);
        await RunAsync(
            connection,
            $"""
             with handed_on as (
                 select e.id from {_log.Schema}.erasures_to_scrub s join {_log.Schema}.mt_events e on e.id = s.event_id
                  where e.seq_id <= (select last_seq_id from {_log.Schema}.mt_event_progression where name = 'relay')
             ), scrubbed as (
                 update {_log.Schema}.mt_events e set data = data - 'identities' from handed_on h where e.id = h.id
             )
             delete from {_log.Schema}.erasures_to_scrub s using handed_on h where s.event_id = h.id
             """,
            cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pipeline = new Polly.ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(5), (attempt, fault) => logger.ScrubRetries(attempt, fault))
            .Build();
        while (!stoppingToken.IsCancellationRequested)
        {
            await pipeline.ExecuteAsync(async cancellation => await ScrubAsync(cancellation), stoppingToken);
            await Task.Delay(s_pause, time, stoppingToken);
        }
    }

    private async Task<List<Guid>> OrdersAsync(NpgsqlConnection connection, string key, long after, long upTo, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"select id from {_log.Schema}.mt_events where seq_id > $1 and seq_id <= $2 and type = 'conversion_recorded' and data ->> 'customerKey' = $3", connection);
        command.Parameters.Add(Parameter(after));
        command.Parameters.Add(Parameter(upTo));
        command.Parameters.Add(Parameter(key));
        command.CommandTimeout = 0; // As long as the log is; the caller's token ends it.
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var orders = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
        {
            orders.Add(reader.GetGuid(0));
        }

        return orders;
    }

    /// <returns>Those that were rewritten: another erasure of the customer may have been faster.</returns>
    private async Task<List<Guid>> RewriteAsync(NpgsqlConnection connection, List<Guid> orders, string key, string token, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $$"""
              update {{_log.Schema}}.mt_events set data = jsonb_set(data, '{customerKey}', to_jsonb($1::text))
               where id = any($2) and data ->> 'customerKey' = $3 returning id
              """,
            connection);
        command.Parameters.Add(Parameter(token));
        command.Parameters.Add(Parameter(orders.ToArray()));
        command.Parameters.Add(Parameter(key));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rewritten = new List<Guid>(orders.Count);
        while (await reader.ReadAsync(cancellationToken))
        {
            rewritten.Add(reader.GetGuid(0));
        }

        return rewritten;
    }

    /// <summary>Moves the customer's ties into the stream of the token, under ids that are derived from the token.</summary>
    /// <returns>The ids that they had.</returns>
    private async Task<IReadOnlyList<Guid>> EraseIdentitiesAsync(NpgsqlConnection connection, string key, string token, CancellationToken cancellationToken)
    {
        var (program, stream) = (conversions.Program, Ids.Customer(conversions.Program, key));
        var identities = (await _log.ReadStreamAsync(stream, cancellationToken))
            .Select(e => ConversionLog.Event(e.Type, e.Data.Span))
            .Where(e => e is VisitorIdentified or PartnerIdentified)
            .Select(e => (Old: e.EventId, New: With(e, program, token)))
            .ToArray();
        await RunAsync(
            connection,
            $"""
             update {_log.Schema}.mt_events e set id = n.id, stream_id = $4, data = n.data::jsonb
               from unnest($1::uuid[], $2::uuid[], $3::text[]) as n(old, id, data) where e.id = n.old
             """,
            cancellationToken,
            Parameter(identities.Select(i => i.Old).ToArray()),
            Parameter(identities.Select(i => i.New.EventId).ToArray()),
            Parameter(identities.Select(i => System.Text.Encoding.UTF8.GetString(EventTypes.Serialize(i.New))).ToArray()),
            Parameter(Ids.Customer(program, token)));
        await RunAsync(
            connection, $"update {_log.Schema}.mt_streams set id = $1 where id = $2", cancellationToken, Parameter(Ids.Customer(program, token)), Parameter(stream));
        return identities.Select(i => i.Old).ToArray();
    }

    private static IEvent With(IEvent identity, string program, string token) => identity switch
    {
        VisitorIdentified e => e with { EventId = Ids.Identity(program, token, e.VisitorId, e.ClickId), CustomerKey = token },
        PartnerIdentified e => e with { EventId = Ids.PartnerIdentity(program, token, e.PartnerId), CustomerKey = token },
        _ => throw new System.Diagnostics.UnreachableException(identity.ToString()),
    };

    private static NpgsqlParameter<T> Parameter<T>(T value) => new() { TypedValue = value };

    private static async Task RunAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken, params NpgsqlParameter[] parameters)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.AddRange(parameters);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
