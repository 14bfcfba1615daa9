import BGP
import Machine
import Policy
import Records
import Routing
import Wire

/// The routing table manager (RTM): the offers of all protocols, which of them is in force, what that means for the
/// kernel's forwarding table, for BGP's next hops, for the router's own packets, and for what protocols announce of each
/// other.
///
/// - `RouteManager.swift`: configuration, interfaces, connected and static routes; the protocols' news.
/// - `RouteManager+Announcing.swift`: aggregates and redistribution.
/// - `RouteManager+Ways.swift`: next hops that BGP watches, the router's own packets, the forwarding table, snapshots.
///
/// One `RoutingTable` per address family does the work; what is here joins the families, and knows the configuration.
/// Every verb leaves the tables settled. Whoever changes something takes what follows from it afterwards:
/// `takeNextHopChanges`, `takeRedistribution`, `takeGateways` with each record, `takeFIBUpdate` with each batch of them.
struct RouteManager: Sendable {
    var ipv4: RoutingTable<IPv4Prefix>
    var ipv6: RoutingTable<IPv6Prefix>
    var interfaces: [InterfaceConfiguration] = []
    /// By interface number; down only when a record said so.
    var isUp: [Bool] = []
    var statics: [StaticRouteConfiguration] = []
    /// Next hops to which BFD says that the path works, ascending: static routes that ask for BFD need theirs among them.
    var usableNextHops: [IPAddress] = []
    /// Connected networks that are in the tables, ascending, so that a change withdraws exactly what is gone.
    var connected: [IPPrefix] = []
    var distances = DistanceConfiguration()
    /// Whom the router itself talks to, wherever it is: peers of stream protocols, BFD's multihop peers.
    enum Speaker: Int, CaseIterable { case streams, bfd }
    /// By `Speaker`, ascending.
    var destinations: [[IPAddress]] = Speaker.allCases.map { _ in [] }
    /// As the line card was told last.
    var toldGateways: [Gateway] = []
    var areGatewaysSuspect = false

    var redistribution: [RedistributionConfiguration] = []
    var aggregation: [AggregateConfiguration] = []
    /// What these two name.
    var definitions = PolicyDefinitions()
    var aggregates4 = Aggregates<IPv4Prefix>()
    var aggregates6 = Aggregates<IPv6Prefix>()
    var redistributor4 = Redistributor<IPv4Prefix>()
    var redistributor6 = Redistributor<IPv6Prefix>()

    init(seed: UInt64) {
        ipv4 = RoutingTable(seed: seed)
        ipv6 = RoutingTable(seed: mix64(seed))
    }

    /// From a snapshot; the rest follows.
    init(ipv4: RoutingTable<IPv4Prefix>, ipv6: RoutingTable<IPv6Prefix>, isUp: [Bool], connected: [IPPrefix]) {
        self.ipv4 = ipv4
        self.ipv6 = ipv6
        self.isUp = isUp
        self.connected = connected
    }

    var digest: StateDigest {
        var digest = ipv4.digest
        digest.mix(ipv6.digest.value)
        return digest
    }

    // MARK: configuration

    mutating func configure(_ configuration: RouterConfiguration, distances: DistanceConfiguration) {
        // A kept interface keeps its state; the number is its place in the list, so names decide.
        var states: [Bool] = []
        for interface in configuration.interfaces {
            let before = interface.isLoopback ? nil : interfaces.firstIndex { $0.name == interface.name }
            states.append(before.map { isUp[$0] } ?? true)
        }
        interfaces = configuration.interfaces
        isUp = states
        if self.distances != distances {
            self.distances = distances
            for source in RouteSource.allCases {
                ipv4.setDistance(distance(source), of: .bgp, kind: source.rawValue)
                ipv6.setDistance(distance(source), of: .bgp, kind: source.rawValue)
            }
        }
        recompute()
        if statics != configuration.staticRoutes {
            statics = configuration.staticRoutes
            ipv4.setStatics(specifications())
            ipv6.setStatics(specifications())
        }
        configureAnnouncing(configuration)
        areGatewaysSuspect = true
        announce()
    }

    /// `false` when nothing changed.
    mutating func setInterface(_ id: InterfaceID, isUp up: Bool) -> Bool {
        guard Int(id.value) < isUp.count, isUp[Int(id.value)] != up, !interfaces[Int(id.value)].isLoopback else { return false }
        isUp[Int(id.value)] = up
        recompute()
        areGatewaysSuspect = true
        announce()
        return true
    }

    func interfaceState(_ id: InterfaceID) -> Bool { Int(id.value) < isUp.count && isUp[Int(id.value)] }

