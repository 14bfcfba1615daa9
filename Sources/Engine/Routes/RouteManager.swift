import BGP
import Machine
import Records
import Routing
import Wire

/// The routing table manager (RTM): connected and static routes from configuration and interface state, BGP's best
/// routes, and what they mean for the next hops that BGP watches.
struct RouteManager: Sendable {
    private(set) var ipv4: RoutingTable<IPv4Prefix>
    private(set) var ipv6: RoutingTable<IPv6Prefix>
    private var interfaces: [InterfaceConfiguration] = []
    /// By interface number; down only when a record said so.
    private var isUp: [Bool] = []
    private var statics: [StaticRouteConfiguration] = []
    /// What is in the tables from us, so that a change withdraws exactly what is gone. Sorted.
    private var entered: [Entered] = []
    private var distances = DistanceConfiguration()
    /// Next hops that BGP watches, ascending, with what it was told last.
    private var watched: [(address: IPAddress, state: NextHopState)] = []

    private struct Entered: Hashable, Sendable {
        var prefix: IPPrefix
        var source: RouteProtocol

        func precedes(_ other: Entered) -> Bool {
            (prefix, source.rawValue) < (other.prefix, other.source.rawValue)
        }
    }

    init(seed: UInt64) {
        ipv4 = RoutingTable(seed: seed)
        ipv6 = RoutingTable(seed: mix64(seed))
    }

    var digest: StateDigest {
        var digest = ipv4.digest
        digest.mix(ipv6.digest.value)
        return digest
    }

    // MARK: configuration and interfaces

    mutating func configure(_ configuration: RouterConfiguration, distances: DistanceConfiguration) {
        // A kept interface keeps its state; the number is its place in the list, so names decide.
        var states: [Bool] = []
        for interface in configuration.interfaces {
            let before = interfaces.firstIndex { $0.name == interface.name }
            states.append(before.map { isUp[$0] } ?? true)
        }
        interfaces = configuration.interfaces
        isUp = states
        statics = configuration.staticRoutes
        if self.distances != distances {
            self.distances = distances
            for source in RouteSource.allCases {
                ipv4.setDistance(distance(source), of: .bgp, kind: source.rawValue)
                ipv6.setDistance(distance(source), of: .bgp, kind: source.rawValue)
            }
        }
        recompute()
    }

    mutating func setInterface(_ id: InterfaceID, isUp up: Bool) -> Bool {
        guard Int(id.value) < isUp.count, isUp[Int(id.value)] != up else { return false }
        isUp[Int(id.value)] = up
        recompute()
        return true
    }

    func interfaceState(_ id: InterfaceID) -> Bool { Int(id.value) < isUp.count && isUp[Int(id.value)] }

    /// The interface whose connected network holds the address.
    func interface(reaching address: IPAddress) -> InterfaceID? {
        var best: (id: InterfaceID, length: UInt8)? = nil
        for (number, interface) in interfaces.enumerated() where isUp[number] {
            for own in interface.addresses where Self.network(own)?.contains(address) == true {
                if own.prefixLength > best?.length ?? 0 { best = (InterfaceID(UInt16(number)), own.prefixLength) }
            }
        }
        return best?.id
    }

    /// Our own address of the family on an interface: the first configured one, the one on the peer's network first.
    func localAddress(on id: InterfaceID, towards remote: IPAddress) -> IPAddress? {
        guard Int(id.value) < interfaces.count else { return nil }
        let own = interfaces[Int(id.value)].addresses.filter { $0.address.family == remote.family }
        return (own.first { Self.network($0)?.contains(remote) == true } ?? own.first)?.address
    }

    func ownAddress(_ family: AddressFamily, on id: InterfaceID) -> IPAddress? {
        guard Int(id.value) < interfaces.count else { return nil }
        return interfaces[Int(id.value)].addresses.first { $0.address.family == family && !$0.address.isLinkLocal }?.address
    }

    /// The configured link-local address, or the one that the line card derives from the virtual MAC (RFC 4291 App. A).
    func linkLocalAddress(on id: InterfaceID) -> IPv6Address? {
        guard Int(id.value) < interfaces.count else { return nil }
        let interface = interfaces[Int(id.value)]
        for own in interface.addresses {
            if case .v6(let address) = own.address, address.isLinkLocal { return address }
        }
        guard interface.addresses.contains(where: { $0.address.family == .ipv6 }) else { return nil }
        let mac = interface.virtualMAC.raw
        let low = ((mac >> 24) ^ 0x02_0000) << 40 | 0xff_fe00_0000 | mac & 0xff_ffff
        return IPv6Address(high: 0xfe80 << 48, low: low)
    }

    /// The way to an address that may be on no connected network: the interface, by connected and static routes.
    func egress(to address: IPAddress) -> InterfaceID? {
        if let direct = interface(reaching: address) { return direct }
        guard let route = resolve(address) else { return nil }
        switch route {
        case .connected(let id): return id
        case .gateway(let next): return interface(reaching: next)
        case .via(_, let id): return id
        case .blackhole: return nil
        }
    }

