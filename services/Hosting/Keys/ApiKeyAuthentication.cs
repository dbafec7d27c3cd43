using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Hosting.Keys;

/// <summary>The key in <c>Authorization: Bearer</c>.</summary>
internal sealed class ApiKeyAuthentication(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, ApiKeys keys, IOptions<ProgramOptions> program)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    public const string SchemeName = "ApiKey";

    protected override Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        const string Bearer = "Bearer ";
        var header = Request.Headers.Authorization.ToString();
        if (!header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
        {
            return Task.FromResult(AuthenticateResult.NoResult());
        }

        if (keys.Find(header[Bearer.Length..].Trim()) is not { } key)
        {
            return Task.FromResult(AuthenticateResult.Fail("The API key is not known."));
        }

        Context.Features.Set(key);
        var identity = new ClaimsIdentity([new Claim(ClaimTypes.Name, key.Name)], SchemeName);
        return Task.FromResult(AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), SchemeName)));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        return Problem.Of(StatusCodes.Status401Unauthorized, "No valid API key", new FieldFault("Authorization",
            Request.Headers.Authorization.Count == 0 ? "is missing; send 'Authorization: Bearer <key>'" : "is not the key of anyone")).ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var scope = Context.GetEndpoint()?.Metadata.GetMetadata<RequiredScope>()?.AnyOf;
        var mine = program.Value.Program;
        return Problem.Of(StatusCodes.Status403Forbidden, "The API key may not do this",
            new FieldFault("Authorization", Context.ApiKey().Program is var its && its != mine
                ? $"is a key of the program '{its}'; this is '{mine}'"
                : $"needs the scope {string.Join(" or ", scope ?? [])}")).ExecuteAsync(Context);
    }
}

/// <summary>What <see cref="ApiKeyExtensions.RequireScope"/> asks of a key; metadata of the endpoint.</summary>
/// <param name="AnyOf">One of these is enough.</param>
public sealed record RequiredScope(IReadOnlyList<string> AnyOf) : IAuthorizationRequirement;

internal sealed class ScopeHandler(IOptions<ProgramOptions> program) : AuthorizationHandler<RequiredScope>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, RequiredScope requirement)
    {
        if (context.Resource is HttpContext http && http.Features.Get<ApiKey>() is { } key && key.Program == program.Value.Program && requirement.AnyOf.Any(key.May))
        {
            context.Succeed(requirement);
        }

        return Task.CompletedTask;
    }
}

/// <summary>Authorisation of endpoints by the scopes of API keys.</summary>
public static class ApiKeyExtensions
{
    /// <summary>
    /// Only keys of this deployment's program with one of these scopes (or <c>admin</c>) may call the endpoint: 401 without a key, 403
    /// with another's.
    /// </summary>
    public static TBuilder RequireScope<TBuilder>(this TBuilder endpoint, params IReadOnlyList<string> anyOf)
        where TBuilder : IEndpointConventionBuilder
    {
        if (anyOf.FirstOrDefault(scope => !Scope.IsKnown(scope) && scope != Scope.PartnerPrefix) is { } unknown)
        {
            throw new ArgumentException($"'{unknown}' is not a scope.", nameof(anyOf));
        }

        var requirement = new RequiredScope(anyOf);
        endpoint.WithMetadata(requirement);
        return endpoint.RequireAuthorization(new AuthorizationPolicyBuilder(ApiKeyAuthentication.SchemeName).AddRequirements(requirement).Build());
    }

    /// <summary>The key of an authorised request.</summary>
    /// <exception cref="InvalidOperationException">The endpoint does not require a scope.</exception>
    public static ApiKey ApiKey(this HttpContext context) =>
        context.Features.Get<ApiKey>() ?? throw new InvalidOperationException("The endpoint does not call RequireScope.");

    internal static void AddApiKeys(this IServiceCollection services)
    {
        services.AddOptions<KeysOptions>().BindConfiguration("Keys")
            .Validate(options => File.Exists(options.File), "Keys:File names no existing file.")
            .ValidateOnStart();
        services.AddSingleton(provider => new ApiKeys(
            provider.GetRequiredService<IOptions<KeysOptions>>().Value.File, provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ApiKeys>>()));

        // Not AddAuthentication: it brings keys for cookies along, which nothing here uses.
        services.AddAuthenticationCore(authentication => authentication.DefaultScheme = ApiKeyAuthentication.SchemeName);
        services.AddWebEncoders();
        new AuthenticationBuilder(services)
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(ApiKeyAuthentication.SchemeName, configureOptions: null);
        services.AddAuthorization();
        services.AddSingleton<IAuthorizationHandler, ScopeHandler>();
    }
}
