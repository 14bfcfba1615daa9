import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

/// Octets from their hexadecimal digits; spaces are passed over.
func octets(_ digits: String) -> [UInt8] {
    let values = digits.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue ?? 0) }
    return stride(from: 0, to: values.count - 1, by: 2).map { values[$0] << 4 | values[$0 + 1] }
}

/// What somebody with a neighbour's voice may say, and what must not come of it.
@Suite struct HostileTests {
    /// 0 is 3.3.3.3; 0 — 1 — 2, all Full.
    static func row(_ version: OSPFVersion = .v2) -> VirtualNetwork {
        let net = VirtualNetwork(version: version)
        net.addRouter { $0.routerID = IPv4Address(3, 3, 3, 3) }
        net.addRouter()
        net.addRouter()
        net.connect([0, 1], network: .pointToPoint)
        net.connect([1, 2], network: .pointToPoint)
        net.start()
        net.run(.seconds(40))
        return net
    }

    /// A router-LSA named 9.9.9.9 that 3.3.3.3 is said to have made, with a link to 203.0.113.0/24.
    static let misnamed = octets(
        "0204004c0303030300000000dfc0000000000000000000000000000100000201090909090303030383215600cb5e003000000002cb007100"
            + "ffffff0003000001060606060a0004030100000a")
    static let misnamedKey = LSAKey(type: .router, linkStateID: 0x0909_0909, advertisingRouter: 0x0303_0303)

