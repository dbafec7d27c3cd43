using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;

var builder = WebApplication.CreateBuilder(args);
builder.AddPartnerPulse();
builder.AddEdge();
builder.AddBus();

var app = builder.Build();
app.UsePartnerPulse();
app.MapEdge();
app.Run();
