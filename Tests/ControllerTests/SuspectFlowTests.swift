import Machine
import Records
import Redundancy
import Testing
import Wire

@testable import Controller

/// A frame that kills a controller's line card is said again by its sender, like everything that peers say.
@Suite struct SuspectFlowTests {
    /// Somebody asks who has 192.0.2.1.
    private func arpRequest(from mac: UInt64, _ last: UInt8) -> [UInt8] {
        let sender = (0..<6).map { UInt8(truncatingIfNeeded: mac >> (40 - 8 * $0)) }
        return [255, 255, 255, 255, 255, 255] + sender + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + sender + [192, 0, 2, last]
            + [0, 0, 0, 0, 0, 0, 192, 0, 2, 1]
    }

    private func gasp(_ octets: [UInt8]) throws -> DyingGasp { try DyingGasp(decoding: octets.span.bytes) }

    private func die(_ node: PairWorld.Node, of frame: [UInt8], in world: PairWorld) throws {
        let prepared = try #require(node.gasp)
        var gasp = try self.gasp(prepared)
        gasp.frame = .init(interface: InterfaceID(0), length: UInt16(frame.count), header: Array(frame.prefix(64)))
        node.gasp = gasp.encoded()
        world.crash(node, in: .zero)
    }

    private func isAnswered(_ frame: [UInt8], by node: PairWorld.Node, in world: PairWorld) -> Bool {
        let before = node.frames.count
        world.broadcast(frame, from: nil)
        world.run(.milliseconds(1))
        return node.frames[before...].contains { $0.octets.starts(with: frame[6..<12]) }
    }

    @Test func `What the twin's line card died of is not heard until the pair is redundant again, and its sender alone`() throws {
        let world = FailureTests.pair()
        let poison = arpRequest(from: 0x0200_0000_0011, 11), other = arpRequest(from: 0x0200_0000_0012, 12)
        #expect(isAnswered(poison, by: world.a, in: world))
        try die(world.a, of: poison, in: world)
        world.run(.milliseconds(20))
        #expect(world.b.state == .activeAlone)
        #expect(world.said("the twin died with a frame in hand", by: world.b))
        #expect(!isAnswered(poison, by: world.b, in: world), "it would kill the survivor")
        #expect(isAnswered(other, by: world.b, in: world))
        #expect(world.b.controller.suspectFrames == 1)
        world.run(.seconds(30))
        #expect(!isAnswered(poison, by: world.b, in: world), "nobody would take over")

        world.restart(world.a)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(!isAnswered(poison, by: world.b, in: world))
        world.run(.milliseconds(2100))
        #expect(isAnswered(poison, by: world.b, in: world))
        // Now it may kill again: there is a twin.
        try die(world.b, of: poison, in: world)
        world.run(.milliseconds(20))
        #expect(world.a.state == .activeAlone)
        #expect(!isAnswered(poison, by: world.a, in: world))
        world.run(.seconds(601))
        #expect(isAnswered(poison, by: world.a, in: world), "not for ever")
    }

    @Test func `A flow is one sender's packets for one service, whoever has opened the connection`() throws {
        func flow(_ frame: [UInt8], _ interface: UInt16 = 0) -> SuspectFlow? {
            SuspectFlow(frame.span.bytes, on: InterfaceID(interface))
        }
        func ipv4(_ source: UInt8, _ number: UInt8, _ from: UInt16, _ to: UInt16, tagged: Bool = false, fragment: UInt16 = 0)
            -> [UInt8]
        {
            var writer = ByteWriter()
            writer.zeros(12)
            if tagged { writer.append([0x81, 0, 0, 5]) }
            writer.u16(0x0800)
            writer.append([0x45, 0, 0, 40, 0, 0])
            writer.u16(fragment)
            writer.append([255, number, 0, 0, 192, 0, 2, source, 192, 0, 2, 1])
            writer.u16(from)
            writer.u16(to)
            writer.zeros(16)
            return writer.bytes
        }
        let bgp = try #require(flow(ipv4(9, 6, 40_000, 179)))
        #expect(bgp == flow(ipv4(9, 6, 179, 50_000)))
        #expect(bgp == flow(ipv4(9, 6, 40_000, 179, tagged: true)))
        #expect(bgp != flow(ipv4(9, 17, 40_000, 179)))
        #expect(bgp != flow(ipv4(8, 6, 40_000, 179)))
        #expect(bgp != flow(ipv4(9, 6, 40_000, 179), 1))
        #expect(bgp != flow(ipv4(9, 6, 40_000, 179, fragment: 3)))
        #expect(bgp.description == "IPv4 protocol 6 port 179 of 192.0.2.9")
        var ipv6 = [UInt8](repeating: 0, count: 12) + [0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 17, 255]
        ipv6 += [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [7] + [UInt8](repeating: 0, count: 16) + [0x0e, 0xc8, 0xc0, 0]
        #expect(flow(ipv6)?.description == "IPv6 protocol 17 port 3784 of fe80::7")
        #expect(
            flow([UInt8](repeating: 0, count: 6) + [2, 0, 0, 0, 0, 9, 0, 40] + [UInt8](repeating: 0xfe, count: 40))?.description
                == "802.3 frames of 02:00:00:00:00:09")
        for count in 0..<64 {
            // Whatever is cut off, nothing is read beyond the end.
            _ = flow(Array(ipv6.prefix(count)))
            _ = flow(Array(ipv4(9, 6, 1, 2).prefix(count)))
            var long = ipv4(9, 6, 1, 2)
            long[14] = 0x4f
            _ = flow(Array(long.prefix(count)))
        }
        #expect(flow([]) == nil)
    }

    @Test func `A gasp of the release before has no frame, and every octet of a new one is read back`() throws {
        var gasp = DyingGasp(
            controller: .a, epoch: Epoch(3), index: LogIndex(4), message: 5, bootNonce: 6, token: .init(high: 7, low: 8),
            frame: .init(interface: InterfaceID(2), length: 1500, header: Array(0..<64)))
        #expect(try self.gasp(gasp.encoded()) == gasp)
        #expect(gasp.encoded().count == DyingGasp.size)
        gasp.frame = .init(interface: InterfaceID(2), length: 20, header: Array(0..<20))
        #expect(try self.gasp(gasp.encoded()) == gasp)
        gasp.frame = nil
        #expect(try self.gasp(gasp.encoded()) == gasp)
        var old = Array(gasp.encoded().prefix(48))
        old[4] = 1
        #expect(try self.gasp(old) == gasp)
    }
}
