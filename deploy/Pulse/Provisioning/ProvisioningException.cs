namespace PartnerPulse.Pulse.Provisioning;

/// <summary>A server cannot be had; the message says why and what to do, for the person at the terminal.</summary>
internal sealed class ProvisioningException(string message, Exception? inner = null) : Exception(message, inner);
