using System.Collections.Concurrent;
using LoopDaemon.Control;
using LoopDaemon.Devices;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon;

/// <summary>Hands what happens to the devices to those who listen. A listener that is too slow loses events, and is told how
/// many; it never holds up a device.</summary>
internal sealed class EventFeed
{
    private const int WaitingEvents = 1024;

    private readonly DeviceDirectory _directory;
    private readonly ConcurrentDictionary<Listener, Listener> _listeners = new();

    public EventFeed(DeviceTable table, DeviceDirectory directory)
    {
        _directory = directory;
        table.Changed += OnChanged;
        table.Failed += OnFailed;
    }

    /// <summary>How many listen.</summary>
    internal int Listeners => _listeners.Count;

    /// <summary>Events from now on, the first being <see cref="EventKind.Ready"/>; the next one blocks until there is one.</summary>
    /// <param name="mayHear">Whether the listener may hear of what that binding is or was.</param>
    /// <param name="ended">Ends the events.</param>
    internal IEnumerable<DeviceEvent> Listen(Func<Binding, bool> mayHear, CancellationToken ended)
    {
        using var listener = new Listener(mayHear);
        _listeners[listener] = listener;
        try
        {
            yield return new DeviceEvent { Kind = EventKind.Ready, Time = Now() };
            while (listener.Take(ended) is { } next)
                yield return next;
        }
        finally
        {
            _listeners.TryRemove(listener, out _);
        }
    }

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static EventKind Kind(DeviceChange change) => change switch
    {
        DeviceChange.Added => EventKind.Added,
        DeviceChange.Removed => EventKind.Removed,
        DeviceChange.Bound => EventKind.Bound,
        DeviceChange.Cleared or DeviceChange.ClearedAtLastClose => EventKind.Cleared,
        DeviceChange.Resized => EventKind.Resized,
        DeviceChange.Scanned => EventKind.Scanned,
        _ => EventKind.Changed,
    };

    private void OnChanged(DeviceChanged changed)
    {
        if (_listeners.IsEmpty)
            return;
        bool isGone = changed.Change is DeviceChange.Cleared or DeviceChange.ClearedAtLastClose;
        Publish(changed.Binding, new DeviceEvent
        {
            Kind = Kind(changed.Change),
            Time = Now(),
            Device = changed.Device.Number,
            Path = _directory.PathOf(changed.Device),
            BackingFile = changed.Binding?.Status.BackingPath,
            Size = isGone ? null : changed.Binding?.Store.Length,
            Partitions = changed.Change == DeviceChange.Scanned ? changed.Binding?.Partitions.Count : null,
        });
    }

    private void OnFailed(DeviceFailure failure)
    {
        if (_listeners.IsEmpty || failure.Device.Binding is not { } binding)
            return;
        Publish(binding, new DeviceEvent
        {
            Kind = EventKind.Failed,
            Time = Now(),
            Device = failure.Device.Number,
            Path = _directory.PathOf(failure.Device),
            BackingFile = binding.Status.BackingPath,
            Operation = failure.Operation,
            Offset = failure.Offset,
            Length = failure.Length,
            Errno = failure.Error.Name(),
        });
    }

    private void Publish(Binding? about, DeviceEvent happened)
    {
        foreach (Listener listener in _listeners.Values)
            listener.Offer(about, happened);
    }

    private sealed class Listener(Func<Binding, bool> mayHear) : IDisposable
    {
        private readonly BlockingCollection<DeviceEvent> _waiting = new(WaitingEvents);
        private long _lost;

        internal void Offer(Binding? about, DeviceEvent happened)
        {
            if (about is not null && !mayHear(about))
                return;
            try
            {
                if (!_waiting.TryAdd(happened))
                    Interlocked.Increment(ref _lost);
            }
            catch (ObjectDisposedException)
            {
                // It stopped listening this moment.
            }
        }

        /// <summary>The next event, or null at the end. What was lost is told as soon as none is waiting.</summary>
        internal DeviceEvent? Take(CancellationToken ended)
        {
            if (_waiting.Count == 0 && Interlocked.Exchange(ref _lost, 0) is var lost and > 0)
                return new DeviceEvent { Kind = EventKind.Lost, Time = Now(), Count = lost };
            try
            {
                return _waiting.Take(ended);
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }

        public void Dispose() => _waiting.Dispose();
    }
}
