using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace PartnerPulse.Hosting;

/// <summary>Figures that have to be asked for, of a database or a broker: they are asked for now and then, while somebody measures.</summary>
public interface IFigures
{
    /// <summary>Whether anybody measures one of them.</summary>
    bool AreWanted { get; }

    /// <summary>Records them.</summary>
    Task RecordAsync(CancellationToken cancellationToken);
}

/// <summary>Asks all of a host for their figures, one after the other.</summary>
internal sealed class FiguresService(IEnumerable<IFigures> all, TimeProvider time, ILogger<FiguresService> logger) : BackgroundService
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            foreach (var figures in all.Where(figures => figures.AreWanted))
            {
                try
                {
                    await figures.RecordAsync(stoppingToken);
                }
                catch (Exception fault) when (!stoppingToken.IsCancellationRequested)
                {
                    // The last ones stand; what is away is told by whoever needs it.
                    logger.FiguresMissing(fault);
                }
            }

            await Task.Delay(s_pause, time, stoppingToken);
        }
    }
}

public static class FiguresExtensions
{
    /// <summary>Adds figures of a service.</summary>
    public static void AddFigures<T>(this IServiceCollection services) where T : class, IFigures => services.AddSingleton<IFigures, T>();
}
