import Records
import Routing
import Testing
import Wire
@testable import ISIS

/// RFC 5120 as others do it.
@Suite struct MultiTopologyTests {
    private func zero(_ flags: LSPHeader.Flags, _ topologies: [TopologyMembership]) -> LevelTopology.Node {
        var contents = LSPContents()
        contents.flags = flags
        contents.topologies = topologies
        var node = LevelTopology.Node(id: NodeID(SystemID(raw: 1)))
        node.fragments = [LevelTopology.Fragment(number: 0, contents, isPseudonode: false)]
        return node
    }

    @Test func `FRR sets attached and overload in the header alone: it counts where no entry of TLV 229 has a bit`() {
        let plain = [TopologyMembership(id: 0), TopologyMembership(id: 2)]
        #expect(zero([.level1, .attached], plain).isAttached(.ipv6Unicast))
        #expect(zero([.level1, .attached], plain).isAttached(.standard))
        #expect(!zero([.level1], plain).isAttached(.ipv6Unicast))
        #expect(!zero([.level1, .overload], plain).isTransit(.ipv6Unicast))
        // Whoever uses the bits says by them what it means.
        let said = [TopologyMembership(id: 0, isOverloaded: false, isAttached: true), TopologyMembership(id: 2)]
        #expect(!zero([.level1, .attached], said).isAttached(.ipv6Unicast))
        #expect(zero([.level1, .overload], said).isTransit(.ipv6Unicast))
    }

    @Test func `RFC 5120 §7: TLVs 222, 235 and 237 of topology 0 are ignored`() {
        for isZero in [true, false] {
            let id: [UInt8] = isZero ? [0, 0] : [0, 2]
            var body: [UInt8] = [222, 13] + id + [0, 0, 0, 0, 0, 9, 0] + [0, 0, 10, 0]
            body += [235, 10] + id + [0, 0, 0, 1, 24, 192, 0, 2]
            body += [237, 12] + id + [0, 0, 0, 1, 0, 32, 0x20, 0x01, 0x0d, 0xb8]
            let bytes = LSPBuilder.encode(
                level: .two, id: LSPID(SystemID(raw: 9)), sequenceNumber: 1, remainingLifetime: 900, flags: .level2, body: body,
                key: nil)
            let contents = LSPContents(bytes.span.bytes)
            #expect(contents.malformedTLVs == 0)
            #expect(contents.neighbors.isEmpty == isZero)
            #expect(contents.ipv4.isEmpty == isZero)
            #expect(contents.ipv6.isEmpty == isZero)
        }
    }
}
