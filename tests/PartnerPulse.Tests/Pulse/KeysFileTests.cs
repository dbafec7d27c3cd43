using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Tests.Edge;

namespace PartnerPulse.Tests.Pulse;

/// <summary>The file of keys as <c>./pulse keys</c> changes it, and as a service that runs sees it.</summary>
public sealed class KeysFileTests : IDisposable
{
    private static readonly TimeSpan s_day = TimeSpan.FromHours(24);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pulse-keys-");
    private readonly ManualTime _time = new();
    private readonly KeysFile _file;

    public KeysFileTests() => _file = new KeysFile(Path.Combine(_folder.FullName, "keys.json"), _time);

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_key_is_made_rotated_and_revoked_and_a_service_follows_at_its_next_request()
    {
        var first = await CreateAsync("shop", [Scope.WriteConversions]);
        var service = Service();
        Assert.Equal("shop", service.Find(first)!.Name);
        Assert.Null(service.Find(ApiKey.Hash(first)));

        var (key, second) = await _file.RotateAsync("shop", s_day, expires: null, CancellationToken.None);
        Assert.Equal([Scope.WriteConversions], key.Scopes);
        Assert.Equal(_time.GetUtcNow(), key.RotatedAt);
        Assert.Equal("shop", service.Find(first)!.Name);
        Assert.Equal("shop", service.Find(second)!.Name);

        // Twice within the grace: who has not changed yet is not cut off.
        _time.Wall += TimeSpan.FromHours(23);
        var (_, third) = await _file.RotateAsync("shop", s_day, expires: null, CancellationToken.None);
        Assert.All([first, second, third], secret => Assert.NotNull(service.Find(secret)));
        _time.Wall += TimeSpan.FromHours(1);
        Assert.Equal([null, "shop", "shop"], new[] { first, second, third }.Select(secret => service.Find(secret)?.Name));

        await _file.RevokeAsync("shop", CancellationToken.None);
        Assert.All([first, second, third], secret => Assert.Null(service.Find(secret)));
        Assert.NotNull(Assert.Single(_file.Read()).RevokedAt);
    }

    [Fact]
    public async Task Without_grace_the_old_one_is_nobodys_and_an_expired_one_is_rotated_only_with_another_end()
    {
        var ends = _time.GetUtcNow() + s_day;
        var first = await _file.CreateAsync("books", [Scope.Read], "main", "the books", ends, CancellationToken.None);
        var service = Service();
        var (_, second) = await _file.RotateAsync("books", TimeSpan.Zero, expires: null, CancellationToken.None);
        Assert.Null(service.Find(first));
        Assert.NotNull(service.Find(second));

        _time.Wall += s_day;
        Assert.Null(service.Find(second));
        var refused = await Assert.ThrowsAsync<ProvisioningException>(() => _file.RotateAsync("books", s_day, expires: null, CancellationToken.None));
        Assert.StartsWith("--expires: 'books' expired", refused.Message, StringComparison.Ordinal);
        var (_, third) = await _file.RotateAsync("books", s_day, _time.GetUtcNow() + s_day, CancellationToken.None);
        Assert.NotNull(service.Find(third));
    }

