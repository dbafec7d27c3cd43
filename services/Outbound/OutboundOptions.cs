using System.Net;
using Microsoft.Extensions.Options;

namespace PartnerPulse.Outbound;

/// <summary>Settings of the service, section <c>Outbound</c>.</summary>
public sealed class OutboundOptions
{
    /// <summary>Networks (<c>10.1.0.0/16</c>, <c>::1/128</c>) that are told although their addresses are not public.</summary>
    public IReadOnlyList<string> AllowedNetworks { get; set; } = [];

    /// <summary>A receiver that has not answered within this time has failed.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>A delivery that was claimed and not finished is due again after this time. Longer than <see cref="Timeout"/>.</summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>Pause after the first failure; each further one triples it, up to <see cref="LongestPause"/>.</summary>
    public TimeSpan FirstPause { get; set; } = TimeSpan.FromSeconds(5);

    public TimeSpan LongestPause { get; set; } = TimeSpan.FromHours(6);

    /// <summary>After so many failures, and not before <see cref="GiveUpAfter"/> has passed since the first, a delivery is a dead letter.</summary>
    public int MaxAttempts { get; set; } = 12;

    public TimeSpan GiveUpAfter { get; set; } = TimeSpan.FromHours(24);

    /// <summary>A subscription that nothing has reached for so long is disabled.</summary>
    public TimeSpan DisableAfter { get; set; } = TimeSpan.FromDays(5);

    /// <summary>Deliveries that are under way to one subscriber at once. One that fails gets one at a time.</summary>
    public int PerSubscriber { get; set; } = 4;

    /// <summary>Deliveries that are under way at once: so many to subscribers that work, and as many again to those that fail.</summary>
    public int AtOnce { get; set; } = 64;

    /// <summary>Deliveries that wait for one subscriber, more or less a page of the log; what comes after them waits in the log.</summary>
    public int MaxWaiting { get; set; } = 10_000;

    /// <summary>How long what has been delivered can be looked up.</summary>
    public TimeSpan KeepDelivered { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How long a dead letter can be delivered again.</summary>
    public TimeSpan KeepDead { get; set; } = TimeSpan.FromDays(30);

    internal IReadOnlyList<IPNetwork> Allowed => [.. AllowedNetworks.Select(IPNetwork.Parse)];
}

internal sealed class OutboundOptionsCheck : IValidateOptions<OutboundOptions>
{
    public ValidateOptionsResult Validate(string? name, OutboundOptions options)
    {
        var faults = new List<string>();
        faults.AddRange(options.AllowedNetworks.Where(n => !IPNetwork.TryParse(n, out _)).Select(n => $"Outbound:AllowedNetworks: '{n}' is not a network such as 10.1.0.0/16."));
        foreach (var (setting, value) in new (string, TimeSpan)[]
                 {
                     (nameof(options.Timeout), options.Timeout), (nameof(options.FirstPause), options.FirstPause), (nameof(options.LongestPause), options.LongestPause),
                     (nameof(options.DisableAfter), options.DisableAfter), (nameof(options.KeepDelivered), options.KeepDelivered), (nameof(options.KeepDead), options.KeepDead),
                 })
        {
            if (value <= TimeSpan.Zero)
            {
                faults.Add($"Outbound:{setting} is {value}; it must be longer than nothing.");
            }
        }

        foreach (var (setting, value) in new[]
                 {
                     (nameof(options.MaxAttempts), options.MaxAttempts), (nameof(options.PerSubscriber), options.PerSubscriber), (nameof(options.AtOnce), options.AtOnce),
                     (nameof(options.MaxWaiting), options.MaxWaiting),
                 })
        {
            if (value < 1)
            {
                faults.Add($"Outbound:{setting} is {value}; it must be at least 1.");
            }
        }

        if (options.Lease <= options.Timeout)
        {
            faults.Add($"Outbound:Lease is {options.Lease} and Outbound:Timeout {options.Timeout}: a delivery would be sent again while it is under way.");
        }

        return faults.Count > 0 ? ValidateOptionsResult.Fail(faults) : ValidateOptionsResult.Success;
    }
}
