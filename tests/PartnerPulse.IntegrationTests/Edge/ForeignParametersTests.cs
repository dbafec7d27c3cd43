using System.Net;
using CsvHelper;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>Click ids and campaign parameters of advertising networks, which the merchant's own tools need untouched.</summary>
public class ForeignParametersTests
{
    private static readonly (string File, string Column)[] s_lists =
    [
        ("params/click_and_campaign_params_open.csv", "param"),
        ("params/tracking-query-params-registry.csv", "name"),
    ];

    [ForeignParametersFact]
    public async Task Every_known_parameter_arrives_byte_for_byte()
    {
        var names = s_lists.SelectMany(list => Read(Find(list.File)!, list.Column)).Distinct(StringComparer.Ordinal).ToArray();
        Assert.True(names.Length > 50, $"{names.Length} names");
        await using var edge = await EdgeHost.StartAsync([EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/")]);

        // What networks send: base64, escapes in either case, a plus, an empty value, other letters.
        var queries = names.SelectMany(name => (string[])
        [
            $"{name}=IwAR0-_~.%2b%2F%3d==", $"{name}=a+b%C3%A4&{name}=again", $"{name}=", name,
        ]).Append(string.Join('&', names.Select((name, i) => $"{name}=v{i}"))).ToArray();
        foreach (var query in queries)
        {
            using var response = await edge.FollowAsync($"/r/acme?{query}");
            Assert.Equal(HttpStatusCode.Found, response.StatusCode);
            Assert.StartsWith($"https://shop.example/?{query}&pp_click=", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
        }

        Assert.Equal(queries, (await edge.ClicksAsync()).Select(c => c.Query));
    }

    private static List<string> Read(string file, string column)
    {
        using var csv = CsvReader.FromFile(file, CsvReaderOptions.Default with { Separator = ',' });
        var names = new List<string>();
        while (csv.Read())
        {
            names.Add(csv.GetString(column).Trim());
        }

        return names;
    }

    private static string? Find(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (Path.Combine(folder.FullName, "shared", "fixtures", name) is var file && File.Exists(file))
            {
                return file;
            }
        }

        return null;
    }

    [AttributeUsage(AttributeTargets.Method)]
    private sealed class ForeignParametersFactAttribute : FactAttribute
    {
        public ForeignParametersFactAttribute()
        {
            if (s_lists.FirstOrDefault(list => Find(list.File) is null) is { File: { } missing })
            {
                Skip = $"needs shared/fixtures/{missing} beside the checkout";
            }
        }
    }
}
