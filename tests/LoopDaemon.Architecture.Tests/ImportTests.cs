using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

namespace LoopDaemon.Architecture.Tests;

/// <summary>Imports point one way: loopd to Devices, Control and Fuse, to Storage, to Transfers, to Linux; loopctl to
/// Control, to Linux. Fuse imports Linux alone.</summary>
public sealed class ImportTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["LoopDaemon.Linux"] = [],
        ["LoopDaemon.Fuse"] = ["LoopDaemon.Linux"],
        ["LoopDaemon.Transfers"] = ["LoopDaemon.Linux"],
        ["LoopDaemon.Storage"] = ["LoopDaemon.Transfers", "LoopDaemon.Linux"],
        ["LoopDaemon.Devices"] = ["LoopDaemon.Storage", "LoopDaemon.Transfers", "LoopDaemon.Linux"],
        ["LoopDaemon.Control"] = ["LoopDaemon.Linux"],
        ["loopd"] = ["LoopDaemon.Devices", "LoopDaemon.Control", "LoopDaemon.Fuse", "LoopDaemon.Storage", "LoopDaemon.Transfers", "LoopDaemon.Linux"],
        ["loopctl"] = ["LoopDaemon.Control", "LoopDaemon.Linux"],
    };

    private static readonly string Root = FindRoot();

    public static TheoryData<string> Projects => [.. Allowed.Keys];

    [Fact]
    public void The_table_of_allowed_imports_holds_every_project()
    {
        IEnumerable<string> projects = Directory.EnumerateFiles(Path.Combine(Root, "src"), "*.csproj", SearchOption.AllDirectories)
            .Select(file => Path.GetFileNameWithoutExtension(file));
        Assert.Equal(Allowed.Keys.Order(StringComparer.Ordinal), projects.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void An_assembly_refers_to_allowed_ones_alone(string project) => Read(project, reader =>
        Assert.DoesNotContain(
            reader.AssemblyReferences.Select(handle => reader.GetString(reader.GetAssemblyReference(handle).Name)),
            name => Allowed.ContainsKey(name) && !Allowed[project].Contains(name)));

    /// <summary>loopctl has loopd built beside it to start it, and uses no code of it.</summary>
    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_file_refers_to_allowed_projects_alone(string project)
    {
        var file = XDocument.Load(Path.Combine(Root, "src", project, project + ".csproj"));
        IEnumerable<string> references = file.Descendants("ProjectReference")
            .Where(reference => (string?)reference.Attribute("ReferenceOutputAssembly") != "false")
            .Select(reference => Path.GetFileNameWithoutExtension((string)reference.Attribute("Include")!));
        Assert.DoesNotContain(references, name => !Allowed[project].Contains(name));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Native_functions_are_declared_in_the_ground_floor_alone(string project) => Read(project, reader =>
    {
        List<string> imported = [.. reader.MethodDefinitions.Select(reader.GetMethodDefinition)
            .Where(method => method.Attributes.HasFlag(MethodAttributes.PinvokeImpl))
            .Select(method => reader.GetString(method.Name))];
        if (project == "LoopDaemon.Linux")
            Assert.Contains("close", imported);
        else
            Assert.Empty(imported);
    });

    [Fact]
    public void The_kernels_structures_of_FUSE_are_internal() => Read("LoopDaemon.Fuse", reader =>
    {
        List<TypeDefinition> wire = [.. reader.TypeDefinitions.Select(reader.GetTypeDefinition)
            .Where(type => reader.GetString(type.Namespace) == "LoopDaemon.Fuse.Wire")];
        Assert.NotEmpty(wire);
        Assert.All(wire, type => Assert.NotEqual(TypeAttributes.Public, type.Attributes & TypeAttributes.VisibilityMask));
    });

    [Theory]
    [MemberData(nameof(Projects))]
    public void Nobody_else_speaks_the_kernels_structures_of_FUSE(string project) => Read(project, reader =>
        Assert.DoesNotContain(
            reader.TypeReferences.Select(handle => reader.GetString(reader.GetTypeReference(handle).Namespace)),
            space => space.StartsWith("LoopDaemon.Fuse.Wire", StringComparison.Ordinal)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Internals_are_visible_to_the_projects_own_tests_alone(string project)
    {
        var file = XDocument.Load(Path.Combine(Root, "src", project, project + ".csproj"));
        Assert.DoesNotContain(file.Descendants("InternalsVisibleTo").Select(friend => (string?)friend.Attribute("Include")),
            friend => friend != project + ".Tests");
    }

    private static void Read(string project, Action<MetadataReader> look)
    {
        using var assembly = new PEReader(File.OpenRead(Path.Combine(AppContext.BaseDirectory, project + ".dll")));
        look(assembly.GetMetadataReader());
    }

    private static string FindRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "LoopDaemon.sln")))
            directory = Path.GetDirectoryName(directory);
        return directory ?? throw new InvalidOperationException("the tests run outside the source tree");
    }
}
