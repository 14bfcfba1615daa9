import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct InstanceSnapshotTests {
    static func restored(_ instance: OSPFInstance) throws -> OSPFInstance {
        var writer = SnapshotWriter()
        instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let copy = try OSPFInstance(from: &reader)
        try reader.expectEnd()
        return copy
    }

    /// What a peer or the engine would see of effects.
    static func text(_ effects: [InteriorGatewayEffect]) -> [String] { effects.map { "\($0)" } }

    /// Five routers on a LAN and two more behind it, cuts, losses and a restart, as one of them saw it.
    static func recording(_ version: OSPFVersion, seed: UInt64) -> [(time: Instant, input: OSPFInstance.Input)] {
        let net = VirtualNetwork(version: version)
        for i in 0..<6 {
            net.addRouter { configuration in
                if i == 2 {
                    configuration.limits.lsasMaximum = 300
                    configuration.stubRouter = OSPFStubRouter(onStartup: 60)
                }
            }
        }
        net.connect([0, 1, 2, 3, 4]) { _, interface in
            interface.bfd = true
            interface.authentication = KeyChain(firstSigns: [
                KeyChain.Key(id: 1, algorithm: .hmacSHA256, secret: "k", extendedSequence: version == .v2)
            ])
        }
        net.connect([2, 5], network: .pointToPoint)
        var random = RandomNumbers(seed: seed)
        net.loses = { _ in random.chance(1, in: 10) }
        net.start()
        net.run(.seconds(45))
        for i in 0..<400 as Range<UInt32> {
            let type: LSAType = version == .v2 ? .external : .externalV3
            net.inject(
                [
                    LSA(
                        version: version, key: LSAKey(type: type, linkStateID: i << 8, advertisingRouter: 77), options: 2,
                        age: 3500,
                        body: [UInt8](repeating: 9, count: 16))
                ], from: 5, to: 2)
            if i % 100 == 99 { net.run(.milliseconds(700)) }
        }
        net.run(.seconds(20))
        net.give(2, .interface(InterfaceID(1), isUp: false))
        net.run(.seconds(5))
        net.give(2, .interface(InterfaceID(1), isUp: true))
        net.isAlive[4] = false
        net.run(.seconds(130))
        net.give(2, .clear(neighbor: nil))
        net.give(2, .redundancy(true))
        let strange = LSA(version: version, key: LSAKey(type: .router, linkStateID: 5, advertisingRouter: 5), body: [1, 2, 3, 4])
        net.inject([strange], from: 5, to: 2, fatal: 0)
        net.run(.seconds(60))
        net.give(2, .configure(nil, net.devices[2]))
        return net.inputs[2]
    }

    @Test(arguments: OSPFVersion.allCases) func `an instance that is restored at any point goes on octet for octet`(
        _ version: OSPFVersion
    ) throws {
        let inputs = Self.recording(version, seed: 11)
        #expect(inputs.count > 300)
        var one = OSPFInstance(seed: 42), two = OSPFInstance(seed: 42)
        var random = RandomNumbers(seed: 4)
        for (i, step) in inputs.enumerated() {
            if random.chance(1, in: 4) {
                two = try Self.restored(two)
                #expect(two.digest == one.digest, "restored before input \(i)")
            }
            var a: [InteriorGatewayEffect] = [], b: [InteriorGatewayEffect] = []
            one.handle(step.input, at: step.time, into: &a)
            two.handle(step.input, at: step.time, into: &b)
            #expect(Self.text(a) == Self.text(b), "input \(i)")
            #expect(one.digest == two.digest, "after input \(i)")
            #expect(one.nextDeadline == two.nextDeadline, "after input \(i)")
            guard one.digest == two.digest else { return }
        }
    }

    @Test func `octets that are no snapshot are refused and never trap`() throws {
        let inputs = Self.recording(.v2, seed: 3)
        var instance = OSPFInstance(seed: 42)
        for step in inputs.prefix(250) {
            var effects: [InteriorGatewayEffect] = []
            instance.handle(step.input, at: step.time, into: &effects)
        }
        var writer = SnapshotWriter()
        instance.write(to: &writer)
        var random = RandomNumbers(seed: 9)
        for _ in 0..<300 {
            var bytes = writer.bytes
            if random.chance(1, in: 2) {
                bytes.removeLast(random.number(in: 1...(bytes.count - 1)))
            } else {
                bytes[random.number(in: 0...(bytes.count - 1))] ^= UInt8(random.number(in: 1...255))
            }
            var reader = SnapshotReader(bytes)
            // Some flips are in a counter or a time, and make another state: that one must run.
            guard var copy = try? OSPFInstance(from: &reader) else { continue }
            var effects: [InteriorGatewayEffect] = []
            for step in inputs.dropFirst(250).prefix(20) { copy.handle(step.input, at: step.time, into: &effects) }
        }
    }

    @Test(arguments: OSPFVersion.allCases) func `mangled packets are dropped or end one adjacency, and nothing traps`(
        _ version: OSPFVersion
    ) {
        let net = VirtualNetwork(version: version)
        for _ in 0..<3 { net.addRouter() }
        net.connect([0, 1], network: .pointToPoint)
        net.connect([1, 2])
        net.start()
        net.run(.seconds(60))
        let packets = net.inputs[1].compactMap { if case .packet(let packet) = $0.input { packet } else { nil } }
        var random = RandomNumbers(seed: 5)
        for _ in 0..<4000 {
            var packet = packets[random.number(in: 0...(packets.count - 1))]
            guard packet.interface == InterfaceID(0) else { continue }
            for _ in 0..<random.number(in: 1...6) where !packet.bytes.isEmpty {
                let at = random.number(in: 0...(packet.bytes.count - 1))
                switch random.number(in: 0...2) {
                case 0: packet.bytes[at] ^= UInt8(random.number(in: 1...255))
                case 1: packet.bytes.removeSubrange(at...)
                default: packet.bytes.insert(contentsOf: [UInt8](repeating: 255, count: random.number(in: 1...40)), at: at)
                }
            }
            repair(&packet, version)
            net.give(1, .packet(packet))
            if random.chance(1, in: 40) { net.run(.milliseconds(random.number(in: 1...400))) }
        }
        // The other neighbor noticed nothing but what was flooded.
        #expect(net.neighbor(of: 1, 2)?.state == .full)
        #expect(
            !net.events.contains { $0.contains("10.255.0.2") && $0.contains("neighbor 10.255.0.3") && $0.contains("Full to") })
        net.run(.seconds(300))
        #expect(net.isConverged)
        #expect(net.agree(on: .area(0)))
    }

    /// Makes length and checksum right again, so that mangled octets get past them.
    func repair(_ packet: inout ReceivedPacket, _ version: OSPFVersion) {
        guard packet.bytes.count >= 24, let source = packet.source.ip, let destination = packet.destination.ip else { return }
        packet.bytes[0] = version.rawValue
        if version == .v2 { packet.bytes[14] = 0; packet.bytes[15] = 0 }
        packet.bytes[12] = 0
        packet.bytes[13] = 0
        var writer = ByteWriter()
        writer.append(packet.bytes)
        PacketAuthentication.seal(&writer, version: version, .none, sequence: 0, source: source, destination: destination)
        packet.bytes = writer.bytes
    }

    @Test func `§D.4.3: sequence numbers never go back, whichever controller goes on, nor after both were off`() throws {
        let key = KeyChain.Key(id: 1, algorithm: .md5, secret: "k")
        func sequences(_ effects: [InteriorGatewayEffect]) -> [UInt32] {
            effects.compactMap {
                guard case .send(let packet) = $0 else { return nil }
                return packet.bytes[20..<24].reduce(0) { $0 << 8 | UInt32($1) }
            }
        }
        var configuration = OSPFConfiguration(version: .v2, routerID: IPv4Address(1, 1, 1, 1))
        configuration.sequenceBase = 1_700_000_000
        var interface = OSPFInterfaceConfiguration(name: "eth0", areaID: .any)
        interface.authentication = KeyChain(firstSigns: [key])
        configuration.interfaces = [interface]
        let device = InterfaceConfiguration(
            name: "eth0", virtualMAC: MACAddress(raw: 2),
            addresses: [.init(address: .v4(IPv4Address(10, 0, 0, 1)), prefixLength: 24)])
        var active = OSPFInstance(seed: 1)
        var seen: [UInt32] = []
        for second in 0..<100 {
            var effects: [InteriorGatewayEffect] = []
            let input: OSPFInstance.Input = second == 0 ? .configure(configuration, [device]) : .time
            active.handle(input, at: .zero + .seconds(second), into: &effects)
            seen += sequences(effects)
            if second == 50 { active = try Self.restored(active) }
        }
        #expect(seen.count > 8)
        #expect(seen == seen.sorted())
        // Another life of the pair began a minute after the first one ended.
        configuration.sequenceBase = 1_700_000_160
        var later = OSPFInstance(seed: 2)
        var effects: [InteriorGatewayEffect] = []
        later.handle(.configure(configuration, [device]), at: .zero, into: &effects)
        #expect((sequences(effects).first ?? 0) > (seen.last ?? 0))
    }
}
