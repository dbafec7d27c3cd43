using System.Collections.Frozen;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Conversions.SameOrders;

/// <summary>One identity as it is asked for.</summary>
internal sealed record OrderIdentityAsk
{
    public IReadOnlyList<string?>? Sources { get; init; }
    public IReadOnlyList<string?>? Fields { get; init; }
    public int? WithinHours { get; init; }
}

/// <param name="Identities">In force.</param>
/// <param name="DeclaredAt">When; absent where nothing ever was.</param>
/// <param name="By">Name of the key that declared it.</param>
/// <param name="GoneOver">Position in the log up to which everything has been compared under them.</param>
/// <param name="Log">Position of the log's last event.</param>
internal sealed record OrderIdentitiesBody(
    IReadOnlyList<OrderIdentity> Identities,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? DeclaredAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? By,
    long GoneOver,
    long Log);

/// <summary>
/// <c>PUT /v1/order-identities</c>: which conversions of different sources are one sale. It replaces what was declared before, holds
/// for what is recorded from now on, and goes over all that is recorded. What was merged stays so until it is separated.
/// </summary>
internal sealed class DeclareOrderIdentities([FromKeyedServices(ConversionsService.Schema)] EventLog log, ConversionLog conversions, TimeProvider time)
{
    public const int MaxIdentities = 20;
    public const int MaxWithinHours = 24 * 90;

    private const int MaxTries = 8;

    private static readonly FrozenDictionary<string, OrderField> s_fields =
        Enum.GetValues<OrderField>().ToFrozenDictionary(field => JsonNamingPolicyOf(field), StringComparer.Ordinal);

    /// <summary>Fields that tell one order from another; the others many orders have in common.</summary>
    private static readonly FrozenSet<OrderField> s_telling = [OrderField.OrderId, OrderField.ClickId, OrderField.VisitorId, OrderField.Customer];

    public abstract record Outcome;

    public sealed record Declared(OrderIdentitiesDeclared Event) : Outcome;

