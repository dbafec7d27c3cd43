namespace PartnerPulse.IntegrationTests.Servers;

/// <summary>A test on a real PostgreSQL. On a laptop without one it is skipped with its reason, in CI it fails.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresFactAttribute : FactAttribute
{
    public PostgresFactAttribute() => Skip = TestServers.WhyNoPostgres;
}

/// <inheritdoc cref="PostgresFactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
public sealed class PostgresTheoryAttribute : TheoryAttribute
{
    public PostgresTheoryAttribute() => Skip = TestServers.WhyNoPostgres;
}

/// <summary>A test on a real PostgreSQL and a real RabbitMQ.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ServersFactAttribute : FactAttribute
{
    public ServersFactAttribute() => Skip = TestServers.WhyNoPostgres ?? TestServers.WhyNoRabbitMq;
}

/// <summary>A test on a real PostgreSQL and a real RabbitMQ whose users and rights it may set.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class OwnServersFactAttribute : FactAttribute
{
    public OwnServersFactAttribute() => Skip = TestServers.WhyNoPostgres ?? TestServers.WhyNoOwnRabbitMq;
}

/// <summary>A test in a real Chromium.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute() => Skip = TestServers.WhyNoChromium;
}

/// <inheritdoc cref="BrowserFactAttribute"/>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserTheoryAttribute : TheoryAttribute
{
    public BrowserTheoryAttribute() => Skip = TestServers.WhyNoChromium;
}

/// <summary>A test in a real Chromium on a real PostgreSQL.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserSystemFactAttribute : FactAttribute
{
    public BrowserSystemFactAttribute() => Skip = TestServers.WhyNoPostgres ?? TestServers.WhyNoChromium;
}
