using System.Reflection;

namespace LoopDaemon.Architecture.Tests;

/// <summary>What the libraries that others build on show to them: a change of it must be meant.</summary>
public sealed class PublicSurfaceTests
{
    private const BindingFlags Declared = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>Where it is meant, copy what the failure names over the file in the source tree.</summary>
    [Theory]
    [InlineData("LoopDaemon.Fuse")]
    [InlineData("LoopDaemon.Transfers")]
    public void The_public_surface_is_as_it_was(string assembly)
    {
        string actual = string.Join('\n', Describe(Assembly.Load(assembly))) + "\n";
        string now = Path.Combine(Path.GetTempPath(), assembly + ".surface.txt");
        File.WriteAllText(now, actual);
        Assert.True(
            actual == File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Surface", assembly + ".txt")),
            $"the public surface of {assembly} has changed: compare {now} with tests/LoopDaemon.Architecture.Tests/Surface/{assembly}.txt");
        File.Delete(now);
    }

    private static IEnumerable<string> Describe(Assembly assembly) =>
        from type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal)
        from line in (string[])[Kind(type), .. Members(type)]
        select line;

    private static string Kind(Type type) =>
        $"{(type.IsInterface ? "interface" : type.IsEnum ? "enum" : type.IsValueType ? "struct" : type.IsAbstract && type.IsSealed ? "static class" : type.IsAbstract ? "abstract class" : "class")} {type.FullName}";

    private static IEnumerable<string> Members(Type type) =>
        type.GetMembers(Declared).Where(IsVisible).Select(member => "    " + member).Distinct().Order(StringComparer.Ordinal);

    private static bool IsVisible(MemberInfo member) => member switch
    {
        MethodBase method => (method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly) && !method.IsSpecialName | method.IsConstructor,
        FieldInfo field => field.IsPublic && !field.IsSpecialName,
        PropertyInfo property => property.GetAccessors().Length > 0,
        EventInfo => true,
        _ => false,
    };
}
