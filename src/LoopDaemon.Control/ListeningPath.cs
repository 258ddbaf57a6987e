using System.Net.Sockets;
using LoopDaemon.Control.Varlink;
using LoopDaemon.Linux;

namespace LoopDaemon.Control;

/// <summary>The path of a listening socket, and which socket it was made for: by the time a daemon stops, its successor
/// may have put another one there.</summary>
internal sealed class ListeningPath
{
    // sun_path of unix(7), less the NUL.
    private const int MaxPathBytes = 107;

    private readonly string _path;
    private readonly ulong _device;
    private readonly ulong _inode;

    private ListeningPath(string path, FileStatus socket)
    {
        _path = path;
        _device = socket.Device;
        _inode = socket.Inode;
    }

    /// <summary>Makes a listening socket at a path.</summary>
    /// <exception cref="LinuxException">As <see cref="ControlServer.Listen"/> says.</exception>
    internal static Socket Listen(string path, UnixFileMode mode, int backlog, out ListeningPath place)
    {
        // Made under another name and moved when it is ready: nobody sees the socket with the wrong mode or not yet
        // listening, and a stale one is replaced in one step. (Socket removes the name it was bound to when it closes,
        // whoever's that is by then; here that is a name that is gone.)
        string birthPath = path + ".new";
        if (System.Text.Encoding.UTF8.GetByteCount(birthPath) > MaxPathBytes)
            throw LinuxException.WithMessage(Errno.EINVAL, $"the path of the socket {path} is too long");
        RefuseUnlessStale(path);

        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            File.Delete(birthPath);
            listener.Bind(new UnixDomainSocketEndPoint(birthPath));
            File.SetUnixFileMode(birthPath, mode);
            listener.Listen(backlog);
            Errno error = FileStatus.Of(birthPath, out FileStatus status);
            if (error != Errno.None)
                throw new LinuxException(error, $"cannot make the socket {path}");
            File.Move(birthPath, path, overwrite: true);
            place = new ListeningPath(path, status);
            return listener;
        }
        catch (Exception e)
        {
            listener.Dispose();
            throw e switch
            {
                SocketException => LinuxException.WithMessage(Errno.EIO, $"cannot make the socket {path}: {e.Message}"),
                UnauthorizedAccessException => new LinuxException(Errno.EACCES, $"cannot make the socket {path}"),
                DirectoryNotFoundException => new LinuxException(Errno.ENOENT, $"cannot make the socket {path}"),
                _ => e,
            };
        }
    }

    /// <summary>The path of a socket that listens already; null where there is none.</summary>
    internal static ListeningPath? Find(string path) =>
        FileStatus.Of(path, out FileStatus status) == Errno.None ? new ListeningPath(path, status) : null;

    /// <summary>Removes the path if the socket there is the one it was made for.</summary>
    internal void Remove()
    {
        if (FileStatus.Of(_path, out FileStatus now) != Errno.None || now.Device != _device || now.Inode != _inode)
            return;
        try
        {
            File.Delete(_path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The directory is no longer this process's to write to. A path where nobody listens harms no one.
        }
    }

    private static void RefuseUnlessStale(string path)
    {
        if (FileStatus.Of(path, out FileStatus status) != Errno.None)
            return;
        if (status.Kind != FileKind.Socket)
            throw LinuxException.WithMessage(Errno.EEXIST, $"{path} exists and is no socket");
        try
        {
            VarlinkSocket.Connect(path, TimeSpan.FromSeconds(1)).Dispose();
        }
        catch (LinuxException e) when (e.Errno == Errno.ECONNREFUSED)
        {
            return;
        }
        throw LinuxException.WithMessage(Errno.EBUSY, $"another daemon answers on {path}");
    }
}
