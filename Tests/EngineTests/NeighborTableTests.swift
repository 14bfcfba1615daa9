import Machine
import Records
import Testing
import Wire

@testable import Engine

@Suite struct NeighborTableTests {
    private func binding(_ interface: UInt16, _ host: UInt32, _ mac: UInt64) -> NeighborBinding {
        NeighborBinding(
            interface: InterfaceID(interface), address: .v4(IPv4Address(raw: 0xc000_0200 + host)), mac: MACAddress(raw: mac))
    }

    private func image(_ fixture: EngineFixture) throws -> [NeighborBinding] {
        guard case .image(let image) = fixture.engine.perform(.image) else { throw DecodeError("image", at: 0, .badValue) }
        return image.neighbors
    }

    @Test func `what is noted comes back in the image, also after a snapshot, the newest of each address`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 1))
        let before = fixture.engine.digest
        for note in [binding(0, 7, 1), binding(0, 8, 2), binding(0, 7, 3)] { fixture.apply(.neighbor(note)) }
        #expect(fixture.engine.digest.system != before.system)
        #expect(try image(fixture) == [binding(0, 8, 2), binding(0, 7, 3)])
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { throw DecodeError("", at: 0, .badValue) }
        let copy = EngineFixture()
        guard case .restored = copy.engine.perform(.restore(snapshot.encoded())) else { throw DecodeError("", at: 0, .badValue) }
        #expect(try image(copy) == [binding(0, 8, 2), binding(0, 7, 3)])
        #expect(copy.engine.digest == fixture.engine.digest)
    }

    @Test func `it is bounded, and the one that was quiet for longest goes`() {
        var table = NeighborTable()
        for host in 0..<UInt32(NeighborTable.maximum) { table.note(binding(0, host, 1)) }
        table.note(binding(0, 0, 2))
        table.note(binding(1, 0, 1))
        #expect(table.bindings.count == NeighborTable.maximum)
        #expect(table.bindings.first == binding(0, 2, 1))
        #expect(table.bindings.suffix(2) == [binding(0, 0, 2), binding(1, 0, 1)])
    }

    @Test func `an interface that changes forgets its neighbours, and others keep theirs`() throws {
        let fixture = EngineFixture()
        let far = InterfaceConfiguration(
            name: "far", virtualMAC: MACAddress(raw: 0x5e00_0102),
            addresses: [.init(address: IPAddress("198.51.100.1")!, prefixLength: 24)])
        try fixture.configure(EngineFixture.configuration(peers: 1) { $0.interfaces.append(far) })
        fixture.apply(.neighbor(binding(0, 7, 1)))
        fixture.apply(.neighbor(binding(1, 7, 2)))
        try fixture.configure(
            EngineFixture.configuration(peers: 1) {
                $0.interfaces.append(far)
                $0.interfaces[1].vlan = 9
            })
        #expect(try image(fixture) == [binding(0, 7, 1)])
        // Carrier tells nothing of who is behind the other controller's port.
        fixture.apply(.interfaceState(InterfaceID(0), isUp: false))
        #expect(try image(fixture) == [binding(0, 7, 1)])
    }
}
