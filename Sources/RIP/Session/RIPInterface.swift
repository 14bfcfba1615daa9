import Machine
import Records
import Wire

/// An interface of the router as RIP sees it, whether RIP runs on it or not: its position in the array is its
/// `InterfaceID`.
struct RIPInterface: Sendable {
    /// One of our addresses, and the network that it is on.
    struct Source: Equatable, Sendable {
        var address: IPAddress
        var prefixLength: UInt8
    }

    var settings: InterfaceConfiguration
    /// `nil`: RIP does not run here.
    var rip: RIPInterfaceConfiguration?
    var isUp = true
    /// RFC 2453 §3.8: when the next regular update is due.
    var regularAt: Instant?
    /// When an event may tell of refused packets again.
    var nextRefusalEvent: Instant = .zero
    /// The second in which requests are being counted, and how many there were.
    var requestSecond: Int64 = 0
    var requests: UInt32 = 0
    /// Not state.
    var counters = RIPCounters()

    // Derived from the settings.

    /// Addresses to send from: one for each network (RFC 2453 §3.10.2), for RIPng the link-local one.
    private(set) var sources: [Source] = []
    /// Networks to announce, ascending.
    private(set) var networks: [Destination] = []
    /// All our addresses of the family.
    private(set) var addresses: [IPAddress] = []
    private(set) var ipv4Addresses: [IPv4Address] = []

    init(settings: InterfaceConfiguration, rip: RIPInterfaceConfiguration?, version: RIPVersion) {
        self.settings = settings
        self.rip = rip
        derive(version)
    }

    mutating func derive(_ version: RIPVersion) {
        sources = []
        networks = []
        addresses = []
        ipv4Addresses = []
        for entry in settings.addresses where entry.address.family == version.family {
            addresses.append(entry.address)
            switch entry.address {
            case .v4(let address):
                ipv4Addresses.append(address)
                let prefix = IPv4Prefix(address, min(entry.prefixLength, 32))
                let network = Destination(mapping: prefix)
                guard !networks.contains(network) else { continue }
                networks.append(network)
                sources.append(Source(address: entry.address, prefixLength: prefix.length))
            case .v6(let address):
                if address.isLinkLocal {
                    // RFC 2080 §2.5: one is enough, and neighbours know us by it.
                    if sources.isEmpty { sources.append(Source(address: entry.address, prefixLength: 64)) }
                    continue
                }
                let network = IPv6Prefix(address, min(entry.prefixLength, 128))
                if !networks.contains(network) { networks.append(network) }
            }
        }
        networks.sort()
        if version == .ng, !settings.isLoopback {
            // RFC 2080 §2.5 wants a link-local address. Where none is configured, the one of the station's address
            // (RFC 4291 appendix A) is answered for, and it is ours in any case.
            let derived = IPAddress.v6(Self.linkLocal(of: settings.virtualMAC))
            if !addresses.contains(derived) { addresses.append(derived) }
            if sources.isEmpty { sources.append(Source(address: derived, prefixLength: 64)) }
        }
    }

    private static func linkLocal(of mac: MACAddress) -> IPv6Address {
        let high = (mac.raw >> 24 ^ 0x02_0000) << 40
        return IPv6Address(high: 0xfe80 << 48, low: high | 0xff_fe00_0000 | mac.raw & 0xff_ffff)
    }

    /// RIP runs here now.
    var isRunning: Bool { rip != nil && isUp }
    /// Updates go to the group or by broadcast.
    var sendsUpdates: Bool {
        guard isRunning, let rip else { return false }
        return !rip.isPassive && !settings.isLoopback && rip.send != .none
    }
    var isSilent: Bool { rip?.isPassive == true || settings.isLoopback }

    /// Our address on the network of another, and that network; RIPv2.
    func network(of address: IPv4Address) -> (source: IPv4Address, prefix: IPv4Prefix)? {
        for source in sources {
            guard case .v4(let own) = source.address else { continue }
            let prefix = IPv4Prefix(own, source.prefixLength)
            if prefix.contains(address) { return (own, prefix) }
        }
        return nil
    }

    /// Our address from which another on the link is spoken to.
    func source(for address: IPAddress) -> IPAddress? {
        switch address {
        case .v4(let a): network(of: a).map { .v4($0.source) }
        case .v6: sources.first?.address
        }
    }

    /// Counts a request; `false` when there were too many in this second.
    mutating func admitsRequest(at now: Instant, limit: UInt16) -> Bool {
        let second = now.nanoseconds / 1_000_000_000
        if second != requestSecond {
            requestSecond = second
            requests = 0
        }
        guard requests < UInt32(limit) else { return false }
        requests += 1
        return true
    }
}

extension RIPInterface: Fielded {
    static var blank: Self {
        .init(
            settings: InterfaceConfiguration(name: "", virtualMAC: MACAddress(raw: 0), addresses: []), rip: nil, version: .v2)
    }

    /// Whoever reads it derives from the settings what is not listed as state.
    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.cold(&settings)
        try visitor.cold(&rip)
        try visitor.field(&isUp)
        try visitor.field(&regularAt)
        try visitor.field(&nextRefusalEvent)
        try visitor.field(&requestSecond)
        try visitor.field(&requests)
        visitor.derived(counters)
        visitor.derived(sources)
        visitor.derived(networks)
        visitor.derived(addresses)
        visitor.derived(ipv4Addresses)
    }
}
