namespace PartnerPulse.Attribution.Core;

/// <summary>The version of everything in here that can change a credit.</summary>
public static class Engine
{
    /// <summary>Raised whenever any credit of any history could come out differently; a replay is then due.</summary>
    public const string Version = "4";
}
