using PartnerPulse.Conversions;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;

var builder = WebApplication.CreateBuilder(args);
builder.AddPartnerPulse();
builder.AddPostgres();
builder.AddConversions();
builder.AddBus();

var app = builder.Build();
app.UsePartnerPulse();
app.MapConversions();
app.Run();
