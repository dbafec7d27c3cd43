using PartnerPulse.Attribution;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;

var builder = WebApplication.CreateBuilder(args);
builder.AddPartnerPulse();
builder.AddAttribution();
builder.AddBus();

var app = builder.Build();
app.UsePartnerPulse();
app.MapAttribution();
app.Run();
