using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace PartnerPulse.Hosting.Problems;

/// <summary>What is wrong with one field, in words for the person who sent it.</summary>
/// <param name="Field">Path of the field as the sender wrote it: <c>amount</c>, <c>items[2].product</c>, a header's name.</param>
/// <param name="Reason">Completes the sentence that begins with the field.</param>
public sealed record FieldFault(string Field, string Reason);

/// <summary>RFC 9457 problem details that always name the field and the reason.</summary>
public static class Problem
{
    /// <summary>A problem of <paramref name="status"/> whose <c>errors</c> lists every fault.</summary>
    public static ProblemHttpResult Of(int status, string title, params IReadOnlyList<FieldFault> faults) =>
        TypedResults.Problem(new ProblemDetails
        {
            Status = status,
            Title = title,
            Detail = faults.Count == 0 ? null : string.Join("; ", faults.Select(f => $"{f.Field} {f.Reason}")),
            Extensions = { ["errors"] = faults },
        });

    /// <summary>400: the request is not what the endpoint takes.</summary>
    public static ProblemHttpResult Invalid(params IReadOnlyList<FieldFault> faults) =>
        Of(StatusCodes.Status400BadRequest, "The request is not valid", faults);

    /// <summary>404: there is no such thing.</summary>
    public static ProblemHttpResult NotFound(string field, string reason) =>
        Of(StatusCodes.Status404NotFound, "Not found", new FieldFault(field, reason));

    /// <summary>409: it contradicts what is recorded.</summary>
    public static ProblemHttpResult Conflict(params IReadOnlyList<FieldFault> faults) =>
        Of(StatusCodes.Status409Conflict, "It contradicts what is recorded", faults);
}
