import Engine
import ISIS
import Machine
import OSPF
import RIP
import Records
import Routing
import Wire

/// The topology behind a `RoutedStation` and the configuration of each of its routers, all of it drawn from a seed.
///
/// Router 0 is on the LAN. Every other router is linked to one before it, and some links more make rings. Each router has
/// a network of its own on a loopback interface. RIP's topologies stay small: sixteen links are infinity there.
struct StationPlan {
    struct Link {
        var number: Int
        var a: Int
        var b: Int
    }

    let number: Int
    let routerCount: Int
    let place: StationPlace
    let links: [Link]
    /// Of each router, the links in order of its interfaces: 1 and up on router 0, whose first is the LAN; 0 and up on
    /// the others.
    private let linksOfRouter: [[Int]]

    /// - Parameter place: `nil` for a world with one LAN.
    init(number: Int, routerCount: Int, seed: UInt64, place: StationPlace? = nil) {
        self.number = number
        let all = GatewayProtocol.allCases
        self.place = place ?? StationPlace(gatewayProtocol: all[number % all.count], lan: 0, bfd: nil)
        let isDistanceVector = self.place.gatewayProtocol == .rip || self.place.gatewayProtocol == .ripng
        let count = max(1, isDistanceVector ? min(routerCount, 6) : routerCount)
        self.routerCount = count
        var random = RandomNumbers(seed: mix64(seed ^ 0x5747_4154))
        var links: [Link] = []
        func join(_ a: Int, _ b: Int) { links.append(Link(number: links.count, a: min(a, b), b: max(a, b))) }
        if count > 1 {
            for router in 1..<count { join(router, random.number(in: max(0, router - 6)...(router - 1))) }
        }
        if count > 2 {
            for _ in 0..<(count / 2) {
                let a = random.number(in: 0...(count - 1))
                let b = random.number(in: 0...(count - 1))
                if a != b, !links.contains(where: { $0.a == min(a, b) && $0.b == max(a, b) }) { join(a, b) }
            }
        }
        self.links = links
        var byRouter = [[Int]](repeating: [], count: count)
        for link in links {
            byRouter[link.a].append(link.number)
            byRouter[link.b].append(link.number)
        }
        linksOfRouter = byRouter
    }

    var gatewayProtocol: GatewayProtocol { place.gatewayProtocol }
    private var hasIPv6: Bool { gatewayProtocol == .ospfv3 || gatewayProtocol == .ripng }

    private func offset(_ router: Int) -> Int { router == 0 ? 1 : 0 }

    func interface(of router: Int, on link: Int) -> InterfaceID {
        let place = linksOfRouter[router].firstIndex(of: link) ?? 0
        return InterfaceID(UInt16(place + offset(router)))
    }

    func link(of router: Int, at interface: InterfaceID) -> Int? {
        let place = Int(interface.value) - offset(router)
        return linksOfRouter[router].indices.contains(place) ? linksOfRouter[router][place] : nil
    }

    // MARK: addresses

    /// Of the router on the LAN.
    var lanAddress: IPv4Address { IPv4Address(raw: Neighborhood.routerAddress(lan: place.lan).raw + 100 + UInt32(number)) }
    static func lanMAC(_ number: Int) -> MACAddress { MACAddress(raw: 0x0200_0000_2000 + UInt64(number)) }
    /// 172.16.0.0/12 is of the routers' own networks, 4,096 for each station.
    private func network(_ router: Int) -> IPv4Address {
        IPv4Address(raw: 0xac10_0000 | UInt32(number) << 12 | UInt32(router))
    }
    /// 2001:db8:1::/48 is of the same.
    private func ipv6Network(_ router: Int) -> IPv6Address {
        IPv6Address(high: 0x2001_0db8_0001_0000 | UInt64(number), low: UInt64(router + 1))
    }
    /// 10.0.0.0/8 is of the links, 65,536 for each station.
    private func linkAddress(_ link: Link, _ router: Int) -> IPv4Address {
        IPv4Address(raw: 0x0a00_0000 | UInt32(number) << 18 | UInt32(link.number) << 2 | (router == link.a ? 1 : 2))
    }
    private func mac(_ router: Int, _ place: Int) -> MACAddress {
        MACAddress(raw: 0x0201_0000_0000 | UInt64(number) << 24 | UInt64(router) << 8 | UInt64(place))
    }

    // MARK: configuration

