namespace LoopDaemon.Transfers.Tests;

public sealed class IdentityTransferTests
{
    [Fact]
    public void Copies_the_data_and_changes_nothing()
    {
        using var transfer = new IdentityTransfer();
        byte[] data = [.. Enumerable.Range(0, 1024).Select(i => (byte)i)];
        byte[] stored = new byte[1024];
        transfer.Encode(data, stored, firstSector: 3);
        Assert.Equal(data, stored);
        transfer.Decode(stored, firstSector: 3);
        Assert.Equal(data, stored);
        transfer.Encode(stored, stored, firstSector: 3);
        Assert.Equal(data, stored);
    }

    [Fact]
    public void Is_the_kernels_number_0()
    {
        using var transfer = new IdentityTransfer();
        Assert.True(transfer.IsIdentity);
        Assert.Equal("identity", transfer.Name);
        Assert.Equal(0, transfer.Number);
        Assert.Equal(512, transfer.SectorSize);
    }
}
