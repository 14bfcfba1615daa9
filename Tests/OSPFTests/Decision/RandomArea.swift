import Machine
import Records
import Wire

@testable import OSPF

/// A router with several areas around it, whose links, LSAs and neighbours change at random. LSAs are mostly true: a
/// link is described from both ends, as a rule.
struct RandomDomain {
    var random: RandomNumbers
    let version: OSPFVersion
    let family: AddressFamily
    var local: LocalState
    var database = LSDB()
    private var sequence: Int32 = 1
    let routers: [UInt32]
    let areaIDs: [UInt32]

    /// A link that may be there.
    struct Wire {
        var area: UInt32
        var a: UInt32
        var b: UInt32
        var number: UInt32
        var metric: UInt16
        var isUp: Bool
    }
    var wires: [Wire] = []
    /// Routers on the one network of each area, the first of them its Designated Router.
    var members: [UInt32: [UInt32]] = [:]

    static let root: UInt32 = 1

    init(seed: UInt64, version: OSPFVersion, family: AddressFamily) {
        random = RandomNumbers(seed: seed)
        self.version = version
        self.family = family
        routers = Array(1...UInt32(random.number(in: 3...8)))
        var configuration = OSPFConfiguration(version: version, family: family, routerID: IPv4Address(raw: Self.root))
        let kinds: [OSPFAreaKind] = [.normal, .nssa, .normal, .stub, .nssaNoSummary]
        areaIDs = seed % 3 == 0 ? [0] : seed % 3 == 1 ? [0, 1, 2] : [1, 2, 4]
        for id in areaIDs {
            var area = OSPFAreaConfiguration(areaID: IPv4Address(raw: id), kind: kinds[Int(id)])
            if random.chance(1, in: 2) {
                area.ranges = [OSPFAreaRange(prefix: Self.prefix(random.number(in: 0...11), family))]
            }
            configuration.areas.append(area)
        }
        configuration.rfc1583Compatibility = random.chance(1, in: 2)
        configuration.maximumPaths = seed % 4 == 0 ? 2 : 64
        local = LocalState(configuration: configuration, interfaces: [], isStubRouter: false)
        var number: UInt32 = 1
        for area in areaIDs {
            for (i, a) in routers.enumerated() {
                for b in routers[(i + 1)...] where random.chance(1, in: 2) {
                    wires.append(
                        Wire(
                            area: area, a: a, b: b, number: number, metric: UInt16(random.number(in: 1...3)),
                            isUp: random.chance(3, in: 4)))
                    number += 1
                }
            }
            members[area] = routers.filter { _ in random.chance(1, in: 2) }
        }
        for area in areaIDs { for router in routers { describe(router, area) } }
        for area in areaIDs { describeNetwork(area) }
        refreshLocal()
    }

    /// A small world, so that LSAs meet on the same destinations: networks within networks, and a default.
    static func prefix(_ i: Int, _ family: AddressFamily) -> IPPrefix {
        switch (i, family) {
        case (0, .ipv4): IPPrefix("0.0.0.0/0")!
        case (1, .ipv4): IPPrefix("10.0.0.0/8")!
        case (2, .ipv4): IPPrefix("10.99.0.0/16")!
        case (_, .ipv4): IPPrefix("10.99.\(i).0/24")!
        case (0, .ipv6): IPPrefix("::/0")!
        case (1, .ipv6): IPPrefix("2001:db8::/32")!
        case (2, .ipv6): IPPrefix("2001:db8:99::/48")!
        case (_, .ipv6): IPPrefix("2001:db8:99:\(i)::/64")!
        }
    }

    private func hostAddress(_ i: Int) -> IPAddress {
        switch Self.prefix(i, family).address {
        case .v4(let address): .v4(IPv4Address(raw: address.raw + 7))
        case .v6(let address): .v6(IPv6Address(high: address.high, low: address.low + 7))
        }
    }

    /// OSPFv2: the address of a router on a wire (or, for wire 0, on the area's network).
    func address(_ router: UInt32, _ wire: UInt32, _ area: UInt32) -> UInt32 {
        0x0b00_0000 | area << 20 | wire << 8 | router
    }

    private mutating func install(_ id: DatabaseID, _ key: LSAKey, options: UInt8 = 0, _ body: [UInt8]) {
        sequence += 1
        let lsa = LSA(version: version, key: key, options: options, sequence: sequence, body: body)
        database.install(
            lsa, in: id, isOwn: key.advertisingRouter == Self.root, at: .zero, due: .distantFuture)
    }

