import CHost
import Foundation
import Machine
import Records
import Testing
import Wire

@testable import Host

@Suite(.serialized) struct RouterDevicesTests {
    static func interface(_ name: String, _ last: UInt8, vlan: UInt16 = 0) -> InterfaceConfiguration {
        InterfaceConfiguration(
            name: name, virtualMAC: MACAddress(raw: 0x024c_5300_0000 + UInt64(last)), vlan: vlan,
            addresses: [
                .init(address: .v4(IPv4Address(10, 0, last, 1)), prefixLength: 24),
                .init(address: .v6(IPv6Address(high: 0x2001_0db8_0000_0000, low: UInt64(last))), prefixLength: 64),
            ])
    }
    static func make(_ controller: String = "a", table: UInt32 = 254) throws -> RouterDevices {
        try RouterDevices(
            .init(
                pair: "test", controller: controller,
                bindings: [.init(name: "east", device: "p0"), .init(name: "west", device: "p1")],
                table: table))
    }
    static func cables() throws {
        try NetworkNamespace.shell(
            """
            ip link set lo up; ip link add p0 type veth peer name q0; ip link add p1 type veth peer name q1
            for d in p0 q0 p1 q1; do ip link set $d up; done
            """)
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `Each interface gets a device with the virtual MAC, its addresses and no routes of the kernel's own`() throws {
        try NetworkNamespace.run {
            try Self.cables()
            let devices = try Self.make()
            devices.apply([Self.interface("east", 1), Self.interface("west", 2)])
            devices.raise()
            #expect(devices.events.filter { $0.severity == .alarm }.isEmpty, "\(devices.events.map(\.message))")
            #expect(devices.devices.count == 2)
            #expect(devices.devices.allSatisfy { $0?.isUp == true })
            let name = devices.made[0]?.name ?? ""
            let text = try NetworkNamespace.shell("ip -d link show \(name); ip addr show \(name); ip route; ip -6 route")
            for part in [
                "02:4c:53:00:00:01", "macvlan mode private", "alias lockstep test a east", "inet 10.0.1.1/24",
                "inet6 2001:db8::1/128", "inet6 fe80::4c:53ff:fe00:1/128",
            ] { #expect(text.contains(part), "\(part) is not in \(text)") }
            #expect(!text.contains("10.0.1.0/24 dev"))
            #expect(!text.contains("fe80::/64 dev \(name)"))
            #expect(RouterDevices.read("net/ipv4/conf/\(name)/forwarding") == "1")
            #expect(RouterDevices.read("net/ipv4/conf/\(name)/arp_ignore") == "8")
            #expect(RouterDevices.read("net/ipv6/conf/\(name)/accept_ra") == "0")
            // The other devices of the host are as they were.
            #expect(RouterDevices.read("net/ipv4/conf/p0/forwarding") == "0")
            #expect(RouterDevices.read("net/ipv4/ip_forward") == "0")
            devices.removeAll()
            #expect(try NetworkNamespace.shell("ip -d link | grep -c macvlan || true").hasPrefix("0"))
            #expect(RouterDevices.read("net/ipv4/nexthop_compat_mode") == "1")
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `What is right stays, what is wrong is made anew, what is not wanted goes`() throws {
        try NetworkNamespace.run {
            try Self.cables()
            let first = try Self.make()
            first.apply([Self.interface("east", 1), Self.interface("west", 2)])
            first.raise()
            let other = try Self.make("b")
            other.apply([Self.interface("east", 1)])
            // The same MAC twice on one device is the kernel's to refuse: two controllers of one namespace need two.
            let second = try Self.make()
            var changed = Self.interface("west", 9)
            changed.addresses.removeLast()
            second.apply([Self.interface("east", 1), changed])
            second.raise()
            #expect(second.made[0] == first.made[0])
            #expect(second.made[1]?.index != first.made[1]?.index)
            second.apply([Self.interface("east", 1)])
            #expect(try NetworkNamespace.shell("ip -d link | grep -c 'alias lockstep test a' || true").hasPrefix("1"))
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `Another table than main gets a rule for each device, once`() throws {
        try NetworkNamespace.run {
            try Self.cables()
            let devices = try Self.make(table: 1000)
            devices.apply([Self.interface("east", 1)])
            devices.raise()
            devices.raise()
            let rules = try NetworkNamespace.shell("ip rule; ip -6 rule")
            let line = "iif \(devices.made[0]?.name ?? "?") lookup 1000"
            #expect(rules.components(separatedBy: line).count == 3, "\(rules)")
            devices.removeAll()
            #expect(try !NetworkNamespace.shell("ip rule; ip -6 rule").contains("1000"))
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A device that is not there is an alarm that names it`() throws {
        try NetworkNamespace.run {
            let devices = try Self.make()
            devices.apply([Self.interface("east", 1)])
            #expect(devices.events.contains { $0.severity == .alarm && $0.message.contains("p0") })
            #expect(devices.devices == [nil])
        }
    }

    @Test func `Names fit the kernel and differ between controllers, interfaces and VLANs`() throws {
        let a = try Self.make("a"), b = try Self.make("b")
        let long = "a-very-long-name"
        let names = [a.deviceName("lan"), b.deviceName("lan"), a.deviceName(long), a.deviceName(long, isVLAN: true)]
        #expect(Set(names).count == 4)
        #expect(names.allSatisfy { $0.utf8.count <= 15 })
    }

    @Test func `The link-local address is the line card's`() {
        #expect("\(RouterDevices.linkLocal(MACAddress("02:4c:53:00:00:01")!))" == "fe80::4c:53ff:fe00:1")
        #expect("\(RouterDevices.linkLocal(MACAddress("00:11:22:33:44:55")!))" == "fe80::211:22ff:fe33:4455")
    }
}
