import CHost
import Foundation
import Machine
import Records
import Routing
import Testing
import Wire

@testable import Host

@Suite(.serialized) struct KernelFIBTests {
    static func prefix(_ i: Int) -> IPv4Prefix { IPv4Prefix(IPv4Address(raw: 0x1400_0000 + UInt32(i) << 8), 24) }
    static func prefix6(_ i: Int) -> IPv6Prefix {
        IPv6Prefix(IPv6Address(high: 0x2001_0db8_0000_0000 + UInt64(i) << 16, low: 0), 48)
    }
    static func gateway(_ i: Int) -> FIBNextHop {
        FIBNextHop(interface: InterfaceID(0), gateway: .v4(IPv4Address(10, 0, 0, UInt8(i))))
    }
    static func gateway6(_ i: Int) -> FIBNextHop {
        FIBNextHop(interface: InterfaceID(0), gateway: .v6(IPv6Address(high: 0xfe80 << 48, low: UInt64(i))))
    }
    static var settings: KernelFIB.Settings { KernelFIB.Settings(firstObject: 0x4000_0000) }

    /// Two devices that are up, and the FIB of a controller on them.
    static func devices() throws -> [KernelFIB.Device?] {
        try NetworkNamespace.shell(
            """
            ip link set lo up; ip link add d0 type veth peer name e0; ip link add d1 type veth peer name e1
            for d in d0 e0 d1 e1; do ip link set $d up; done
            """)
        return try ["d0", "d1"].map { name in
            let text = try NetworkNamespace.shell("ip -o link show \(name)")
            let index = UInt32(text.split { !$0.isNumber }.first ?? "") ?? 0
            return KernelFIB.Device(index: index, isUp: true)
        }
    }
    static func make(_ devices: [KernelFIB.Device?]) throws -> KernelFIB {
        let fib = try KernelFIB(settings)
        fib.setDevices(devices)
        return fib
    }
    /// A FIB with 100 routes through the first device and 100 through both.
    static func makeBehindTwo(_ devices: [KernelFIB.Device?]) throws -> KernelFIB {
        let fib = try make(devices)
        var other = gateway(2)
        other.interface = InterfaceID(1)
        var update = FIBUpdate()
        update.groups = [.init(id: 1, nextHops: [gateway(1)]), .init(id: 2, nextHops: [gateway(1), other])]
        update.ipv4 =
            (0..<100).map { .init(prefix($0), group: 1) } + (100..<200).map { .init(prefix($0), group: 2) }
        fib.take(update)
        drain(fib)
        return fib
    }
    /// Until there is nothing to do. Time is ours to say: `later` is how much of it has passed for the table.
    static func drain(_ fib: KernelFIB, later: Duration = .zero) {
        repeat { fib.work(at: monotonicKernelNow() + later) } while fib.hasWork
    }
    static func count(_ what: String) throws -> Int {
        Int(try NetworkNamespace.shell("\(what) | wc -l").trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `Ten thousand routes of both families reach the kernel and leave it again`() throws {
        try NetworkNamespace.run {
            let fib = try Self.make(Self.devices())
            var update = FIBUpdate()
            update.groups = [.init(id: 1, nextHops: [Self.gateway(1)]), .init(id: 2, nextHops: [Self.gateway6(1)])]
            update.ipv4 = (0..<10_000).map { .init(Self.prefix($0), group: 1) }
            update.ipv6 = (0..<10_000).map { .init(Self.prefix6($0), group: 2) }
            fib.take(update)
            Self.drain(fib)
            #expect(fib.status.errors == 0, "\(fib.status.lastError)")
            #expect(try Self.count("ip -4 route show proto 76") == 10_000)
            #expect(try Self.count("ip -6 -o route show proto 76") == 10_000)
            #expect(fib.summary.ipv4.installed == 10_000)
            // Many messages a system call.
            #expect(fib.status.batches < 60)
            let route = try NetworkNamespace.shell("ip route get 20.0.5.9")
            #expect(route.contains("via 10.0.0.1 dev d0"))

            var withdrawal = FIBUpdate()
            withdrawal.ipv4 = (0..<10_000).map { .init(Self.prefix($0), group: 0) }
            withdrawal.ipv6 = (0..<10_000).map { .init(Self.prefix6($0), group: 0) }
            withdrawal.removedGroups = [1, 2]
            fib.take(withdrawal)
            Self.drain(fib)
            #expect(fib.status.errors == 0, "\(fib.status.lastError)")
            #expect(try Self.count("ip -4 route show proto 76") == 0)
            #expect(try Self.count("ip -6 route show proto 76") == 0)
            fib.settle()
            Self.drain(fib)
            #expect(try Self.count("ip nexthop") == 0)
            #expect(fib.summary.ipv4 == KernelFIBStatus.Family())
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A next hop that changes is one replacement, whatever the number of prefixes`() throws {
        try NetworkNamespace.run {
            let fib = try Self.make(Self.devices())
            var update = FIBUpdate()
            update.groups = [.init(id: 7, nextHops: [Self.gateway(1)])]
            update.ipv4 = (0..<1000).map { .init(Self.prefix($0), group: 7) }
            fib.take(update)
            Self.drain(fib)
            let before = fib.status.messages
            var change = FIBUpdate()
            change.groups = [.init(id: 7, nextHops: [Self.gateway(2)])]
            fib.take(change)
            Self.drain(fib)
            // The new path, the group, the path that nobody holds any more.
            #expect(fib.status.messages - before == 3)
            #expect(try NetworkNamespace.shell("ip route get 20.3.1.1").contains("via 10.0.0.2 dev d0"))
            #expect(try Self.count("ip nexthop") == 2)
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `Several paths with weights, a blackhole and a connected network`() throws {
        try NetworkNamespace.run {
            let fib = try Self.make(Self.devices())
            var update = FIBUpdate()
            var heavy = Self.gateway(2)
            heavy.weight = 3
            heavy.interface = InterfaceID(1)
            update.groups = [
                .init(id: 1, nextHops: [Self.gateway(1), heavy]), .init(id: 2, nextHops: []),
                .init(id: 3, nextHops: [FIBNextHop(interface: InterfaceID(1), gateway: nil)]),
            ]
            update.ipv4 = [
                .init(Self.prefix(1), group: 1), .init(Self.prefix(2), group: 2), .init(Self.prefix(3), group: 3),
                .init(IPv4Prefix(.any, 0), group: 1),
            ]
            update.ipv6 = [.init(Self.prefix6(2), group: 2), .init(Self.prefix6(3), group: 3)]
            fib.take(update)
            Self.drain(fib)
            #expect(fib.status.errors == 0, "\(fib.status.lastError)")
            let text = try NetworkNamespace.shell("ip -4 route show proto 76; ip -6 route show proto 76; ip nexthop")
            #expect(text.contains("nexthop via 10.0.0.1 dev d0 weight 1"))
            #expect(text.contains("nexthop via 10.0.0.2 dev d1 weight 3"))
            #expect(text.contains("blackhole 20.0.2.0/24"))
            #expect(text.contains("blackhole 2001:db8:2::/48"))
            #expect(text.contains("20.0.3.0/24 nhid 1073741826 dev d1"))
            #expect(text.contains("default"))
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `What others take away is put back, and what they replace`() throws {
        try NetworkNamespace.run {
            let fib = try Self.make(Self.devices())
            let monitor = try NetlinkSocket(
                groups: [RouteGroup.ipv4Route, RouteGroup.ipv6Route, RouteGroup.nextHop], ignored: fib.socket.port)
            var update = FIBUpdate()
            update.groups = [.init(id: 1, nextHops: [Self.gateway(1)])]
            update.ipv4 = (0..<2000).map { .init(Self.prefix($0), group: 1) }
            fib.take(update)
            Self.drain(fib)
            func hear() {
                while monitor.receive({ fib.notice($0, at: monotonicKernelNow()) }) == .messages {}
            }
            hear()
            #expect(fib.status.foreignChanges == 0, "our own doings are not heard")
            try NetworkNamespace.shell(
                """
                ip route del 20.0.1.0/24; ip route del 20.0.9.0/24
                ip route replace 20.0.3.0/24 dev d1 metric 20 proto static
                """)
            hear()
            #expect(fib.status.foreignChanges == 3)
            Self.drain(fib, later: .milliseconds(120))
            #expect(try Self.count("ip -4 route show proto 76") == 2000)

            // All next hops at once: the kernel drops the routes with them, and we read what is left.
            try NetworkNamespace.shell("ip nexthop flush id 1073741824 || ip nexthop del id 1073741824")
            hear()
            Self.drain(fib)
            Self.drain(fib, later: .milliseconds(1300))
            #expect(try Self.count("ip -4 route show proto 76") == 2000)
            #expect(fib.summary.ipv4.installed == 2000)
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A daemon that comes back moves no route that is right, and removes the others once it knows all`() throws {
        try NetworkNamespace.run {
            let devices = try Self.devices()
            var update = FIBUpdate()
            update.groups = [.init(id: 4, nextHops: [Self.gateway(1)]), .init(id: 5, nextHops: [Self.gateway(2)])]
            update.ipv4 = (0..<1000).map { .init(Self.prefix($0), group: 4) } + [.init(Self.prefix(5000), group: 5)]
            do {
                let first = try Self.make(devices)
                first.take(update)
                Self.drain(first)
            }
            #expect(try Self.count("ip -4 route show proto 76") == 1001)
            let second = try KernelFIB(Self.settings)
            second.setDevices(devices)
            second.takeStock("the start", at: monotonicKernelNow())
            Self.drain(second)
            #expect(second.status.messages == 0)
            #expect(try Self.count("ip -4 route show proto 76") == 1001, "nobody knows yet what is wanted")
            var complete = FIBUpdate()
            complete.isComplete = true
            // Other numbers for the same next hops.
            complete.groups = [.init(id: 1, nextHops: [Self.gateway(1)])]
            complete.ipv4 = (0..<1000).map { .init(Self.prefix($0), group: 1) }
            second.take(complete)
            Self.drain(second)
            #expect(try Self.count("ip -4 route show proto 76") == 1001, "the neighbors have not said all yet")
            #expect(second.status.messages == 0)
            var news = FIBUpdate()
            news.hasFirstRoutes = true
            second.take(news)
            Self.drain(second)
            #expect(try Self.count("ip -4 route show proto 76") == 1000)
            // The route that nobody wants, its group, its path.
            #expect(second.status.messages == 3)
            second.removeAll()
            #expect(try Self.count("ip nexthop") == 0)
            #expect(try Self.count("ip -4 route show proto 76") == 0)
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A cable that is pulled and put back`() throws {
        try NetworkNamespace.run {
            var devices = try Self.devices()
            let fib = try Self.makeBehindTwo(devices)
            try NetworkNamespace.shell("ip link set e0 down")
            devices[0]?.isUp = false
            fib.setDevices(devices)
            Self.drain(fib)
            #expect(fib.status.errors == 0, "\(fib.status.lastError)")
            #expect(try Self.count("ip -4 route show proto 76 | grep blackhole") == 100)
            #expect(try NetworkNamespace.shell("ip route get 20.0.150.1").contains("via 10.0.0.2 dev d1"))
            try NetworkNamespace.shell("ip link set e0 up")
            devices[0]?.isUp = true
            fib.setDevices(devices)
            Self.drain(fib)
            #expect(fib.status.errors == 0, "\(fib.status.lastError)")
            #expect(try Self.count("ip -4 route show proto 76 | grep -v blackhole | grep nhid") == 200)
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `A cable whose loss the kernel has not noticed yet`() throws {
        try NetworkNamespace.run {
            var devices = try Self.devices()
            let fib = try Self.makeBehindTwo(devices)
            for _ in 0..<3 {
                devices[0]?.isUp = false
                fib.setDevices(devices)
                Self.drain(fib)
                #expect(fib.status.errors == 0, "\(fib.status.lastError)")
                #expect(try Self.count("ip -4 route show proto 76 | grep blackhole") == 100)
                devices[0]?.isUp = true
                fib.setDevices(devices)
                Self.drain(fib)
                #expect(fib.status.errors == 0, "\(fib.status.lastError)")
                #expect(try Self.count("ip -4 route show proto 76 | grep -v blackhole | grep nhid") == 200)
            }
        }
    }

    @Test(.enabled(if: NetworkNamespace.isAvailable, NetworkNamespace.why))
    func `What the kernel refuses is counted, parked and tried again`() throws {
        try NetworkNamespace.run {
            var devices = try Self.devices()
            try NetworkNamespace.shell("ip link set d1 down")
            // We are told that it is up: the kernel knows better.
            devices[1]?.isUp = true
            let fib = try Self.make(devices)
            var hop = Self.gateway(1)
            hop.interface = InterfaceID(1)
            var update = FIBUpdate()
            update.groups = [.init(id: 1, nextHops: [hop])]
            update.ipv4 = (0..<50).map { .init(Self.prefix($0), group: 1) }
            fib.take(update)
            Self.drain(fib)
            #expect(fib.summary.ipv4.failed == 50)
            #expect(fib.summary.ipv4.installed == 0)
            #expect(fib.status.errors > 0)
            try NetworkNamespace.shell("ip link set d1 up; until ip link show d1 | grep -q LOWER_UP; do :; done")
            Self.drain(fib, later: .milliseconds(1300))
            #expect(try Self.count("ip -4 route show proto 76") == 50)
            #expect(fib.summary.ipv4.failed == 0)
        }
    }

    @Test func `A prefix that changes many times waits once`() throws {
        var book = RouteBook<IPv4Prefix>(seed: 1)
        let number = book.number(of: Self.prefix(1))
        for slot in 0..<1000 as Range<UInt32> {
            book.setWanted(number, slot)
            book.enqueue(number)
        }
        #expect(book.pendingCount == 1)
        #expect(book.dequeue() == number)
        #expect(book.dequeue() == nil)
    }
}
