using System.Text;

namespace LoopDaemon.Control.Varlink;

/// <summary>The names and texts of the interfaces on the control socket. The texts are the files in Interfaces/.</summary>
internal static class VarlinkInterfaces
{
    internal const string Service = "org.varlink.service";
    internal const string Control = "io.loopdaemon.Control";

    internal static IReadOnlyList<string> Names { get; } = [Service, Control];

    /// <summary>The text of one interface, or null where there is none of that name.</summary>
    internal static string? Describe(string name)
    {
        if (!Names.Contains(name))
            return null;
        using Stream text = typeof(VarlinkInterfaces).Assembly.GetManifestResourceStream($"{name}.varlink")
            ?? throw new InvalidOperationException($"the build left out {name}.varlink");
        using var reader = new StreamReader(text, Encoding.UTF8);
        return reader.ReadToEnd();
    }
}