    [Fact]
    public async Task The_file_holds_no_secret_and_only_its_owner_reads_it()
    {
        var secret = await CreateAsync("shop", [Scope.Read]);
        var (_, next) = await _file.RotateAsync("shop", s_day, expires: null, CancellationToken.None);

        var text = await File.ReadAllTextAsync(_file.Path);
        Assert.DoesNotContain(secret, text, StringComparison.Ordinal);
        Assert.DoesNotContain(next, text, StringComparison.Ordinal);
        Assert.Contains(ApiKey.Hash(next), text, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_file.Path));
    }

    [Fact]
    public async Task A_name_is_one_keys_for_good()
    {
        await CreateAsync("shop", [Scope.Read]);
        Assert.StartsWith("name: 'shop' is taken; ", (await RefusedAsync(() => CreateAsync("shop", [Scope.Read]))).Message, StringComparison.Ordinal);
        await _file.RevokeAsync("shop", CancellationToken.None);
        Assert.Contains("was revoked", (await RefusedAsync(() => CreateAsync("shop", [Scope.Read]))).Message, StringComparison.Ordinal);
        Assert.Contains("was revoked", (await RefusedAsync(() => _file.RotateAsync("shop", s_day, expires: null, CancellationToken.None))).Message, StringComparison.Ordinal);
        Assert.StartsWith("name: there is no key 'none'", (await RefusedAsync(() => _file.RevokeAsync("none", CancellationToken.None))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_changes_at_once_none_is_lost()
    {
        await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => new KeysFile(_file.Path, _time).CreateAsync($"key-{i}", [Scope.Read], "main", purpose: null, expires: null, CancellationToken.None))));

        Assert.Equal(16, _file.Read().Count);
        Assert.Equal(["keys.json", "keys.json.lock"], _folder.GetFiles().Select(file => file.Name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("""[{"name":"a","sha256":"no","scopes":["read"],"program":"main"}]""", "entry 0 (a) has no sha256")]
    [InlineData("""[{"name":"a","sha256":"$","scopes":["reed"],"program":"main"}]""", "unknown scope 'reed'")]
    [InlineData("""[{"name":"a","sha256":"$","scopes":["read"]}]""", "has no program")]
    [InlineData("""[{"name":"a","sha256":"$","scopes":["read"],"program":"main"},{"name":"b","sha256":"$","scopes":["read"],"program":"main"}]""", "entry 1 (b) has the sha256 of another entry")]
    [InlineData("""[{"name":"a","sha256":"$","scopes":["read"],"program":"main","expireAt":"2026-01-01T00:00:00Z"}]""", "expireAt")]
    [InlineData("[null]", "entry 0 (-) is null")]
    [InlineData("{", "Keys file")]
    public async Task A_file_that_is_none_is_refused_with_its_entry_and_one_that_becomes_none_leaves_the_keys_in_force(string text, string reason)
    {
        var secret = await CreateAsync("shop", [Scope.Read]);
        var service = Service();
        await File.WriteAllTextAsync(_file.Path, text.Replace("$", new string('a', 64), StringComparison.Ordinal));

        Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => ApiKeys.Read(_file.Path)).Message, StringComparison.Ordinal);
        Assert.NotNull(service.Find(secret));
        Assert.Contains(reason, (await RefusedAsync(() => CreateAsync("other", [Scope.Read]))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_run_needs_is_made_beside_what_people_made_and_keeps_its_rotation()
    {
        var data = DataFolder.Open(Path.Combine(_folder.FullName, "data"));
        var file = new KeysFile(data.File("keys.json"), TimeProvider.System);
        // A folder of before: one key for both services, with which everything could be read.
        var old = data.Secret("edge.key", KeysFile.NewSecret);
        await File.WriteAllTextAsync(file.Path, $$"""[{"name":"edge","sha256":"{{ApiKey.Hash(old)}}","scopes":["read"],"program":"main"}]""");

        var admin = await RunKeys.ProvideAsync(data, CancellationToken.None);
        await file.CreateAsync("shop", [Scope.Read], "main", purpose: null, expires: null, CancellationToken.None);
        var (_, rotated) = await file.RotateAsync("edge", s_day, expires: null, CancellationToken.None);
        RunKeys.Keep(data, "edge", rotated);
        Assert.Equal(admin, await RunKeys.ProvideAsync(data, CancellationToken.None));

        var keys = file.Read().ToDictionary(key => key.Name, StringComparer.Ordinal);
        Assert.Equal(["admin", "conversions", "edge", "shop"], keys.Keys.Order(StringComparer.Ordinal));
        Assert.Equal([Scope.ReadCatalogue], keys["edge"].Scopes);
        Assert.Equal([Scope.ReadMatches], keys["conversions"].Scopes);
        Assert.Equal(ApiKey.Hash(old), Assert.Single(keys["edge"].Previous!).Sha256);
        Assert.Equal(rotated, await File.ReadAllTextAsync(RunKeys.EdgeFile(data)));

        // Revoked with its secret: the next start makes another, and the one that leaked stays nobody's.
        await file.RevokeAsync("admin", CancellationToken.None);
        RunKeys.Forget(data, "admin");
        Assert.NotEqual(admin, await RunKeys.ProvideAsync(data, CancellationToken.None));
        Assert.Null(new ApiKeys(file.Path, TimeProvider.System, NullLogger<ApiKeys>.Instance).Find(admin));
    }

    private Task<string> CreateAsync(string name, IReadOnlyList<string> scopes) =>
        _file.CreateAsync(name, scopes, "main", purpose: null, expires: null, CancellationToken.None);

    private static async Task<ProvisioningException> RefusedAsync<T>(Func<Task<T>> change) => await Assert.ThrowsAsync<ProvisioningException>(change);

    private ApiKeys Service() => new(_file.Path, _time, NullLogger<ApiKeys>.Instance);
}
