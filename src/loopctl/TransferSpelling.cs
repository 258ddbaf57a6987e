namespace LoopDaemon.CommandLine;

/// <summary>How the options of transfers are written where they are given, for complaints about them.</summary>
/// <param name="Transfer">What names a transfer.</param>
/// <param name="TransferWithKey">What names one with a key of its own.</param>
/// <param name="KeyFile">What gives the only transfer's key.</param>
/// <param name="GiveKey">How to give the key that is missing.</param>
internal sealed record TransferSpelling(string Transfer, string TransferWithKey, string KeyFile, string GiveKey)
{
    /// <summary>As options of loopctl.</summary>
    internal static readonly TransferSpelling CommandLine = new("-e", "-e NAME:key-file=FILE", "--key-file", "with --key-file FILE or --pass-fd N");

    /// <summary>As options of mount(8).</summary>
    internal static readonly TransferSpelling MountOptions = new("transfer=NAME", "transfer=NAME:key-file=FILE", "keyfile=", "with keyfile=FILE");

    /// <summary>As fields of looptab.</summary>
    internal static readonly TransferSpelling Looptab = new("transfer=NAME", "transfer=NAME:key-file=FILE", "the third field", "with its file as the third field");
}
