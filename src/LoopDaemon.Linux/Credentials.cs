namespace LoopDaemon.Linux;

/// <summary>Who this process is.</summary>
public static class Credentials
{
    /// <summary>The effective user.</summary>
    public static uint UserId => Libc.geteuid();

    /// <summary>The effective group.</summary>
    public static uint GroupId => Libc.getegid();

    /// <summary>Whether this process is root.</summary>
    public static bool IsRoot => UserId == 0;
}
