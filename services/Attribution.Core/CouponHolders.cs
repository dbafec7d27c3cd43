using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Who held a coupon when.</summary>
internal static class CouponHolders
{
    /// <summary>
    /// The partner that held the code at that instant; null where none did. The same whatever order the facts came in: of
    /// assignments that overlap the one with the later start holds, of equal ones the one with the higher event id as bytes.
    /// </summary>
    /// <param name="facts">Must hold every assignment and withdrawal of the code; others among them are ignored.</param>
    /// <param name="program">The program.</param>
    /// <param name="code">As the order has it.</param>
    /// <param name="at">Start inclusive, end exclusive.</param>
    public static string? At(IEnumerable<IEvent> facts, string program, string code, DateTimeOffset at)
    {
        var wanted = CouponCode.Of(code);
        var withdrawn = new HashSet<Guid>();
        var holding = new List<CouponAssigned>();
        foreach (var fact in facts)
        {
            switch (fact)
            {
                case CouponAssigned assigned when assigned.ProgramId == program && assigned.Code == wanted && assigned.From <= at && !(assigned.Until <= at):
                    holding.Add(assigned);
                    break;
                case CouponWithdrawn withdrawal when withdrawal.OccurredAt <= at:
                    withdrawn.Add(withdrawal.AssignmentId);
                    break;
                default:
                    break;
            }
        }

        CouponAssigned? holder = null;
        foreach (var assigned in holding)
        {
            if (!withdrawn.Contains(assigned.EventId) && (holder is null || IsLater(assigned, holder)))
            {
                holder = assigned;
            }
        }

        return holder?.PartnerId;
    }

    private static bool IsLater(CouponAssigned assigned, CouponAssigned other)
    {
        var byStart = assigned.From.UtcTicks.CompareTo(other.From.UtcTicks);
        return byStart != 0 ? byStart > 0 : Ids.CompareBytes(assigned.EventId, other.EventId) > 0;
    }
}
