namespace LoopDaemon.CommandLine;

/// <summary>What a column's values are in JSON.</summary>
internal enum ColumnKind
{
    /// <summary>A string; at the left of its cells.</summary>
    Text,
    /// <summary>A number; at the right.</summary>
    Number,
    /// <summary>A flag, 0 or 1; at the right.</summary>
    Flag,
}

/// <summary>A column of the list of devices.</summary>
/// <param name="Name">Its heading.</param>
/// <param name="Kind">What its values are.</param>
/// <param name="Help">What it shows, for the list of columns.</param>
/// <param name="Value">Its value for a device; empty for none.</param>
internal sealed record Column(string Name, ColumnKind Kind, string Help, Func<DeviceRow, string> Value)
{
    /// <summary>Whether it gives way, down to its heading, where the terminal is too narrow for the table.</summary>
    internal bool GivesWay { get; init; }

    internal bool IsRight => Kind != ColumnKind.Text;
}
