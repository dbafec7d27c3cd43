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
