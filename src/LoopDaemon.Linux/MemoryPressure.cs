namespace LoopDaemon.Linux;

/// <summary>What keeps a process that the kernel writes dirty pages through from waiting for itself when memory is short.</summary>
public static class MemoryPressure
{
    /// <summary>Marks the calling thread, and those that it starts, as ones that memory is freed through: when they allocate, the
    /// kernel does not wait for I/O that might be theirs to do (PR_SET_IO_FLUSHER of prctl(2), Linux 5.6).</summary>
    /// <returns>EPERM without CAP_SYS_RESOURCE, EINVAL on older kernels.</returns>
    public static Errno ServeWriteback()
    {
        const int SetIoFlusher = 57;
        return Libc.prctl(SetIoFlusher, 1, 0, 0, 0) < 0 ? LastError.Get() : Errno.None;
    }

    /// <summary>Asks the kernel to spare this process when it ends one for want of memory (proc(5), oom_score_adj).</summary>
    /// <param name="score">-1000, never, to 1000.</param>
    /// <returns>EACCES without CAP_SYS_RESOURCE.</returns>
    public static Errno SpareProcess(int score)
    {
        Errno error = FileDescriptor.TryOpen("/proc/self/oom_score_adj", OpenFlags.WriteOnly, out FileDescriptor? file);
        if (file is null)
            return error;
        using (file)
            return file.Write(System.Text.Encoding.ASCII.GetBytes(score.ToString(System.Globalization.CultureInfo.InvariantCulture)), out _);
    }
}
