using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>The secrets of a scheme, as the shop shows them.</summary>
internal sealed record HookAsk
{
    /// <summary>Under which the orders are recorded; the scheme's name where absent.</summary>
    public string? Source { get; init; }

    /// <summary>All that are valid from now on, newest first: the new one and the old one while a secret is being replaced.</summary>
    public IReadOnlyList<string?>? Secrets { get; init; }

    /// <summary><c>standard</c> only: makes a secret and answers it, once. The one before stays valid until the next is made.</summary>
    public bool Make { get; init; }
}

/// <summary>What is set up for a scheme. A secret is never told again; its fingerprint says which one it is.</summary>
/// <param name="Url">Path that the shop sends to.</param>
internal sealed record HookBody(string Scheme, string Source, string Url, IReadOnlyList<SecretBody> Secrets, DateTimeOffset SetAt)
{
    /// <summary>The secret that this very request made.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Made { get; init; }
}

/// <param name="Fingerprint">The first 12 digits of the SHA-256 of the secret: <c>printf %s "$SECRET" | sha256sum</c>.</param>
internal sealed record SecretBody(string Fingerprint);

/// <summary><c>PUT</c>, <c>GET</c> and <c>DELETE /v1/hooks/{scheme}</c>: who may send webhooks.</summary>
internal static class SetUpHook
{
    public const int MaxSecrets = 5;
    public const int MinSecret = 16;
    public const int MaxSecret = 256;

    /// <summary>Bytes of a secret that is made here; what Standard Webhooks asks for.</summary>
    private const int MadeBytes = 32;

    private const int MinStandardBytes = 24;

    private const string Path = "/v1/hooks/{scheme}";

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPut(Path, PutAsync)
            .RequireScope(Scope.Admin)
            .TakesJson<HookAsk>("""{"source":"shop","secrets":["the-secret-that-the-shop-shows"]}""")
            .WithName("SetUpHook").WithTags("Hooks").WithSummary("Sets the source and the secrets of a webhook scheme");
        routes.MapGet(Path, GetAsync)
            .RequireScope(Scope.Admin)
            .WithName("ReadHook").WithTags("Hooks").WithSummary("What is set up for a webhook scheme; secrets as fingerprints");
        routes.MapDelete(Path, DeleteAsync)
            .RequireScope(Scope.Admin)
            .WithName("RemoveHook").WithTags("Hooks").WithSummary("Takes no more webhooks of a scheme");
    }

    /// <summary>The secrets to be in force, or everything that is wrong with what was asked.</summary>
    /// <param name="before">What is set up now.</param>
    /// <param name="made">A fresh secret, for where one is asked for.</param>
    public static HookSource? Decide(string scheme, HookAsk ask, HookSource? before, string made, DateTimeOffset now, Checks checks)
    {
        var source = string.IsNullOrEmpty(ask.Source) ? before?.Source ?? scheme : ConversionReader.Source(checks, ask.Source);
        if (ask.Make && scheme != HookScheme.Standard)
        {
            checks.Add("make", $"is for 'standard' alone; the secret of {scheme} is made there");
        }

        var secrets = new List<string>();
        if (ask.Make)
        {
            secrets.Add(made);
            secrets.AddRange(ask.Secrets is null ? before?.Secrets.Take(1) ?? [] : []);
        }
        else if (ask.Secrets is null or [])
        {
            checks.Add("secrets", "is required");
        }

        for (var i = 0; i < (ask.Secrets?.Count ?? 0); i++)
        {
            var field = $"secrets[{i}]";
            var secret = checks.Required(field, ask.Secrets![i], MaxSecret);
            if (secret.Length == 0)
            {
                continue;
            }

            if (secret.Length < MinSecret)
            {
                checks.Add(field, $"has {secret.Length} characters; at least {MinSecret} are needed");
            }
            else if (!secret.All(c => c is > ' ' and < '\u007F'))
            {
                checks.Add(field, "holds a blank, or a character that is not ASCII");
            }
            else if (scheme == HookScheme.Standard && Signature.StandardKey(secret).Length < MinStandardBytes)
            {
                checks.Add(field, $"is not 'whsec_' and the base64 of at least {MinStandardBytes} bytes");
            }
            else if (secrets.Contains(secret, StringComparer.Ordinal))
            {
                checks.Add(field, "is given twice");
            }

            secrets.Add(secret);
        }

        if (secrets.Count > MaxSecrets)
        {
            checks.Add("secrets", $"would be {secrets.Count}; at most {MaxSecrets} are allowed");
        }

        return checks.Passed ? new HookSource(scheme, source, secrets, now) : null;
    }

    private static async Task<Results<Ok<HookBody>, ProblemHttpResult>> PutAsync(
        string scheme, HttpRequest request, HookSources sources, DeliveryRecorder recorder, TimeProvider time, CancellationToken cancellationToken)
    {
        if (HookScheme.Find(scheme) is null)
        {
            return Problem.NotFound(HookScheme.Unknown.Field, HookScheme.Unknown.Reason);
        }

        var (ask, fault) = await request.ReadJsonAsync(ConversionsJson.Default.HookAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        var made = Make();
        var before = ask.Make || string.IsNullOrEmpty(ask.Source) ? await sources.FindAsync(scheme, cancellationToken) : null;
        if (Decide(scheme, ask, before, made, time.GetUtcNow(), checks) is not { } source)
        {
            return Problem.Invalid(checks.Faults);
        }

        await sources.SaveAsync(source, cancellationToken);
        return TypedResults.Ok(Show(source, recorder.Program) with { Made = ask.Make ? made : null });
    }

    private static async Task<Results<Ok<HookBody>, ProblemHttpResult>> GetAsync(
        string scheme, HookSources sources, DeliveryRecorder recorder, CancellationToken cancellationToken) =>
        HookScheme.Find(scheme) is null ? Problem.NotFound(HookScheme.Unknown.Field, HookScheme.Unknown.Reason)
        : await sources.FindAsync(scheme, cancellationToken) is { } source ? TypedResults.Ok(Show(source, recorder.Program))
        : Problem.NotFound("scheme", $"'{scheme}' is not set up");

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string scheme, HookSources sources, CancellationToken cancellationToken) =>
        await sources.DeleteAsync(scheme, cancellationToken)
            ? TypedResults.NoContent()
            : Problem.NotFound("scheme", $"'{scheme}' is not set up");

    // JSON writes a plus as an escape; without one the secret reads the same in the answer and in the shop.
    private static string Make()
    {
        string secret;
        do
        {
            secret = "whsec_" + Convert.ToBase64String(RandomNumberGenerator.GetBytes(MadeBytes));
        }
        while (secret.Contains('+', StringComparison.Ordinal));
        return secret;
    }

    private static HookBody Show(HookSource source, string program) => new(
        source.Scheme,
        source.Source,
        $"/v1/hooks/{source.Scheme}/{program}",
        [.. source.Secrets.Select(secret => new SecretBody(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)))[..12]))],
        source.SetAt);
}
