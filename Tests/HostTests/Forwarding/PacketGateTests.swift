import CHost
import Foundation
import Machine
import Testing
import Wire

@testable import Host

@Suite(.serialized) struct PacketGateTests {
    static func index(_ device: String) throws -> UInt32 {
        UInt32(try NetworkNamespace.shell("ip -o link show \(device)").split { !$0.isNumber }.first ?? "") ?? 0
    }
    /// A cable whose ends both lie here, and a device with the virtual MAC on one of them.
    static func make(openFor: Duration? = .seconds(2)) throws -> PacketGate {
        try NetworkNamespace.shell(
            """
            ip link set lo up; ip link add p0 type veth peer name p1; ip link set p0 up; ip link set p1 up
            ip link add m0 link p0 address 02:4c:53:00:00:01 type macvlan mode private; ip link set m0 up
            """)
        let gate = try PacketGate(table: "lockstep-test-a", openFor: openFor)
        try gate.install(
            .init(
                devices: [(try index("m0"), "m0")],
                addresses: [IPAddress("10.0.0.1")!, IPAddress("2001:db8::1")!, IPAddress("fe80::1")!]))
        return gate
    }
    static func elements() throws -> Bool {
        try NetworkNamespace.shell("nft list set netdev lockstep-test-a open").contains("elements = {")
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `The kernel takes all three tables and lists them as they are meant`() throws {
        try NetworkNamespace.run {
            let gate = try Self.make()
            let text = try NetworkNamespace.shell("nft list ruleset")
            for line in [
                "type filter hook ingress device \"m0\" priority -500; policy drop;", "iif @open accept",
                "type filter hook egress device \"m0\" priority -500; policy drop;", "oif @open accept",
                "ip daddr @own4 drop", "ip6 daddr @own6 drop", "elements = { 10.0.0.1 }",
                "elements = { 2001:db8::1,", "iif @devices oif != @devices drop", "oif @devices drop",
                "arp operation request arp daddr ip @own4 drop", "icmp type time-exceeded accept",
            ] { #expect(text.contains(line), "\(line) is not in \(text)") }
            gate.remove()
            #expect(try NetworkNamespace.shell("nft list ruleset").isEmpty)
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `The gate opens and closes, as often as it is asked`() throws {
        try NetworkNamespace.run {
            let gate = try Self.make()
            #expect(try !Self.elements())
            for i in 0..<100 { try gate.set(open: i % 2 == 0) }
            #expect(try !Self.elements())
            try gate.set(open: true)
            #expect(try Self.elements())
            try gate.set(open: false)
            #expect(try !Self.elements())
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `Nobody who renews it: the gate closes by itself`() throws {
        try NetworkNamespace.run {
            let gate = try Self.make(openFor: .milliseconds(100))
            try gate.set(open: true)
            // The kernel's clock closes it: when is of no concern here, that it does is.
            while try Self.elements() {}
            #expect(gate.isOpen, "nobody closed it")
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A renewal gives the gate its whole time again`() throws {
        try NetworkNamespace.run {
            let gate = try Self.make(openFor: .seconds(60))
            try gate.set(open: true)
            let list = "nft list set netdev lockstep-test-a open"
            // As if most of the time were over.
            try NetworkNamespace.shell(
                """
                nft flush set netdev lockstep-test-a open
                nft add element netdev lockstep-test-a open '{ "m0" timeout 30s }'
                """)
            #expect(try NetworkNamespace.shell(list).contains("timeout 30s"))
            #expect(try gate.renew(looksAround: false))
            #expect(try NetworkNamespace.shell(list).contains("timeout 1m"))
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `Tables that somebody flushed come back, with the gate as it was`() throws {
        try NetworkNamespace.run {
            let gate = try Self.make()
            try gate.set(open: true)
            try NetworkNamespace.shell("nft flush ruleset")
            #expect(try !gate.renew(looksAround: true))
            #expect(try Self.elements())
            try NetworkNamespace.shell("nft delete table inet lockstep-test-a")
            #expect(try !gate.renew(looksAround: true))
            #expect(try NetworkNamespace.shell("nft list ruleset").contains("own6"))
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A closed gate lets nothing out, an open one the kernel's question for a neighbour, and no datagram of a process`()
        throws
    {
        try NetworkNamespace.run {
            let gate = try Self.make()
            try NetworkNamespace.shell(
                """
                for d in p0 p1 m0; do sysctl -qw net.ipv6.conf.$d.disable_ipv6=1; done
                ip addr add 10.0.0.1/24 dev m0 noprefixroute; ip route add 10.0.0.0/24 dev m0; sleep 0.2
                """)
            func received() throws -> Int {
                let text = try NetworkNamespace.shell("ip -s -s link show p1 | grep -A1 -m1 'RX:' | tail -1")
                return Int(text.split { !$0.isNumber }.dropFirst().first ?? "") ?? -1
            }
            let speak = "ping -c 1 -W 1 10.0.0.2; true"
            let before = try received()
            try NetworkNamespace.shell(speak)
            #expect(try received() == before)
            try gate.set(open: true)
            // The guard keeps the echo of this process from even asking.
            try NetworkNamespace.shell(speak)
            #expect(try received() == before)
            try NetworkNamespace.shell("nft delete table inet lockstep-test-a; " + speak)
            #expect(try received() > before)
        }
    }
}
