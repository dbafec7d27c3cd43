using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Customers;

internal sealed record KeyCustomersAsk
{
    /// <summary>E-mails or account ids, as orders name their customers.</summary>
    public IReadOnlyList<string?>? Customers { get; init; }

    /// <summary>Instead of them: SHA-256 of each without blanks around it, in lower case, as 64 hex digits.</summary>
    public IReadOnlyList<string?>? Sha256 { get; init; }
}

/// <param name="Keys">In the order of the customers, or of the hashes.</param>
internal sealed record KeyCustomersAnswer(IReadOnlyList<string> Keys);

/// <summary>
/// <c>POST /v1/customers/keys</c>: the keys under which customers are recorded, for lists that know orders by their customers, such as
/// those of a reconciliation. Nothing is looked up or kept, so the answer does not tell whether anybody has ordered.
/// </summary>
internal static class KeyCustomers
{
    public const int MaxCustomers = 1_000;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/customers/keys", HandleAsync)
            .RequireScope(Scope.WriteConversions)
            .TakesJson<KeyCustomersAsk>("""{"sha256":["fdfd1a58cff0ffc1c38d9fcce1c1fc34b9d3c2e8a0ef45eca4dd1e5ba9fbd2b5"]}""")
            .WithName("KeyCustomers").WithTags("Customers").WithSummary("The keys of at most 1,000 e-mails or account ids, or of their SHA-256; nothing is kept");

    private static async Task<Results<Ok<KeyCustomersAnswer>, ProblemHttpResult>> HandleAsync(
        HttpRequest request, ConversionReader reader, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(ConversionsJson.Default.KeyCustomersAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        if ((ask.Customers is null) == (ask.Sha256 is null))
        {
            return Problem.Invalid(new FieldFault("customers", ask.Customers is null ? "is required, or sha256" : "is given, and sha256 too; only one can be"));
        }

        var (field, values) = ask.Customers is { } names ? ("customers", names) : ("sha256", ask.Sha256!);
        if (values.Count is 0 or > MaxCustomers)
        {
            return Problem.Invalid(new FieldFault(field, $"holds {values.Count}; 1 to {MaxCustomers} are allowed"));
        }

        var checks = new Checks(time);
        var keys = new List<string>(values.Count);
        for (var i = 0; i < values.Count; i++)
        {
            var one = new Checks(time);
            if ((field == "sha256" ? reader.CustomerOfHash(one, field, values[i]) : reader.Customer(one, values[i])) is { } key)
            {
                keys.Add(key);
            }
            else
            {
                checks.Add($"{field}[{i}]", one.Passed ? "is empty" : one.Faults[0].Reason);
            }
        }

        return checks.Passed ? TypedResults.Ok(new KeyCustomersAnswer(keys)) : Problem.Invalid(checks.Faults);
    }
}
