using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>Where a daemon and its clients meet when nobody says otherwise: below /run/loopd for root, below
/// $XDG_RUNTIME_DIR/loopd for anyone else.</summary>
public static class RuntimeDirectory
{
    /// <summary>The control socket.</summary>
    public static string DefaultSocket => Path.Combine(Root, "control");

    /// <summary>The mount point of the devices.</summary>
    public static string DefaultMount => Path.Combine(Root, "dev");

    /// <summary>The log of a daemon that loopctl started.</summary>
    public static string DefaultLog => Path.Combine(Root, "loopd.log");

    private static string Root
    {
        get
        {
            if (Credentials.IsRoot)
                return "/run/loopd";
            string? session = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
            return string.IsNullOrEmpty(session) ? $"/run/user/{Credentials.UserId}/loopd" : Path.Combine(session, "loopd");
        }
    }
}
