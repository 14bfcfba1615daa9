import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct FloodingWorkTests {
    @Test func `a database of a thousand routers comes over in a burst of few packets, and its refresh changes nothing`() {
        let net = VirtualNetwork()
        for _ in 0..<3 { net.addRouter() }
        net.connect([0, 1], network: .pointToPoint)
        net.connect([1, 2], network: .pointToPoint)
        net.start()
        net.run(.seconds(40))
        func router(_ n: UInt32, _ sequence: Int32) -> LSA {
            var writer = ByteWriter()
            writer.u16(0)
            writer.u16(10)
            for i in 0..<10 as Range<UInt32> {
                writer.u32(0x0b00_0000 | (n &+ i) % 1000)
                writer.u32(n << 8 | i)
                writer.u32(1 << 24 | 10)
            }
            let id = 0x0b00_0000 | n
            return LSA(
                version: .v2, key: LSAKey(type: .router, linkStateID: id, advertisingRouter: id), options: 2, sequence: sequence,
                age: 5, body: writer.bytes)
        }
        let sent = net.packetsSent
        for start in stride(from: 0, to: 1000, by: 10) {
            net.inject((start..<(start + 10)).map { router(UInt32($0), 1) }, from: 0, to: 1)
        }
        net.run(.seconds(3))
        #expect(net.routers[2].database.count(in: .area(0)) == 1003)
        // A hundred updates in; as many out, and acknowledgements of seventy headers each.
        #expect(net.packetsSent - sent < 260)
        let runs = net.routers[2].log.count
        net.run(.seconds(30))
        for start in stride(from: 0, to: 1000, by: 10) {
            net.inject((start..<(start + 10)).map { router(UInt32($0), 2) }, from: 0, to: 1)
        }
        net.run(.seconds(30))
        #expect(net.routers[2].database.entry(router(7, 2).key, in: .area(0))?.lsa.header.sequence == 2)
        #expect(net.routers[2].log.count == runs)
    }
}
