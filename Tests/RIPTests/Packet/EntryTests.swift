import Records
import Testing
import Wire

@testable import RIP

@Suite struct EntryTests {
    private let network = IPv4Prefix("172.16.5.0/24")!
    private let own = [IPv4Address(172, 16, 5, 1)]

    private func judged(_ e: RIPv2Entry, version: UInt8 = 2) -> String {
        switch e.learned(version: version, on: network, own: own) {
        case .success(let l): "\(l.destination.unmapped) \(l.metric)\(l.nextHop.map { " via \($0)" } ?? "")"
        case .failure(let r): "\(r.reason)"
        }
    }

    @Test(arguments: [
        ("10.0.0.0/8", 1, "10.0.0.0/8 1"), ("0.0.0.0/0", 1, "0.0.0.0/0 1"), ("10.1.2.3/32", 16, "10.1.2.3/32 16"),
        ("10.0.0.0/8", 0, "entry with a bad metric"), ("10.0.0.0/8", 17, "entry with a bad metric"),
        ("10.0.0.0/8", UInt32.max, "entry with a bad metric"),
        ("127.0.0.0/8", 1, "entry with a bad destination"), ("0.1.0.0/16", 1, "entry with a bad destination"),
        ("0.0.0.0/1", 1, "entry with a bad destination"), ("224.0.0.9/32", 1, "entry with a bad destination"),
        ("240.0.0.0/4", 1, "entry with a bad destination"), ("255.255.255.255/32", 1, "entry with a bad destination"),
    ])
    func `RFC 2453 §3.9.2: is the destination address valid, is the metric valid`(
        _ prefix: String, _ metric: UInt32, _ verdict: String
    ) {
        #expect(judged(entry(prefix, metric)) == verdict)
    }

    @Test func `RFC 2453 §3.9.2: masks with holes and other families are refused, host bits are nobody's`() {
        var e = entry("10.0.0.0/8", 1)
        e.mask = 0xff00_ff00
        #expect(judged(e) == "entry with a bad destination")
        e.mask = 0xff00_0000
        e.address = IPv4Address(10, 1, 0, 0)
        #expect(judged(e) == "10.0.0.0/8 1")
        e = entry("10.0.0.0/8", 1)
        e.family = 3
        #expect(judged(e) == "entry of another address family")
    }

