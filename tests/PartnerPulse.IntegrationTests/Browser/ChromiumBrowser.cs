using Microsoft.Playwright;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.IntegrationTests.Browser;

/// <summary>One Chromium for the tests that share it, started when the first one asks; each test has a profile of its own.</summary>
public sealed class ChromiumBrowser : IAsyncLifetime
{
    private readonly Lazy<Task<(IPlaywright Driver, IBrowser Browser)>> _running = new(async () =>
    {
        var driver = await Playwright.CreateAsync();
        return (driver, await driver.Chromium.LaunchAsync(new() { ExecutablePath = Chromium.Find() }));
    });

    /// <summary>A visitor whose browser knows nothing yet.</summary>
    public async Task<IBrowserContext> NewVisitorAsync() => await (await _running.Value).Browser.NewContextAsync();

    /// <summary>A visitor whose browser blocks all cookies, and with them every storage of a page.</summary>
    public async Task<IBrowserContext> NewVisitorWithoutCookiesAsync(string profile)
    {
        var preferences = Path.Combine(profile, "Default");
        Directory.CreateDirectory(preferences);
        await File.WriteAllTextAsync(Path.Combine(preferences, "Preferences"), """{"profile":{"default_content_setting_values":{"cookies":2}}}""");
        return await (await _running.Value).Driver.Chromium.LaunchPersistentContextAsync(profile, new() { ExecutablePath = Chromium.Find() });
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_running is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
        {
            var (driver, browser) = await _running.Value;
            await browser.DisposeAsync();
            driver.Dispose();
        }
    }
}

internal static class Pages
{
    /// <summary>
    /// Waits until the tab has arrived at a page and its scripts have run. WaitForURLAsync would do, but that it may miss the load of a
    /// page that comes quickly.
    /// </summary>
    public static async Task ArriveAsync(this IPage page, Func<string, bool> isThere)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!isThere(page.Url))
        {
            await Task.Delay(20, patience.Token);
        }

        await page.EvaluateAsync("() => new Promise(loaded => document.readyState == 'complete' ? loaded() : addEventListener('load', () => loaded()))");
    }
}
