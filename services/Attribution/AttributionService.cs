using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Credits;
using PartnerPulse.Attribution.Fits;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Attribution.Leakage;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Matches;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.Receipts;
using PartnerPulse.Attribution.Reconciliations;
using PartnerPulse.Attribution.Replays;
using PartnerPulse.Attribution.RuleSets;
using PartnerPulse.Attribution.Seals;
using PartnerPulse.Attribution.SetAside;
using PartnerPulse.Attribution.Statements;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Status;

namespace PartnerPulse.Attribution;

/// <summary>Takes in facts, folds them into credits, replays history under other rules, and says why.</summary>
public static class AttributionService
{
    /// <summary>Schema of the log and of everything derived from it.</summary>
    public const string Schema = "attribution";

    private const int MaxHoldDays = 730;

    public static void AddAttribution(this WebApplicationBuilder builder)
    {
        builder.AddPostgres();
        builder.AddEventLog(Schema);
        var folders = BotListFolders.Of(builder.Configuration);
        builder.Services.AddOptions<AttributionOptions>().BindConfiguration("Attribution")
            .Validate(options => options.HoldDays is >= 0 and <= MaxHoldDays, $"Attribution:HoldDays must be 0 to {MaxHoldDays}.")
            .Validate(options => options.SealSeconds is > 0 and <= 3_600, "Attribution:SealSeconds must lie above 0 and be at most 3600.")
            .Validate(
                o => o.WhatIfMegabytes is >= 0 and <= AttributionOptions.MostWhatIfMegabytes,
                $"Attribution:WhatIfMegabytes must be 0 to {AttributionOptions.MostWhatIfMegabytes}.")
            .Validate(
                o => o.ReplayCommit is >= 1 and <= AttributionOptions.MostReplayCommit,
                $"Attribution:ReplayCommit must be 1 to {AttributionOptions.MostReplayCommit}.")
            .ValidateOnStart();
        builder.Services.AddSingleton<IValidateOptions<AttributionOptions>>(folders);
        builder.Services.AddSingleton(_ => folders.Lists);
        builder.Services.AddFigures<AttributionFigures>();
        builder.Services.AddHostedService<OpenProjections>();
        builder.AddRelayToBus(Schema, Topology.Announcements);

        builder.Services.AddSingleton<Erasure>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<Erasure>());
        builder.Services.AddSingleton<IntakeWriter>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<IntakeWriter>());
        builder.AddConsumer<ClicksRecordedConsumer, ClicksRecorded>();
        builder.AddConsumer<FactsRecordedConsumer, FactsRecorded>();

        builder.Services.AddSingleton<ProjectionProgress>();
        builder.Services.AddSingleton(provider => new Generations(Schema, provider.GetRequiredService<BotLists>()));
        builder.Services.AddSingleton<Projector>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<Projector>());
        builder.Services.AddSingleton<ModelFits>();
        builder.Services.AddHostedService<FitWorker>();
        builder.Services.AddHostedService<ReplayWorker>();

        builder.Services.AddSingleton<SealKey>();
        builder.Services.AddSingleton<Sealer>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<Sealer>());
        builder.Services.AddSingleton<AttestClick>();
        builder.Services.AddHealthChecks().AddCheck<SealerCheck>("seals");
        builder.Services.AddSingleton<PackKeeper>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<PackKeeper>());

        builder.Services.AddSingleton<PublishRules>();
        builder.Services.AddSingleton<ReadRules>();
        builder.Services.AddSingleton<ReplayStream>();
        builder.Services.AddSingleton<ReadReplay>();
        builder.Services.AddSingleton<DiffReplay>();
        builder.Services.AddSingleton<ReadReceipt>();
        builder.Services.AddSingleton<FindMatches>();
        builder.Services.AddSingleton(new LedgerBook(Schema));
        builder.Services.AddSingleton<ReadLedger>();
        builder.Services.AddSingleton<ReadStatements>();
        builder.Services.AddSingleton<CloseStatement>();
        builder.Services.AddSingleton<VerifyStatement>();
        builder.Services.AddSingleton<Reconcile>();
        builder.Services.AddSingleton<ReadReconciliations>();
        builder.Services.AddSingleton<ReadLeakage>();
        builder.Services.AddSingleton<IStatusSource, AttributionStatus>();
        builder.Services.AddHealthChecks().AddCheck<ProjectorCheck>("projector");
    }

    public static void MapAttribution(this WebApplication app)
    {
        PublishRules.Map(app);
        ReadRules.Map(app);
        DescribeRules.Map(app);
        ReadBotLists.Map(app);
        AskWhatIf.Map(app);
        CompareRules.Map(app);
        RequestReplay.Map(app);
        ReadReplay.Map(app);
        DiffReplay.Map(app);
        PromoteReplay.Map(app);
        DiscardReplay.Map(app);
        ReadCredits.Map(app);
        ReadReceipt.Map(app);
        FindMatches.Map(app);
        ReadLedger.Map(app);
        ReadStatements.Map(app);
        CloseStatement.Map(app);
        VerifyStatement.Map(app);
        AttestClick.Map(app);
        VerifyLog.Map(app);
        Reconcile.Map(app);
        ReadReconciliations.Map(app);
        ReadLeakage.Map(app);
        SetAsideEndpoints.Map(app);
        RequestRebuild.Map(app);
    }
}
