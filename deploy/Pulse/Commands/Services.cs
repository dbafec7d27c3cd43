using System.Globalization;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Commands;

/// <summary>The services as processes, and what each is told by its environment.</summary>
internal static class Services
{
    public const string Program = "main";

    /// <summary>The signed checkpoints of the attribution log.</summary>
    public static string SealFile(DataFolder data) => data.File("attribution-checkpoints");

    /// <summary>The key that signs them; its public half lies beside it with <c>.pub</c>.</summary>
    public static string SealKeyFile(DataFolder data) => Path.Combine(data.Secrets, "attribution-seal.key");

    /// <summary>The services of the wanted mode, without the gateway.</summary>
    public static IReadOnlyList<ProcessSpec> For(
        UpCommand.Wanted wanted, IReadOnlyDictionary<string, string> postgres, string? rabbitMq)
    {
        var common = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Bus__Transport"] = rabbitMq is null ? "mediator" : "rabbitmq",
            ["Bus__RabbitMq"] = rabbitMq,
            ["Keys__File"] = RunKeys.File(wanted.Data).Path,
            ["Pulse__Program"] = Program,
            ["Pulse__Data"] = wanted.Data.Path,
            ["Edge__PublicUrl"] = wanted.Url,
            ["Edge__Partners__Url"] = wanted.Distributed ? Address(wanted, PartnersPort) : wanted.Url,
            ["Edge__Partners__KeyFile"] = RunKeys.EdgeFile(wanted.Data),
            ["Conversions__Attribution__Url"] = wanted.Distributed ? Address(wanted, AttributionPort) : wanted.Url,
            ["Conversions__Attribution__KeyFile"] = RunKeys.ConversionsFile(wanted.Data),
            ["Edge__SigningKeyFile"] = wanted.Data.SecretKeyFile("edge-signing.key"),
            ["Conversions__CustomerKeyFile"] = wanted.Data.SecretKeyFile("customer-pepper.key"),
            ["Attribution__SealFile"] = SealFile(wanted.Data),
            ["Attribution__SealKeyFile"] = SealKeyFile(wanted.Data),
        };
        if (!wanted.Distributed)
        {
            var (fileName, arguments) = Self("serve");
            common[Postgres] = postgres[DatabaseRoles.Standalone];
            return [Service("standalone", fileName, arguments, OuterUrl(wanted), wanted.Url, common, wanted)];
        }

        // The gateway, and whatever stands before it on this machine. The edge's own port is on the loopback interface alone.
        common["Edge__TrustedProxies__0"] = "127.0.0.0/8";
        common["Edge__TrustedProxies__1"] = "::1";
        common["Status__Peers__0"] = Address(wanted, EdgePort);
        common["Status__Peers__1"] = Address(wanted, ConversionsPort);
        common["Status__Peers__2"] = Address(wanted, PartnersPort);
        common["Status__Peers__3"] = Address(wanted, OutboundPort);
        return
        [
            Own("partners", "PartnerPulse.Partners", PartnersPort),
            Own("conversions", "PartnerPulse.Conversions", ConversionsPort),
            Own("attribution", "PartnerPulse.Attribution", AttributionPort),
            Own("edge", "PartnerPulse.Edge", EdgePort),
            Own("outbound", "PartnerPulse.Outbound", OutboundPort),
        ];

        ProcessSpec Own(string name, string assembly, int offset)
        {
            var (fileName, arguments) = Dotnet(Path.Combine(AppContext.BaseDirectory, assembly + ".dll"));
            var url = Address(wanted, offset);
            var settings = new Dictionary<string, string?>(common, StringComparer.Ordinal) { [Postgres] = postgres.GetValueOrDefault(name) };
            return Service(name, fileName, arguments, url, url, settings, wanted);
        }
    }

    public static ProcessSpec Gateway(UpCommand.Wanted wanted)
    {
        var (fileName, arguments) = Self("gateway");
        var routes = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Gateway__Edge"] = Address(wanted, EdgePort),
            ["Gateway__Conversions"] = Address(wanted, ConversionsPort),
            ["Gateway__Partners"] = Address(wanted, PartnersPort),
            ["Gateway__Attribution"] = Address(wanted, AttributionPort),
            ["Gateway__Outbound"] = Address(wanted, OutboundPort),
        };
        return Service("gateway", fileName, arguments, OuterUrl(wanted), wanted.Url, routes, wanted);
    }

    /// <summary>This program again, with other arguments.</summary>
    public static (string FileName, string[] Arguments) Self(params string[] arguments) =>
        Dotnet(Path.Combine(AppContext.BaseDirectory, "pulse.dll"), arguments);

    private const string Postgres = "ConnectionStrings__Postgres";
    private const int EdgePort = 1;
    private const int ConversionsPort = 2;
    private const int PartnersPort = 3;
    private const int AttributionPort = 4;
    private const int OutboundPort = 5;

    /// <summary>Ports after the system's own that a distributed run takes.</summary>
    public const int PortsBehindTheGateway = 5;

    // Only the gateway is for the world; behind it everything stays on the loopback interface.
    private static string Address(UpCommand.Wanted wanted, int offset) => $"http://127.0.0.1:{(wanted.Port + offset).ToString(CultureInfo.InvariantCulture)}";

    private static string OuterUrl(UpCommand.Wanted wanted) =>
        $"http://{(wanted.Listen.Contains(':', StringComparison.Ordinal) ? $"[{wanted.Listen}]" : wanted.Listen)}:{wanted.Port}";

    private static (string FileName, string[] Arguments) Dotnet(string assembly, params string[] arguments) =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? (Environment.ProcessPath!, [assembly, .. arguments])
            : (Shell.Find("dotnet") ?? throw new ProvisioningException("dotnet is not on the PATH."), [assembly, .. arguments]);

    private static ProcessSpec Service(
        string name, string fileName, string[] arguments, string listen, string address, Dictionary<string, string?> settings, UpCommand.Wanted wanted)
    {
        var environment = new Dictionary<string, string?>(settings, StringComparer.Ordinal)
        {
            ["ASPNETCORE_URLS"] = listen,
            ["ASPNETCORE_HTTP_PORTS"] = null,
            ["ASPNETCORE_ENVIRONMENT"] = "Production",
            ["DOTNET_ENVIRONMENT"] = null,
            // They know hashes only.
            [AdminKey.Variable] = null,
        };
        return new ProcessSpec
        {
            Name = name,
            FileName = fileName,
            Arguments = arguments,
            Environment = environment,
            LogFile = wanted.Data.Log(name),
            WorkingDirectory = wanted.Data.Path,
            Address = address,
            WhyNotReady = token => WhyNotReadyAsync(address, token),
            ReadyWithin = TimeSpan.FromMinutes(2),
            StopWithin = TimeSpan.FromSeconds(40),
        };
    }

    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(5) };

    private static async Task<string?> WhyNotReadyAsync(string address, CancellationToken cancellation)
    {
        try
        {
            using var response = await s_http.GetAsync(new Uri(address + "/ready"), cancellation);
            if (response.IsSuccessStatusCode)
            {
                return null;
            }

            var text = await response.Content.ReadAsStringAsync(cancellation);
            return $"/ready says {(int)response.StatusCode} {(text.Length > 300 ? text[..300] : text)}";
        }
        catch (HttpRequestException fault)
        {
            return fault.Message;
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return "/ready did not answer";
        }
    }
}
