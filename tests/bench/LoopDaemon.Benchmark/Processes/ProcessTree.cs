namespace LoopDaemon.Benchmark.Processes;

/// <summary>A process and its descendants, from /proc.</summary>
internal static class ProcessTree
{
    internal static IReadOnlyList<int> Of(int root)
    {
        ILookup<int, int> children = ProcessStatus.All().ToLookup(status => status.Parent, status => status.Id);
        var found = new List<int> { root };
        for (int i = 0; i < found.Count; i++)
            found.AddRange(children[found[i]]);
        return found;
    }
}
