import Machine
import Records
import Wire

/// An interface as the line card sees it: its configuration and what follows from it.
struct Interface {
    /// An address to answer for.
    struct OwnAddress {
        var address: IPAddress
        var prefixLength: UInt8
        /// When a conflict was last spoken of; RFC 5227 §2.4 DEFEND_INTERVAL apart.
        var lastConflict: Instant?
    }

    let id: InterfaceID
    let configuration: InterfaceConfiguration
    /// Derived from the virtual MAC; answered for besides the configured ones.
    let linkLocal: IPv6Address
    /// The configured addresses in their order, then the link-local one.
    var addresses: [OwnAddress]
    /// Which announcement comes next.
    var announcementRound = 0
    var announcedSince = Instant.zero
    /// What may be answered to neighbours that we send to, and to others.
    var knownAnswers = TokenBucket(perSecond: LineCard.answersPerSecond)
    var otherAnswers = TokenBucket(perSecond: LineCard.answersPerSecond)
    /// Packets that the engine wants from here, few.
    private(set) var wanted: [Wanted] = []

    struct Wanted {
        let packetProtocol: PacketProtocol
        let groups: [PacketAddress]
        /// What a flood of them may cost the log.
        var floodGuard = TokenBucket(perSecond: LineCard.packetsPerSecond, burst: LineCard.packetBurst)
    }

    var mac: MACAddress { configuration.virtualMAC }
    var vlan: UInt16 { configuration.vlan }
    var mtu: Int { Int(configuration.mtu) }
    /// No device carries it: its addresses are answered for on the others, nothing is sent on it.
    var isLoopback: Bool { configuration.isLoopback }

    init(id: InterfaceID, _ configuration: InterfaceConfiguration) {
        self.id = id
        self.configuration = configuration
        linkLocal = IPv6Address(linkLocalOf: configuration.virtualMAC)
        addresses = configuration.addresses.map { OwnAddress(address: $0.address, prefixLength: $0.prefixLength) }
        let derived = IPAddress.v6(linkLocal)
        if !configuration.isLoopback, !addresses.contains(where: { $0.address == derived }) {
            addresses.append(OwnAddress(address: derived, prefixLength: 64))
        }
    }

    /// What stays wanted keeps the measure of its flood.
    mutating func want(_ list: [PacketSubscription]) {
        let before = wanted
        wanted = list.map { new in
            var entry = Wanted(packetProtocol: new.packetProtocol, groups: new.groups)
            if let old = before.first(where: { $0.packetProtocol == new.packetProtocol }) { entry.floodGuard = old.floodGuard }
            return entry
        }
    }

    func wants(_ packetProtocol: PacketProtocol) -> Bool { wanted.contains { $0.packetProtocol == packetProtocol } }

    /// Whether one more packet may go to the log.
    mutating func admits(_ packetProtocol: PacketProtocol, at now: Instant) -> Bool {
        guard let i = wanted.firstIndex(where: { $0.packetProtocol == packetProtocol }) else { return false }
        return wanted[i].floodGuard.take(at: now)
    }

    /// IPv6 groups of everything that is wanted, in its order.
    var ipv6Groups: [IPv6Address] {
        wanted.flatMap { entry in
            entry.groups.compactMap { group in
                if case .ip(.v6(let address)) = group { address } else { nil }
            }
        }
    }

    /// Position of one of our addresses, or `nil`.
    func index(of address: IPAddress) -> Int? {
        for i in addresses.indices where addresses[i].address == address { return i }
        return nil
    }

    /// Length of the longest connected prefix that holds `address`, or -1.
    func connectedLength(_ address: IPAddress) -> Int {
        var best = -1
        guard !isLoopback else { return best }
        for i in addresses.indices where Int(addresses[i].prefixLength) > best && addresses[i].covers(address) {
            best = Int(addresses[i].prefixLength)
        }
        return best
    }

    /// Our address from which a question about `target` comes: one of the same network, or the first of its family.
    func sourceV4(for target: IPv4Address) -> IPv4Address? {
        var first: IPv4Address? = nil
        for own in addresses {
            guard case .v4(let a) = own.address else { continue }
            if own.covers(.v4(target)) { return a }
            if first == nil { first = a }
        }
        return first
    }
    func sourceV6(for target: IPv6Address) -> IPv6Address {
        if target.isLinkLocal || target.isMulticast { return linkLocal }
        for own in addresses {
            if case .v6(let a) = own.address, own.covers(.v6(target)) { return a }
        }
        return linkLocal
    }

    /// Whether an IPv4 address is the broadcast address of a connected network, or the limited one.
    func isBroadcast(_ address: IPv4Address) -> Bool {
        if address == .broadcast { return true }
        for own in addresses {
            guard case .v4(let a) = own.address, own.prefixLength < 31 else { continue }
            let mask = IPv4Prefix.mask(own.prefixLength)
            if address.raw == a.raw | ~mask { return true }
        }
        return false
    }
}

extension Interface.OwnAddress {
    func covers(_ other: IPAddress) -> Bool {
        switch (address, other) {
        case (.v4(let a), .v4(let b)):
            return (a.raw ^ b.raw) & IPv4Prefix.mask(min(prefixLength, 32)) == 0
        case (.v6(let a), .v6(let b)):
            let mask = IPv6Prefix.mask(min(prefixLength, 128))
            return (a.high ^ b.high) & mask.high == 0 && (a.low ^ b.low) & mask.low == 0
        default:
            return false
        }
    }
}
