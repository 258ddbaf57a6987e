using System.Globalization;

namespace LoopDaemon.Linux;

/// <summary>The machine's processors, by the kernel's numbers (Documentation/admin-guide/cputopology.rst).</summary>
public static class Processors
{
    /// <summary>Those that may ever come up, for which the kernel has set itself up.</summary>
    public static IReadOnlyList<int> Possible => Read("possible");

    /// <summary>Those that run now.</summary>
    public static IReadOnlyList<int> Online => Read("online");

    /// <summary>Reads a list such as <c>0-3,8</c>.</summary>
    public static IReadOnlyList<int> Parse(string list)
    {
        var numbers = new List<int>();
        foreach (string range in list.Trim().Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] ends = range.Split('-');
            int first = int.Parse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture);
            int last = int.Parse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture);
            numbers.AddRange(Enumerable.Range(first, last - first + 1));
        }
        return numbers;
    }

    private static IReadOnlyList<int> Read(string which) => Parse(File.ReadAllText($"/sys/devices/system/cpu/{which}"));
}