    private mutating func flush(_ id: DatabaseID, _ key: LSAKey) {
        if let handle = database.handle(of: key, in: id) { database.setMaxAge(handle, at: .zero) }
    }

    // MARK: topology

    mutating func describe(_ router: UInt32, _ area: UInt32) {
        let key = LSAKey(
            type: version == .v2 ? .router : .routerV3, linkStateID: version == .v2 ? router : 0,
            advertisingRouter: router)
        if router != Self.root, random.chance(1, in: 20) { return flush(.area(area), key) }
        var links: [RouterLSABody.Link] = []
        for wire in wires where wire.area == area && wire.isUp && (wire.a == router || wire.b == router) {
            let other = wire.a == router ? wire.b : wire.a
            links.append(
                .init(
                    type: .pointToPoint, metric: wire.metric + (random.chance(1, in: 4) ? 1 : 0), id: other,
                    data: version == .v2 ? address(router, wire.number, area) : number(wire.number, area),
                    neighborInterfaceID: version == .v2 ? 0 : number(wire.number, area)))
        }
        if let dr = members[area]?.first, members[area]!.contains(router) {
            links.append(
                .init(
                    type: .transit, metric: UInt16(random.number(in: 1...2)),
                    id: version == .v2 ? address(dr, 0, area) : dr,
                    data: version == .v2 ? address(router, 0, area) : number(0, area),
                    neighborInterfaceID: version == .v2 ? 0 : number(0, area)))
        }
        var prefixes: [LSAPrefix] = []
        for _ in 0..<random.number(in: 0...2) {
            prefixes.append(
                LSAPrefix(
                    Self.prefix(random.number(in: 1...11), family), metric: UInt16(random.number(in: 0...3))))
        }
        if version == .v2 {
            for prefix in prefixes {
                guard case .v4(let network) = prefix.prefix else { continue }
                links.append(
                    .init(
                        type: .stub, metric: prefix.metric, id: network.address.raw,
                        data: IPv4Prefix.mask(network.length)))
            }
        } else {
            let body = IntraAreaPrefixLSABody(
                reference: LSAKey(type: .routerV3, linkStateID: 0, advertisingRouter: router), prefixes: prefixes)
            install(
                .area(area), LSAKey(type: .intraAreaPrefix, linkStateID: 0, advertisingRouter: router), body.encoded())
        }
        var flags: RouterLSABody.Flags = []
        if random.chance(3, in: 4) { flags.insert(.border) }
        if random.chance(3, in: 4) { flags.insert(.boundary) }
        var options: OSPFOptions = []
        if version == .v3, !random.chance(1, in: 10) { options = [.ipv6, .activeRouter] }
        install(
            .area(area), key,
            RouterLSABody(flags: flags, options: options, links: links).encoded(version: version))
    }

    /// OSPFv3 Interface IDs: those of the root are those of its interfaces.
    func number(_ wire: UInt32, _ area: UInt32) -> UInt32 { area * 64 + wire + 1 }

    mutating func describeNetwork(_ area: UInt32) {
        for dr in routers {
            let key = LSAKey(
                type: version == .v2 ? .network : .networkV3,
                linkStateID: version == .v2 ? address(dr, 0, area) : number(0, area), advertisingRouter: dr)
            guard let members = members[area], members.first == dr else {
                flush(.area(area), key)
                continue
            }
            let body = NetworkLSABody(mask: 0xffff_ff00, routers: members)
            install(.area(area), key, body.encoded(version: version))
            if version == .v3 {
                let body = IntraAreaPrefixLSABody(
                    reference: key, prefixes: [LSAPrefix(Self.prefix(3 + Int(area), family))])
                install(
                    .area(area), LSAKey(type: .intraAreaPrefix, linkStateID: 77, advertisingRouter: dr), body.encoded())
            }
        }
    }

    // MARK: the router itself

