namespace PartnerPulse.Contracts;

/// <summary>Orders by which a tracking set-up is examined. They are test orders, and nobody outside is told of them.</summary>
public static class TestTraffic
{
    /// <summary>The source that <c>./pulse doctor</c> reports its test orders as.</summary>
    public const string DoctorSource = "doctor";

    /// <summary>Whether a conversion is the doctor's. A real order of a shop that happens to be called so is not.</summary>
    public static bool IsDoctors(ConversionRecorded? conversion) => conversion is { Test: true, Source: DoctorSource };
}
