using System.Globalization;
using LoopDaemon.Linux;

namespace LoopDaemon.CommandLine.Keys;

/// <summary>The options of the losetups that knew ciphers: where a pass phrase comes from, and how it becomes a key.</summary>
internal sealed class PassphraseOptions
{
    private string? _version, _hash;
    private int? _keyBits, _descriptor;
    private bool _noHash, _verify;

    internal PassphraseOptions() => Options =
    [
        new Option("-p --pass-fd", "NUM", "read the pass phrase from this file descriptor", value => _descriptor = ParseNumber(value, "pass-fd")),
        new Option("-k --keybits", "NUM", "length of the key that a pass phrase gives, in bits", value => _keyBits = ParseNumber(value, "keybits")),
        new Option("-H --phash", "HASH", "hash that makes a key of a pass phrase", value => _hash = value),
        new Option("-N --nohashpass", "use the pass phrase as it is, without a hash", () => _noHash = true),
        new Option("--key-compat", "VERSION", "make the key as this losetup did: " + string.Join(", ", KeyDerivation.Versions), value => _version = value),
        new Option("--verify-passphrase", "ask for the pass phrase twice", () => _verify = true),
    ];

    internal IReadOnlyList<Option> Options { get; }

    /// <summary>Whether any of them is given, so that there must be a pass phrase.</summary>
    internal bool AnyGiven => _version is not null || _hash is not null || _keyBits is not null || _descriptor is not null || _noHash || _verify;

    /// <summary>Whether there may be somebody at the terminal to ask.</summary>
    internal bool MayAsk { private get; set; } = true;

    /// <exception cref="CommandException">A value is none, or options do not go together.</exception>
    internal void Check() => Derivation();

    /// <summary>Gets a pass phrase, and makes a transfer's key of it.</summary>
    /// <returns>The key, or null where no option asks for one and there is no terminal to ask for it on.</returns>
    /// <exception cref="CommandException">There is none, or none can be made.</exception>
    internal FileDescriptor? Key(string transfer)
    {
        if (!AnyGiven && !(MayAsk && HasTerminal()))
            return null;
        if (_descriptor is null && !MayAsk)
            throw new CommandException($"transfer {transfer} needs a pass phrase, and standard input is no terminal: give it with pass-fd=N, or the key itself with keyfile=FILE");
        using Passphrase passphrase = _descriptor is { } descriptor ? Passphrase.Read(descriptor) : Passphrase.Ask(_verify);
        return Derivation().Derive(passphrase, transfer);
    }

    private static bool HasTerminal()
    {
        bool has = Terminal.TryOpen(out Terminal? terminal) == Errno.None;
        terminal?.Dispose();
        return has;
    }

    private static int ParseNumber(string text, string what) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number : throw new CommandException($"failed to parse {what}: '{text}': {Errno.EINVAL.Describe()}");

    private KeyDerivation Derivation() => KeyDerivation.Choose(_version, _keyBits, _hash, _noHash);
}
