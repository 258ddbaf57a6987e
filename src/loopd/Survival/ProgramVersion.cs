namespace LoopDaemon.Daemon.Survival;

/// <summary>The version of this program.</summary>
internal static class ProgramVersion
{
    internal static string Text { get; } = typeof(ProgramVersion).Assembly.GetName().Version!.ToString(3);
}
