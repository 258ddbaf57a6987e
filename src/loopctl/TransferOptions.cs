using LoopDaemon.CommandLine.Keys;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>The options that name a pipeline, <c>-e NAME[:option=value,...]</c>, several times to stack, and those that give
/// its keys.</summary>
internal sealed class TransferOptions
{
    private const string KeyFileOption = "key-file";

    private readonly List<string> _transfers = [];
    private readonly PassphraseOptions _passphrase = new();
    private string? _keyFile;
    private bool _allowDiscards;
    private string _sectorsFrom = "file";

    internal TransferOptions() => Group = OptionGroup.Added("Setup: transfers and keys",
    [
        new Option("-e -E --encryption", "TRANSFER",
            "transfer between device and file, NAME or NUMBER or NAME:key-file=FILE; repeat to stack, the first is nearest the data",
            _transfers.Add),
        new Option("--key-file", "FILE", "the transfer's key: the bytes of FILE as they are (- is standard input)",
            value => _keyFile = value),
        .. _passphrase.Options,
        new Option("--allow-discards", "let discards through a transfer with a key; the image must always be bound this way from then on",
            () => _allowDiscards = true),
        new Option("--sectors-from", "file|offset", "where transfers count sectors from: the start of the file (default, as the kernel did) or the offset",
            value => _sectorsFrom = value),
    ]);

    internal OptionGroup Group { get; }

    /// <summary>The names of the transfers, as given.</summary>
    internal IEnumerable<string> Names => _transfers.Select(text => text.Split(':')[0]);

    /// <summary>The key file of a pipeline that names just one, or null.</summary>
    internal string? OnlyKeyFile
    {
        get
        {
            var files = Named().Select(transfer => transfer.KeyFile).OfType<string>().ToList();
            return files is [not "-"] ? files[0] : null;
        }
    }

    /// <summary>Fills a request in, reading the keys that are in files.</summary>
    /// <exception cref="CommandException">The options contradict each other, or a key cannot be read.</exception>
    internal ConfigureRequest Apply(ConfigureRequest request)
    {
        _passphrase.Check();
        if (_sectorsFrom is not ("file" or "offset"))
            throw new CommandException($"--sectors-from must be file or offset, not '{_sectorsFrom}'");
        return request with
        {
            Transfers = [.. Named().Select(transfer => new TransferRequest
            {
                Name = transfer.Name,
                Options = transfer.Options,
                Key = transfer.KeyFile is null ? null : KeyFile.Read(transfer.KeyFile),
            })],
            AllowDiscards = _allowDiscards,
            SectorsFromOffset = _sectorsFrom == "offset",
        };
    }

    /// <summary>Fills in the keys that come from pass phrases: for each transfer that needs one and has none yet.</summary>
    /// <exception cref="CommandException">A pass phrase cannot be had, or no key be made of it.</exception>
    internal ConfigureRequest ApplyPassphrases(ConfigureRequest request, ControlClient client)
    {
        if (request.Transfers.All(transfer => transfer.Key is not null))
            return request;
        IReadOnlyList<TransferDescription> known = client.ListTransfers();
        return request with
        {
            Transfers = [.. request.Transfers.Select(transfer =>
                transfer.Key is null && known.Any(one => one.NeedsKey && (one.Name == transfer.Name || $"{one.Number}" == transfer.Name))
                    ? transfer with { Key = _passphrase.Key(transfer.Name) } : transfer)],
        };
    }

    private List<(string Name, Dictionary<string, string> Options, string? KeyFile)> Named()
    {
        if (_passphrase.AnyGiven && _transfers.Count == 0)
            throw new CommandException("a pass phrase needs a transfer: give one with -e");
        if (_passphrase.AnyGiven && _keyFile is not null)
            throw new CommandException("--key-file gives the key itself: leave out the options of pass phrases");
        if (_keyFile is not null && _transfers.Count != 1)
        {
            throw new CommandException(_transfers.Count == 0
                ? "--key-file needs a transfer: give one with -e"
                : "--key-file goes with one transfer: with several, give each its own with -e NAME:key-file=FILE");
        }
        return [.. _transfers.Select(Named)];
    }

    private (string, Dictionary<string, string>, string?) Named(string text)
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
        if (options.Remove(KeyFileOption, out string? own) && _keyFile is not null)
            throw new CommandException($"'{text}' has a key file of its own: leave out --key-file");
        return (name, options, own ?? _keyFile);
    }
}
