using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.Daemon.Survival;

/// <summary>The service manager's store of descriptors (sd_notify(3), FDSTORE=1): what is in it outlives this process and comes
/// back to the next one. systemd has one, and so has <c>loopd --supervise</c>.</summary>
internal sealed class DescriptorStore(ServiceNotification manager)
{
    internal const string Connection = "fuse", Slots = "slots", State = "state", Opens = "opens", Listener = "listener";

    /// <summary>The control socket as a socket unit of systemd hands it over; what it listens on is not ours to keep.</summary>
    internal const string ControlSocket = "control";

    /// <summary>How many descriptors a store must at least have room for.</summary>
    private const int Least = 8;

    /// <summary>The store, or null where there is none: systemd from 254 on says in FDSTORE how much it keeps, and so does our
    /// unit for those before.</summary>
    internal static DescriptorStore? Find(ServiceNotification? manager) =>
        manager is not null
        && int.TryParse(Environment.GetEnvironmentVariable("FDSTORE"), NumberStyles.None, CultureInfo.InvariantCulture, out int room)
        && room >= Least
            ? new DescriptorStore(manager) : null;

    /// <summary>Keeps a descriptor. FDPOLL=0: with it the manager does not drop one that poll(2) finds fault with, as it does
    /// with a connection that is not served.</summary>
    internal Errno Keep(string name, FileDescriptor descriptor) => manager.Send($"FDSTORE=1\nFDNAME={name}\nFDPOLL=0", descriptor);

    /// <summary>Drops all descriptors of a name.</summary>
    internal Errno Drop(string name) => manager.Send($"FDSTOREREMOVE=1\nFDNAME={name}");
}
