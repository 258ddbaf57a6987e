using System.CommandLine;
using LoopDaemon.Control;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine;

/// <summary>The options that name a pipeline: <c>-e NAME[:option=value,...]</c>, several times to stack, and
/// <c>--key-file</c> for the only one.</summary>
internal sealed class TransferOptions
{
    private const string KeyFileOption = "key-file";
    private const int MaxKeyBytes = 64 * 1024;

    private readonly Option<string[]> _transfers = new("-e", "-E", "--encryption")
    {
        HelpName = "TRANSFER",
        Description = "Transfer between device and file, NAME or NAME:key-file=FILE; repeat to stack, the first is nearest the data",
        // Never without a value: a -e at the end would bind without a transfer.
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<string?> _keyFile = new("--key-file")
    {
        HelpName = "FILE",
        Description = "The transfer's key: the bytes of FILE as they are (- is standard input)",
    };

    private readonly Option<bool> _allowDiscards = new("--allow-discards")
    {
        Description = "Let discards through a transfer with a key; the image must always be bound this way from then on",
    };

    private readonly Option<string?> _sectorsFrom = new("--sectors-from")
    {
        HelpName = "file|offset",
        Description = "Where transfers count sectors from: the start of the file (default, as the kernel did) or the offset",
    };

    internal void AddTo(Command command)
    {
        command.Add(_transfers);
        command.Add(_keyFile);
        command.Add(_allowDiscards);
        command.Add(_sectorsFrom);
    }

    /// <summary>Whether any of the options was given.</summary>
    internal bool AnyGiven(ParseResult parsed) =>
        parsed.GetResult(_transfers) is { Implicit: false } || parsed.GetValue(_keyFile) is not null
        || parsed.GetValue(_allowDiscards) || parsed.GetValue(_sectorsFrom) is not null;

    /// <summary>The key file of a pipeline that names just one, or null.</summary>
    internal string? OnlyKeyFile(ParseResult parsed)
    {
        var files = Named(parsed).Select(transfer => transfer.KeyFile).OfType<string>().ToList();
        return files is [not "-"] ? files[0] : null;
    }

    /// <summary>Fills a request in, reading the keys.</summary>
    /// <exception cref="CommandException">The options contradict each other, or a key cannot be read.</exception>
    internal ConfigureRequest Apply(ParseResult parsed, ConfigureRequest request)
    {
        string sectorsFrom = parsed.GetValue(_sectorsFrom) ?? "file";
        if (sectorsFrom is not ("file" or "offset"))
            throw new CommandException($"--sectors-from must be file or offset, not '{sectorsFrom}'");
        return request with
        {
            Transfers = [.. Named(parsed).Select(transfer => new TransferRequest
            {
                Name = transfer.Name,
                Options = transfer.Options,
                Key = transfer.KeyFile is null ? null : ReadKey(transfer.KeyFile),
            })],
            AllowDiscards = parsed.GetValue(_allowDiscards),
            SectorsFromOffset = sectorsFrom == "offset",
        };
    }

    private List<(string Name, Dictionary<string, string> Options, string? KeyFile)> Named(ParseResult parsed)
    {
        string? keyFile = parsed.GetValue(_keyFile);
        string[] texts = parsed.GetValue(_transfers) ?? [];
        if (keyFile is not null && texts.Length != 1)
        {
            throw new CommandException(texts.Length == 0
                ? "--key-file needs a transfer: give one with -e"
                : "--key-file goes with one transfer: with several, give each its own with -e NAME:key-file=FILE");
        }
        return [.. texts.Select(text => Named(text, keyFile))];
    }

    private static (string, Dictionary<string, string>, string?) Named(string text, string? keyFile)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string name = colon < 0 ? text : text[..colon];
        if (name.Length == 0)
            throw new CommandException($"'{text}' names no transfer");
        var options = new Dictionary<string, string>();
        foreach (string option in colon < 0 ? [] : text[(colon + 1)..].Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = option.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                throw new CommandException($"'{option}' in '{text}' is not of the form OPTION=VALUE");
            if (!options.TryAdd(option[..equals], option[(equals + 1)..]))
                throw new CommandException($"'{text}' gives {option[..equals]} twice");
        }
        if (options.Remove(KeyFileOption, out string? own) && keyFile is not null)
            throw new CommandException($"'{text}' has a key file of its own: leave out --key-file");
        return (name, options, own ?? keyFile);
    }

    /// <summary>The key goes into a memory file whose descriptor travels; it is in no argument, message or log.</summary>
    private static FileDescriptor ReadKey(string path)
    {
        // Pinned, so that no copy stays behind where the collector moved it.
        byte[] key = GC.AllocateArray<byte>(MaxKeyBytes + 1, pinned: true);
        try
        {
            Errno error = path == "-" ? ReadStandardInput(key, out int length) : ReadFile(path, key, out length);
            if (error != Errno.None)
                throw new CommandException($"{path}: cannot read the key: {error.Describe()}");
            if (length > MaxKeyBytes)
                throw new CommandException($"{path}: a key is at most {MaxKeyBytes} bytes long");
            return KeyDescriptor.Create(key.AsSpan(0, length));
        }
        finally
        {
            Array.Clear(key);
        }
    }

    private static Errno ReadFile(string path, Span<byte> key, out int length)
    {
        length = 0;
        Errno error = FileDescriptor.TryOpen(path, OpenFlags.ReadOnly, out FileDescriptor? file);
        if (error != Errno.None)
            return error;
        using (file)
        {
            int got;
            do
            {
                error = file!.Read(key[length..], out got);
                length += got;
            }
            while (error == Errno.EINTR || (error == Errno.None && got > 0 && length < key.Length));
        }
        return error;
    }

    private static Errno ReadStandardInput(Span<byte> key, out int length)
    {
        using Stream input = Console.OpenStandardInput();
        length = input.ReadAtLeast(key, key.Length, throwOnEndOfStream: false);
        return Errno.None;
    }
}
