using PartnerPulse.Pulse.Commands;

return await PulseCommand.RunAsync(args);