    /// Enters the networks that configuration and interface state now ask for and withdraws the rest. The number of
    /// interfaces bounds the work, not the table.
    private mutating func recompute() {
        var wanted: [(prefix: IPPrefix, interface: InterfaceID)] = []
        for (number, interface) in interfaces.enumerated() where isUp[number] {
            for own in interface.addresses where !own.address.isLinkLocal {
                guard let network = interface.isLoopback ? IPPrefix(host: own.address) : Self.network(own) else { continue }
                wanted.append((network, InterfaceID(UInt16(number))))
            }
        }
        // A network on two interfaces is reached by the first of them.
        wanted.sort { $0.prefix != $1.prefix ? $0.prefix < $1.prefix : $0.interface < $1.interface }
        var kept: [IPPrefix] = []
        var updates: [RouteUpdate] = []
        for entry in wanted where kept.last != entry.prefix {
            kept.append(entry.prefix)
            updates.append(
                RouteUpdate(entry.prefix, RouteOffer(nextHops: [.connected(entry.interface)], metric: 0, distance: 0)))
        }
        // Both lists are sorted: one walk finds what is gone.
        var place = 0
        for old in connected {
            while place < kept.count, kept[place] < old { place += 1 }
            if place == kept.count || kept[place] != old { updates.append(RouteUpdate(old, nil)) }
        }
        connected = kept
        // Interfaces first: what led through one that is down now has its other ways at once.
        ipv4.setInterfaces(isUp)
        ipv6.setInterfaces(isUp)
        ipv4.apply(updates, from: .connected)
        ipv6.apply(updates, from: .connected)
    }

    func specifications<Key: PrefixKey>() -> [StaticRouteSpecification<Key>] {
        statics.compactMap { route in
            guard let prefix = Key(route.prefix) else { return nil }
            let nextHop: NextHop
            switch route.destination {
            case .blackhole: nextHop = .blackhole
            case .nextHop(let address):
                if route.bfd != nil, !isUsable(address) { return nil }
                nextHop = .gateway(address)
            }
            return StaticRouteSpecification(prefix: prefix, nextHop: nextHop, distance: route.distance, tag: route.tag)
        }
    }

    private func isUsable(_ address: IPAddress) -> Bool {
        let low = usableNextHops.sortedIndex { $0 < address }
        return low < usableNextHops.count && usableNextHops[low] == address
    }

    /// What BFD says of the next hops of static routes. Ascending.
    mutating func setUsableNextHops(_ addresses: [IPAddress]) {
        guard addresses != usableNextHops else { return }
        usableNextHops = addresses
        guard statics.contains(where: { $0.bfd != nil }) else { return }
        ipv4.setStatics(specifications())
        ipv6.setStatics(specifications())
        areGatewaysSuspect = true
        announce()
    }

    static func network(_ own: InterfaceConfiguration.Address) -> IPPrefix? {
        switch own.address {
        case .v4(let a): own.prefixLength <= 32 ? .v4(IPv4Prefix(a, own.prefixLength)) : nil
        case .v6(let a): own.prefixLength <= 128 ? .v6(IPv6Prefix(a, own.prefixLength)) : nil
        }
    }

    // MARK: protocols

    /// News of a protocol's own routes; the way in for every protocol but BGP.
    mutating func apply(_ updates: [RouteUpdate], from source: RouteProtocol) {
        ipv4.apply(updates, from: source)
        ipv6.apply(updates, from: source)
        announce()
    }

    /// A protocol has no routes any more.
    mutating func withdrawAll(from source: RouteProtocol, ipv4 isIPv4: Bool, ipv6 isIPv6: Bool) {
        if isIPv4 { ipv4.withdrawAll(from: source) }
        if isIPv6 { ipv6.withdrawAll(from: source) }
        announce()
    }

    mutating func apply(_ changes: [BestRouteChange<IPv4Address>]) {
        ipv4.apply(
            changes.map { change in
                .init(IPv4Prefix(change.address, change.length), change.source.map { offer($0, change.nextHop, change.backup) })
            }, from: .bgp)
        announce()
    }

    mutating func apply(_ changes: [BestRouteChange<IPv6Address>]) {
        ipv6.apply(
            changes.map { change in
                .init(IPv6Prefix(change.address, change.length), change.source.map { offer($0, change.nextHop, change.backup) })
            }, from: .bgp)
        announce()
    }

    /// What the router originates itself leads nowhere: more specific routes do, or packets are dropped.
    private func offer<Address>(
        _ source: RouteSource, _ nextHop: Address, _ backup: Address
    ) -> (kind: UInt8, distance: UInt8, gateway: Address?, backup: Address?) {
        (source.rawValue, distance(source), source == .local ? nil : nextHop, backup)
    }

    private func distance(_ source: RouteSource) -> UInt8 {
        switch source {
        case .local: distances.local
        case .external: distances.external
        case .internal: distances.internal
        }
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
    /// The address alone.
    init(host address: IPAddress) { self.init(address, .max) }
}
