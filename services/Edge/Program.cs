using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;

// Configuration is read once: a watched content root would watch the spool in it, at each commit.
var builder = WebApplication.CreateBuilder(["--hostBuilder:reloadConfigOnChange=false", .. args]);
builder.AddPartnerPulse();
builder.AddEdge();
builder.AddBus();

var app = builder.Build();
app.UsePartnerPulse();
app.MapEdge();
app.Run();
