using LoopDaemon.Linux;

namespace LoopDaemon.Transfers.Tests;

public sealed class TransferRegistryTests
{
    private readonly TransferRegistry _registry = TransferRegistry.CreateDefault();

    [Fact]
    public void The_default_registry_lists_identity_and_xor()
    {
        Assert.Equal(["identity", "xor"], _registry.List().Select(info => info.Name));
        Assert.Equal([0, 1], _registry.List().Select(info => info.Number));
        Assert.Equal([KeyRule.None, KeyRule.Required], _registry.List().Select(info => info.KeyRule));
    }

    [Theory]
    [InlineData("identity", "identity")]
    [InlineData("none", "identity")]
    [InlineData("0", "identity")]
    [InlineData("xor", "xor")]
    [InlineData("1", "xor")]
    public void A_transfer_is_found_by_name_alias_and_number(string name, string expected)
    {
        using var key = new SecretKey([42]);
        using ITransfer transfer = _registry.Create(new TransferSpec(name, expected == "xor" ? key : null));
        Assert.Equal(expected, transfer.Name);
        Assert.Equal(expected == "identity", transfer.IsIdentity);
    }

    [Fact]
    public void A_created_transfer_outlives_the_key_it_was_made_with()
    {
        var key = new SecretKey([0x55]);
        using ITransfer transfer = _registry.Create(new TransferSpec("xor", key));
        key.Dispose();
        byte[] stored = new byte[512];
        transfer.Encode(new byte[512], stored, firstSector: 0);
        Assert.All(stored, value => Assert.Equal(0x55, value));
    }

    [Fact]
    public void An_unknown_name_is_EINVAL_and_lists_the_known_ones()
    {
        TransferException refused = Refuse(TransferProblem.UnknownTransfer, () => _registry.Create(new TransferSpec("serpent")));
        Assert.Equal("there is no transfer serpent, only identity, none, xor", refused.Message);
    }

