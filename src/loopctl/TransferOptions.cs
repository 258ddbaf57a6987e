using LoopDaemon.CommandLine.Keys;
using LoopDaemon.Control;

namespace LoopDaemon.CommandLine;

/// <summary>The options that name a pipeline, <c>-e NAME[:option=value,...]</c>, several times to stack, and those that give
/// its keys.</summary>
internal sealed class TransferOptions
{
    private const string OwnKeyFile = "key-file";

    private readonly List<string> _transfers = [];
    private readonly PassphraseOptions _passphrase = new();
    private string? _keyFile;
    private readonly TransferSpelling _spelling;
    private bool _allowDiscards;
    private string _sectorsFrom = "file";

    /// <param name="spelling">How complaints write the options.</param>
    internal TransferOptions(TransferSpelling spelling)
    {
        _spelling = spelling;
        TransferOption = new Option("-e -E --encryption", "TRANSFER",
            "transfer between device and file, NAME or NUMBER or NAME:key-file=FILE; repeat to stack, the first is nearest the data", _transfers.Add);
        KeyFileOption = new Option("--key-file", "FILE", "the transfer's key: the bytes of FILE as they are (- is standard input)", value => _keyFile = value);
        AllowDiscardsOption = new Option("--allow-discards",
            "let discards through a transfer with a key; the image must always be bound this way from then on", () => _allowDiscards = true);
        SectorsFromOption = new Option("--sectors-from", "file|offset",
            "where transfers count sectors from: the start of the file (default, as the kernel did) or the offset", value => _sectorsFrom = value);
        Group = OptionGroup.Added("Setup: transfers and keys",
            [TransferOption, KeyFileOption, .. _passphrase.Options, AllowDiscardsOption, SectorsFromOption]);
    }

    internal OptionGroup Group { get; }

    internal Option TransferOption { get; }

    internal Option KeyFileOption { get; }

    internal Option AllowDiscardsOption { get; }

    internal Option SectorsFromOption { get; }

    /// <summary>The options of pass phrases.</summary>
    internal IReadOnlyList<Option> PassphraseOptions => _passphrase.Options;

    /// <summary>Whether a key may be asked for on the terminal.</summary>
    internal bool MayAsk
    {
        set => _passphrase.MayAsk = value;
    }

    /// <summary>The key files of all transfers.</summary>
    /// <exception cref="CommandException">The options contradict each other.</exception>
    internal IEnumerable<string> KeyFiles => Named().Select(transfer => transfer.KeyFile).OfType<string>();

    /// <summary>The names of the transfers, as given.</summary>
    internal IEnumerable<string> Names => _transfers.Select(text => text.Split(':')[0]);

    /// <summary>The key file of a pipeline that names just one, or null.</summary>
    internal string? OnlyKeyFile
    {
        get
        {
            string[] files = [.. KeyFiles];
            return files is [not "-"] ? files[0] : null;
        }
    }

    /// <exception cref="CommandException">The options contradict each other.</exception>
    internal void Check()
    {
        _passphrase.Check();
        if (_sectorsFrom is not ("file" or "offset"))
            throw new CommandException($"--sectors-from must be file or offset, not '{_sectorsFrom}'");
        Named();
    }

    /// <summary>Fills a request in, but for the keys.</summary>
    /// <exception cref="CommandException">The options contradict each other.</exception>
    internal ConfigureRequest Apply(ConfigureRequest request)
    {
        Check();
        return request with
        {
            Transfers = [.. Named().Select(transfer => new TransferRequest { Name = transfer.Name, Options = transfer.Options })],
            AllowDiscards = _allowDiscards,
            SectorsFromOffset = _sectorsFrom == "offset",
        };
    }

    /// <summary>Fills in the keys that are in files.</summary>
    /// <exception cref="CommandException">A key cannot be read.</exception>
    internal ConfigureRequest ApplyKeyFiles(ConfigureRequest request) => request with
    {
        Transfers = [.. request.Transfers.Zip(Named(), (transfer, named) =>
            named.KeyFile is null ? transfer : transfer with { Key = KeyFile.Read(named.KeyFile) })],
    };

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
            throw new CommandException($"a pass phrase needs a transfer: give one with {_spelling.Transfer}");
        if (_passphrase.AnyGiven && _keyFile is not null)
            throw new CommandException($"{_spelling.KeyFile} gives the key itself: leave out the options of pass phrases");
        if (_keyFile is not null && _transfers.Count != 1)
        {
            throw new CommandException(_transfers.Count == 0
                ? $"{_spelling.KeyFile} needs a transfer: give one with {_spelling.Transfer}"
                : $"{_spelling.KeyFile} goes with one transfer: with several, give each its own with {_spelling.TransferWithKey}");
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
        if (options.Remove(OwnKeyFile, out string? own) && _keyFile is not null)
            throw new CommandException($"'{text}' has a key file of its own: leave out {_spelling.KeyFile}");
        return (name, options, own ?? _keyFile);
    }
}
