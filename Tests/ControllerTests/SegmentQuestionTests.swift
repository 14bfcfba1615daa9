import Records
import Testing
import Wire

@testable import Controller

@Suite struct SegmentQuestionTests {
    private func interface(_ addresses: [String], vlan: UInt16 = 0) -> InterfaceConfiguration {
        InterfaceConfiguration(
            name: "lan", virtualMAC: MACAddress("02:00:00:00:00:01")!, vlan: vlan,
            addresses: addresses.map { .init(address: IPAddress($0)!, prefixLength: 24) })
    }

    @Test("RFC 5227 §2.1.1: an ARP probe has our hardware address twice, no protocol address, and asks for the router's")
    func arp() throws {
        for vlan: UInt16 in [0, 7] {
            var frame = try #require(SegmentQuestion.frame(for: interface(["192.0.2.1"], vlan: vlan)))
            frame.fillSource(MACAddress("02:00:00:00:20:01")!)
            let own: [UInt8] = [2, 0, 0, 0, 0x20, 1]
            let tag: [UInt8] = vlan == 0 ? [] : [0x81, 0, 0, 7]
            let expected = [UInt8](repeating: 255, count: 6) + own + tag + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1] + own
                + [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]
            #expect(Array(frame.prefix(expected.count)) == expected)
            #expect(frame.count >= 60)
        }
    }

    @Test("RFC 4862 §5.4.2: a solicitation from the unspecified address, to the solicited-node group, with a right checksum")
    func solicitation() throws {
        var frame = try #require(SegmentQuestion.frame(for: interface(["2001:db8::12:3456"])))
        frame.fillSource(MACAddress("02:00:00:00:20:01")!)
        #expect(Array(frame[0..<6]) == [0x33, 0x33, 0xff, 0x12, 0x34, 0x56])
        #expect(Array(frame[6..<12]) == [2, 0, 0, 0, 0x20, 1])
        #expect(frame[20] == 58 && frame[21] == 255)
        var sum = InternetChecksum()
        sum.add(Array(frame[38..<54]).span.bytes)
        sum.add32(24)
        sum.add32(58)
        sum.add(Array(frame[54..<78]).span.bytes)
        #expect(sum.value == 0)
    }

    @Test("An interface without an address has nothing to ask for")
    func nothing() { #expect(SegmentQuestion.frame(for: interface([])) == nil) }
}
