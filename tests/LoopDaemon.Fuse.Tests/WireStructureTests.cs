using System.Diagnostics;
using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;

namespace LoopDaemon.Fuse.Tests;

/// <summary>The structures against the C compiler's reading of linux/fuse.h.</summary>
public sealed class WireStructureTests
{
    /// <summary>C structure, its C field, our structure, our field; the fields are the last ones, which any earlier mistake moves.</summary>
    private static readonly (string CType, string CField, Type Type, string Field)[] Fields =
    [
        ("fuse_in_header", "pid", typeof(InHeader), nameof(InHeader.Pid)),
        ("fuse_out_header", "unique", typeof(OutHeader), nameof(OutHeader.Unique)),
        ("fuse_init_in", "flags2", typeof(InitIn), nameof(InitIn.Flags2)),
        ("fuse_init_out", "max_background", typeof(InitOut), nameof(InitOut.MaxBackground)),
        ("fuse_init_out", "max_write", typeof(InitOut), nameof(InitOut.MaxWrite)),
        ("fuse_init_out", "max_pages", typeof(InitOut), nameof(InitOut.MaxPages)),
        ("fuse_init_out", "flags2", typeof(InitOut), nameof(InitOut.Flags2)),
        ("fuse_attr", "blksize", typeof(Attr), nameof(Wire.Attr.BlockSize)),
        ("fuse_attr", "mtimensec", typeof(Attr), nameof(Wire.Attr.ModifyNanoseconds)),
        ("fuse_entry_out", "attr", typeof(EntryOut), nameof(EntryOut.Attr)),
        ("fuse_attr_out", "attr", typeof(AttrOut), nameof(AttrOut.Attr)),
        ("fuse_setattr_in", "gid", typeof(SetAttrIn), nameof(SetAttrIn.Gid)),
        ("fuse_setattr_in", "mode", typeof(SetAttrIn), nameof(SetAttrIn.Mode)),
        ("fuse_open_in", "flags", typeof(OpenIn), nameof(OpenIn.Flags)),
        ("fuse_open_out", "open_flags", typeof(OpenOut), nameof(OpenOut.OpenFlags)),
        ("fuse_release_in", "lock_owner", typeof(ReleaseIn), nameof(ReleaseIn.LockOwner)),
        ("fuse_flush_in", "lock_owner", typeof(FlushIn), nameof(FlushIn.LockOwner)),
        ("fuse_read_in", "flags", typeof(TransferIn), nameof(TransferIn.Flags)),
        ("fuse_write_in", "flags", typeof(TransferIn), nameof(TransferIn.Flags)),
        ("fuse_write_out", "size", typeof(WriteOut), nameof(WriteOut.Length)),
        ("fuse_fsync_in", "fsync_flags", typeof(FSyncIn), nameof(FSyncIn.Flags)),
        ("fuse_fallocate_in", "mode", typeof(FAllocateIn), nameof(FAllocateIn.Mode)),
        ("fuse_lseek_in", "whence", typeof(LSeekIn), nameof(LSeekIn.Whence)),
        ("fuse_lseek_out", "offset", typeof(LSeekOut), nameof(LSeekOut.Offset)),
        ("fuse_statfs_out", "st.frsize", typeof(StatFsOut), nameof(StatFsOut.FragmentSize)),
        ("fuse_access_in", "mask", typeof(AccessIn), nameof(AccessIn.Mask)),
        ("fuse_forget_in", "nlookup", typeof(ForgetIn), nameof(ForgetIn.Lookups)),
        ("fuse_batch_forget_in", "count", typeof(BatchForgetIn), nameof(BatchForgetIn.Count)),
        ("fuse_forget_one", "nlookup", typeof(ForgetOne), nameof(ForgetOne.Lookups)),
        ("fuse_dirent", "type", typeof(DirectoryEntry), nameof(DirectoryEntry.Type)),
    ];

    [Fact]
    public void Fields_are_where_the_kernels_header_has_them()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/cc") && File.Exists("/usr/include/linux/fuse.h"), "needs a C compiler and linux/fuse.h");
        string directory = Directory.CreateTempSubdirectory("wire-").FullName;
        try
        {
            string lines = string.Join('\n', Fields.Select(field =>
                $"printf(\"%zu %zu\\n\", sizeof(struct {field.CType}), offsetof(struct {field.CType}, {field.CField}));"));
            File.WriteAllText(Path.Combine(directory, "wire.c"),
                $"#include <linux/fuse.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{\n{lines}\nreturn 0; }}\n");
            Run("cc", "-o", Path.Combine(directory, "wire"), Path.Combine(directory, "wire.c"));
            string[] expected = Run(Path.Combine(directory, "wire")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            for (int i = 0; i < Fields.Length; i++)
            {
                (string cType, string cField, Type type, string field) = Fields[i];
                // Two of ours end where we have no more to say; the kernel's go on.
                string size = type == typeof(InitIn) ? expected[i].Split(' ')[0] : $"{Marshal.SizeOf(type)}";
                Assert.Equal($"{cType}.{cField} {expected[i]}", $"{cType}.{cField} {size} {Marshal.OffsetOf(type, field)}");
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>statx(2)'s own structure, newer than some headers' fuse_statx: 32 bytes of reply, 256 of statx.</summary>
    [Fact]
    public void Statx_has_the_shape_of_the_system_call()
    {
        Assert.Equal(288, Marshal.SizeOf<StatxOut>());
        Assert.Equal(32 + 0x1c, (int)Marshal.OffsetOf<StatxOut>(nameof(StatxOut.Mode)));
        Assert.Equal(32 + 0x28, (int)Marshal.OffsetOf<StatxOut>(nameof(StatxOut.Size)));
        Assert.Equal(32 + 0x70, (int)Marshal.OffsetOf<StatxOut>(nameof(StatxOut.ModifyTime)));
    }

    private static string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
