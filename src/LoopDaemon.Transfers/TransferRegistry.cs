using System.Globalization;

namespace LoopDaemon.Transfers;

/// <summary>The transfers that can be named, under the rules of the kernel's <c>loop_register_transfer</c> and
/// <c>loop_unregister_transfer</c> (Linux 5.8, drivers/block/loop.c). Any thread may call it.</summary>
public sealed class TransferRegistry
{
    private readonly Lock _lock = new();
    private readonly List<Entry> _entries = [];

    /// <summary>A registry that knows the transfers of this library.</summary>
    public static TransferRegistry CreateDefault()
    {
        var registry = new TransferRegistry();
        registry.Register(IdentityTransfer.Type);
        registry.Register(XorTransfer.Type);
        return registry;
    }

    /// <summary>Adds a type.</summary>
    /// <param name="type">The type.</param>
    /// <exception cref="TransferException">EINVAL: a name or the number is not valid, or belongs to another type.</exception>
    public void Register(TransferType type)
    {
        ArgumentNullException.ThrowIfNull(type);
        if (type.AllNames.Any(name => name.Length == 0 || IsNumber(name)))
            throw new TransferException(TransferProblem.BadName,
                $"the name of a transfer is not empty and not a number, as one of {string.Join(", ", type.AllNames)} is");
        if (type.Number is < 0 or >= TransferType.NumberLimit)
            throw new TransferException(TransferProblem.BadNumber,
                $"transfer {type.Name} has the number {type.Number}, but numbers are 0 to {TransferType.NumberLimit - 1}");

        lock (_lock)
        {
            foreach (TransferType other in _entries.Select(entry => entry.Type))
            {
                if (other.AllNames.Intersect(type.AllNames).FirstOrDefault() is { } name)
                    throw new TransferException(TransferProblem.NameTaken,
                        $"the name {name} belongs to transfer {other.Name} already");
                if (other.Number == type.Number && type.Number != TransferType.SharedNumber)
                    throw new TransferException(TransferProblem.NumberTaken,
                        $"the number {type.Number} belongs to transfer {other.Name} already");
            }
            _entries.Add(new Entry(type));
        }
    }

    /// <summary>Removes a type. Transfers that exist go on working.</summary>
    /// <param name="name">Its name, an alias, or its number in digits.</param>
    /// <param name="force">Remove it even where transfers of it exist, as the kernel does.</param>
    /// <exception cref="TransferException">EBUSY: in use, and not forced. EINVAL: unknown, or the identity.</exception>
    public void Unregister(string name, bool force = false)
    {
        ArgumentNullException.ThrowIfNull(name);
        lock (_lock)
        {
            Entry entry = Find(name);
            if (entry.Type.Number == IdentityTransfer.Type.Number)
                throw new TransferException(TransferProblem.BuiltIn,
                    $"transfer {entry.Type.Name} is built in and cannot be unregistered");
            if (entry.UseCount > 0 && !force)
                throw new TransferException(TransferProblem.InUse,
                    $"transfer {entry.Type.Name} is in use (count {entry.UseCount}): only by force can it be unregistered now");
            _entries.Remove(entry);
        }
    }

    /// <summary>What is registered, in the order of numbers and names.</summary>
    public IReadOnlyList<TransferInfo> List()
    {
        lock (_lock)
        {
            return [.. _entries
                .OrderBy(entry => entry.Type.Number).ThenBy(entry => entry.Type.Name, StringComparer.Ordinal)
                .Select(entry => entry.Describe())];
        }
    }

    /// <summary>Makes a transfer, which counts as a use of its type until it is disposed.</summary>
    /// <param name="spec">Which one, and with what; its key may be wiped afterwards.</param>
    /// <exception cref="TransferException">EINVAL: unknown, or the key or an option will not do.</exception>
    public ITransfer Create(TransferSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        Entry entry;
        lock (_lock)
        {
            entry = Find(spec.Name);
            entry.UseCount++;
        }
        try
        {
            CheckKey(entry.Type, spec.Key);
            CheckOptions(entry.Type, spec.Options);
            // Outside the lock: a cipher may take long to set up its key.
            return new LeasedTransfer(entry.Type.Factory(spec), () => GiveBack(entry));
        }
        catch
        {
            GiveBack(entry);
            throw;
        }
    }

    private static void CheckKey(TransferType type, SecretKey? key)
    {
        string? problem = (type.KeyRule, key) switch
        {
            (KeyRule.Required, null) => $"transfer {type.Name} needs a key",
            (KeyRule.Required, { Bytes.IsEmpty: true }) => $"the key for transfer {type.Name} is empty",
            (KeyRule.None, not null) => $"transfer {type.Name} takes no key",
            _ => null,
        };
        if (problem is not null)
            throw new TransferException(TransferProblem.BadKey, problem);
    }

    private static void CheckOptions(TransferType type, IReadOnlyDictionary<string, string> options)
    {
        if (options.Keys.FirstOrDefault(option => !type.OptionNames.Contains(option)) is not { } unknown)
            return;
        string known = type.OptionNames.Count == 0 ? "it takes none" : $"it takes {string.Join(", ", type.OptionNames)}";
        throw new TransferException(TransferProblem.BadOption, $"transfer {type.Name} has no option {unknown}: {known}");
    }

    private static bool IsNumber(string name) => name.Length > 0 && name.All(char.IsAsciiDigit);

    private void GiveBack(Entry entry)
    {
        lock (_lock)
            entry.UseCount--;
    }

    /// <summary>Finds a type by name, alias or number; the caller holds the lock.</summary>
    private Entry Find(string name)
    {
        if (!IsNumber(name))
            return _entries.Find(entry => entry.Type.AllNames.Contains(name)) ?? throw Unknown(name);

        Entry[] numbered = int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? [.. _entries.Where(entry => entry.Type.Number == number)] : [];
        return numbered.Length switch
        {
            0 => throw Unknown(name),
            1 => numbered[0],
            _ => throw new TransferException(TransferProblem.UnknownTransfer,
                $"the number {name} is shared by {string.Join(", ", numbered.Select(entry => entry.Type.Name))}: give a name"),
        };
    }

    private TransferException Unknown(string name)
    {
        string[] known = [.. _entries.SelectMany(entry => entry.Type.AllNames).Order(StringComparer.Ordinal)];
        string hint = Spelling.Closest(name, known) is { } closest ? $"; did you mean {closest}?" : "";
        return new TransferException(TransferProblem.UnknownTransfer,
            $"there is no transfer {name}, only {string.Join(", ", known)}{hint}");
    }

    private sealed class Entry(TransferType type)
    {
        internal TransferType Type { get; } = type;

        /// <summary>Guarded by the registry's lock.</summary>
        internal int UseCount { get; set; }

        internal TransferInfo Describe() =>
            new(Type.Name, Type.Aliases, Type.Number, Type.Summary, Type.KeyRule, Type.OptionNames, UseCount);
    }
}
