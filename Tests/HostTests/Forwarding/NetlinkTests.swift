import Foundation
import Machine
import Testing
import Wire

@testable import Host

@Suite struct NetlinkTests {
    @Test func `What the batch writes the reader takes apart`() {
        let batch = NetlinkBatch(capacity: 4096)
        batch.begin(RouteMessage.newNextHop, flags: NetlinkFlag.create, sequence: 7)
        batch.nextHopHeader(KernelFamily.ipv6, routeProtocol: 76)
        batch.attribute(NextHopAttribute.id, 42 as UInt32)
        batch.attribute(NextHopAttribute.device, 3 as UInt32)
        batch.attribute(NextHopAttribute.gateway, IPAddress("fe80::1")!)
        batch.end()
        batch.begin(RouteMessage.newRoute, flags: NetlinkFlag.replace, sequence: 8)
        for byte: UInt8 in [2, 24, 0, 0, 254, 76, 0, 1, 0, 0, 0, 0] { batch.u8(byte) }
        batch.attribute(RouteAttribute.destination, IPAddress("10.1.2.0")!)
        batch.attribute(RouteAttribute.priority, 20 as UInt32)
        batch.attribute(RouteAttribute.nextHopID, 42 as UInt32)
        batch.attribute(RouteAttribute.table, 1000 as UInt32)
        batch.end()
        #expect(batch.messages == 2)
        var seen = 0
        unsafe NetlinkReader.messages(batch.bytes.bytes) { message in
            seen += 1
            if message.type == RouteMessage.newNextHop {
                let object = NextHopObject(message)
                #expect(message.sequence == 7)
                #expect(object.id == 42)
                #expect(object.device == 3)
                #expect(object.gateway == IPAddress("fe80::1"))
                #expect(object.routeProtocol == 76)
            } else {
                let route = RouteObject(message)
                #expect(route.prefix() == IPv4Prefix("10.1.2.0/24"))
                #expect(route.metric == 20)
                #expect(route.group == 42)
                #expect(route.table == 1000)
                let none: IPv6Prefix? = route.prefix()
                #expect(none == nil)
            }
        }
        #expect(seen == 2)
    }

    @Test func `Lengths that lie end the walk, and nothing is read past the end`() {
        var octets: [UInt8] = []
        let batch = NetlinkBatch(capacity: 4096)
        batch.begin(RouteMessage.newRoute, flags: 0, sequence: 1)
        for _ in 0..<12 { batch.u8(0xff) }
        batch.attribute(RouteAttribute.destination, IPAddress("10.1.2.0")!)
        batch.attribute(RouteAttribute.nextHopID, 42 as UInt32)
        batch.end()
        unsafe octets = Array(batch.bytes)
        for cut in 0...octets.count {
            for flip in 0..<octets.count {
                var damaged = Array(octets.prefix(cut))
                if flip < damaged.count { damaged[flip] ^= 0xff }
                var count = 0
                NetlinkReader.messages(damaged.span.bytes) { message in
                    count += 1
                    let route = RouteObject(message)
                    let prefix: IPv4Prefix? = route.prefix()
                    #expect(prefix == nil || route.length <= 32)
                    _ = NextHopObject(message)
                    _ = message.errorText
                }
                #expect(count <= 1 || damaged.count >= 32)
            }
        }
    }
}
