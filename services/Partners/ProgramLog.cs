using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Partners;

/// <summary>Programs in the log of Partners. Each configuration replaces the one before as a whole, so the last event says it all.</summary>
internal sealed class ProgramLog(PartnerLog partners, string publicUrl)
{
    private static readonly string[] s_kinds = [Claim.LinkHost, Claim.Origin];

    /// <summary>The program and the version of its stream; null and 0 where it was never configured.</summary>
    public async Task<(ProgramConfigured? Program, long Version)> LoadAsync(string program, CancellationToken cancellationToken)
    {
        await using var command = partners.Log.DataSource.CreateCommand(
            $"select version, data from {partners.Log.Schema}.mt_events where stream_id = $1 order by version desc limit 1");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = Stream(program) });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? ((ProgramConfigured)EventTypes.Deserialize(EventTypes.Of<ProgramConfigured>(), reader.GetFieldValue<byte[]>(1)), reader.GetInt64(0))
            : (null, 0);
    }

    /// <summary>Appends, takes the link hosts and origins that it names, and gives up the others.</summary>
    public Task<SaveOutcome> SaveAsync(ProgramConfigured program, long expectedVersion, CancellationToken cancellationToken) =>
        partners.SaveAsync(
            new Owner(Stream(program.ProgramId), "program", program.ProgramId),
            expectedVersion,
            [program],
            [.. program.LinkHosts.Select(host => new Claim(Claim.LinkHost, host)), .. program.Origins.Select(origin => new Claim(Claim.Origin, origin))],
            s_kinds,
            cancellationToken);

    /// <summary>How links are shown now. Read from the log, so that every instance shows the same.</summary>
    public async Task<Links> LinksAsync(CancellationToken cancellationToken) =>
        new(publicUrl, (await LoadAsync(partners.Program, cancellationToken)).Program?.LinkHosts ?? []);

    private static Guid Stream(string program) => Ids.Derive("program", program);
}
