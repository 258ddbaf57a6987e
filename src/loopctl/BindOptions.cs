using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The options that say how a file is bound, which mount shares with what losetup does.</summary>
internal sealed class BindOptions
{
    private readonly TransferSpelling _spelling;

    /// <param name="offsetNames">How the offset's option is written: <c>-o</c> is mount's own there.</param>
    /// <param name="spelling">How complaints write the options of transfers; null for those of the command line.</param>
    internal BindOptions(string offsetNames, TransferSpelling? spelling = null)
    {
        _spelling = spelling ?? TransferSpelling.CommandLine;
        Transfers = new TransferOptions(_spelling);
        OffsetOption = new Option(offsetNames, "BYTES", "begin at this offset into FILE", value => Offset = SizeText.Parse(value, "offset"));
        SizeLimitOption = new Option("--sizelimit", "BYTES", "use no more than this much of FILE", value => SizeLimit = SizeText.Parse(value, "size"));
        PassthroughOption = new Option("--passthrough", "auto|on|off", "whether the kernel reads and writes FILE itself where the device is just that file",
            value => Passthrough = ParsePassthrough(value))
        {
            IsAddition = true,
        };
        ReadOnlyOption = new Option("-r --read-only", "make the device read-only", () => ReadOnly = true);
    }

    internal Option OffsetOption { get; }

    internal Option SizeLimitOption { get; }

    internal Option ReadOnlyOption { get; }

    internal Option PassthroughOption { get; }

    internal TransferOptions Transfers { get; }

    /// <summary>Where the device begins in the file, in bytes; null where that is not given.</summary>
    internal ulong? Offset { get; private set; }

    /// <summary>Most bytes that the device has; 0 for no limit.</summary>
    internal ulong SizeLimit { get; private set; }

    internal bool ReadOnly { get; private set; }

    /// <summary>Null leaves it to the daemon.</summary>
    internal PassthroughChoice? Passthrough { get; private set; }

    /// <summary>Opens the file, reads the keys that are in files, and makes a request of all.</summary>
    /// <param name="path">The backing file.</param>
    /// <returns>The request; its descriptors are the caller's, and end with this short-lived process at the latest.</returns>
    /// <exception cref="CommandException">The file, a key or an option will not do.</exception>
    internal ConfigureRequest Request(string path) => Transfers.ApplyKeyFiles(RequestWithoutKeys(path));

    /// <summary>Opens the file, and makes a request that lacks the keys.</summary>
    /// <exception cref="CommandException">The file or an option will not do.</exception>
    internal ConfigureRequest RequestWithoutKeys(string path)
    {
        bool readOnly = ReadOnly;
        FileDescriptor file = BackingFile.Open(path, ref readOnly);
        if (Offset > long.MaxValue || SizeLimit > long.MaxValue)
            throw BackingFile.Refused(path, Errno.EOVERFLOW.Describe());
        return Transfers.Apply(new ConfigureRequest
        {
            BackingFile = file,
            Offset = (long)(Offset ?? 0),
            SizeLimit = (long)SizeLimit,
            ReadOnly = readOnly,
            Passthrough = Passthrough,
        });
    }

    private static PassthroughChoice ParsePassthrough(string text) => text switch
    {
        "auto" => PassthroughChoice.Auto,
        "on" => PassthroughChoice.On,
        "off" => PassthroughChoice.Off,
        _ => throw new CommandException($"--passthrough must be auto, on or off, not '{text}'"),
    };

    /// <summary>Gets the keys that come from pass phrases, and has the daemon bind it.</summary>
    /// <exception cref="CommandException">A pass phrase cannot be had.</exception>
    /// <exception cref="ControlException">The daemon refuses, as <see cref="Configure"/> says.</exception>
    internal ConfigureReply Bind(ControlClient client, ConfigureRequest request) =>
        Configure(client, Transfers.ApplyPassphrases(request, client));

    /// <summary>Has the daemon bind it.</summary>
    /// <exception cref="ControlException">The daemon refuses; where a transfer wants the key that no option gave, the
    /// message says how to give it.</exception>
    internal ConfigureReply Configure(ControlClient client, ConfigureRequest request)
    {
        try
        {
            return client.Configure(request);
        }
        catch (ControlException refused) when (refused.Error == ControlError.BadKey && request.Transfers.All(transfer => transfer.Key is null))
        {
            throw new ControlException(
                refused.Error, refused.Errno, $"{refused.Message}: give it {_spelling.GiveKey}, or with several transfers {_spelling.TransferWithKey}", refused);
        }
    }
}