    /// Static routes that are usable, for the line card.
    var gateways: [Gateway] {
        statics.compactMap { route in
            guard case .nextHop(let next) = route.destination, interface(reaching: next) != nil else { return nil }
            return Gateway(prefix: route.prefix, nextHop: next)
        }
    }

    /// Enters what configuration and interface state now ask for and withdraws the rest. The number of interfaces and
    /// static routes bounds the work, not the table.
    private mutating func recompute() {
        var wanted: [(entered: Entered, distance: UInt8, nextHop: NextHop)] = []
        for (number, interface) in interfaces.enumerated() where isUp[number] {
            for own in interface.addresses {
                guard let network = Self.network(own) else { continue }
                wanted.append((Entered(prefix: network, source: .connected), 0, .connected(InterfaceID(UInt16(number)))))
            }
        }
        // Of several static routes for one prefix the usable one with the lowest distance counts (a floating static
        // route); of equals the first in the configuration.
        for route in statics {
            let nextHop: NextHop
            switch route.destination {
            case .blackhole: nextHop = .blackhole
            case .nextHop(let address):
                guard interface(reaching: address) != nil else { continue }
                nextHop = .gateway(address)
            }
            let entry = Entered(prefix: route.prefix, source: .static)
            wanted.append((entry, route.distance, nextHop))
        }
        wanted.sort { a, b in
            a.entered != b.entered ? a.entered.precedes(b.entered) : a.distance < b.distance
        }
        var kept: [Entered] = []
        for entry in wanted where kept.last != entry.entered {
            kept.append(entry.entered)
            offer(entry.entered.prefix, from: entry.entered.source, distance: entry.distance, nextHop: entry.nextHop)
        }
        // Both lists are sorted alike: one walk finds what is gone.
        var place = 0
        for old in entered {
            while place < kept.count, kept[place].precedes(old) { place += 1 }
            if place == kept.count || kept[place] != old { withdraw(old.prefix, from: old.source) }
        }
        entered = kept
    }

    private mutating func offer(_ prefix: IPPrefix, from source: RouteProtocol, distance: UInt8, nextHop: NextHop) {
        switch prefix {
        case .v4(let prefix):
            var batch = RoutingTable<IPv4Prefix>.Batch()
            ipv4.offer(prefix, from: source, distance: distance, metric: 0, nextHop: nextHop, batch: &batch)
        case .v6(let prefix):
            var batch = RoutingTable<IPv6Prefix>.Batch()
            ipv6.offer(prefix, from: source, distance: distance, metric: 0, nextHop: nextHop, batch: &batch)
        }
    }

    private mutating func withdraw(_ prefix: IPPrefix, from source: RouteProtocol) {
        switch prefix {
        case .v4(let prefix): ipv4.withdraw(prefix, from: source)
        case .v6(let prefix): ipv6.withdraw(prefix, from: source)
        }
    }

    private static func network(_ own: InterfaceConfiguration.Address) -> IPPrefix? {
        switch own.address {
        case .v4(let a): own.prefixLength <= 32 ? .v4(IPv4Prefix(a, own.prefixLength)) : nil
        case .v6(let a): own.prefixLength <= 128 ? .v6(IPv6Prefix(a, own.prefixLength)) : nil
        }
    }

    // MARK: BGP

    mutating func apply(_ changes: [BestRouteChange<IPv4Address>]) {
        ipv4.apply(
            changes.map { change in
                .init(IPv4Prefix(change.address, change.length), change.source.map { offer($0, change.nextHop) })
            }, from: .bgp)
    }

    mutating func apply(_ changes: [BestRouteChange<IPv6Address>]) {
        ipv6.apply(
            changes.map { change in
                .init(IPv6Prefix(change.address, change.length), change.source.map { offer($0, change.nextHop) })
            }, from: .bgp)
    }

    /// What the router originates itself leads nowhere: more specific routes do, or packets are dropped.
    private func offer<Address>(
        _ source: RouteSource, _ nextHop: Address
    ) -> (kind: UInt8, distance: UInt8, gateway: Address?) {
        (source.rawValue, distance(source), source == .local ? nil : nextHop)
    }

    private func distance(_ source: RouteSource) -> UInt8 {
        switch source {
        case .local: distances.local
        case .external: distances.external
        case .internal: distances.internal
        }
    }

    // MARK: interior protocols

    /// News of a protocol's own routes; the way in for every protocol but BGP.
    mutating func apply(_ updates: [RouteUpdate], from source: RouteProtocol) {
        for update in updates {
            guard let new = update.offer, let nextHop = new.nextHops.first else {
                withdraw(update.prefix, from: source)
                continue
            }
            offer(update.prefix, from: source, distance: new.distance, nextHop: nextHop)
        }
    }

    /// What protocols are to announce for others and have not been told yet, ascending by protocol.
    mutating func takeRedistribution() -> [(target: RouteProtocol, updates: [RedistributionUpdate])] { [] }

    // MARK: forwarding table

