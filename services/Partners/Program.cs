using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Partners;

var builder = WebApplication.CreateBuilder(args);
builder.AddPartnerPulse();
builder.AddPostgres();
builder.AddPartners();
builder.AddBus();

var app = builder.Build();
app.UsePartnerPulse();
app.MapPartners();
app.Run();