    @Test func `RFC 2453 §4.4: a next hop that is not on the link is taken for the sender`() {
        #expect(judged(entry("10.0.0.0/8", 1, nextHop: IPv4Address(172, 16, 5, 9))) == "10.0.0.0/8 1 via 172.16.5.9")
        #expect(judged(entry("10.0.0.0/8", 1, nextHop: IPv4Address(172, 16, 6, 9))) == "10.0.0.0/8 1")
        #expect(judged(entry("10.0.0.0/8", 1, nextHop: own[0])) == "entry with our address as next hop")
    }

    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0/0 1"), ("10.0.0.0", "10.0.0.0/8 1"), ("10.1.0.0", "10.1.0.0/32 1"),
        ("192.168.7.0", "192.168.7.0/24 1"), ("172.16.9.0", "172.16.9.0/24 1"), ("172.16.9.4", "172.16.9.4/32 1"),
        ("172.17.0.0", "172.17.0.0/16 1"),
    ])
    func `RFC 1058 §3.2: version 1 infers the mask`(_ address: String, _ verdict: String) {
        var e = entry("0.0.0.0/0", 1)
        e.address = IPv4Address(address)!
        #expect(judged(e, version: 1) == verdict)
    }

    @Test(arguments: [
        ("172.16.9.0/24", "172.16.9.0/24"), ("172.16.9.4/32", "172.16.9.4/32"), ("172.16.9.0/25", nil),
        ("172.16.0.0/16", nil), ("10.1.0.0/16", "10.0.0.0/8"), ("10.0.0.0/8", "10.0.0.0/8"), ("10.0.0.0/7", nil),
        ("192.168.0.0/16", nil), ("192.168.1.64/26", "192.168.1.0/24"), ("0.0.0.0/0", "0.0.0.0/0"),
    ])
    func `RFC 2453 §4.3: what version 1 routers are told of`(_ prefix: String, _ shown: String?) {
        #expect(RIPInstance.version1Form(IPv4Prefix(prefix)!, on: network)?.description == shown)
    }

    @Test func `RFC 2080 §2.4.2: multicast and link-local prefixes are refused`() {
        func judged(_ e: RIPngEntry) -> String {
            switch e.learned(nextHop: nil) {
            case .success(let l): "\(l.destination) \(l.metric)"
            case .failure(let r): "\(r.reason)"
            }
        }
        #expect(judged(entry6("2001:db8::/32", 3)) == "2001:db8::/32 3")
        #expect(judged(entry6("::/0", 3)) == "::/0 3")
        #expect(judged(entry6("ff02::/16", 3)) == "entry with a bad destination")
        #expect(judged(entry6("fe80::/64", 3)) == "entry with a bad destination")
        #expect(judged(entry6("::1/128", 3)) == "entry with a bad destination")
        #expect(judged(entry6("2001:db8::/32", 0)) == "entry with a bad metric")
        #expect(judged(entry6("2001:db8::/32", 17)) == "entry with a bad metric")
        var long = entry6("2001:db8::/32", 1)
        long.length = 129
        #expect(judged(long) == "entry with a bad destination")
    }

    @Test func `entries of both versions come back as they were written`() throws {
        var w = ByteWriter()
        let a = RIPv2Entry(
            family: 2, tag: 0x1234, address: IPv4Address(1, 2, 3, 4), mask: 0xffff_0000, nextHop: IPv4Address(5, 6, 7, 8),
            metric: 9)
        a.write(to: &w)
        let b = RIPngEntry(address: IPv6Address(high: 1, low: 2), tag: 3, length: 64, metric: 5)
        b.write(to: &w)
        #expect(w.count == 40)
        let bytes = w.bytes
        var r = ByteReader(bytes.span.bytes)
        let readA = try RIPv2Entry.read(&r)
        let readB = try RIPngEntry.read(&r)
        #expect(readA == a)
        #expect(readB == b)
    }

    @Test func `RFC 2080 §2.1: a message fills the MTU and no more`() {
        var writer = RIPPacketWriter(
            version: .ng, messageVersion: 1, command: RIPFormat.response, key: nil, mtu: 1500, sequence: 0)
        for i in 0..<100 {
            writer.add(RIPngEntry(address: IPv6Address(high: UInt64(i), low: 0), tag: 0, length: 64, metric: 1))
        }
        // (1500 - 40 - 8 - 4) / 20 = 72.
        #expect(writer.finish().map(\.count) == [4 + 72 * 20, 4 + 28 * 20])
    }

    @Test func `RFC 2080 §2.1.1: a next hop holds until the next one, and not across messages`() {
        let hop = IPv6Address("fe80::9")!
        var writer = RIPPacketWriter(
            version: .ng, messageVersion: 1, command: RIPFormat.response, key: nil, mtu: 1280, sequence: 0)
        writer.add(entry6("2001:db8:1::/48", 1))
        writer.add(entry6("2001:db8:2::/48", 1), via: hop)
        writer.add(entry6("2001:db8:3::/48", 1), via: hop)
        writer.add(entry6("2001:db8:4::/48", 1))
        for i in 0..<55 {
            writer.add(
                RIPngEntry(address: IPv6Address(high: UInt64(i) << 16, low: 0), tag: 0, length: 48, metric: 1), via: hop)
        }
        let messages = writer.finish()
        let lines = text(messages[0], .ripng)
        #expect(
            lines.prefix(4)
                == [
                    "2001:db8:1::/48 1", "2001:db8:2::/48 1 via fe80::9", "2001:db8:3::/48 1 via fe80::9",
                    "2001:db8:4::/48 1",
                ])
        #expect(messages.allSatisfy { $0.count <= 1280 - 48 })
        #expect(messages.count == 2)
        #expect(messages.flatMap { text($0, .ripng) }.dropFirst(4).allSatisfy { $0.hasSuffix("via fe80::9") })
    }
}
