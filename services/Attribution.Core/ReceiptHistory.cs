using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// How a conversion's credit came to be what it is, from what was told of it while it counted. It depends on what came in when, unlike
/// the rest of a receipt; a promotion that changes nothing of the conversion leaves it as it is.
/// </summary>
public sealed record ReceiptHistory
{
    /// <summary><c>credited</c>, <c>not-credited</c>, or <c>revised</c> where what was given once was changed or taken back.</summary>
    public required string Status { get; init; }

    /// <summary>Oldest first.</summary>
    public required ImmutableArray<ReceiptRevision> Revisions { get; init; }

    /// <summary>The history of one conversion.</summary>
    /// <param name="told">Every revision of the conversion in the order of the log.</param>
    /// <param name="credited">Whether anybody has credit now.</param>
    public static ReceiptHistory Of(IEnumerable<CreditsRevised> told, bool credited)
    {
        var revisions = told.Select(Revision).ToImmutableArray();
        return new ReceiptHistory { Status = StatusOf(revisions, credited), Revisions = revisions };
    }

    /// <summary>
    /// What one partner may see of it: its own parts. The facts that changed them may be others' clicks, so only their kind is left.
    /// </summary>
    public static ReceiptHistory ForPartner(ReceiptHistory history, string partnerId, bool credited)
    {
        var own = ImmutableArray.CreateBuilder<ReceiptRevision>();
        foreach (var revision in history.Revisions)
        {
            var partners = revision.Partners.Where(p => p.Partner == partnerId).ToImmutableArray();
            if (partners.Length > 0)
            {
                own.Add(revision with { Partners = partners, Causes = Kinds(revision.Causes) });
            }
        }

        var revisions = own.ToImmutable();
        return new ReceiptHistory { Status = StatusOf(revisions, credited), Revisions = revisions };
    }

    private static string StatusOf(ImmutableArray<ReceiptRevision> revisions, bool credited) =>
        revisions.Any(r => r.Partners.Any(p => p.Before is not null)) ? "revised"
        : credited ? "credited"
        : "not-credited";

    private static ReceiptRevision Revision(CreditsRevised told)
    {
        var (before, after) = (told.Before.ToDictionary(p => p.PartnerId, StringComparer.Ordinal), told.After.ToDictionary(p => p.PartnerId, StringComparer.Ordinal));
        return new ReceiptRevision
        {
            At = told.OccurredAt,
            Causes = told.Causes is not { } causes ? null : [.. causes.Select(c => new ReceiptCause { Kind = c.Kind, Event = c.EventId, Replay = c.ReplayId })],
            Partners =
            [
                .. before.Keys.Union(after.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal)
                    .Select(partner => new ReceiptRevisedPart
                    {
                        Partner = partner,
                        Before = Part(before.GetValueOrDefault(partner), told.Currency),
                        After = Part(after.GetValueOrDefault(partner), told.Currency),
                    })
                    .Where(part => part.Before != part.After),
            ],
        };
    }

    private static ReceiptPart? Part(PartnerCredit? credit, string currency) => credit is null ? null : new ReceiptPart
    {
        Share = credit.Share,
        Amount = Currency.Format(credit.AmountMinor, currency),
        Commission = Currency.Format(credit.CommissionMinor, currency),
    };

    private static ImmutableArray<ReceiptCause>? Kinds(ImmutableArray<ReceiptCause>? causes) =>
        causes is not { } some ? null : [.. some.Select(c => c.Kind).Distinct(StringComparer.Ordinal).Select(kind => new ReceiptCause { Kind = kind })];
}

/// <summary>One change of a conversion's credit.</summary>
public sealed record ReceiptRevision
{
    /// <summary>When the log took what brought it about.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>What brought it about; absent where it was not written down at the time.</summary>
    public ImmutableArray<ReceiptCause>? Causes { get; init; }

    /// <summary>Whose part changed, ordered by partner id.</summary>
    public required ImmutableArray<ReceiptRevisedPart> Partners { get; init; }
}

/// <summary>Why a credit changed.</summary>
public sealed record ReceiptCause
{
    /// <summary>One of <see cref="RevisionCause"/>.</summary>
    public required string Kind { get; init; }

    /// <summary>The fact's event id. Absent in a partner's view.</summary>
    public Guid? Event { get; init; }

    /// <summary>The replay that was promoted. Absent in a partner's view.</summary>
    public Guid? Replay { get; init; }
}

/// <summary>One partner's part of a conversion before and after a change.</summary>
public sealed record ReceiptRevisedPart
{
    public required string Partner { get; init; }

    /// <summary>Absent where it had none.</summary>
    public ReceiptPart? Before { get; init; }

    /// <summary>Absent where it has none any more.</summary>
    public ReceiptPart? After { get; init; }
}

/// <summary>A part of a conversion: share of 1, amounts in the currency's own decimals.</summary>
public sealed record ReceiptPart
{
    public required decimal Share { get; init; }
    public required string Amount { get; init; }
    public required string Commission { get; init; }
}
