import Machine
import Records
import Testing
import Wire

@testable import RIP

@Suite struct RequestTests {
    private let whole = message(2, [.wholeTable], command: RIPFormat.request)

    @Test func `RFC 2453 §3.9.1: a request for the whole table is answered to its port, with split horizon`() {
        let d = Driver().begin()
        d.learn([("172.16.0.0/16", 3)], tag: 7)
        d.learn([("172.17.0.0/16", 3)], from: IPv4Address(10, 0, 1, 2), on: 1)
        _ = d.take()
        d.receive(whole, port: 4000)
        let packet = d.packets[0]
        #expect(d.packets.count == 1)
        #expect(packet.destination == .ip(.v4(Driver.neighbor)))
        #expect(packet.source == .ip(.v4(Driver.ourIPv4[0])))
        #expect(packet.destinationPort == 4000)
        #expect(packet.bytes[0] == RIPFormat.response)
        #expect(text(packet).sorted() == ["10.0.1.0/24 1", "172.16.0.0/16 16 tag 7", "172.17.0.0/16 4"])
    }

    @Test func `RFC 2453 §3.9.1: single entries are answered one by one, without split horizon`() {
        let d = Driver().begin()
        d.learn([("172.16.0.0/16", 3)])
        _ = d.take()
        d.receive(
            message(
                2, [entry("172.16.0.0/16", 0, tag: 9), entry("172.16.0.0/17", 1), entry("10.0.0.0/24", 1)],
                command: RIPFormat.request))
        #expect(text(d.packets[0]) == ["172.16.0.0/16 4 tag 9", "172.16.0.0/17 16", "10.0.0.0/24 1"])
        #expect(d.packets[0].destinationPort == 520)
    }

    @Test func `RFC 2453 §3.9.1: a request without entries gets no answer`() {
        let d = Driver().begin()
        d.receive(message(2, [], command: RIPFormat.request))
        #expect(d.packets.isEmpty)
        #expect(d.counter(.requestIgnored) == 1)
    }

    @Test func `RFC 2453 §3.9.1: a silent router answers who looks for a fault, not routers`() {
        let d = Driver { $0.interfaces[0].isPassive = true }.begin()
        d.receive(whole)
        #expect(d.packets.isEmpty)
        #expect(d.counter(.requestIgnored) == 1)
        d.receive(whole, port: 4000)
        #expect(d.packets.count == 1)
    }

    @Test func `RFC 2453 §5.1: who sends version 2 only does not answer version 1`() {
        let d = Driver {
            $0.interfaces[0].receive = .both
            $0.interfaces[1].receive = .both
            $0.interfaces[1].send = .v1
        }.begin()
        let old = message(1, [.wholeTable], command: RIPFormat.request)
        d.receive(old)
        #expect(d.packets.isEmpty)
        d.receive(old, from: .v4(IPv4Address(10, 0, 1, 2)), on: 1)
        #expect(d.packets.map { $0.bytes[1] } == [1])
    }

    @Test func `requests are bounded for each second`() {
        let d = Driver { $0.limits.requestsPerSecond = 5 }.begin()
        for _ in 0..<20 { d.receive(whole, port: 4000) }
        #expect(d.packets.count == 5)
        #expect(d.counter(.tooManyRequests) == 15)
        d.run(.seconds(1))
        _ = d.take()
        d.receive(whole, port: 4000)
        #expect(d.packets.count == 1)
    }

    @Test func `RFC 2080 §2.4.1: requests of RIPng, for the whole table and for single entries`() {
        let d = Driver(.ng).begin()
        let source = IPAddress("fe80::2")!
        d.receive(message6([entry6("2001:db8:5::/48", 1)]), from: source)
        _ = d.take()
        d.receive(message6([.wholeTable], command: RIPFormat.request), from: source)
        #expect(text(d.packets[0]).sorted() == ["2001:db8:1::/64 1", "2001:db8:5::/48 16"])
        #expect(d.packets[0].hopLimit == 255)
        _ = d.take()
        d.receive(
            message6([entry6("2001:db8:5::/48", 1), entry6("2001:db8:9::/48", 1)], command: RIPFormat.request),
            from: source, port: 9999)
        #expect(text(d.packets[0]) == ["2001:db8:5::/48 2", "2001:db8:9::/48 16"])
        #expect(d.packets[0].destinationPort == 9999)
    }
}
