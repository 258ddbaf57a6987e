namespace LoopDaemon.Control.Varlink;

/// <summary>A call that Varlink itself has an error for (org.varlink.service): one parameter says what is meant, or none.</summary>
internal sealed class VarlinkErrorException : Exception
{
    private VarlinkErrorException(string error, string? parameter = null, string value = "") : base($"{error}: {value}")
    {
        Error = error;
        Parameter = parameter;
        Value = value;
    }

    /// <summary>The error's name without its interface.</summary>
    internal string Error { get; }

    /// <summary>The name of its parameter, or null where it has none.</summary>
    internal string? Parameter { get; }

    /// <summary>The value of its parameter.</summary>
    internal string Value { get; }

    internal static VarlinkErrorException InterfaceNotFound(string name) => new("InterfaceNotFound", "interface", name);

    internal static VarlinkErrorException MethodNotFound(string name) => new("MethodNotFound", "method", name);

    internal static VarlinkErrorException ExpectedMore() => new("ExpectedMore");

    internal static VarlinkErrorException MethodNotImplemented(string name) => new("MethodNotImplemented", "method", name);

    /// <param name="name">The parameter, with its path inside others: <c>transfers[0].key</c>.</param>
    internal static VarlinkErrorException InvalidParameter(string name) => new("InvalidParameter", "parameter", name);
}
