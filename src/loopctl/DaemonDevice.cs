using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>A device that the user named, at the daemon that has it.</summary>
internal sealed class DaemonDevice
{
    private readonly ControlClient _client;
    private readonly DeviceName _name;

    /// <exception cref="CommandException">It is a device of another daemon.</exception>
    internal DaemonDevice(ControlClient client, DaemonStatus daemon, DeviceName name)
    {
        (_client, _name) = (client, name);
        Path = name.PathAt(daemon);
    }

    internal int Number => _name.Number;

    /// <summary>The full path of its file, by which it is called in all that is printed.</summary>
    internal string Path { get; }

    /// <summary>What it is bound to, or null where it is not bound.</summary>
    /// <exception cref="CommandException">There is no such device, or it is another user's.</exception>
    internal DeviceStatus? FindStatus()
    {
        try
        {
            return _client.GetStatus(Number);
        }
        catch (ControlException refused) when (refused.Error == ControlError.NotBound)
        {
            return null;
        }
        catch (ControlException refused)
        {
            throw Failed(refused, Path);
        }
    }

    /// <summary>Asks the daemon for something.</summary>
    /// <param name="ask">What to ask.</param>
    /// <param name="failure">The words for its failure, such as "detach failed".</param>
    /// <exception cref="CommandException">It failed.</exception>
    internal void Do(Action<ControlClient, DaemonDevice> ask, string failure)
    {
        try
        {
            ask(_client, this);
        }
        catch (ControlException refused)
        {
            throw Failed(refused, $"{Path}: {failure}");
        }
    }

    private CommandException Failed(ControlException refused, string what) =>
        refused.Error == ControlError.NoSuchDevice ? _name.Missing() : new CommandException($"{what}: {Failure.Reason(refused)}");
}
