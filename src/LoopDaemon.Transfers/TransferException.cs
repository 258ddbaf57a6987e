using LoopDaemon.Linux;

namespace LoopDaemon.Transfers;

/// <summary>Why the registry refused.</summary>
public enum TransferProblem
{
    /// <summary>No such transfer is registered.</summary>
    UnknownTransfer,
    /// <summary>A name that cannot be registered.</summary>
    BadName,
    /// <summary>The name or an alias belongs to another type.</summary>
    NameTaken,
    /// <summary>A number outside the driver's table.</summary>
    BadNumber,
    /// <summary>The number belongs to another type.</summary>
    NumberTaken,
    /// <summary>The identity transfer cannot be unregistered.</summary>
    BuiltIn,
    /// <summary>Devices use the type.</summary>
    InUse,
    /// <summary>A key is missing, empty, of a wrong length or not wanted.</summary>
    BadKey,
    /// <summary>An option is unknown or has a value that will not do.</summary>
    BadOption,
}

/// <summary>A transfer cannot be registered, unregistered or created.</summary>
public sealed class TransferException : Exception
{
    /// <summary>Makes an exception for an error that the loop driver answers with EINVAL, as most are.</summary>
    /// <param name="problem">What is wrong.</param>
    /// <param name="message">A sentence that the user can act on.</param>
    public TransferException(TransferProblem problem, string message) : base(message) => Problem = problem;

    /// <summary>What is wrong.</summary>
    public TransferProblem Problem { get; }

    /// <summary>What the loop driver answers: EBUSY for a type in use, EINVAL for anything else.</summary>
    public Errno Errno => Problem == TransferProblem.InUse ? Errno.EBUSY : Errno.EINVAL;
}
