using PartnerPulse.Hosting;
using PartnerPulse.Outbound;

// No bus: what is told outside is read from Attribution's log.
var builder = WebApplication.CreateBuilder(args);
builder.AddPartnerPulse();
builder.AddOutbound();

var app = builder.Build();
app.UsePartnerPulse();
app.MapOutbound();
app.Run();
