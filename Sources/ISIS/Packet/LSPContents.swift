import Wire

/// What the TLVs of an LSP say, for the decision process and for display.
///
/// An LSP that was accepted is well framed. A TLV whose inside contradicts itself is ignored as a whole and counted
/// (RFC 8918 §3.2 asks for as much), for its originator's other TLVs are still worth having. What an LSP can hold bounds
/// every list here: nothing is expanded beyond its octets.
public struct LSPContents: Equatable, Sendable {
    public var flags: LSPHeader.Flags = []
    public var areas: [AreaAddress] = []
    public var protocols: [UInt8] = []
    public var hostname: String?
    /// RFC 5120; empty without TLV 229: the standard topology alone.
    public var topologies: [TopologyMembership] = []
    public var neighbors: [NeighborReach] = []
    public var ipv4: [IPv4Reach] = []
    public var ipv6: [IPv6Reach] = []
    public var ipv4Addresses: [IPv4Address] = []
    public var ipv6Addresses: [IPv6Address] = []
    public var teRouterID: IPv4Address?
    /// RFC 6232: who purged, and from whom it had the LSP.
    public var purgeOriginators: [SystemID] = []
    public var hasAuthentication = false
    /// TLV 242: seen, not looked into.
    public var hasRouterCapability = false
    /// TLVs that are not known here.
    public var unknownTLVs = 0
    /// TLVs ignored because their inside was wrong, and what was wrong with the first.
    public var malformedTLVs = 0
    public var firstFault: DecodeError?

    public init() {}

    /// Reads a PDU that `LSPHeader` accepted. Of anything else it takes what it can.
    public init(_ pdu: RawSpan) {
        var reader = ByteReader(pdu)
        do {
            try reader.skip(LSPHeader.length - 1, "header")
            flags = LSPHeader.Flags(rawValue: try reader.u8("LSP flags"))
            while !reader.isAtEnd {
                let code = try reader.u8("TLV code")
                var value = try reader.reader(Int(try reader.u8("TLV length")), "TLV value")
                read(code, &value)
            }
        } catch {
            note(error)
        }
    }

    private mutating func note(_ error: DecodeError) {
        malformedTLVs += 1
        if firstFault == nil { firstFault = error }
    }

    /// Reads one TLV; of one that is malformed nothing stays.
    @_lifetime(value: copy value)
    private mutating func read(_ code: UInt8, _ value: inout ByteReader) {
        let counts = (
            areas.count, topologies.count, neighbors.count, ipv4.count, ipv6.count, ipv4Addresses.count,
            ipv6Addresses.count, purgeOriginators.count
        )
        do {
            try readValue(code, &value)
        } catch {
            note(error)
            areas.removeLast(areas.count - counts.0)
            topologies.removeLast(topologies.count - counts.1)
            neighbors.removeLast(neighbors.count - counts.2)
            ipv4.removeLast(ipv4.count - counts.3)
            ipv6.removeLast(ipv6.count - counts.4)
            ipv4Addresses.removeLast(ipv4Addresses.count - counts.5)
            ipv6Addresses.removeLast(ipv6Addresses.count - counts.6)
            purgeOriginators.removeLast(purgeOriginators.count - counts.7)
        }
    }

    @_lifetime(value: copy value)
    private mutating func readValue(_ code: UInt8, _ value: inout ByteReader) throws(DecodeError) {
        switch code {
        case TLVCode.areaAddresses: try TLV.areaAddresses(&value, into: &areas)
        case TLVCode.isNeighbors: try Reachability.narrowNeighbors(&value, into: &neighbors)
        case TLVCode.authentication: hasAuthentication = true
        case TLVCode.purgeOriginator:
            let at = value.offset
            let count = Int(try value.u8("number of system IDs"))
            guard count == 1 || count == 2 else { throw DecodeError("number of system IDs", at: at, .badValue) }
            for _ in 0..<count { purgeOriginators.append(try value.systemID("purge originator")) }
        case TLVCode.extendedISReachability: try Reachability.wideNeighbors(&value, topology: 0, into: &neighbors)
        case TLVCode.ipInternalReachability: try Reachability.narrowPrefixes(&value, isExternal: false, into: &ipv4)
        case TLVCode.protocolsSupported:
            while !value.isAtEnd { protocols.append(try value.u8("NLPID")) }
        case TLVCode.ipExternalReachability: try Reachability.narrowPrefixes(&value, isExternal: true, into: &ipv4)
        case TLVCode.ipInterfaceAddresses: try TLV.ipv4Addresses(&value, into: &ipv4Addresses)
        case TLVCode.teRouterID: teRouterID = try value.ipv4("TE router ID")
        case TLVCode.extendedIPReachability: try Reachability.widePrefixes(&value, topology: 0, into: &ipv4)
        case TLVCode.hostname:
            let octets = try value.array(value.remaining, "hostname")
            hostname = Self.printable(octets)
        // RFC 5120 §7: a TLV with a topology of its own is ignored where that is 0; the standard one has TLVs without.
        case TLVCode.mtISReachability:
            let topology = try value.u16("MT ID") & 0xfff
            guard topology != 0 else { return }
            try Reachability.wideNeighbors(&value, topology: topology, into: &neighbors)
        case TLVCode.multiTopology: try TLV.topologies(&value, into: &topologies)
        case TLVCode.ipv6InterfaceAddresses: try TLV.ipv6Addresses(&value, into: &ipv6Addresses)
        case TLVCode.mtIPReachability:
            let topology = try value.u16("MT ID") & 0xfff
            guard topology != 0 else { return }
            try Reachability.widePrefixes(&value, topology: topology, into: &ipv4)
        case TLVCode.ipv6Reachability: try Reachability.ipv6Prefixes(&value, topology: 0, into: &ipv6)
        case TLVCode.mtIPv6Reachability:
            let topology = try value.u16("MT ID") & 0xfff
            guard topology != 0 else { return }
            try Reachability.ipv6Prefixes(&value, topology: topology, into: &ipv6)
        case TLVCode.routerCapability: hasRouterCapability = true
        case TLVCode.padding: break
        default: unknownTLVs += 1
        }
    }

    /// RFC 5301 §3: seven-bit characters; whatever a terminal might take for more than a letter is replaced.
    static func printable(_ octets: [UInt8]) -> String {
        String(decoding: octets.map { (0x21...0x7e).contains($0) ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }

    static func writeHostname(_ hostname: String, into writer: inout ByteWriter) {
        guard !hostname.isEmpty else { return }
        TLV.write(TLVCode.hostname, into: &writer) { $0.append(Array(hostname.utf8.prefix(TLV.valueMaximum))) }
    }

    /// Whether the system takes part in a topology (RFC 5120 §7.2: TLV 229 in LSP number zero).
    public func isMember(of topology: UInt16) -> Bool {
        topologies.isEmpty ? topology == 0 : topologies.contains { $0.id == topology }
    }
}
