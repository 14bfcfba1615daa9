import BGP
import Machine
import Records
import Routing
import Wire

extension RouteManager {
    // MARK: interfaces

    /// The interface whose connected network holds the address.
    func interface(reaching address: IPAddress) -> InterfaceID? { Self.interface(reaching: address, interfaces, isUp) }

    static func interface(
        reaching address: IPAddress, _ interfaces: [InterfaceConfiguration], _ isUp: [Bool]
    ) -> InterfaceID? {
        var best: (id: InterfaceID, length: UInt8)? = nil
        for (number, interface) in interfaces.enumerated() where isUp[number] && !interface.isLoopback {
            for own in interface.addresses where network(own)?.contains(address) == true {
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

    // MARK: the router's own packets

    /// The interface by which the router's own packets leave for an address that may be on no connected network.
    func egress(to address: IPAddress) -> InterfaceID? {
        if let direct = interface(reaching: address) { return direct }
        return switch address {
        case .v4(let a): ipv4.way(to: a)?.interface
        case .v6(let a): ipv6.way(to: a)?.interface
        }
    }

    /// Whom the router itself talks to as a speaker of this protocol. Complete.
    mutating func setDestinations(_ addresses: [IPAddress], for speaker: Speaker) {
        if destinations[speaker.rawValue] == addresses { return }
        destinations[speaker.rawValue] = addresses
        ipv4.setDestinations(Self.own(allDestinations))
        ipv6.setDestinations(Self.own(allDestinations))
    }

    private var allDestinations: [IPAddress] {
        var all: [IPAddress] = []
        for address in destinations.flatMap({ $0 }).sorted() where all.last != address { all.append(address) }
        return all
    }

    private static func own(_ addresses: [IPAddress]) -> [IPv4Address] { addresses.compactMap { IPv4Prefix.own($0) } }
    private static func own(_ addresses: [IPAddress]) -> [IPv6Address] { addresses.compactMap { IPv6Prefix.own($0) } }

    /// How the line card reaches what is on no connected network: a way for each of those whom the router talks to, and
    /// the static routes that lead somewhere, for whoever else asks it something.
    var gateways: [Gateway] {
        var list: [Gateway] = []
        func add(_ prefix: IPPrefix, _ way: FIBNextHop) {
            guard let gateway = way.gateway else { return }
            list.append(Gateway(prefix: prefix, nextHop: gateway))
        }
        for (address, way) in ipv4.destinationWays { add(.v4(IPv4Prefix(address, 32)), way) }
        for (address, way) in ipv6.destinationWays { add(.v6(IPv6Prefix(address, 128)), way) }
        for (prefix, way) in ipv4.staticWays { add(.v4(prefix), way) }
        for (prefix, way) in ipv6.staticWays { add(.v6(prefix), way) }
        return list
    }

    /// The line card's list of gateways if it changed since the last call.
    mutating func takeGateways() -> [Gateway]? {
        let isNews4 = ipv4.takeDestinationNews(), isNews6 = ipv6.takeDestinationNews()
        guard areGatewaysSuspect || isNews4 || isNews6 else { return nil }
        areGatewaysSuspect = false
        let list = gateways
        if list == toldGateways { return nil }
        toldGateways = list
        return list
    }

    // MARK: next hops that are watched

    mutating func watch(_ address: IPAddress) -> NextHopState {
        // RFC 2545 §3 wants a global address beside it. Alone it names no link, and what went there would be lost.
        if address.isLinkLocal { return .unreachable }
        let (isReachable, metric) =
            switch address {
            case .v4(let a): ipv4.watch(a)
            case .v6(let a): ipv6.watch(a)
            }
        return isReachable && !isNobodyElses(address) ? .reachable(metric: metric) : .unreachable
    }

    /// RFC 4271 §5.1.3 and §6.3: an address of the router itself, or of a whole connected network, is no next hop.
    private func isNobodyElses(_ address: IPAddress) -> Bool {
        for interface in interfaces {
            for own in interface.addresses {
                if own.address == address { return true }
                guard case .v4(let ours) = own.address, case .v4(let wanted) = address, own.prefixLength < 31 else { continue }
                let hosts = UInt32.max >> UInt32(own.prefixLength)
                if wanted.raw & ~hosts == ours.raw & ~hosts, wanted.raw & hosts == 0 || wanted.raw & hosts == hosts {
                    return true
                }
            }
        }
        return false
    }

    mutating func unwatch(_ address: IPAddress) {
        switch address {
        case .v4(let a): ipv4.unwatch(a)
        case .v6(let a): ipv6.unwatch(a)
        }
    }

    /// What changed for those who watch since they were told last, ascending.
    mutating func takeNextHopChanges() -> [(address: IPAddress, state: NextHopState)] {
        var changes: [(address: IPAddress, state: NextHopState)] = []
        for news in ipv4.takeNextHopNews() {
            changes.append(
                (
                    .v4(news.address),
                    news.isReachable && !isNobodyElses(.v4(news.address)) ? .reachable(metric: news.metric) : .unreachable
                ))
        }
        for news in ipv6.takeNextHopNews() {
            changes.append(
                (
                    .v6(news.address),
                    news.isReachable && !isNobodyElses(.v6(news.address)) ? .reachable(metric: news.metric) : .unreachable
                ))
        }
        return changes
    }

    // MARK: forwarding table

    /// What changed in the forwarding table since the last call.
    mutating func takeFIBUpdate() -> FIBUpdate {
        var update = FIBUpdate()
        update.ipv4 = ipv4.takeForwarding(into: &update)
        update.ipv6 = ipv6.takeForwarding(into: &update)
        return update
    }

    /// The whole forwarding table.
    var completeFIBUpdate: FIBUpdate {
        var update = FIBUpdate()
        update.isComplete = true
        update.ipv4 = ipv4.completeForwarding(into: &update)
        update.ipv6 = ipv6.completeForwarding(into: &update)
        return update
    }

    // MARK: snapshot

    static let section = SnapshotSection(4, "routes", schemas: 1...1)

    /// Interfaces, static routes and policies are those of the configuration, which the engine's snapshot holds anyway;
    /// what follows from them and from the tables is worked out again.
    func write(to writer: inout SnapshotWriter) {
        ipv4.write(to: &writer)
        ipv6.write(to: &writer)
        writer.writeList(isUp) { up, w in w.write(up) }
        writer.writeList(connected) { prefix, w in prefix.write(to: &w) }
        for list in destinations + [usableNextHops] { writer.writeList(list) { address, w in address.write(to: &w) } }
    }

    init(from reader: inout SnapshotReader, configuration: RouterConfiguration) throws(DecodeError) {
        self.init(
            ipv4: try RoutingTable(from: &reader), ipv6: try RoutingTable(from: &reader),
            isUp: try reader.readList { r throws(DecodeError) in try r.readBool() },
            connected: try reader.readList { r throws(DecodeError) in try IPPrefix(from: &r) })
        for speaker in Speaker.allCases {
            destinations[speaker.rawValue] = try reader.readList { r throws(DecodeError) in try IPAddress(from: &r) }
        }
        usableNextHops = try reader.readList { r throws(DecodeError) in try IPAddress(from: &r) }
        interfaces = configuration.interfaces
        statics = configuration.staticRoutes
        distances = configuration.bgp?.distances ?? DistanceConfiguration()
        redistribution = configuration.redistribution ?? []
        aggregation = configuration.aggregates ?? []
        definitions = configuration.announcingDefinitions
        guard isUp.count == interfaces.count else { throw DecodeError("interface states", at: reader.position, .badLength) }
        ipv4.resume(interfaces: isUp, statics: specifications(), destinations: Self.own(allDestinations))
        ipv6.resume(interfaces: isUp, statics: specifications(), destinations: Self.own(allDestinations))
        resumeAnnouncing()
        toldGateways = gateways
    }
}
