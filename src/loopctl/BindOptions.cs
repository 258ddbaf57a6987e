using System.CommandLine;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The options that say how a file is bound, which the root command and mount share.</summary>
internal sealed class BindOptions
{
    private readonly Option<string?> _offset;
    private readonly Option<string?> _sizeLimit = new("--sizelimit") { HelpName = "BYTES", Description = "The device's greatest size" };
    private readonly Option<bool> _readOnly = new("-r", "--read-only") { Description = "Bind (and mount) read-only" };

    /// <param name="offsetAliases">-o, where it is not mount's own.</param>
    internal BindOptions(params string[] offsetAliases) =>
        _offset = new Option<string?>("--offset", offsetAliases) { HelpName = "BYTES", Description = "Where the device begins in FILE" };

    internal TransferOptions Transfers { get; } = new();

    internal void AddTo(Command command)
    {
        command.Add(_readOnly);
        command.Add(_offset);
        command.Add(_sizeLimit);
        Transfers.AddTo(command);
    }

    /// <summary>Whether any of the options was given.</summary>
    internal bool AnyGiven(ParseResult parsed) =>
        parsed.GetValue(_offset) is not null || parsed.GetValue(_sizeLimit) is not null || parsed.GetValue(_readOnly) || Transfers.AnyGiven(parsed);

    /// <summary>Refuses sizes that are none, before anything is made or opened.</summary>
    /// <exception cref="CommandException">A size is none.</exception>
    internal (long OffsetBytes, long SizeLimitBytes) Sizes(ParseResult parsed) =>
        (SizeText.Parse(parsed.GetValue(_offset) ?? "0", "offset"), SizeText.Parse(parsed.GetValue(_sizeLimit) ?? "0", "size"));

    /// <summary>Opens the file, reads the keys, and makes a request of all.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="path">The backing file.</param>
    /// <returns>The request; its descriptors are the caller's, and end with this short-lived process at the latest.</returns>
    /// <exception cref="CommandException">The file, a key or an option will not do.</exception>
    internal ConfigureRequest Request(ParseResult parsed, string path)
    {
        (long offset, long sizeLimit) = Sizes(parsed);
        bool readOnly = parsed.GetValue(_readOnly);
        FileDescriptor file = BackingFile.Open(path, ref readOnly);
        return Transfers.Apply(parsed, new ConfigureRequest
        {
            BackingFile = file,
            Offset = offset,
            SizeLimit = sizeLimit,
            ReadOnly = readOnly,
        });
    }

    /// <summary>Has the daemon bind it.</summary>
    /// <exception cref="CommandException">A transfer wants the key that no option gave.</exception>
    /// <exception cref="ControlException">The daemon refuses for another reason.</exception>
    internal static ConfigureReply Bind(ControlClient client, ConfigureRequest request)
    {
        try
        {
            return client.Configure(request);
        }
        catch (ControlException refused) when (refused.Error == ControlError.BadKey && request.Transfers.All(transfer => transfer.Key is null))
        {
            throw new CommandException($"{refused.Message}: give it with --key-file FILE, or with several transfers -e NAME:key-file=FILE");
        }
    }
}
