using System.Text.Json;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Imports;

/// <summary>
/// Every refusal of an import, a line of JSON each, on the disk until the upload has been read: a client that only listens when it
/// has sent everything would else stand against a server that only reads on when it is listened to.
/// </summary>
internal sealed class RefusalFile : IAsyncDisposable
{
    /// <summary>Faults that are kept; more of them only count. Some 100 MB.</summary>
    private const long MaxFaults = 1_000_000;

    private readonly FileStream _file = new(
        Path.Combine(Path.GetTempPath(), $"pulse-import-{Guid.NewGuid():N}"),
        new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.ReadWrite, BufferSize = 64 * 1024, Options = FileOptions.DeleteOnClose | FileOptions.Asynchronous });

    private long _faults;

    public async ValueTask AddAsync(long line, IReadOnlyList<FieldFault> faults)
    {
        foreach (var fault in faults)
        {
            if (_faults++ < MaxFaults)
            {
                await _file.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(new RejectedLine(line, fault.Field, fault.Reason), ConversionsJson.Default.RejectedLine));
                await _file.WriteAsync("\n"u8.ToArray());
            }
        }
    }

    public async Task CopyToAsync(Stream to, CancellationToken cancellationToken)
    {
        await _file.FlushAsync(cancellationToken);
        _file.Position = 0;
        await _file.CopyToAsync(to, cancellationToken);
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
