using LoopDaemon.Fuse.Wire;

namespace LoopDaemon.Fuse;

/// <summary>Turns attributes into the kernel's structures.</summary>
internal static class Encoding
{
    internal static Attr Attr(in NodeAttributes from)
    {
        (long seconds, uint nanoseconds) = Time(from.TimeNs);
        return new Attr
        {
            Inode = from.Node,
            Size = (ulong)from.SizeBytes,
            Blocks = (ulong)from.AllocatedBytes / 512,
            AccessSeconds = (ulong)seconds,
            ModifySeconds = (ulong)seconds,
            ChangeSeconds = (ulong)seconds,
            AccessNanoseconds = nanoseconds,
            ModifyNanoseconds = nanoseconds,
            ChangeNanoseconds = nanoseconds,
            Mode = Mode(in from),
            Links = from.Links,
            Uid = from.Uid,
            Gid = from.Gid,
            BlockSize = from.BlockSizeBytes,
        };
    }

    internal static AttrOut AttrReply(in NodeAttributes from)
    {
        (long seconds, uint nanoseconds) = Span(from.Validity);
        return new AttrOut { ValidSeconds = (ulong)seconds, ValidNanoseconds = nanoseconds, Attr = Attr(in from) };
    }

    internal static EntryOut Entry(in FuseEntry from)
    {
        (long nameSeconds, uint nameNanoseconds) = Span(from.NameValidity);
        (long attrSeconds, uint attrNanoseconds) = Span(from.Attributes.Validity);
        return new EntryOut
        {
            Node = from.Attributes.Node,
            Generation = from.Generation,
            EntryValidSeconds = (ulong)nameSeconds,
            EntryValidNanoseconds = nameNanoseconds,
            AttrValidSeconds = (ulong)attrSeconds,
            AttrValidNanoseconds = attrNanoseconds,
            Attr = Attr(from.Attributes),
        };
    }

    internal static StatxOut Statx(in NodeAttributes from)
    {
        const uint BasicStats = 0x7ff;
        (long validSeconds, uint validNanoseconds) = Span(from.Validity);
        (long seconds, uint nanoseconds) = Time(from.TimeNs);
        var time = new StatxTime { Seconds = seconds, Nanoseconds = nanoseconds };
        return new StatxOut
        {
            ValidSeconds = (ulong)validSeconds,
            ValidNanoseconds = validNanoseconds,
            Mask = BasicStats,
            BlockSize = from.BlockSizeBytes,
            Links = from.Links,
            Uid = from.Uid,
            Gid = from.Gid,
            Mode = (ushort)Mode(in from),
            Inode = from.Node,
            Size = (ulong)from.SizeBytes,
            Blocks = (ulong)from.AllocatedBytes / 512,
            AccessTime = time,
            ChangeTime = time,
            ModifyTime = time,
        };
    }

    private static uint Mode(in NodeAttributes from) => (uint)from.Kind | from.Permissions;

    private static (long Seconds, uint Nanoseconds) Time(long ns) => (ns / 1_000_000_000, (uint)(ns % 1_000_000_000));

    private static (long Seconds, uint Nanoseconds) Span(TimeSpan span) => Time(span.Ticks * 100);
}
