using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>Who may send by one scheme.</summary>
/// <param name="Source">Under which its orders are recorded.</param>
/// <param name="Secrets">Newest first.</param>
internal sealed record HookSource(string Scheme, string Source, IReadOnlyList<string> Secrets, DateTimeOffset SetAt);

/// <summary>
/// The secrets of webhooks and the ties of payments to orders, in the database. The secrets lie there sealed with a key of this
/// deployment: a copy of the database alone signs nothing.
/// </summary>
internal sealed class HookSources(EventLog log, CustomerKeys keys)
{
    /// <summary>Orders that one payment may belong to. Stripe's belongs to one.</summary>
    private const int MaxOrders = 10;

    private const int NonceLength = 12;
    private const int TagLength = 16;

    private readonly byte[] _key = keys.Derive("webhook secrets", 32);

    public Task CreateTablesAsync(CancellationToken cancellationToken) =>
        new SchemaScript(typeof(HookSources).Assembly, "PartnerPulse.Conversions.Webhooks.001_hooks.sql", log.Schema).RunAsync(log.DataSource, cancellationToken);

    /// <exception cref="SettingException">The secrets were sealed with another key.</exception>
    public async Task<HookSource?> FindAsync(string scheme, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand($"select source, secrets, set_at from {log.Schema}.hooks where scheme = $1");
        command.Parameters.Add(new() { Value = scheme });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new HookSource(
                scheme,
                reader.GetString(0),
                [.. reader.GetFieldValue<byte[][]>(1).Select(secret => Open(scheme, secret))],
                new DateTimeOffset(reader.GetDateTime(2)))
            : null;
    }

    public async Task SaveAsync(HookSource source, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand(
            $"""
             insert into {log.Schema}.hooks (scheme, source, secrets, set_at) values ($1, $2, $3, $4)
             on conflict on constraint pk_hooks do update set source = excluded.source, secrets = excluded.secrets, set_at = excluded.set_at
             """);
        command.Parameters.Add(new() { Value = source.Scheme });
        command.Parameters.Add(new() { Value = source.Source });
        command.Parameters.Add(new() { Value = source.Secrets.Select(secret => Seal(source.Scheme, secret)).ToArray() });
        command.Parameters.Add(new() { Value = source.SetAt });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <returns>False where there was none.</returns>
    public async Task<bool> DeleteAsync(string scheme, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand($"delete from {log.Schema}.hooks where scheme = $1");
        command.Parameters.Add(new() { Value = scheme });
        return await command.ExecuteNonQueryAsync(cancellationToken) > 0;
    }

    /// <summary>Remembers that the payment belongs to the order.</summary>
    public async Task TieAsync(string source, string payment, string orderId, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand(
            $"insert into {log.Schema}.hook_payments (source, payment, order_id) values ($1, $2, $3) on conflict on constraint pk_hook_payments do nothing");
        command.Parameters.Add(new() { Value = source });
        command.Parameters.Add(new() { Value = payment });
        command.Parameters.Add(new() { Value = orderId });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>The orders that the payment belongs to.</summary>
    public async Task<IReadOnlyList<string>> OrdersOfAsync(string source, string payment, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand(
            $"select order_id from {log.Schema}.hook_payments where source = $1 and payment = $2 order by order_id limit {MaxOrders}");
        command.Parameters.Add(new() { Value = source });
        command.Parameters.Add(new() { Value = payment });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var orders = new List<string>();
        while (await reader.ReadAsync(cancellationToken))
        {
            orders.Add(reader.GetString(0));
        }

        return orders;
    }

    private byte[] Seal(string scheme, string secret)
    {
        var text = Encoding.UTF8.GetBytes(secret);
        var row = new byte[NonceLength + TagLength + text.Length];
        var nonce = row.AsSpan(0, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using var aes = new AesGcm(_key, TagLength);
        aes.Encrypt(nonce, text, row.AsSpan(NonceLength + TagLength), row.AsSpan(NonceLength, TagLength), Encoding.UTF8.GetBytes(scheme));
        return row;
    }

    private string Open(string scheme, byte[] row)
    {
        try
        {
            var text = new byte[row.Length - NonceLength - TagLength];
            using var aes = new AesGcm(_key, TagLength);
            aes.Decrypt(row.AsSpan(0, NonceLength), row.AsSpan(NonceLength + TagLength), row.AsSpan(NonceLength, TagLength), text, Encoding.UTF8.GetBytes(scheme));
            return Encoding.UTF8.GetString(text);
        }
        catch (AuthenticationTagMismatchException e)
        {
            throw new SettingException(
                "Conversions:CustomerKeyFile",
                $"is not the one under which the secrets of '{scheme}' were sealed; every instance needs the same. PUT /v1/hooks/{scheme} with source and secrets sets them anew",
                e);
        }
    }
}

/// <summary>Creates the tables once the log's schema is there.</summary>
internal sealed class OpenHooks(HookSources sources) : BeforeStart
{
    // OpenLog was registered before and has waited for the database in its own StartingAsync.
    public override Task StartingAsync(CancellationToken cancellationToken) => sources.CreateTablesAsync(cancellationToken);
}
