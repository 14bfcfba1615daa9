import Machine
import Records
import Routing
import Testing
import Wire
@testable import ISIS

/// A router that is its own snapshot goes on octet for octet.
@Suite struct RestoreTests {
    private func mixed(_ every: Int) -> VirtualNetwork {
        let network = VirtualNetwork()
        network.restoreEvery = every
        let keys = ISISAuthentication(firstSigns: [KeyChain.Key(id: 3, algorithm: .hmacSHA256, secret: Array("secret".utf8))])
        let a = network.add(1, levels: .level1And2) { $0.level2.authentication = keys }
        let b = network.add(2, levels: .level1And2) { $0.level2.authentication = keys }
        let c = network.add(3, area: "49.0002", levels: .level1And2) {
            $0.level2.authentication = keys
            $0.topologies = [.ipv6Unicast]
            $0.leakingDown = ISISLeaking(isEnabled: true)
        }
        let d = network.add(4, area: "49.0002", levels: .level1)
        network.join([a, b]) { _, interface in interface.authentication = keys }
        network.join([a, b, c]) { _, interface in interface.bfd = true }
        network.join([c, d], .pointToPoint)
        return network
    }

    @Test func `a network whose routers are replaced before every input stays the same`() {
        let network = mixed(1), control = mixed(0)
        var updates: [RedistributionUpdate] = []
        for i in 0..<300 {
            let prefix = IPv4Prefix(IPv4Address(172, UInt8(16 + i / 256), UInt8(i & 255), 0), 24)
            let route = RedistributedRoute(source: .static, metric: UInt32(i), levels: 3)
            updates.append(RedistributionUpdate(.v4(prefix), route))
        }
        for each in [network, control] {
            each.start()
            each.run(.seconds(40))
            each.input(1, .redistribute(updates))
            each.run(.seconds(10))
            each.wires[1].isCut = true
            each.run(.seconds(45))
            each.wires[1].isCut = false
            each.input(2, .clear(neighbor: nil))
            each.input(0, .interface(InterfaceID(0), isUp: false))
            each.run(.seconds(40))
            each.input(0, .interface(InterfaceID(0), isUp: true))
            each.run(.seconds(60))
        }
        #expect(network.mismatches == [])
        for router in 0..<4 {
            #expect(network.machine(router).digest == control.machine(router).digest)
            #expect(network.routers[router].sent == control.routers[router].sent)
            #expect(network.routers[router].routes == control.routers[router].routes)
            #expect(!network.routers[router].routes.isEmpty)
        }
    }

    @Test func `snapshots of strangers are refused and never trap`() {
        let network = mixed(0)
        network.start()
        network.run(.seconds(60))
        var writer = SnapshotWriter()
        network.machine(2).write(to: &writer)
        let sound = writer.bytes
        var random = RandomNumbers(seed: 4)
        for length in stride(from: 0, to: sound.count, by: max(1, sound.count / 300)) {
            var reader = SnapshotReader(Array(sound.prefix(length)))
            #expect(throws: DecodeError.self) { try ISISInstance(from: &reader) }
        }
        for _ in 0..<500 {
            var bytes = sound
            for _ in 0..<random.number(in: 1...4) {
                bytes[random.number(in: 0...(bytes.count - 1))] ^= UInt8(1 << random.number(in: 0...7))
            }
            var reader = SnapshotReader(bytes)
            guard var machine = try? ISISInstance(from: &reader) else { continue }
            var effects: [InteriorGatewayEffect] = []
            machine.handle(.time, at: network.now, into: &effects)
        }
    }
}
