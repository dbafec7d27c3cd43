using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>
/// The file of keys that running services read (<c>Keys__File</c>), and its changes: one at a time, each in one step. It holds hashes
/// alone; who makes a key is told it once.
/// </summary>
/// <param name="path">Where it lies. It need not exist yet.</param>
/// <param name="time">The clock.</param>
internal sealed class KeysFile(string path, TimeProvider time)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public string Path => path;

    /// <summary>A key that nobody has had.</summary>
    public static string NewSecret() => "pulse_" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <exception cref="ProvisioningException">It is no file of keys; the message names the entry.</exception>
    public IReadOnlyList<ApiKey> Read()
    {
        try
        {
            return File.Exists(path) ? ApiKeys.Read(path) : [];
        }
        catch (Exception fault) when (fault is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw new ProvisioningException(fault.Message, fault);
        }
    }

    /// <summary>Adds a key.</summary>
    /// <returns>The secret, which is kept nowhere.</returns>
    /// <exception cref="ProvisioningException">The name is taken.</exception>
    public Task<string> CreateAsync(string name, IReadOnlyList<string> scopes, string program, string? purpose, DateTimeOffset? expires, CancellationToken cancellation) =>
        ChangeAsync<string>(
            keys =>
            {
                if (keys.FirstOrDefault(key => key.Name == name) is { } taken)
                {
                    throw new ProvisioningException(
                        $"name: '{name}' is taken{(taken.RevokedAt is null ? "; ./pulse keys rotate exchanges it" : " by a key that was revoked; histories name it, so choose another")}.");
                }

                var secret = NewSecret();
                var key = new ApiKey(name, ApiKey.Hash(secret), scopes, program) { Purpose = purpose, CreatedAt = time.GetUtcNow(), ExpiresAt = expires };
                return ([.. keys, key], secret);
            },
            cancellation);

    /// <summary>Exchanges a key for another of its name; the old one stays valid for the grace.</summary>
    /// <returns>The key as it is now, and its new secret.</returns>
    /// <exception cref="ProvisioningException">There is no such key, or it is not valid any more.</exception>
    public Task<(ApiKey Key, string Secret)> RotateAsync(string name, TimeSpan grace, DateTimeOffset? expires, CancellationToken cancellation) =>
        ChangeAsync<(ApiKey Key, string Secret)>(
            keys =>
            {
                var (old, now, secret) = (One(keys, name), time.GetUtcNow(), NewSecret());
                if (old.ExpiresAt <= now && expires is null)
                {
                    throw new ProvisioningException($"--expires: '{name}' expired at {old.ExpiresAt:u}; say when the new one does.");
                }

                // One that is older still ends when it was to end, and no later than what it was exchanged for.
                var until = now + grace;
                var previous = (old.Previous ?? []).Append(new PreviousKey(old.Sha256, until))
                    .Select(known => known.Until > until ? known with { Until = until } : known).Where(known => known.Until > now).ToArray();
                var key = old with
                {
                    Sha256 = ApiKey.Hash(secret), RotatedAt = now, ExpiresAt = expires ?? old.ExpiresAt, Previous = previous.Length == 0 ? null : previous,
                };
                return ([.. keys.Select(known => known == old ? key : known)], (key, secret));
            },
            cancellation);

    /// <summary>Takes a key back, and what it was before it was rotated, at once.</summary>
    /// <exception cref="ProvisioningException">There is no such key, or it was revoked before.</exception>
    public Task<ApiKey> RevokeAsync(string name, CancellationToken cancellation) =>
        ChangeAsync<ApiKey>(
            keys =>
            {
                var old = One(keys, name);
                var key = old with { RevokedAt = time.GetUtcNow(), Previous = null };
                return ([.. keys.Select(known => known == old ? key : known)], key);
            },
            cancellation);

    /// <summary>
    /// Makes the keys that a run needs valid with the secrets that it keeps, and leaves all others as they are. One whose secret is
    /// known already keeps its history.
    /// </summary>
    public Task ProvideAsync(IReadOnlyList<(ApiKey Key, string Secret)> needed, CancellationToken cancellation) =>
        ChangeAsync<bool>(
            keys =>
            {
                var now = time.GetUtcNow();
                var provided = needed.Select(need =>
                {
                    var hash = ApiKey.Hash(need.Secret);
                    return keys.FirstOrDefault(known => known.Name == need.Key.Name && known.Sha256 == hash && known.RevokedAt is null) is { } known
                        ? known with { Scopes = need.Key.Scopes, Program = need.Key.Program, Purpose = need.Key.Purpose, ExpiresAt = null }
                        : need.Key with { Sha256 = hash, CreatedAt = now };
                });
                return ([.. provided, .. keys.Where(known => needed.All(need => need.Key.Name != known.Name && ApiKey.Hash(need.Secret) != known.Sha256))], true);
            },
            cancellation);

    private ApiKey One(IReadOnlyList<ApiKey> keys, string name) => keys.Where(key => key.Name == name).ToArray() switch
    {
        [] => throw new ProvisioningException($"name: there is no key '{name}' in {path}; ./pulse keys list shows them."),
        [{ RevokedAt: { } since }] => throw new ProvisioningException($"name: '{name}' was revoked at {since:u}."),
        [var one] => one,
        var several => throw new ProvisioningException($"name: {several.Length} keys in {path} are called '{name}'; remove the others there."),
    };

    private async Task<T> ChangeAsync<T>(Func<IReadOnlyList<ApiKey>, (IReadOnlyList<ApiKey> Keys, T Result)> change, CancellationToken cancellation)
    {
        using var held = await HoldAsync(cancellation);
        var (keys, result) = change(Read());
        await WriteAsync(keys, cancellation);
        return result;
    }

    private async Task<FileStream> HoldAsync(CancellationToken cancellation)
    {
        for (var waited = TimeSpan.Zero; ; waited += TimeSpan.FromMilliseconds(50))
        {
            try
            {
                return new FileStream(path + ".lock", new FileStreamOptions
                {
                    Mode = FileMode.OpenOrCreate, Access = FileAccess.ReadWrite, Share = FileShare.None, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
                });
            }
            catch (Exception fault) when (fault is UnauthorizedAccessException or DirectoryNotFoundException || (fault is IOException && waited > s_patience))
            {
                throw new ProvisioningException($"The keys in {path} cannot be changed: {fault.Message}", fault);
            }
            catch (IOException)
            {
                await Task.Delay(50, cancellation);
            }
        }
    }

    /// <summary>In one step, with the owner and the rights that the file had: a service that cannot read it goes on with the old keys.</summary>
    private async Task WriteAsync(IReadOnlyList<ApiKey> keys, CancellationToken cancellation)
    {
        var next = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            File.Delete(next);
            var exists = File.Exists(path);
            await using (var stream = new FileStream(next, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = exists ? File.GetUnixFileMode(path) : UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
            {
                await stream.WriteAsync(Encoding.UTF8.GetBytes(ApiKeys.Write(keys)), cancellation);
                stream.Flush(flushToDisk: true);
            }

            if (exists && Environment.IsPrivilegedProcess && await Shell.RunAsync("chown", [$"--reference={path}", next], cancellation) is { Succeeded: false } failed)
            {
                throw new ProvisioningException($"{next} cannot be given to the owner of {path}: {failed.Output}");
            }

            File.Move(next, path, overwrite: true);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new ProvisioningException($"The keys in {path} cannot be changed: {fault.Message}", fault);
        }
        finally
        {
            File.Delete(next);
        }
    }
}