    /// What changed in the forwarding table since the last call.
    mutating func takeFIBUpdate() -> FIBUpdate { FIBUpdate() }

    /// The whole forwarding table.
    var completeFIBUpdate: FIBUpdate {
        var update = FIBUpdate()
        update.isComplete = true
        return update
    }

    // MARK: the router's own packets

    /// Whom the router itself talks to, wherever it is: BGP neighbours, BFD's multihop peers. Complete, ascending.
    mutating func setDestinations(_ addresses: [IPAddress]) {}

    /// The line card's list of gateways if it changed since the last call.
    mutating func takeGateways() -> [Gateway]? { nil }

    // MARK: next hops

    private func resolve(_ address: IPAddress) -> NextHop? {
        switch address {
        case .v4(let a): ipv4.resolve(a)?.nextHop
        case .v6(let a): ipv6.resolve(a)?.nextHop
        }
    }

    func state(of address: IPAddress) -> NextHopState {
        // A link-local next hop was learnt on the link it names (RFC 2545 §3).
        if address.isLinkLocal { return .reachable(metric: 0) }
        switch resolve(address) {
        case .connected: return .reachable(metric: 0)
        case .gateway(let next): return interface(reaching: next) != nil ? .reachable(metric: 1) : .unreachable
        case .via: return .reachable(metric: 1)
        case .blackhole, nil: return .unreachable
        }
    }

    mutating func watch(_ address: IPAddress) -> NextHopState {
        let state = state(of: address)
        let place = watched.firstIndex { $0.address >= address } ?? watched.count
        if place == watched.count || watched[place].address != address {
            watched.insert((address, state), at: place)
        }
        return state
    }

    mutating func unwatch(_ address: IPAddress) { watched.removeAll { $0.address == address } }

    /// What changed for BGP since it was told last.
    mutating func takeNextHopChanges() -> [(address: IPAddress, state: NextHopState)] {
        var changes: [(address: IPAddress, state: NextHopState)] = []
        for place in watched.indices {
            let state = state(of: watched[place].address)
            if state != watched[place].state {
                watched[place].state = state
                changes.append(watched[place])
            }
        }
        return changes
    }
}

extension IPAddress {
    /// fe80::/10
    var isLinkLocal: Bool {
        if case .v6(let a) = self { return a.isLinkLocal }
        return false
    }
}

extension IPPrefix {
    func contains(_ address: IPAddress) -> Bool {
        switch (self, address) {
        case (.v4(let p), .v4(let a)): p.contains(a)
        case (.v6(let p), .v6(let a)): p.contains(a)
        default: false
        }
    }
}

extension RouteManager {
    /// Interfaces and static routes are those of the configuration, which the engine's snapshot holds anyway.
    func write(to writer: inout SnapshotWriter) {
        ipv4.write(to: &writer)
        ipv6.write(to: &writer)
        writer.writeList(isUp) { up, w in w.write(up) }
        writer.writeList(entered) { entry, w in
            entry.prefix.write(to: &w)
            w.write(entry.source.rawValue)
        }
        writer.writeList(watched) { next, w in
            next.address.write(to: &w)
            switch next.state {
            case .unreachable: w.write(UInt64.max)
            case .reachable(let metric): w.write(UInt64(metric))
            }
        }
    }

    init(
        from reader: inout SnapshotReader, configuration: RouterConfiguration
    ) throws(DecodeError) {
        ipv4 = try RoutingTable(from: &reader)
        ipv6 = try RoutingTable(from: &reader)
        interfaces = configuration.interfaces
        statics = configuration.staticRoutes
        distances = configuration.bgp?.distances ?? DistanceConfiguration()
        isUp = try reader.readList { r throws(DecodeError) in try r.readBool() }
        guard isUp.count == interfaces.count else { throw DecodeError("interface states", at: reader.position, .badLength) }
        entered = try reader.readList { r throws(DecodeError) in
            let prefix = try IPPrefix(from: &r)
            guard let source = RouteProtocol(rawValue: try r.read()) else {
                throw DecodeError("route protocol", at: r.position, .badValue)
            }
            return Entered(prefix: prefix, source: source)
        }
        watched = try reader.readList { r throws(DecodeError) in
            let address = try IPAddress(from: &r)
            let metric: UInt64 = try r.read()
            return (address, metric == .max ? .unreachable : .reachable(metric: UInt32(truncatingIfNeeded: metric)))
        }
    }
}

extension IPPrefix {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .v4(let p): IPAddress.v4(p.address).write(to: &writer)
        case .v6(let p): IPAddress.v6(p.address).write(to: &writer)
        }
        writer.write(length)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let address = try IPAddress(from: &reader)
        let length: UInt8 = try reader.read()
        switch address {
        case .v4(let a):
            guard length <= 32 else { throw DecodeError("prefix length", at: reader.position, .badValue) }
            self = .v4(IPv4Prefix(a, length))
        case .v6(let a):
            guard length <= 128 else { throw DecodeError("prefix length", at: reader.position, .badValue) }
            self = .v6(IPv6Prefix(a, length))
        }
    }
}
