using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>What the limits say to one more click.</summary>
/// <param name="Burst">It is taken and marked: more came from its network than <see cref="LimitOptions.MarkAbove"/>.</param>
/// <param name="RetryAfterSeconds">It is refused where this is not 0: the network may come again after so many seconds.</param>
internal readonly record struct Allowance(bool Burst, int RetryAfterSeconds)
{
    public bool Refused => RetryAfterSeconds > 0;

    /// <summary>The request's signals, with the burst where there is one.</summary>
    public ClickSignals? Mark(ClickSignals? signals) => Burst ? (signals ?? new ClickSignals()) with { Burst = true } : signals;
}

/// <summary>
/// Clicks of each network within the last ten seconds. Beyond one limit they are marked, beyond a second they are refused, and
/// a refused one does not count: a flood from one network takes no more than the second limit from its neighbours in it.
/// </summary>
/// <remarks>
/// The window slides in steps of half a second, so it is 9.5 to 10 seconds long. Memory is bounded by construction: a table of
/// sets with four places each, a place a cache line. Where all four are in use the least busy network makes room, so that a
/// flood from countless networks cannot wash out the count of a busy one. Time is the monotonic clock, which nobody can set.
/// <para>
/// The framework's PartitionedRateLimiter keeps an object for every address that it sees, for as long as an attacker likes,
/// and knows one limit, not two.
/// </para>
/// </remarks>
internal sealed class RateLimits
{
    private const int StepsPerSecond = 2;
    private const int Steps = 10 * StepsPerSecond;
    private const int Ways = 4;
    private const int SetBits = 14;
    private const int Stripes = 256;

    private readonly Entry[] _entries = new Entry[Ways << SetBits];

    // A lock is held for some ten nanoseconds, and a network contends with a 256th of the others.
    private readonly Lock[] _stripes = [.. Enumerable.Range(0, Stripes).Select(_ => new Lock())];

    // Unknown outside, so that nobody can aim at one set.
    private readonly ulong _seed = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)) | 1;
    private readonly TimeProvider _time;
    private readonly ILogger<RateLimits> _logger;
    private readonly long _ticksPerStep;
    private readonly int _markAbove;
    private readonly int _refuseAbove;
    private readonly bool _private;
    private int _warned;

    public RateLimits(IOptions<EdgeOptions> options, TimeProvider time, ILogger<RateLimits> logger)
        : this(options.Value.Limits, time, logger)
    {
    }

    internal RateLimits(LimitOptions options, TimeProvider time, ILogger<RateLimits> logger)
    {
        (_time, _logger) = (time, logger);
        _ticksPerStep = time.TimestampFrequency / StepsPerSecond;
        _markAbove = options.MarkAbove == 0 ? int.MaxValue : options.MarkAbove;
        _refuseAbove = options.RefuseAbove == 0 ? int.MaxValue : options.RefuseAbove;
        _private = options.Private;
    }

    /// <summary>Counts a click that is about to be recorded, unless it has to be refused.</summary>
    /// <param name="whence">Its network; what comes without an address is not limited.</param>
    public Allowance Take(ClientNetwork? whence)
    {
        if ((_markAbove & _refuseAbove) == int.MaxValue || whence is not { } network)
        {
            return default;
        }

        var allowance = Count(network);
        if (allowance is { Burst: false, Refused: false })
        {
            return default;
        }

        if (!_private && !network.IsPublic)
        {
            // No visitor comes from there. To refuse a proxy that nobody listed would be to refuse everyone.
            if (allowance.Refused && Interlocked.Exchange(ref _warned, 1) == 0)
            {
                _logger.ProxyNotListed(_refuseAbove);
            }

            return default;
        }

        (allowance.Refused ? Metrics.Refused : Metrics.Burst).Add(1);
        return allowance;
    }

    /// <summary>Answers 429 in plain words.</summary>
    public static Task RefuseAsync(HttpResponse response, Allowance allowance)
    {
        var seconds = allowance.RetryAfterSeconds.ToString();
        response.Headers.RetryAfter = seconds;
        return response.SayAsync(StatusCodes.Status429TooManyRequests, $"Too many clicks came from your network. Try again in {seconds} seconds.\n");
    }

    private Allowance Count(ClientNetwork network)
    {
        var set = (int)((network.Bits * _seed) >> (64 - SetBits));
        var step = _time.GetTimestamp() / _ticksPerStep;
        lock (_stripes[set % Stripes])
        {
            ref var entry = ref Find(network.Bits, set * Ways, step);
            if (entry.Sum >= _refuseAbove)
            {
                return new Allowance(Burst: false, entry.SecondsUntilBelow(_refuseAbove));
            }

            entry.Add();
            return new Allowance(entry.Sum > _markAbove, 0);
        }
    }

    private ref Entry Find(ulong network, int first, long step)
    {
        var least = first;
        for (var i = first; i < first + Ways; i++)
        {
            ref var entry = ref _entries[i];
            entry.Advance(step);
            if (entry.Network == network)
            {
                return ref entry;
            }

            if (entry.Sum < _entries[least].Sum)
            {
                least = i;
            }
        }

        ref var place = ref _entries[least];
        if (place.Sum > 0)
        {
            Metrics.NetworksForgotten.Add(1);
        }

        place = new Entry { Network = network, Step = step };
        return ref place;
    }

    [InlineArray(Steps)]
    private struct Counts
    {
        private ushort _first;
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Entry
    {
        public ulong Network;
        public long Step;
        public int Sum;
        private Counts _counts;

        public void Advance(long step)
        {
            // Another thread may have read its clock a moment before and come a moment later.
            var passed = step - Step;
            if (passed <= 0)
            {
                return;
            }

            if (passed >= Steps)
            {
                Sum = 0;
                _counts = default;
            }
            else
            {
                for (var i = 1; i <= passed; i++)
                {
                    ref var oldest = ref _counts[(int)((Step + i) % Steps)];
                    Sum -= oldest;
                    oldest = 0;
                }
            }

            Step = step;
        }

        public void Add()
        {
            ref var now = ref _counts[(int)(Step % Steps)];
            if (now < ushort.MaxValue)
            {
                now++;
                Sum++;
            }
        }

        public readonly int SecondsUntilBelow(int limit)
        {
            var left = Sum;
            var steps = 0;
            while (steps < Steps && left >= limit)
            {
                steps++;
                left -= _counts[(int)((Step + steps) % Steps)];
            }

            return (steps + StepsPerSecond - 1) / StepsPerSecond;
        }
    }
}
