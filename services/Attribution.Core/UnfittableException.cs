namespace PartnerPulse.Attribution.Core;

/// <summary>A model cannot be fitted to these journeys, now or later; the message says why and what helps.</summary>
public sealed class UnfittableException : Exception
{
    public UnfittableException()
    {
    }

    public UnfittableException(string message)
        : base(message)
    {
    }

    public UnfittableException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
