using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Threading.Channels;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;

namespace PartnerPulse.Conversions.Orders;

/// <summary>
/// One writer for all requests: whatever waits goes into one append, so a commit is shared by everyone who came while the one
/// before was on its way to disk. A request is answered after the commit that holds its orders.
/// </summary>
internal sealed class ConversionWriter(ConversionLog log) : BackgroundService
{
    /// <summary>Requests that may wait; the next ones wait for room before they are read further.</summary>
    private const int MaxWaiting = 2_000;

    /// <summary>Orders in one append.</summary>
    private const int MaxOrders = 5_000;

    private static readonly Histogram<int> s_group =
        Diagnostics.Meter.CreateHistogram<int>("pulse.conversions.group", "{order}", "Orders in one append");

    private static readonly Counter<long> s_full =
        Diagnostics.Meter.CreateCounter<long>("pulse.conversions.full", "{request}", "Requests that found the queue of the writer full");

    private readonly Channel<Waiting> _waiting = Channel.CreateBounded<Waiting>(
        new BoundedChannelOptions(MaxWaiting) { SingleReader = true });

    /// <summary>Records what is not recorded yet and tells for each order what became of it.</summary>
    public async Task<IReadOnlyList<RecordConversion.Outcome>> RecordAsync(
        IReadOnlyList<RecordConversion.Asked> orders, CancellationToken cancellationToken)
    {
        if (orders.Count == 0)
        {
            return [];
        }

        var waiting = new Waiting(orders);
        if (!_waiting.Writer.TryWrite(waiting))
        {
            s_full.Add(1);
            await _waiting.Writer.WriteAsync(waiting, cancellationToken);
        }

        return await waiting.Done.Task.WaitAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var group = new List<Waiting>();
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                group.Clear();
                var orders = 0;
                while (orders < MaxOrders && _waiting.Reader.TryRead(out var waiting))
                {
                    group.Add(waiting);
                    orders += waiting.Orders.Count;
                }

                s_group.Record(orders);
                await WriteAsync(group, stoppingToken);
            }
        }
        finally
        {
            _waiting.Writer.Complete();
            while (_waiting.Reader.TryRead(out var waiting))
            {
                waiting.Done.TrySetCanceled(stoppingToken);
            }
        }
    }

    private async Task WriteAsync(List<Waiting> group, CancellationToken cancellationToken)
    {
        try
        {
            var asked = group.SelectMany(waiting => waiting.Orders).ToArray();
            using var spans = Spans.Begin("record", ActivityKind.Internal, group.Select(waiting => waiting.TraceParent));
            var added = await log.AppendNewAsync(
                group.SelectMany(waiting => waiting.Orders.Select(order => (order.Order, spans.Next(waiting.TraceParent)))), cancellationToken);
            spans.Completed();
            var known = asked.Where(order => !added.Contains(order.Order.ConversionId)).Select(order => order.Order.ConversionId).ToHashSet();
            var recorded = known.Count == 0 ? new Dictionary<Guid, ConversionRecorded>() : await log.FindAsync(known, cancellationToken);
            var outcomes = RecordConversion.DecideAll(recorded, asked);
            var at = 0;
            foreach (var waiting in group)
            {
                waiting.Done.TrySetResult(outcomes[at..(at + waiting.Orders.Count)]);
                at += waiting.Orders.Count;
            }
        }
#pragma warning disable CA1031 // Handed to the requests that wait for it; the writer itself goes on with the next group.
        catch (Exception e)
#pragma warning restore CA1031
        {
            foreach (var waiting in group)
            {
                waiting.Done.TrySetException(e);
            }
        }
    }

    private sealed record Waiting(IReadOnlyList<RecordConversion.Asked> Orders)
    {
        /// <summary>The trace of who waits, where it is sampled.</summary>
        public string? TraceParent { get; } = TraceContexts.Current;

        public TaskCompletionSource<IReadOnlyList<RecordConversion.Outcome>> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
