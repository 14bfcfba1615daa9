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
        net.give(1, .packet(ReceivedPacket(
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

    @Test(arguments: OSPFVersion.allCases) func `RFC 2328 §12.1.6: the reserved sequence number is nobody's`(_ version: OSPFVersion) {
        let net = Self.row(version)
        let type: LSAType = version == .v2 ? .external : .externalV3
        let key = LSAKey(type: type, linkStateID: 0xc000_0200, advertisingRouter: 9)
        net.inject([LSA(
            version: version, key: key, options: 2, sequence: .min, age: 1,
            body: [255, 255, 255, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])], from: 0, to: 1)
        #expect(net.drops(1, .lsaScope) == 1)
        #expect(net.routers[1].database.entry(key, in: .autonomousSystem) == nil)
    }
}