    mutating func refreshLocal() {
        var interfaces: [LocalInterface] = []
        func interface(_ wire: UInt32, _ area: UInt32, _ network: OSPFNetworkType, _ others: [UInt32]) {
            let id = InterfaceID(UInt16(number(wire, area) - 1))
            var neighbors: [LocalNeighbor] = []
            for other in others.sorted() {
                let v4 = IPAddress.v4(IPv4Address(raw: address(other, wire, area)))
                let v6 = IPAddress.v6(IPv6Address(high: 0xfe80 << 48, low: UInt64(other)))
                neighbors.append(
                    LocalNeighbor(
                        routerID: other, address: version == .v2 ? v4 : v6, interfaceNumber: number(wire, area),
                        isAdjacent: network == .broadcast || !random.chance(1, in: 8)))
            }
            let own: IPAddress =
                family == .ipv4
                ? .v4(IPv4Address(raw: address(Self.root, wire, area)))
                : .v6(IPv6Address(high: 0x2001_0db8_0099_0000 | UInt64(3 + wire % 4), low: 1))
            let device = InterfaceConfiguration(
                name: "e\(id.value)", virtualMAC: MACAddress(raw: 2),
                addresses: [.init(address: own, prefixLength: family == .ipv4 ? 24 : 64)])
            let isDown = random.chance(1, in: 15)
            interfaces.append(
                LocalInterface(
                    id: id,
                    configuration: OSPFInterfaceConfiguration(
                        name: device.name, areaID: IPv4Address(raw: area), network: network),
                    device: device,
                    state: isDown ? .down : network == .broadcast ? .drOther : .pointToPoint,
                    interfaceNumber: UInt32(id.value) + 1, linkLocal: .any, neighbors: isDown ? [] : neighbors))
        }
        for area in areaIDs {
            if let members = members[area], members.contains(Self.root) {
                interface(0, area, .broadcast, members.filter { $0 != Self.root })
            }
            for wire in wires where wire.area == area && wire.a == Self.root && wire.isUp {
                interface(wire.number, area, .pointToPoint, [wire.b])
            }
        }
        local.interfaces = interfaces.sorted { $0.id < $1.id }
    }

    // MARK: change

    mutating func change() {
        let area = areaIDs[random.number(in: 0...(areaIDs.count - 1))]
        let router = routers[random.number(in: 0...(routers.count - 1))]
        let prefix = Self.prefix(random.number(in: 0...11), family)
        let id: UInt32
        if case .v4(let network) = prefix, version == .v2 {
            id = network.address.raw
        } else {
            id = UInt32(prefix.length) + UInt32(random.number(in: 0...2))
        }
        switch random.number(in: 0...9) {
        case 0, 1:
            guard !wires.isEmpty else { return }
            let i = random.number(in: 0...(wires.count - 1))
            if random.chance(1, in: 2) {
                wires[i].isUp.toggle()
            } else {
                wires[i].metric = UInt16(random.number(in: 1...4))
            }
            describe(wires[i].a, wires[i].area)
            if random.chance(4, in: 5) { describe(wires[i].b, wires[i].area) }
            if wires[i].a == Self.root { refreshLocal() }
        case 2: describe(router, area)
        case 3:
            members[area] = routers.filter { _ in random.chance(2, in: 3) }
            describeNetwork(area)
            for router in routers where random.chance(5, in: 6) { describe(router, area) }
            refreshLocal()
        case 4, 5:
            let key = LSAKey(
                type: version == .v2 ? .summaryNetwork : .interAreaPrefix, linkStateID: id, advertisingRouter: router)
            if random.chance(1, in: 3) { return flush(.area(area), key) }
            let metric = random.chance(1, in: 12) ? 0xff_ffff : UInt32(random.number(in: 1...4))
            install(.area(area), key, InterAreaPrefixLSABody(metric: metric, prefix: prefix).encoded(version: version))
        case 6:
            let other = routers[random.number(in: 0...(routers.count - 1))]
            let key = LSAKey(
                type: version == .v2 ? .summaryRouter : .interAreaRouter, linkStateID: other, advertisingRouter: router)
            if random.chance(1, in: 3) { return flush(.area(area), key) }
            install(
                .area(area), key,
                InterAreaRouterLSABody(metric: UInt32(random.number(in: 1...4)), router: other)
                    .encoded(version: version))
        case 7, 8:
            let isNSSA = random.chance(1, in: 2)
            let type: LSAType =
                version == .v2 ? (isNSSA ? .nssa : .external) : (isNSSA ? .nssaV3 : .externalV3)
            let key = LSAKey(type: type, linkStateID: id, advertisingRouter: router)
            let database: DatabaseID = isNSSA ? .area(area) : .autonomousSystem
            if random.chance(1, in: 3) { return flush(database, key) }
            let propagates = random.chance(1, in: 2)
            let address = random.chance(1, in: 2) ? hostAddress(random.number(in: 1...11)) : nil
            let body = ExternalLSABody(
                prefix: prefix, prefixOptions: propagates && version == .v3 ? [.propagate] : [],
                isType2: random.chance(1, in: 2), metric: UInt32(random.number(in: 1...3)),
                forwardingAddress: address, tag: UInt32(random.number(in: 0...2)))
            install(database, key, options: version == .v2 && propagates ? 8 : 0, body.encoded(version: version))
        default: refreshLocal()
        }
    }
}
