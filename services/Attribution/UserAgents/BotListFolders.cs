using System.Text;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Attribution.UserAgents;

/// <summary>Section <c>Attribution</c> of the configuration.</summary>
public sealed class AttributionOptions
{
    /// <summary>
    /// A folder with bot lists of the operator's own (<c>*.txt</c>), beside those that come with the program. A list is never
    /// changed where it stands: a newer one is a file more, known to an instance after its restart.
    /// </summary>
    public string? BotLists { get; set; }

    /// <summary>Days from the day of a conversion until its commission is payable: time for refunds.</summary>
    public int HoldDays { get; set; } = 30;

    /// <summary>
    /// The signed checkpoints of the log, outside the database. Instances that may take each other's place share it. Where none is
    /// named the log is not sealed.
    /// </summary>
    public string? SealFile { get; set; }

    /// <summary>The key that signs them, made where it is missing. Default: beside the file, with <c>.key</c> after its name.</summary>
    public string? SealKeyFile { get => _sealKeyFile ?? (SealFile is null ? null : SealFile + ".key"); set => _sealKeyFile = value; }

    /// <summary>Seconds after which a page that is not full is sealed.</summary>
    public double SealSeconds { get; set; } = 5;

    private string? _sealKeyFile;

    /// <summary>
    /// How many megabytes the journeys may take that are kept in memory for what-ifs; 0 keeps none. Beyond it every what-if reads them
    /// from their table.
    /// </summary>
    public int WhatIfMegabytes { get; set; } = 256;

    /// <summary>More than one array of a chunk could hold is a slip of the keyboard.</summary>
    public const int MostWhatIfMegabytes = 65_536;

    /// <summary>
    /// Conversions whose credits a replay writes in one commit. Whoever discards or promotes it waits for one, and the projector never
    /// for more: a few hundredths of a second.
    /// </summary>
    public int ReplayCommit { get; set; } = 10_000;

    /// <summary>All that is read under one snapshot.</summary>
    public const int MostReplayCommit = Replays.ReplayPass.PassSize;
}

/// <summary>Reads the bot lists when the service starts. A fault in one stops the start with its file, line and reason.</summary>
internal sealed class BotListFolders(Lazy<BotListsRead> read) : IValidateOptions<AttributionOptions>
{
    private const long MaxBytes = 4 * 1024 * 1024;

    /// <summary>Those that come with the program, beside the binary.</summary>
    public static string Shipped { get; } = Path.Combine(AppContext.BaseDirectory, "Bots");

    /// <summary>The lists of the folder of the configuration and the shipped ones.</summary>
    public static BotListFolders Of(IConfiguration configuration) =>
        new(new Lazy<BotListsRead>(() => Read(Shipped, configuration["Attribution:BotLists"])));

    /// <summary>Everything that can be named by rules.</summary>
    /// <exception cref="OptionsValidationException">Lists have faults; all of them are told.</exception>
    public BotLists Lists => read.Value switch
    {
        BotListsAccepted accepted => accepted.Lists,
        BotListsRefused refused => throw new OptionsValidationException(nameof(AttributionOptions), typeof(AttributionOptions), refused.Faults.Select(Told)),
        var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
    };

    public ValidateOptionsResult Validate(string? name, AttributionOptions options) => read.Value switch
    {
        BotListsAccepted => ValidateOptionsResult.Success,
        BotListsRefused refused => ValidateOptionsResult.Fail(refused.Faults.Select(Told)),
        var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
    };

    internal static BotListsRead Read(string shipped, string? own)
    {
        var faults = new List<BotListFault>();
        var files = new List<BotListFile>();
        foreach (var folder in new[] { shipped, own }.Where(folder => !string.IsNullOrEmpty(folder)).Select(folder => Path.GetFullPath(folder!)).Distinct(StringComparer.Ordinal))
        {
            ReadFolder(folder, files, faults);
        }

        return (BotLists.Read(files), faults) switch
        {
            (var read, []) => read,
            (BotListsRefused refused, _) => new BotListsRefused([.. faults, .. refused.Faults]),
            _ => new BotListsRefused([.. faults]),
        };
    }

    private static void ReadFolder(string folder, List<BotListFile> files, List<BotListFault> faults)
    {
        try
        {
            foreach (var path in Directory.EnumerateFiles(folder, "*.txt").Order(StringComparer.Ordinal))
            {
                var length = new FileInfo(path).Length;
                if (length > MaxBytes)
                {
                    faults.Add(new BotListFault(path, 0, $"has {length} bytes; at most {MaxBytes}"));
                    continue;
                }

                files.Add(new BotListFile(path, Path.GetFileNameWithoutExtension(path), File.ReadAllText(path, Encoding.UTF8)));
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            faults.Add(new BotListFault(folder, 0, $"cannot be read: {fault.Message}"));
        }
    }

    private static string Told(BotListFault fault) => $"Bot list {fault}.";
}
