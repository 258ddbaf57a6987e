namespace LoopDaemon.Transfers;

/// <summary>Guesses what a mistyped name was meant to be.</summary>
internal static class Spelling
{
    /// <summary>The known name that most likely was meant, or null where none is near.</summary>
    internal static string? Closest(string name, IEnumerable<string> known)
    {
        const int FarthestTypo = 2;
        return known
            .Select(candidate => (candidate, distance: Distance(name, candidate)))
            // Turning every letter into another is no typo.
            .Where(pair => pair.distance <= FarthestTypo && pair.distance < pair.candidate.Length)
            .OrderBy(pair => pair.distance)
            .Select(pair => pair.candidate)
            .FirstOrDefault();
    }

    /// <summary>Levenshtein's distance: letters added, left out or replaced. One row of the table is kept.</summary>
    private static int Distance(string left, string right)
    {
        int[] row = [.. Enumerable.Range(0, right.Length + 1)];
        for (int i = 1; i <= left.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i;
            for (int j = 1; j <= right.Length; j++)
            {
                int replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }
        return row[right.Length];
    }
}
