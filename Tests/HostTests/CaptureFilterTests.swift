import CPcap
import Testing
import Wire

@testable import Host

/// What the kernel lets through, by libpcap's own compiler and interpreter: a filter that only looks right is found here.
@Suite struct CaptureFilterTests {
    static let virtual = MACAddress("00:00:5e:00:01:01")!
    static let own = MACAddress("02:00:00:00:00:07")!
    static let stranger = MACAddress("02:00:00:00:00:99")!

    static func octets(_ mac: MACAddress) -> [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: mac.raw >> UInt64(40 - 8 * $0)) } }
    /// Of 100 octets after the addresses.
    static func frame(to destination: MACAddress, from source: MACAddress = stranger, _ content: [UInt8]) -> [UInt8] {
        octets(destination) + octets(source) + content + [UInt8](repeating: 0, count: 100 - content.count)
    }
    static let arp: [UInt8] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]
    static func ipv6(header: UInt8, type: UInt8) -> [UInt8] {
        [0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, header, 255] + [UInt8](repeating: 0, count: 32) + [type]
    }
    static let tag: [UInt8] = [0x81, 0, 0, 100]

    func takes(_ frame: [UInt8]) throws -> Bool {
        let handle = try #require(pcap_open_dead(DLT_EN10MB, 65535))
        defer { pcap_close(handle) }
        var program = bpf_program()
        let filter = PacketPort.filter(macs: [Self.virtual], own: Self.own, advertisementType: 0x88b5)
        try #require(pcap_compile(handle, &program, filter, 1, PCAP_NETMASK_UNKNOWN) == 0, "\(filter)")
        defer { pcap_freecode(&program) }
        var header = pcap_pkthdr()
        header.caplen = UInt32(frame.count)
        header.len = UInt32(frame.count)
        return frame.withUnsafeBufferPointer { pcap_offline_filter(&program, &header, $0.baseAddress) } != 0
    }

    @Test func `Answers to the pair's own questions come in, tagged or not, and nothing else to the device's own address`() throws
    {
        for tag in [[], Self.tag] {
            #expect(try takes(Self.frame(to: Self.own, tag + Self.arp)))
            #expect(try takes(Self.frame(to: Self.own, tag + Self.ipv6(header: 58, type: 136))))
            #expect(try !takes(Self.frame(to: Self.own, tag + Self.ipv6(header: 58, type: 128))))
            #expect(try !takes(Self.frame(to: Self.own, tag + Self.ipv6(header: 6, type: 136))))
            #expect(try !takes(Self.frame(to: Self.own, tag + [8, 0, 0x45, 0])))
            #expect(try !takes(Self.frame(to: Self.stranger, tag + Self.arp)), "another host's")
        }
    }

    @Test func `The router's address, groups and advertisements come in, the rest of the LAN does not`() throws {
        #expect(try takes(Self.frame(to: Self.virtual, [8, 0, 0x45, 0])))
        #expect(try takes(Self.frame(to: Self.virtual, Self.tag + [8, 0, 0x45, 0])))
        #expect(try takes(Self.frame(to: Self.stranger, from: Self.virtual, [8, 0, 0x45, 0])), "somebody speaks as the router")
        #expect(try takes(Self.frame(to: MACAddress("01:00:5e:00:00:05")!, [8, 0, 0x45, 0])))
        #expect(try takes(Self.frame(to: .broadcast, Self.arp)))
        #expect(try takes(Self.frame(to: Self.stranger, [0x88, 0xb5])))
        #expect(try !takes(Self.frame(to: Self.stranger, [8, 0, 0x45, 0])))
        #expect(try !takes(Self.frame(to: Self.stranger, Self.tag + [8, 0, 0x45, 0])))
    }
}
