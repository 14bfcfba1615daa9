import Testing
import Wire

@Suite struct AddressTests {
    @Test(arguments: ["0.0.0.0", "255.255.255.255", "192.0.2.1", "10.0.0.1"])
    func `an IPv4 address reads as it is written`(text: String) { #expect(IPv4Address(text)?.description == text) }

    @Test(arguments: [
        "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1..2.3", "1.2.3.4 ", "+1.2.3.4", "1.2.3.-4", "a.b.c.d", "1.2.3.0004",
    ])
    func `what is no IPv4 address is refused`(text: String) { #expect(IPv4Address(text) == nil) }

    /// RFC 5952 §4 examples and the forms of RFC 4291 §2.2.
    @Test(arguments: [
        ("2001:db8:0:0:0:0:0:1", "2001:db8::1"), ("2001:DB8::ABCD", "2001:db8::abcd"), ("::", "::"), ("::1", "::1"),
        ("2001:db8::", "2001:db8::"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1", "fe80::1"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ])
    func `an IPv6 address is written in its canonical form`(text: String, canonical: String) {
        let address = IPv6Address(text)
        #expect(address?.description == canonical)
        #expect(address.flatMap { IPv6Address($0.description) } == address)
    }

    @Test(arguments: [
        "", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::", ":1::", "1:", "::1:", "1.2.3.4::",
        "fe80::1%eth0", "1:2:3:4:5:6:7:8::",
    ])
    func `what is no IPv6 address is refused`(text: String) { #expect(IPv6Address(text) == nil) }

    @Test func `groups of an IPv6 address count from the left`() {
        let address = IPv6Address("1:2:3:4:5:6:7:8")!
        #expect((0..<8).map { address.group($0) } == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func `RFC 4291 §2,7,1 solicited-node address`() {
        #expect(IPv6Address("4037::01:800:200e:8c6c")!.solicitedNode == IPv6Address("ff02::1:ff0e:8c6c")!)
    }

    @Test(arguments: ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::/0", "2001:db8::1/128", "8000::/1"])
    func `a prefix reads as it is written`(text: String) { #expect(IPPrefix(text)?.description == text) }

    @Test(arguments: ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "10.0.0.0/", "2001:db8::1/64", "::/129", "10.0.0.0/+8", "/8"])
    func `a prefix with host bits or an impossible length is refused`(text: String) { #expect(IPPrefix(text) == nil) }

    @Test func `a prefix contains exactly the addresses that share its bits`() {
        for length in UInt8(0)...128 {
            let address = IPv6Address(high: 0x2001_0db8_1234_5678, low: 0x9abc_def0_1234_5678)
            let prefix = IPv6Prefix(address, length)
            #expect(prefix.contains(address))
            if length > 0 {
                // Flip the last bit of the prefix: outside.
                let flip = 128 - UInt64(length)
                let other =
                    flip < 64
                    ? IPv6Address(high: address.high, low: address.low ^ 1 << flip)
                    : IPv6Address(high: address.high ^ 1 << (flip - 64), low: address.low)
                #expect(!prefix.contains(other))
            }
        }
    }

    @Test func `a MAC address reads as it is written`() {
        #expect(MACAddress("00:00:5e:00:01:0a")?.description == "00:00:5e:00:01:0a")
        #expect(MACAddress("01:00:5e:00:00:01")!.isGroup)
        for bad in ["", "00:00:5e:00:01", "0:0:5e:0:1:a", "00:00:5e:00:01:0g", "00-00-5e-00-01-0a", "+0:00:5e:00:01:0a"] {
            #expect(MACAddress(bad) == nil)
        }
    }
}