    @Test func `RFC 2328 §12.1.4: a router-LSA that is not named by its originator is neither stored nor flooded`() {
        let net = Self.row()
        #expect(net.states(of: 1) == [.full, .full])
        let mark = net.effects[1].count
        net.give(
            1,
            .packet(
                ReceivedPacket(
                    interface: InterfaceID(0), packetProtocol: .ospfv2, source: .ip(.v4(IPv4Address(10, 0, 0, 1))),
                    destination: .ip(OSPFInstance.allSPFRouters), hopLimit: 1, bytes: Self.misnamed)))
        #expect(net.drops(1, .lsaScope) == 1)
        #expect(net.sent(1, since: mark).isEmpty)
        net.run(.seconds(10))
        for router in net.routers { #expect(router.database.entry(Self.misnamedKey, in: .area(0)) == nil) }
        let forged = IPPrefix.v4(IPv4Prefix(IPv4Address(203, 0, 113, 0), 24))
        #expect(net.routes[1][forged] == nil)
        #expect(net.routes[2][forged] == nil)
        #expect(net.states(of: 1) == [.full, .full])
    }

    @Test func `a neighbor that describes a misnamed router-LSA gets an adjacency and no request for it`() {
        let net = VirtualNetwork()
        net.addRouter { $0.routerID = IPv4Address(3, 3, 3, 3) }
        net.addRouter()
        net.connect([0, 1], network: .pointToPoint)
        net.start([0])
        net.run(.seconds(1))
        let octets = Array(Self.misnamed[28...])
        var reader = ByteReader(octets.span.bytes)
        guard let lsa = try? LSA(from: &reader, version: .v2) else {
            Issue.record("not read")
            return
        }
        net.routers[0].database.install(lsa, in: .area(0), isOwn: false, at: net.now, due: net.now + .seconds(3600))
        // Whatever else a database of before holds under that name has no say in routes.
        net.start([1])
        net.run(.seconds(30))
        #expect(net.states(of: 1) == [.full])
        #expect(net.routers[1].database.entry(Self.misnamedKey, in: .area(0)) == nil)
        #expect(net.routes[0][.v4(IPv4Prefix(IPv4Address(203, 0, 113, 0), 24))] == nil)
    }

    @Test func `a misnamed router-LSA in our own name is flushed from where it was believed`() {
        let net = Self.row()
        let own = net.configurations[1].routerID.raw
        let key = LSAKey(type: .router, linkStateID: 0x0909_0909, advertisingRouter: own)
        let mark = net.effects[1].count
        net.inject([LSA(version: .v2, key: key, options: 2, sequence: 7, age: 1, body: [0, 0, 0, 0])], from: 0, to: 1)
        let flushed = net.sent(1, since: mark).contains {
            guard case .linkStateUpdate(let packet) = $0.body else { return false }
            return packet.lsas.contains { $0.key == key && $0.header.isMaxAge }
        }
        #expect(flushed)
    }

    @Test(arguments: OSPFVersion.allCases) func `RFC 2328 §12.1.6: the reserved sequence number is nobody's`(
        _ version: OSPFVersion
    ) {
        let net = Self.row(version)
        let type: LSAType = version == .v2 ? .external : .externalV3
        let key = LSAKey(type: type, linkStateID: 0xc000_0200, advertisingRouter: 9)
        net.inject(
            [
                LSA(
                    version: version, key: key, options: 2, sequence: .min, age: 1,
                    body: [255, 255, 255, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
            ], from: 0, to: 1)
        #expect(net.drops(1, .lsaScope) == 1)
        #expect(net.routers[1].database.entry(key, in: .autonomousSystem) == nil)
    }

    /// The header of an acknowledgement of `key` that `router` sent.
    private func acknowledgements(_ net: VirtualNetwork, _ router: Int, of key: LSAKey, since mark: Int) -> Int {
        net.sent(router, since: mark).count {
            guard case .linkStateAcknowledgment(let packet) = $0.body else { return false }
            return packet.headers.contains { $0.key == key && !$0.isMaxAge }
        }
    }

    @Test func `§13.4: an own LSA that is answered by its end or its successor is not acknowledged as well`() {
        let net = Self.row()
        net.run(.seconds(10))
        let own = net.configurations[1].routerID.raw
        let absent = LSAKey(type: .external, linkStateID: 0xc000_0200, advertisingRouter: own)
        let present = LSAKey(type: .router, linkStateID: own, advertisingRouter: own)
        for key in [absent, present] {
            let mark = net.effects[1].count
            let body: [UInt8] = key == absent ? [255, 255, 255, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0]
            net.inject([LSA(version: .v2, key: key, options: 2, sequence: 100, age: 1, body: body)], from: 0, to: 1)
            net.run(.seconds(2))
            #expect(acknowledgements(net, 1, of: key, since: mark) == 0)
        }
        #expect(net.routers[1].database.entry(absent, in: .autonomousSystem) == nil)
        // The end of one of ours that we do not have is acknowledged, or it would be repeated for ever.
        let mark = net.effects[1].count
        let gone = LSAKey(type: .external, linkStateID: 0xc000_0300, advertisingRouter: own)
        net.inject([LSA(version: .v2, key: gone, options: 2, age: 3600, body: Array(repeating: 0, count: 16))], from: 0, to: 1)
        net.run(.seconds(2))
        let isAnswered = net.sent(1, since: mark).contains {
            if case .linkStateAcknowledgment(let packet) = $0.body { packet.headers.contains { $0.key == gone } } else { false }
        }
        #expect(isAnswered)
    }

    @Test func `another router with our Router ID is an alarm, once a minute, and only if it has the key`() {
        for hasKey in [true, false] {
            let net = AdjacencyTests.pair(.v2) { router, interface in
                interface.authentication = .password(router == 0 || hasKey ? "right" : "wrong")
            }
            net.configurations[1].routerID = net.configurations[0].routerID
            net.start([1])
            net.run(.seconds(50))
            let alarms = net.events.filter { $0.contains("has our Router ID") && $0.contains("10.0.0.2 on eth0") }
            #expect(alarms.count == (hasKey ? 1 : 0))
            net.run(.seconds(60))
            #expect(net.events.count { $0.contains("has our Router ID") && $0.contains("10.0.0.2 on eth0") } == (hasKey ? 2 : 0))
        }
    }

    @Test func `RFC 5082: with TTL security only what was sent with 255 is taken, and both ends become Full`() {
        let net = AdjacencyTests.pair { $1.ttlSecurity = true }
        net.run(.seconds(25))
        #expect(net.states(of: 0) == [.full])
        let packets = net.inputs[0].compactMap { if case .packet(let packet) = $0.input { packet } else { nil } }
        #expect(packets.allSatisfy { $0.hopLimit == 255 })
        guard var far = packets.last else { return }
        far.hopLimit = 254
        net.give(0, .packet(far))
        #expect(net.drops(0, .hopLimit) == 1)
    }

    @Test(arguments: OSPFVersion.allCases)
    func `on a point-to-point link nobody becomes a neighbor by unicast, or speaks for one`(_ version: OSPFVersion) {
        let net = Self.row(version)
        let hello = net.inputs[1].lazy.compactMap { entry -> ReceivedPacket? in
            guard case .packet(let packet) = entry.input, packet.bytes[1] == 1, packet.interface == InterfaceID(0) else {
                return nil
            }
            return packet
        }.first
        guard var stranger = hello,
            let address = net.routers[1].interface(InterfaceID(0)).flatMap({ net.routers[1].source(on: $0) })
        else {
            Issue.record("no Hello")
            return
        }
        stranger.destination = .ip(address)
        net.give(1, .packet(stranger))
        #expect(net.drops(1, .badDestination) == 1)
        // An update in the neighbour's name from somewhere else.
        let source: IPAddress = version == .v2 ? .v4(IPv4Address(198, 51, 100, 1)) : IPAddress("fe80::9")!
        let group = version == .v2 ? OSPFInstance.allSPFRouters : OSPFInstance.allSPFRoutersV6
        let packet = OSPFPacket(
            routerID: 0x0303_0303, areaID: 0, .linkStateUpdate(LinkStateUpdatePacket(lsas: [])))
        net.give(
            1,
            .packet(
                ReceivedPacket(
                    interface: InterfaceID(0), packetProtocol: version == .v2 ? .ospfv2 : .ospfv3, source: .ip(source),
                    destination: .ip(group), bytes: packet.encoded(version: version, source: source, destination: group))))
        #expect(net.drops(1, .badSource) == 1)
        #expect(net.states(of: 1) == [.full, .full])
    }

    @Test func `RFC 5340 A.4.10: prefixes of a router are said by nobody but itself`() {
        let net = Self.row(.v3)
        let prefix = IPPrefix("2001:db8:bad::/48")!
        for (originator, isTaken) in [(UInt32(9), false), (0x0303_0303, true)] {
            let body = IntraAreaPrefixLSABody(
                reference: LSAKey(type: .routerV3, linkStateID: 0, advertisingRouter: 0x0303_0303),
                prefixes: [LSAPrefix(prefix, metric: 1)])
            let key = LSAKey(type: .intraAreaPrefix, linkStateID: 77, advertisingRouter: originator)
            net.segments[0].isCut = true
            net.inject([LSA(version: .v3, key: key, age: 1, body: body.encoded())], from: 0, to: 1)
            // RFC 8405's long delay, should it be under way.
            net.run(.seconds(8))
            #expect((net.routes[2][prefix] != nil) == isTaken, "\(originator)")
        }
    }

    @Test func `RFC 1793 §2.3: an LSA that never ages goes once its originator is unreachable for MaxAge`() {
        let net = Self.row()
        func forever(_ router: UInt32) -> LSA {
            LSA(
                version: .v2, key: LSAKey(type: .external, linkStateID: 0xc000_0200 | router & 0xff, advertisingRouter: router),
                options: 2, age: 1 | LSAHeader.doNotAge,
                body: [255, 255, 255, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        let stranger = forever(0x0909_0909), known = forever(0x0303_0303)
        net.inject([stranger], from: 0, to: 1)
        net.routers[1].database.install(
            known, in: .autonomousSystem, isOwn: false, at: net.now, due: net.now + .seconds(3600))
        net.run(.seconds(3700))
        #expect(net.routers[1].database.entry(stranger.key, in: .autonomousSystem) != nil)
        net.run(.seconds(3700))
        #expect(net.routers[1].database.entry(stranger.key, in: .autonomousSystem) == nil)
        #expect(net.routers[1].database.entry(known.key, in: .autonomousSystem) != nil)
    }
}
