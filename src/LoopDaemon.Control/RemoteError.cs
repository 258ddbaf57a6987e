using System.Globalization;
using System.Text.Json;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>Makes an exception of an error reply.</summary>
internal static class RemoteError
{
    private const string ControlPrefix = VarlinkInterfaces.Control + ".";

    /// <exception cref="JsonException">The parameters are not those of the error.</exception>
    internal static ControlException Read(string name, JsonElement parameters)
    {
        if (name == $"{VarlinkInterfaces.Service}.InvalidParameter")
        {
            return new ControlException(
                ControlError.InvalidArgument, $"The daemon refuses the value of \"{parameters.GetProperty("parameter").GetString()}\".");
        }
        if (name.StartsWith(VarlinkInterfaces.Service, StringComparison.Ordinal))
            return new ControlException(ControlError.Failed, Errno.EOPNOTSUPP, "the daemon is of another version, which cannot do this");
        // Enum.Parse takes numbers for names.
        if (!name.StartsWith(ControlPrefix, StringComparison.Ordinal)
            || !Enum.TryParse(name[ControlPrefix.Length..], out ControlError error) || error.ToString() != name[ControlPrefix.Length..])
        {
            return new ControlException(ControlError.Failed, Errno.EPROTO, $"the daemon answered with the unknown error {name}");
        }
        ControlErrorParameters details = parameters.Deserialize(WireFormat.Default.ControlErrorParameters)
            ?? throw new JsonException("an error without parameters");
        return new ControlException(error, ParseErrno(details.Errno), details.Message);
    }

    /// <summary>The opposite of <see cref="ErrnoText.Name"/>.</summary>
    private static Errno ParseErrno(string name)
    {
        if (Enum.TryParse(name, out Errno known) && known.ToString() == name)
            return known;
        return name.StartsWith('E') && int.TryParse(name.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? (Errno)number : Errno.EIO;
    }
}
