using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Customers;

/// <param name="Orders">Orders that held the key.</param>
/// <param name="Identities">Ties that held it.</param>
internal sealed record ErasureAnswer(int Orders, int Identities);

/// <summary>
/// <c>DELETE /v1/customers/{key}</c> and <c>DELETE /v1/customers?customer=</c>: nothing that is recorded leads to the customer any
/// more. Credits and totals stay as they are. What the customer orders later is somebody else's.
/// </summary>
internal static class EraseCustomer
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapDelete("/v1/customers/{key}", HandleKeyAsync)
            .RequireScope(Scope.Admin)
            .WithName("EraseCustomerByKey").WithTags("Customers").WithSummary("Forgets the customer of this key");
        routes.MapDelete("/v1/customers", HandleCustomerAsync)
            .RequireScope(Scope.Admin)
            .WithName("EraseCustomer").WithTags("Customers").WithSummary("The same by the customer's e-mail or account id, ?customer=");
    }

    private static async Task<Results<Ok<ErasureAnswer>, ProblemHttpResult>> HandleKeyAsync(string key, CustomerEraser eraser, CancellationToken cancellationToken) =>
        CustomerKeys.IsKey(key)
            ? await EraseAsync(key, eraser, cancellationToken)
            : Problem.Invalid(new FieldFault("key", "is not the key of a customer: 'c2.' or 'c1.' and 43 characters of base64url, as GET /v1/conversions/{source}/{orderId} shows it"));

    private static async Task<Results<Ok<ErasureAnswer>, ProblemHttpResult>> HandleCustomerAsync(
        ConversionReader reader, CustomerEraser eraser, TimeProvider time, CancellationToken cancellationToken, string? customer = null)
    {
        var checks = new Checks(time);
        var key = reader.Customer(checks, customer);
        if (key is null && checks.Passed)
        {
            checks.Add("customer", "is required");
        }

        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (now, before) = (await eraser.EraseAsync(key!, cancellationToken), await eraser.EraseAsync(reader.FormerCustomer(customer)!, cancellationToken));
        return TypedResults.Ok(new ErasureAnswer(now.Orders + before.Orders, now.Identities + before.Identities));
    }

    // Nothing to erase is no fault: whoever asks again after an answer that was lost gets the same peace.
    private static async Task<Ok<ErasureAnswer>> EraseAsync(string key, CustomerEraser eraser, CancellationToken cancellationToken) =>
        TypedResults.Ok(await eraser.EraseAsync(key, cancellationToken));
}