    /// - Parameter poison: the form of the route that is fatal and that the router announces; 0: none.
    func encoded(_ router: Int, poison: UInt32 = 0) -> [UInt8] {
        var configuration = configuration(router)
        if poison > 0 { addPoison(form: poison, to: &configuration) }
        // The plan is ours: it can be encoded.
        guard let bytes = try? configuration.encoded() else {
            preconditionFailure("the configuration of a simulated neighbour can be encoded")
        }
        return bytes
    }

    private func interfaces(_ router: Int) -> [InterfaceConfiguration] {
        var list: [InterfaceConfiguration] = []
        if router == 0 {
            list.append(
                InterfaceConfiguration(
                    name: "lan", virtualMAC: Self.lanMAC(number),
                    addresses: [.init(address: .v4(lanAddress), prefixLength: 24)]))
            if hasIPv6 {
                let address = Neighborhood.lanIPv6Address(lan: place.lan, host: UInt64(0x100 + number))
                list[0].addresses.append(.init(address: .v6(address), prefixLength: 64))
            }
        }
        for (place, number) in linksOfRouter[router].enumerated() {
            list.append(
                InterfaceConfiguration(
                    name: "link\(number)", virtualMAC: mac(router, place),
                    addresses: [.init(address: .v4(linkAddress(links[number], router)), prefixLength: 30)]))
        }
        list.append(
            InterfaceConfiguration(
                name: "lo", virtualMAC: MACAddress(raw: 0),
                addresses: [.init(address: .v4(network(router)), prefixLength: 32)], isLoopback: true))
        if hasIPv6 {
            list[list.count - 1].addresses.append(.init(address: .v6(ipv6Network(router)), prefixLength: 128))
        }
        return list
    }

    private func configuration(_ router: Int) -> RouterConfiguration {
        let interfaces = interfaces(router)
        var result = RouterConfiguration(hostname: "s\(number)r\(router)", interfaces: interfaces)
        switch gatewayProtocol {
        case .ospf:
            // One station may become designated router in the simulated router's place; the others never.
            result.ospf = GatewayPlan.ospf(
                routerID: network(router), interfaces: interfaces, priority: number == 0 ? 50 : 0)
        case .ospfv3:
            result.ospfv3 = GatewayPlan.ospf(
                .v3, routerID: network(router), interfaces: interfaces, priority: number & 1 == 0 ? 50 : 0)
        case .isis:
            result.isis = GatewayPlan.isis(
                system: 0x0000_1000_0000 | UInt64(number) << 16 | UInt64(router), interfaces: interfaces,
                priority: UInt8(number & 0x7f))
        case .rip: result.rip = GatewayPlan.rip(.v2, interfaces: interfaces)
        case .ripng: result.ripng = GatewayPlan.rip(.ng, interfaces: interfaces)
        }
        if router == 0, let bfd = place.bfd {
            result.bfd = bfd.configuration
            GatewayPlan.watch(&result)
        }
        return result
    }

    /// A route to what is in `Checkers.contentPoisonMark`, announced with another metric in each form.
    private func addPoison(form: UInt32, to configuration: inout RouterConfiguration) {
        let mark = Checkers.contentPoisonMark
        let word = mark.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let prefix: IPPrefix =
            hasIPv6
            ? .v6(IPv6Prefix(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(word), low: 0), 64))
            : .v4(IPv4Prefix(IPv4Address(raw: word), 32))
        configuration.staticRoutes.append(StaticRouteConfiguration(prefix: prefix, destination: .blackhole))
        let target: RouteProtocol =
            switch gatewayProtocol {
            case .ospf: .ospf
            case .ospfv3: .ospfv3
            case .isis: .isis
            case .rip: .rip
            case .ripng: .ripng
            }
        var redistribution = RedistributionConfiguration(from: .static, into: target)
        redistribution.metric = form
        configuration.redistribution = (configuration.redistribution ?? []) + [redistribution]
    }

    /// How an operator of the router names the station.
    var name: String {
        switch gatewayProtocol {
        case .isis: "\(Self.lanMAC(number))"
        case .ospfv3, .ripng: "\(Neighborhood.linkLocal(of: Self.lanMAC(number)))"
        case .ospf, .rip: "\(lanAddress)"
        }
    }
    var packetProtocol: PacketProtocol {
        switch gatewayProtocol {
        case .ospf: .ospfv2
        case .ospfv3: .ospfv3
        case .isis: .isis
        case .rip: .rip
        case .ripng: .ripng
        }
    }

    /// A packet of the station's protocol to the group on the LAN, whose octets are of no meaning.
    func poison(_ mark: [UInt8]) -> OutgoingPacket {
        let address = PacketAddress.ip(hasIPv6 ? .v6(Neighborhood.linkLocal(of: Self.lanMAC(number))) : .v4(lanAddress))
        switch gatewayProtocol {
        case .ospf:
            return OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .ospfv2, source: address,
                destination: .ip(.v4(IPv4Address(224, 0, 0, 5))), bytes: [2, 1, 0, 44] + mark)
        case .ospfv3:
            return OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .ospfv3, source: address,
                destination: .ip(.v6(IPv6Address(high: 0xff02_0000_0000_0000, low: 5))), bytes: [3, 1, 0, 36] + mark)
        case .ripng:
            return OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .ripng, source: address,
                destination: .ip(.v6(IPv6Address(high: 0xff02_0000_0000_0000, low: 9))), bytes: [2, 1, 0, 0] + mark)
        case .isis:
            return OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .isis, source: .station(Self.lanMAC(number)),
                destination: .station(MACAddress(raw: 0x0180_c200_0015)), bytes: [0x83, 27, 1, 0] + mark)
        case .rip:
            return OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .rip, source: address,
                destination: .ip(.v4(IPv4Address(224, 0, 0, 9))), bytes: [2, 2, 0, 0] + mark)
        }
    }
}

