using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using CommunityToolkit.HighPerformance.Buffers;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// Reads of a click what a journey keeps of it (<see cref="PackedTouches"/>), and who clicked. A rebuild reads all clicks of everybody
/// who converted: what is read and thrown away, and the same names over and over, would cost it more than all judging. A click that
/// is not written as the edge writes it is left to the serializer, so that what can be read and what cannot is the same.
/// </summary>
internal static class ClickReader
{
    /// <summary>Bytes; what is longer is hardly anybody else's.</summary>
    private const int LongestName = 512;

    private static readonly string s_type = EventTypes.Of<ClickRecorded>().Name;

    /// <summary>Names that many clicks have in common; the ones that are asked for least make room.</summary>
    private static readonly StringPool s_names = new(4_096);

    /// <summary>The click, or null and why it cannot be read.</summary>
    public static ClickRecorded? Read(ReadOnlySpan<byte> json, out string reason)
    {
        reason = "";
        return ReadAsWritten(json) ?? (LogPage.Read(s_type, json, out reason) is ClickRecorded click ? Kept(click) : null);
    }

    /// <summary>The click without what no journey keeps.</summary>
    public static ClickRecorded Kept(ClickRecorded click) => click with
    {
        Destination = null,
        Campaign = CampaignOf(click.Campaign?.Name),
        SubIds = null,
        Query = null,
        ReferrerHost = null,
        AddressHash = null,
    };

    private static Campaign? CampaignOf(string? name) => name is null ? null : new Campaign { Name = name };

    /// <summary>Null where anything is not as it usually is: an escape, a null, a name or a value that is not expected.</summary>
    private static ClickRecorded? ReadAsWritten(ReadOnlySpan<byte> json)
    {
        Guid? id = null;
        DateTimeOffset? at = null;
        ClickVia? via = null;
        ClickSignals? signals = null;
        string? program = null, partner = null, link = null, visitor = null, campaign = null, agent = null;
        var test = false;
        if (!Utf8.IsValid(json))
        {
            return null;
        }

        var reader = new Utf8JsonReader(json);
        try
        {
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.ValueSpan;
                reader.Read();
                if (reader.TokenType == JsonTokenType.String && !reader.ValueIsEscaped)
                {
                    var text = reader.ValueSpan;
                    if (name.SequenceEqual("eventId"u8))
                    {
                        if (!reader.TryGetGuid(out var value))
                        {
                            return null;
                        }

                        id = value;
                    }
                    else if (name.SequenceEqual("occurredAt"u8))
                    {
                        if (!reader.TryGetDateTimeOffset(out var value))
                        {
                            return null;
                        }

                        at = value;
                    }
                    else if (name.SequenceEqual("via"u8))
                    {
                        if (ViaOf(text) is not { } value)
                        {
                            return null;
                        }

                        via = value;
                    }
                    else if (name.SequenceEqual("programId"u8))
                    {
                        program = Name(text);
                    }
                    else if (name.SequenceEqual("partnerId"u8))
                    {
                        partner = Name(text);
                    }
                    else if (name.SequenceEqual("link"u8))
                    {
                        link = Name(text);
                    }
                    else if (name.SequenceEqual("visitorId"u8))
                    {
                        visitor = Name(text);
                    }
                    else if (name.SequenceEqual("userAgent"u8))
                    {
                        agent = Name(text);
                    }
                    else if (!IsThrownAway(name))
                    {
                        return null;
                    }
                }
                else if (name.SequenceEqual("campaign"u8) && reader.TokenType == JsonTokenType.StartObject)
                {
                    if (!TryReadCampaign(ref reader, out campaign))
                    {
                        return null;
                    }
                }
                else if (name.SequenceEqual("signals"u8) && reader.TokenType == JsonTokenType.StartObject)
                {
                    signals = JsonSerializer.Deserialize(ref reader, ContractsJson.Default.ClickSignals);
                }
                else if (name.SequenceEqual("test"u8) && reader.TokenType is JsonTokenType.True or JsonTokenType.False)
                {
                    test = reader.GetBoolean();
                }
                else
                {
                    return null;
                }
            }

            if (reader.TokenType != JsonTokenType.EndObject || reader.Read())
            {
                return null;
            }
        }
        catch (JsonException)
        {
            return null;
        }

        return id is null || at is null || via is null || program is null || partner is null ? null : new ClickRecorded
        {
            EventId = id.Value,
            ProgramId = program,
            OccurredAt = at.Value,
            PartnerId = partner,
            Link = link,
            VisitorId = visitor,
            Campaign = CampaignOf(campaign),
            UserAgent = agent,
            Signals = signals,
            Via = via.Value,
            Test = test,
        };
    }

    /// <summary>False where it is not as it usually is.</summary>
    private static bool TryReadCampaign(ref Utf8JsonReader reader, out string? campaign)
    {
        campaign = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String || reader.ValueIsEscaped)
            {
                return false;
            }

            if (name.SequenceEqual("name"u8))
            {
                campaign = Name(reader.ValueSpan);
            }
            else if (!(name.SequenceEqual("source"u8) || name.SequenceEqual("medium"u8) || name.SequenceEqual("term"u8) || name.SequenceEqual("content"u8)))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsThrownAway(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("query"u8) || name.SequenceEqual("destination"u8) || name.SequenceEqual("referrerHost"u8) || name.SequenceEqual("addressHash"u8);

    private static ClickVia? ViaOf(ReadOnlySpan<byte> text) =>
        text.SequenceEqual("redirect"u8) ? ClickVia.Redirect
        : text.SequenceEqual("landing"u8) ? ClickVia.Landing
        : text.SequenceEqual("import"u8) ? ClickVia.Import
        : null;

    private static string Name(ReadOnlySpan<byte> text) => text.Length > LongestName ? Encoding.UTF8.GetString(text) : s_names.GetOrAdd(text, Encoding.UTF8);
}
