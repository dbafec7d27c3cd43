using System.Security.Cryptography;
using PartnerPulse.Hosting;

namespace PartnerPulse.Tests.Hosting;

public sealed class SecretFileTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pulse-secret-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Of_many_that_start_at_once_one_makes_it_and_nothing_else_is_left()
    {
        var file = Path.Combine(_folder.FullName, "deeper", "secret.key");
        using var start = new Barrier(8);
        var made = await Task.WhenAll(Enumerable.Range(0, start.ParticipantCount).Select(_ => Task.Factory.StartNew(
            () =>
            {
                var secret = RandomNumberGenerator.GetBytes(32);
                start.SignalAndWait();
                return (Made: SecretFile.MakeIfMissing(file, () => secret), Secret: secret);
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        Assert.Equal(Assert.Single(made, m => m.Made).Secret, await File.ReadAllBytesAsync(file));
        Assert.Equal([file], Directory.EnumerateFiles(Path.GetDirectoryName(file)!));
    }

    [Fact]
    public void What_is_there_stays_and_nothing_is_made()
    {
        var file = Path.Combine(_folder.FullName, "secret.key");
        File.WriteAllBytes(file, [1, 2, 3]);

        Assert.False(SecretFile.MakeIfMissing(file, () => throw new InvalidOperationException("It is there.")));
        Assert.Equal([1, 2, 3], File.ReadAllBytes(file));
    }

    [Fact]
    public void Only_its_owner_reads_it()
    {
        var file = Path.Combine(_folder.FullName, "secret.key");

        Assert.True(SecretFile.MakeIfMissing(file, () => [1]));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
    }
}
