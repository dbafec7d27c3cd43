using System.Text.Json.Serialization;

namespace PartnerPulse.Contracts;

/// <summary>A partner link was followed, or a landing that names a partner was seen. The click id is the event id.</summary>
public sealed record ClickRecorded : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    public required string PartnerId { get; init; }

    /// <summary>Slug of the link, where the click came by one.</summary>
    public string? Link { get; init; }

    /// <summary>The visitor, where a first-party cookie or an import named one. Opaque, at most 64 characters.</summary>
    public string? VisitorId { get; init; }

    /// <summary>Where the visitor was sent, or landed.</summary>
    public string? Destination { get; init; }

    public Campaign? Campaign { get; init; }

    /// <summary>The partner's own labels, by name (<c>sub1</c>…).</summary>
    public IReadOnlyDictionary<string, string>? SubIds { get; init; }

    /// <summary>The raw query of the request, without the question mark.</summary>
    public string? Query { get; init; }

    public string? ReferrerHost { get; init; }

    public string? UserAgent { get; init; }

    /// <summary>What the request said of itself. Absent where it said nothing.</summary>
    public ClickSignals? Signals { get; init; }

    /// <summary>Keyed hash of the truncated address. The address itself is never kept.</summary>
    public string? AddressHash { get; init; }

    public required ClickVia Via { get; init; }

    /// <summary>Test traffic credits test conversions only.</summary>
    public bool Test { get; init; }
}

/// <summary>The way a click came in.</summary>
[JsonConverter(typeof(CamelCaseEnum<ClickVia>))]
public enum ClickVia
{
    Redirect,
    Landing,
    Import,
}

/// <summary>The utm parameters, as they came.</summary>
public sealed record Campaign
{
    public string? Source { get; init; }
    public string? Medium { get; init; }
    public string? Name { get; init; }
    public string? Term { get; init; }
    public string? Content { get; init; }
}

/// <summary>Facts of the request from which rules judge whether a person clicked.</summary>
public sealed record ClickSignals
{
    /// <summary>The HTTP method, where it was not GET.</summary>
    public string? Method { get; init; }

    /// <summary>The value of <c>Sec-Purpose</c>, <c>Purpose</c>, <c>X-Moz</c> or <c>X-Purpose</c>, as sent.</summary>
    public string? Purpose { get; init; }

    /// <summary>Global Privacy Control: <c>Sec-GPC: 1</c>.</summary>
    public bool Gpc { get; init; }

    /// <summary>Do Not Track: <c>DNT: 1</c>.</summary>
    public bool Dnt { get; init; }

    /// <summary>What the visitor said to being followed, where it is known.</summary>
    public bool? Consent { get; init; }

    /// <summary>More clicks came from the truncated address at that moment than the edge's limit; the limit is the edge's own. True or absent.</summary>
    public bool? Burst { get; init; }
}
