namespace PartnerPulse.Attribution.Core;

/// <summary>Lists of what belongs together, by what they have in common.</summary>
public static class ListIndex
{
    /// <summary>The list under the key, which begins empty.</summary>
    public static List<TItem> Under<TKey, TItem>(this Dictionary<TKey, List<TItem>> index, TKey key)
        where TKey : notnull
    {
        if (!index.TryGetValue(key, out var items))
        {
            index.Add(key, items = []);
        }

        return items;
    }
}
