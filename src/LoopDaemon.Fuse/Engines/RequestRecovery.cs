using System.Runtime.InteropServices;
using LoopDaemon.Fuse.Wire;

namespace LoopDaemon.Fuse.Engines;

/// <summary>Brings the requests that a dead daemon left in its slots to their answers, before any thread reads. A request that
/// was answered is never carried out again: a write that came late would undo a newer one. May be killed and begun again at
/// any point.</summary>
/// <param name="engine">The engine that goes on.</param>
/// <param name="slots">The slots.</param>
/// <param name="isUnanswered">Asks the kernel, as <see cref="RequestProbe"/> does.</param>
internal sealed class RequestRecovery(FuseEngine engine, RequestSlots slots, Func<FuseConnection, ulong, bool?> isUnanswered)
{
    /// <summary>Recovers all of them, in the order in which the kernel made them.</summary>
    internal RecoveredRequests Run()
    {
        int answered = 0, dropped = 0;
        foreach (int index in Enumerable.Range(0, slots.Count).Where(index => slots[index].RequestId != 0).OrderBy(index => slots[index].RequestId))
        {
            if (IsWanted(slots[index]))
            {
                using var reader = new DeviceReader(engine, slots, index);
                reader.Recover();
                answered++;
            }
            else
            {
                slots[index].MarkAnswered();
                dropped++;
            }
        }
        return new RecoveredRequests(answered, dropped);
    }

    private bool IsWanted(RequestSlots.Slot slot)
    {
        uint length = slot.RequestLength;
        if (length < InHeader.Size || length > slot.Request.Length)
        {
            engine.Trouble($"a slot holds a request of {length} bytes, which cannot be; it is dropped");
            return false;
        }
        InHeader header = MemoryMarshal.Read<InHeader>(slot.Request);
        // Nobody waits for an answer to these, and the kernel remembers none of them.
        const ulong InterruptBit = 1;
        if (header.Opcode is Opcode.Forget or Opcode.BatchForget or Opcode.Interrupt || (header.Unique & InterruptBit) != 0)
            return false;
        // Where it does not tell: a slot is marked as answered right behind the answer.
        return isUnanswered(engine.Connection, header.Unique) ?? slot.Progress != SlotState.Answered;
    }
}
