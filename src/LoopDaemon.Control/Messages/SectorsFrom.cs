namespace LoopDaemon.Control;

/// <summary>The words of the wire's enum SectorsFrom.</summary>
internal static class SectorsFrom
{
    internal const string File = "file";
    internal const string Offset = "offset";
}
