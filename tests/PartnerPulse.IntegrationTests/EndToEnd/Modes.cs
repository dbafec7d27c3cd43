using System.Reflection;
using PartnerPulse.IntegrationTests.Servers;
using Xunit.Sdk;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>The two ways to run.</summary>
public enum Mode
{
    Standalone,
    Distributed,
}

/// <summary>Runs a theory on the standalone system.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class StandaloneAttribute : DataAttribute
{
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[Mode.Standalone]];
}

/// <summary>Runs a theory on the distributed system, where there is a RabbitMQ for it.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class DistributedAttribute : DataAttribute
{
    public DistributedAttribute() => Skip = TestServers.WhyNoRabbitMq;

    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[Mode.Distributed]];
}