/// Interior protocols with timers that suit runs of seconds. Interfaces `lan…` are LANs, `link…` are links of two.
enum GatewayPlan {
    private static func isLAN(_ name: String) -> Bool { name.hasPrefix("lan") }

    /// On LANs neighbours are watched.
    static func watch(_ configuration: inout RouterConfiguration) {
        func watch(_ ospf: inout OSPFConfiguration?) {
            guard ospf != nil else { return }
            for i in ospf!.interfaces.indices where isLAN(ospf!.interfaces[i].name) { ospf!.interfaces[i].bfd = true }
        }
        func watch(_ rip: inout RIPConfiguration?) {
            guard rip != nil else { return }
            for i in rip!.interfaces.indices where isLAN(rip!.interfaces[i].name) { rip!.interfaces[i].bfd = true }
        }
        watch(&configuration.ospf)
        watch(&configuration.ospfv3)
        watch(&configuration.rip)
        watch(&configuration.ripng)
        guard configuration.isis != nil else { return }
        for i in configuration.isis!.interfaces.indices {
            let place = Int(configuration.isis!.interfaces[i].interface)
            configuration.isis!.interfaces[i].bfd = isLAN(configuration.interfaces[place].name)
        }
    }

    static func ospf(
        _ version: OSPFVersion = .v2, routerID: IPv4Address, interfaces: [InterfaceConfiguration], priority: UInt8
    ) -> OSPFConfiguration {
        let area = IPv4Address(raw: 0)
        var ospf = OSPFConfiguration(version: version, routerID: routerID, areas: [OSPFAreaConfiguration(areaID: area)])
        for interface in interfaces {
            let network: OSPFNetworkType =
                interface.isLoopback ? .loopback : isLAN(interface.name) ? .broadcast : .pointToPoint
            var entry = OSPFInterfaceConfiguration(name: interface.name, areaID: area, network: network)
            entry.helloInterval = 1
            entry.routerDeadInterval = 4
            entry.priority = priority
            ospf.interfaces.append(entry)
        }
        ospf.lsaTimers.minimumInterval = 500
        ospf.lsaTimers.minimumArrival = 100
        return ospf
    }

    static func isis(system: UInt64, interfaces: [InterfaceConfiguration], priority: UInt8) -> ISISConfiguration {
        var isis = ISISConfiguration(
            systemID: SystemID(raw: system), areaAddresses: [AreaAddress([0x49, 0x00, 0x01])].compactMap { $0 })
        isis.levels = .level2
        isis.isIPv6Enabled = false
        for (place, interface) in interfaces.enumerated() {
            var entry = ISISInterfaceConfiguration(interface: UInt16(place))
            entry.levels = .level2
            entry.isPassive = interface.isLoopback
            entry.networkType = isLAN(interface.name) || interface.isLoopback ? .broadcast : .pointToPoint
            entry.level2.helloInterval = 1_000
            entry.level2.helloMultiplier = 4
            entry.level2.priority = priority
            entry.csnpInterval = 2
            isis.interfaces.append(entry)
        }
        return isis
    }

    static func rip(_ version: RIPVersion, interfaces: [InterfaceConfiguration]) -> RIPConfiguration {
        var rip = RIPConfiguration(version: version, interfaces: interfaces.map { RIPInterfaceConfiguration(name: $0.name) })
        rip.timers.update = 2
        rip.timers.timeout = 12
        rip.timers.garbage = 8
        rip.timers.triggeredMinimum = 200
        rip.timers.triggeredMaximum = 600
        return rip
    }
}
