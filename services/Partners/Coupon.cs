using System.Collections.Immutable;
using System.Diagnostics;
using Npgsql;
using PartnerPulse.Contracts;

namespace PartnerPulse.Partners;

/// <summary>What is true of one coupon code: the fold of its stream. Who held it once stays known.</summary>
internal sealed record Coupon
{
    public required string Code { get; init; }

    /// <summary>In the order in which they were made. No two hold at the same time.</summary>
    public ImmutableArray<CouponAssignment> Assignments { get; init; } = [];

    /// <summary>The assignment that holds at that time; null where none does.</summary>
    public CouponAssignment? HolderAt(DateTimeOffset at) => Assignments.FirstOrDefault(a => a.From <= at && at < a.End);

    /// <summary>What is true after the event. The first event of a stream is an assignment.</summary>
    /// <exception cref="UnreachableException">The event does not belong into a coupon's stream at this place.</exception>
    public static Coupon Evolve(Coupon? coupon, IEvent @event) => (coupon, @event) switch
    {
        (null, CouponAssigned e) => new Coupon { Code = e.Code, Assignments = [CouponAssignment.Of(e)] },
        (not null, CouponAssigned e) => coupon with { Assignments = coupon.Assignments.Add(CouponAssignment.Of(e)) },
        (not null, CouponWithdrawn e) => coupon with
        {
            Assignments = [.. coupon.Assignments.Select(a => a.Id == e.AssignmentId ? a with { WithdrawnAt = e.OccurredAt } : a)],
        },
        _ => throw new UnreachableException($"{@event} in the stream of the coupon {coupon?.Code}"),
    };
}

/// <param name="Id">Event id of the assignment.</param>
/// <param name="PartnerId">Whose it is.</param>
/// <param name="From">The first instant.</param>
/// <param name="Until">The first instant after it, as it was assigned; null for ever.</param>
/// <param name="WithdrawnAt">When it was withdrawn; null where it was not.</param>
internal sealed record CouponAssignment(Guid Id, string PartnerId, DateTimeOffset From, DateTimeOffset? Until, DateTimeOffset? WithdrawnAt)
{
    /// <summary>The first instant at which it does not hold any more.</summary>
    public DateTimeOffset End => new[] { Until, WithdrawnAt }.Min() ?? DateTimeOffset.MaxValue;

    public static CouponAssignment Of(CouponAssigned e) => new(e.EventId, e.PartnerId, e.From, e.Until, WithdrawnAt: null);
}

/// <summary>Coupons in the log of Partners, a stream a code: its version decides between those who want the same code at once.</summary>
internal sealed class CouponLog(PartnerLog partners)
{
    /// <summary>The coupon and the version of its stream; null and 0 where it was never assigned.</summary>
    public async Task<(Coupon? Coupon, long Version)> LoadAsync(string code, CancellationToken cancellationToken)
    {
        Coupon? coupon = null;
        var version = 0L;
        foreach (var stored in await partners.Log.ReadStreamAsync(Ids.CouponStream(partners.Program, code), cancellationToken))
        {
            coupon = Coupon.Evolve(coupon, Event(stored.Type, stored.Data.Span));
            version = stored.Version;
        }

        return (coupon, version);
    }

    /// <summary>
    /// Loads the coupon, decides, and appends what was decided; all of it again where somebody else was faster. The coupon comes
    /// back as it is then.
    /// </summary>
    public async Task<(Coupon? Coupon, Decision Decision)> ChangeAsync(string code, Func<Coupon?, Decision> decide, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < PartnerLog.MaxTries; attempt++)
        {
            var (coupon, version) = await LoadAsync(code, cancellationToken);
            var decision = decide(coupon);
            if (decision.Events.Count == 0)
            {
                return (coupon, decision);
            }

            var owner = new Owner(Ids.CouponStream(partners.Program, code), "coupon", code);
            if (await partners.SaveAsync(owner, version, decision.Events, decision.Claims, gives: [], cancellationToken) is SaveOutcome.Saved)
            {
                return (decision.Events.Aggregate(coupon, Coupon.Evolve), decision);
            }
        }

        return (null, new TooBusy());
    }

    /// <summary>A page of coupons in the order of their first assignment, folded from their streams.</summary>
    /// <returns>The coupons, and the position after which the next page begins; null where this is the last.</returns>
    public async Task<(IReadOnlyList<Coupon> Coupons, long? Next)> ListAsync(long after, int limit, CancellationToken cancellationToken)
    {
        var log = partners.Log;
        await using var command = log.DataSource.CreateCommand(
            $"""
             with page as (
                 select seq_id, stream_id from {log.Schema}.mt_events
                  where type = 'coupon_assigned' and version = 1 and seq_id > $1 order by seq_id limit $2
             )
             select p.seq_id, e.type, e.data
               from page p join {log.Schema}.mt_events e on e.stream_id = p.stream_id
              order by p.seq_id, e.version
             """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        var coupons = new List<(long Position, Coupon Coupon)>(limit + 1);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var position = reader.GetInt64(0);
            var @event = Event(reader.GetString(1), reader.GetFieldValue<byte[]>(2));
            if (coupons.Count > 0 && coupons[^1].Position == position)
            {
                coupons[^1] = (position, Coupon.Evolve(coupons[^1].Coupon, @event));
            }
            else
            {
                coupons.Add((position, Coupon.Evolve(coupon: null, @event)));
            }
        }

        return coupons.Count > limit
            ? (coupons.Take(limit).Select(c => c.Coupon).ToArray(), coupons[limit - 1].Position)
            : (coupons.Select(c => c.Coupon).ToArray(), null);
    }

    private static IEvent Event(string type, ReadOnlySpan<byte> data) => EventTypes.Deserialize(
        EventTypes.Find(type) ?? throw new InvalidDataException($"The event '{type}' of a coupon is not known here."), data);
}
