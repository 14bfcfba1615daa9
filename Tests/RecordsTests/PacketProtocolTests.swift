import Records
import Testing
import Wire

@Suite struct PacketProtocolTests {
    @Test func `what headers say is a number and back`() {
        let all: [PacketProtocol] = [
            .ip(.ipv4, number: 0), .ip(.ipv6, number: 255), .udp(.ipv4, port: 1), .udp(.ipv6, port: .max), .llc(0xfefe03),
            .llc(0),
        ]
        for one in all { #expect(PacketProtocol(rawValue: one.rawValue) == one) }
        #expect(Set(all.map(\.rawValue)).count == all.count)
        for bad: UInt32 in [0, 1 << 24 | 256, 2 << 24 | 1 << 16, 3 << 24 | 1 << 16, 6 << 24, .max] {
            #expect(PacketProtocol(rawValue: bad) == nil)
        }
    }
}
