namespace LoopDaemon.CommandLine.Doctor;

/// <summary>How bad it is.</summary>
internal enum Health
{
    Ok,
    Warning,
    Problem,
}

/// <summary>What a look at the machine has found.</summary>
/// <param name="Health">How bad it is.</param>
/// <param name="Text">What it is, and what to do about it.</param>
/// <param name="Mend">Does that, where it can be done without asking; returns why it could not be, or null.</param>
internal sealed record Finding(Health Health, string Text, Func<string?>? Mend = null);
