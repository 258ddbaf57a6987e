namespace LoopDaemon.Control;

/// <summary>Who answers on a control socket (org.varlink.service.GetInfo).</summary>
/// <param name="Vendor">Who made it.</param>
/// <param name="Product">Its name.</param>
/// <param name="Version">Its version.</param>
/// <param name="Url">Where to read about it.</param>
/// <param name="Interfaces">The names of its interfaces.</param>
public sealed record ServiceInfo(string Vendor, string Product, string Version, string Url, IReadOnlyList<string> Interfaces);