    [Fact]
    public void A_mistyped_name_is_answered_with_a_guess()
    {
        TransferException refused = Refuse(TransferProblem.UnknownTransfer, () => _registry.Create(new TransferSpec("identty")));
        Assert.EndsWith("; did you mean identity?", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("19")]
    [InlineData("99999999999999999999")]
    public void An_unknown_number_is_EINVAL(string number) =>
        Refuse(TransferProblem.UnknownTransfer, () => _registry.Create(new TransferSpec(number)));

    [Theory]
    [InlineData("xor")]
    [InlineData("none")]
    public void A_taken_name_is_EINVAL(string name)
    {
        Refuse(TransferProblem.NameTaken, () => _registry.Register(MakeType(name, 5)));
        Refuse(TransferProblem.NameTaken, () => _registry.Register(MakeType("new", 5, aliases: name)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("12")]
    public void A_name_that_is_empty_or_a_number_is_EINVAL(string name) =>
        Refuse(TransferProblem.BadName, () => _registry.Register(MakeType(name, 5)));

    [Fact]
    public void A_taken_number_is_EINVAL() =>
        Refuse(TransferProblem.NumberTaken, () => _registry.Register(MakeType("new", 1)));

    [Theory]
    [InlineData(-1)]
    [InlineData(20)]
    public void A_number_outside_the_drivers_table_is_EINVAL(int number) =>
        Refuse(TransferProblem.BadNumber, () => _registry.Register(MakeType("new", number)));

    [Fact]
    public void Number_18_is_shared_and_then_only_names_tell_types_apart()
    {
        _registry.Register(MakeType("aes-cbc", 18));
        using (ITransfer only = _registry.Create(new TransferSpec("18")))
            Assert.Equal("toy", only.Name);
        _registry.Register(MakeType("twofish-cbc", 18));
        TransferException refused = Refuse(TransferProblem.UnknownTransfer, () => _registry.Create(new TransferSpec("18")));
        Assert.Equal("the number 18 is shared by aes-cbc, twofish-cbc: give a name", refused.Message);
        _registry.Create(new TransferSpec("twofish-cbc")).Dispose();
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("none")]
    [InlineData("0")]
    public void The_identity_cannot_be_unregistered(string name) =>
        Refuse(TransferProblem.BuiltIn, () => _registry.Unregister(name, force: true));

    [Fact]
    public void Unregistering_an_absent_transfer_is_EINVAL()
    {
        _registry.Unregister("xor");
        Refuse(TransferProblem.UnknownTransfer, () => _registry.Unregister("xor"));
    }

    [Fact]
    public void Unregistering_a_transfer_in_use_is_EBUSY_until_the_last_use_ends()
    {
        using var key = new SecretKey([1]);
        ITransfer first = _registry.Create(new TransferSpec("xor", key));
        ITransfer second = _registry.Create(new TransferSpec("xor", key));
        Assert.Equal(2, UseCount("xor"));
        first.Dispose();
        first.Dispose();
        Assert.Equal(1, UseCount("xor"));
        Assert.Equal(Errno.EBUSY, Refuse(TransferProblem.InUse, () => _registry.Unregister("xor")).Errno);
        second.Dispose();
        _registry.Unregister("xor");
        Assert.Equal(["identity"], _registry.List().Select(info => info.Name));
    }

    [Fact]
    public void Unregistering_by_force_lets_users_finish_and_admits_no_new_ones()
    {
        using var key = new SecretKey([0x0F]);
        using ITransfer transfer = _registry.Create(new TransferSpec("xor", key));
        _registry.Unregister("xor", force: true);
        byte[] data = new byte[512];
        transfer.Decode(data, firstSector: 0);
        Assert.Equal(0x0F, data[0]);
        Refuse(TransferProblem.UnknownTransfer, () => _registry.Create(new TransferSpec("xor", key)));
        _registry.Register(XorTransfer.Type);
        Assert.Equal(0, UseCount("xor"));
    }

    [Fact]
    public void A_missing_an_empty_and_an_unwanted_key_are_EINVAL()
    {
        using var empty = new SecretKey([]);
        using var key = new SecretKey([1]);
        Assert.Equal("transfer xor needs a key",
            Refuse(TransferProblem.BadKey, () => _registry.Create(new TransferSpec("xor"))).Message);
        Assert.Equal("the key for transfer xor is empty",
            Refuse(TransferProblem.BadKey, () => _registry.Create(new TransferSpec("xor", empty))).Message);
        Assert.Equal("transfer identity takes no key",
            Refuse(TransferProblem.BadKey, () => _registry.Create(new TransferSpec("none", key))).Message);
        Assert.Equal(0, UseCount("xor"));
    }

    [Fact]
    public void An_unknown_option_is_EINVAL_and_named()
    {
        var options = new Dictionary<string, string> { ["rounds"] = "14" };
        Assert.Equal("transfer identity has no option rounds: it takes none",
            Refuse(TransferProblem.BadOption, () => _registry.Create(new TransferSpec("identity", options, null))).Message);

        _registry.Register(MakeType("new", 5, optionNames: ["iv", "hash"]));
        Assert.Equal("transfer new has no option rounds: it takes iv, hash",
            Refuse(TransferProblem.BadOption, () => _registry.Create(new TransferSpec("new", options, null))).Message);
        _registry.Create(new TransferSpec("new", new Dictionary<string, string> { ["iv"] = "plain" }, null)).Dispose();
    }

    [Fact]
    public void A_factory_that_fails_leaves_no_use_behind()
    {
        _registry.Register(new TransferType
        {
            Name = "broken",
            Number = 18,
            Summary = "cannot be made",
            Factory = _ => throw new TransferException(TransferProblem.BadOption, "no"),
        });
        Refuse(TransferProblem.BadOption, () => _registry.Create(new TransferSpec("broken")));
        Assert.Equal(0, UseCount("broken"));
    }

    [Fact]
    public void Uses_are_counted_right_from_many_threads()
    {
        using var key = new SecretKey([1]);
        Parallel.For(0, 2000, _ => _registry.Create(new TransferSpec("xor", key)).Dispose());
        Assert.Equal(0, UseCount("xor"));
    }

    private int UseCount(string name) => _registry.List().Single(info => info.Name == name).UseCount;

    private static TransferException Refuse(TransferProblem problem, Action action)
    {
        var refused = Assert.Throws<TransferException>(action);
        Assert.Equal(problem, refused.Problem);
        Assert.Equal(problem == TransferProblem.InUse ? Errno.EBUSY : Errno.EINVAL, refused.Errno);
        return refused;
    }

    private static TransferType MakeType(string name, int number, string? aliases = null, string[]? optionNames = null) => new()
    {
        Name = name,
        Number = number,
        Aliases = aliases is null ? [] : [aliases],
        OptionNames = optionNames ?? [],
        Summary = "a toy",
        Factory = _ => new ToyTransfer(),
    };

    /// <summary>A transfer of another assembly, as a plug-in brings it.</summary>
    private sealed class ToyTransfer : ITransfer
    {
        public string Name => "toy";

        public int Number => 18;

        public int SectorSize => 512;

        public bool IsIdentity => false;

        public void Decode(Span<byte> data, ulong firstSector) => data.Reverse();

        public void Encode(ReadOnlySpan<byte> source, Span<byte> destination, ulong firstSector)
        {
            source.CopyTo(destination);
            destination[..source.Length].Reverse();
        }

        public void Dispose()
        {
        }
    }
}
