/// RFC 2328 A.2 (eight bits), RFC 5340 A.2 (24 bits): what a router can do. Names that both versions share stand first.
public struct OSPFOptions: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public var rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// E: AS-external LSAs are flooded through the area.
    public static let external = OSPFOptions(rawValue: 0x02)
    /// N: the link is in an NSSA (RFC 3101 A). In the header of an OSPFv2 type-7 LSA the same bit is P: translate it.
    public static let nssa = OSPFOptions(rawValue: 0x08)
    /// The same bit in an OSPFv2 type-7 LSA.
    public static let propagate = OSPFOptions(rawValue: 0x08)

    /// OSPFv2 L: an LLS block follows (RFC 5613 §2).
    public static let linkLocalSignalingV2 = OSPFOptions(rawValue: 0x10)
    /// OSPFv2 DC (RFC 1793).
    public static let demandCircuitsV2 = OSPFOptions(rawValue: 0x20)
    /// OSPFv2 O: opaque LSAs are understood (RFC 5250 §4).
    public static let opaque = OSPFOptions(rawValue: 0x40)
    /// OSPFv2 DN: a route that a VPN's edge gave down (RFC 4576).
    public static let down = OSPFOptions(rawValue: 0x80)

    /// OSPFv3 V6: the router takes part in IPv6 forwarding.
    public static let ipv6 = OSPFOptions(rawValue: 0x01)
    /// OSPFv3 R: the router is active; when clear, nobody routes through it.
    public static let activeRouter = OSPFOptions(rawValue: 0x10)
    /// OSPFv3 DC.
    public static let demandCircuitsV3 = OSPFOptions(rawValue: 0x20)
    /// OSPFv3 AF: address families (RFC 5838 §2.2).
    public static let addressFamily = OSPFOptions(rawValue: 0x100)
    /// OSPFv3 L: an LLS block follows (RFC 5613 §2).
    public static let linkLocalSignalingV3 = OSPFOptions(rawValue: 0x200)
    /// OSPFv3 AT: an authentication trailer follows (RFC 7166 §2).
    public static let authenticationTrailer = OSPFOptions(rawValue: 0x400)

    /// The bit of the version that announces an LLS block.
    public static func linkLocalSignaling(_ version: OSPFVersion) -> OSPFOptions {
        version == .v2 ? .linkLocalSignalingV2 : .linkLocalSignalingV3
    }
}