    public sealed record AlreadyDeclared : Outcome;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPut("/v1/order-identities", (HttpContext http, DeclareOrderIdentities declare, CancellationToken cancellationToken) => declare.PutAsync(http, cancellationToken))
            .RequireScope(Scope.WriteRules)
            .TakesJson<IReadOnlyList<OrderIdentityAsk>>("""[{"sources":["shop","network"],"fields":["clickId","amount","currency"],"withinHours":72}]""")
            .WithName("DeclareOrderIdentities").WithTags("Conversions").WithSummary("Declares which conversions of different sources are one sale");
        routes.MapGet("/v1/order-identities", (DeclareOrderIdentities declare, CancellationToken cancellationToken) => declare.GetAsync(cancellationToken))
            .RequireScope(Scope.Read)
            .WithName("ReadOrderIdentities").WithTags("Conversions").WithSummary("What is declared to be one sale, and how far it has been looked for");
    }

    /// <summary>Null where <paramref name="faults"/> say why.</summary>
    public static IReadOnlyList<OrderIdentity>? Read(IReadOnlyList<OrderIdentityAsk?> asked, List<FieldFault> faults)
    {
        if (asked.Count > MaxIdentities)
        {
            faults.Add(new FieldFault("body", $"holds {asked.Count} identities; at most {MaxIdentities} are allowed"));
            return null;
        }

        var identities = new List<OrderIdentity>(asked.Count);
        for (var i = 0; i < asked.Count; i++)
        {
            if (asked[i] is { } ask)
            {
                identities.Add(ReadOne(ask, $"[{i}].", faults));
            }
            else
            {
                faults.Add(new FieldFault($"[{i}]", "is null"));
            }
        }

        if (faults.Count == 0 && Circle(identities) is { } source)
        {
            faults.Add(new FieldFault("sources", $"set '{source}' aside for itself, by way of others: of two sources one must be the first everywhere"));
        }

        return faults.Count == 0 ? identities : null;
    }

    public static Outcome Decide(OrderIdentitiesDeclared? before, IReadOnlyList<OrderIdentity> asked, string program, DateTimeOffset now, Guid id, string by) =>
        Same(before?.Identities ?? [], asked)
            ? new AlreadyDeclared()
            : new Declared(new OrderIdentitiesDeclared { EventId = id, ProgramId = program, OccurredAt = now, Identities = asked, By = by });

    private static OrderIdentity ReadOne(OrderIdentityAsk ask, string at, List<FieldFault> faults)
    {
        if (ask.Sources is not [{ } first, { } second])
        {
            faults.Add(new FieldFault($"{at}sources", "must be two: the one that is kept, and the one that is set aside"));
            (first, second) = ("a", "b");
        }

        foreach (var source in (string[])[first, second])
        {
            var checks = new Checks(TimeProvider.System);
            ConversionReader.Source(checks, source);
            faults.AddRange(checks.Faults.Select(f => f with { Field = $"{at}sources" }));
        }

        if (first == second)
        {
            faults.Add(new FieldFault($"{at}sources", $"are both '{first}'"));
        }

        var fields = new List<OrderField>();
        foreach (var name in ask.Fields ?? [])
        {
            if (name is null || !s_fields.TryGetValue(name, out var field))
            {
                faults.Add(new FieldFault($"{at}fields", $"'{name}' is not one of {string.Join(", ", s_fields.Keys.Order(StringComparer.Ordinal))}"));
            }
            else if (fields.Contains(field))
            {
                faults.Add(new FieldFault($"{at}fields", $"names '{name}' twice"));
            }
            else
            {
                fields.Add(field);
            }
        }

        if (!fields.Exists(s_telling.Contains))
        {
            faults.Add(new FieldFault($"{at}fields", "must name 'orderId', 'clickId', 'visitorId' or 'customer': many orders have the others in common"));
        }

        if (fields.Contains(OrderField.Amount) && !fields.Contains(OrderField.Currency))
        {
            faults.Add(new FieldFault($"{at}fields", "names 'amount' without 'currency'"));
        }

        if (ask.WithinHours is not (>= 1 and <= MaxWithinHours))
        {
            faults.Add(new FieldFault($"{at}withinHours", string.Create(CultureInfo.InvariantCulture, $"must be 1 to {MaxWithinHours}")));
        }

        return new OrderIdentity { Sources = [first, second], Fields = fields, WithinHours = ask.WithinHours ?? 0 };
    }

    /// <summary>A source that is set aside, in the end, for itself; null where there is none.</summary>
    private static string? Circle(List<OrderIdentity> identities)
    {
        foreach (var start in identities.Select(i => i.Sources[1]).Distinct(StringComparer.Ordinal))
        {
            var reached = new HashSet<string>(StringComparer.Ordinal);
            var next = new Queue<string>([start]);
            while (next.TryDequeue(out var source))
            {
                foreach (var kept in identities.Where(i => i.Sources[1] == source).Select(i => i.Sources[0]))
                {
                    if (kept == start)
                    {
                        return start;
                    }

                    if (reached.Add(kept))
                    {
                        next.Enqueue(kept);
                    }
                }
            }
        }

        return null;
    }

    private static bool Same(IReadOnlyList<OrderIdentity> left, IReadOnlyList<OrderIdentity> right) =>
        left.Count == right.Count && left.Zip(right).All(pair =>
            pair.First.WithinHours == pair.Second.WithinHours && pair.First.Sources.SequenceEqual(pair.Second.Sources) && pair.First.Fields.SequenceEqual(pair.Second.Fields));

    private static string JsonNamingPolicyOf(OrderField field) => System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(field.ToString());

    private async Task<Results<Ok<OrderIdentitiesBody>, ProblemHttpResult>> PutAsync(HttpContext http, CancellationToken cancellationToken)
    {
        var (asked, fault) = await http.Request.ReadJsonAsync(ConversionsJson.Default.IReadOnlyListOrderIdentityAsk, cancellationToken);
        if (asked is null)
        {
            return Problem.Invalid(fault!);
        }

        var faults = new List<FieldFault>();
        if (Read(asked, faults) is not { } identities)
        {
            return Problem.Invalid(faults);
        }

        for (var attempt = 0; attempt < MaxTries; attempt++)
        {
            var (before, version) = await LoadAsync(cancellationToken);
            var now = time.GetUtcNow();
            switch (Decide(before, identities, conversions.Program, now, Guid.CreateVersion7(now), http.ApiKey().Name))
            {
                case AlreadyDeclared:
                    return await GetAsync(cancellationToken);
                case Declared declared:
                    if (await log.AppendAsync(Ids.OrderIdentities(conversions.Program), version, [ConversionLog.New(declared.Event)], cancellationToken) is Appended)
                    {
                        return await GetAsync(cancellationToken);
                    }

                    break;
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return Problem.Of(StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("body", $"was declared by others {MaxTries} times meanwhile"));
    }

    private async Task<Ok<OrderIdentitiesBody>> GetAsync(CancellationToken cancellationToken)
    {
        var (declared, _) = await LoadAsync(cancellationToken);
        var last = await log.LastPositionAsync(cancellationToken);

        // Until the declaration has been taken up the checkpoint is that of the one before.
        var position = declared is null ? 0 : (await log.FindAsync([declared.EventId], cancellationToken))[0].Position;
        var taken = await log.CheckpointAsync(MergeConversions.Declaration, cancellationToken) == position;
        var gone = !taken ? 0 : declared is null or { Identities: [] } ? last : await log.CheckpointAsync(MergeConversions.Checkpoint, cancellationToken);
        return TypedResults.Ok(new OrderIdentitiesBody(declared?.Identities ?? [], declared?.OccurredAt, declared?.By, gone, last));
    }

    private async Task<(OrderIdentitiesDeclared? Declared, long Version)> LoadAsync(CancellationToken cancellationToken)
    {
        var stream = await log.ReadStreamAsync(Ids.OrderIdentities(conversions.Program), cancellationToken);
        return stream is [.., var last] ? ((OrderIdentitiesDeclared)ConversionLog.Event(last.Type, last.Data.Span), last.Version) : (null, 0);
    }
}
