import CHost
import Glibc
import Machine
import Records
import Routing
import Wire

/// `bench fib-kernel`: how fast routes get into a kernel, each time in a network namespace of its own that is gone at
/// the end. Needs root.
public enum KernelFIBBench {
    public struct Line: Sendable {
        public var what: String
        public var seconds: Double
        /// What the time is divided by; 0: nothing.
        public var count: Int
    }

    /// - Parameter routes: IPv4, /24 each, at most 4,000,000.
    public static func run(routes: Int, report: (Line) -> Void) throws {
        try inNamespace { device in report(try bare(routes, device)) }
        try inNamespace { device in try ours(routes, device, report) }
    }

    private static func inNamespace(_ body: (UInt32) throws -> Void) throws {
        let before = chost_network_enter_new()
        guard before >= 0 else { throw SystemError("unshare", -before) }
        defer { _ = chost_network_return(before) }
        let socket = try NetlinkSocket()
        try socket.request(RouteMessage.newLink, flags: NetlinkFlag.create | NetlinkFlag.exclusive) { batch in
            batch.linkHeader()
            batch.attribute(LinkAttribute.name, text: "bench0")
            batch.linkInfo("veth") { _ in }
        }
        var indices: [UInt32] = []
        var device: UInt32 = 0
        try socket.dump(RouteMessage.getLink, { $0.linkHeader() }) { message in
            let index: UInt32 = message.load(4)
            indices.append(index)
            message.attributes(after: 16) { type, value in
                if type == LinkAttribute.name, NetlinkReader.text(value) == "bench0" { device = index }
            }
        }
        for index in indices {
            try socket.request(RouteMessage.newLink) { batch in
                batch.linkHeader(index: index, flags: LinkAttribute.isUp, change: LinkAttribute.isUp)
            }
        }
        _ = RouterDevices.write("net/ipv4/nexthop_compat_mode", "0")
        try body(device)
    }

    /// An order that is nobody's favourite: an odd factor goes through all numbers.
    private static func prefix(_ i: Int, of routes: Int) -> UInt32 {
        var bits: UInt32 = 1
        while 1 << bits < routes { bits += 1 }
        let number = UInt32(truncatingIfNeeded: i) &* 2_654_435_761 & (1 << bits &- 1)
        return 0x1000_0000 &+ number << 8
    }
    /// CPU time of this thread: the kernel works within our system calls, and what else the machine does is left out.
    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        func now() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
        let began = now()
        try body()
        return now() - began
    }

    /// The least that can be done: messages into a buffer, the buffer to the kernel.
    private static func bare(_ routes: Int, _ device: UInt32) throws -> Line {
        let socket = try NetlinkSocket(receiveBuffer: 16 << 20)
        try socket.request(RouteMessage.newNextHop, flags: NetlinkFlag.create) { batch in
            batch.nextHopHeader(KernelFamily.ipv4, flags: NextHopAttribute.onLink)
            batch.attribute(NextHopAttribute.id, 1 as UInt32)
            batch.attribute(NextHopAttribute.device, device)
            batch.attribute(NextHopAttribute.gateway, .v4(IPv4Address(10, 0, 0, 1)))
        }
        try socket.request(RouteMessage.newNextHop, flags: NetlinkFlag.create) { batch in
            batch.nextHopHeader(KernelFamily.unspecified)
            batch.attribute(NextHopAttribute.id, 2 as UInt32)
            let at = batch.nest(NextHopAttribute.group)
            batch.u32(1)
            batch.u32(0)
            batch.endNest(at)
        }
        let batch = NetlinkBatch()
        var failures = 0
        func send() {
            _ = socket.send(batch)
            while socket.receive({ if $0.errorCode != 0 { failures += 1 } }) == .messages {}
            batch.removeAll()
        }
        let all = routes
        let time = seconds {
            for i in 0..<all {
                if !batch.hasRoom(96) { send() }
                batch.begin(
                    RouteMessage.newRoute, flags: NetlinkFlag.create | NetlinkFlag.replace,
                    sequence: UInt32(truncatingIfNeeded: i))
                batch.u32(UInt32(KernelFamily.ipv4) | 24 << 8)
                batch.u32(254 | 76 << 8 | UInt32(RouteType.unicast) << 24)
                batch.u32(0)
                batch.attribute(RouteAttribute.destination, prefix(i, of: all).bigEndian)
                batch.attribute(RouteAttribute.priority, 20 as UInt32)
                batch.attribute(RouteAttribute.nextHopID, 2 as UInt32)
                batch.end()
            }
            send()
        }
        return Line(what: "a bare netlink loop, \(failures) refused", seconds: time, count: routes)
    }

    private static func ours(_ routes: Int, _ device: UInt32, _ report: (Line) -> Void) throws {
        let settings = KernelFIB.Settings(firstObject: 0x4000_0000)
        let devices: [KernelFIB.Device?] = [.init(index: device, isUp: true)]
        let fib = try KernelFIB(settings, seed: 1)
        // As the daemon does it: somebody listens, and our own doings are filtered out in the kernel.
        let monitor = try NetlinkSocket(
            groups: [RouteGroup.ipv4Route, RouteGroup.ipv6Route, RouteGroup.nextHop], ignored: fib.socket.port)
        defer { withExtendedLifetime(monitor) {} }
        fib.setDevices(devices)
        fib.settle()
        func hop(_ last: UInt8) -> [FIBNextHop] {
            [FIBNextHop(interface: InterfaceID(0), gateway: .v4(IPv4Address(10, 0, 0, last)))]
        }
        func drain(_ fib: KernelFIB) { repeat { fib.work(at: monotonicKernelNow()) } while fib.hasWork }
        var update = FIBUpdate()
        update.groups = [.init(id: 1, nextHops: hop(1)), .init(id: 2, nextHops: hop(2))]
        update.ipv4 = (0..<routes).map { .init(IPv4Prefix(IPv4Address(raw: prefix($0, of: routes)), 24), group: 1) }
        report(
            Line(
                what: "all routes from the engine's update to the kernel",
                seconds: seconds {
                    fib.take(update)
                    drain(fib)
                }, count: routes))
        let summary = fib.summary
        guard summary.ipv4.installed == routes, summary.errors == 0 else {
            throw SystemError("\(summary.ipv4.installed) routes, \(summary.errors) errors: \(summary.lastError)", 0)
        }
        var change = FIBUpdate()
        change.groups = [.init(id: 1, nextHops: hop(9))]
        report(
            Line(
                what: "the next hop of all of them",
                seconds: seconds {
                    fib.take(change)
                    drain(fib)
                }, count: 0))
        let second = try KernelFIB(settings, seed: 2)
        second.setDevices(devices)
        report(
            Line(
                what: "a new daemon reads what is there",
                seconds: seconds {
                    second.takeStock("the start", at: monotonicKernelNow())
                }, count: routes))
        update.groups = [.init(id: 5, nextHops: hop(9))]
        for i in update.ipv4.indices { update.ipv4[i].group = 5 }
        update.isComplete = true
        update.hasFirstRoutes = true
        report(
            Line(
                what: "and finds it right",
                seconds: seconds {
                    second.take(update)
                    drain(second)
                }, count: routes))
        guard second.status.messages < 10 else { throw SystemError("\(second.status.messages) messages", 0) }
        update = FIBUpdate()
        update.ipv4 = (0..<routes).map { .init(IPv4Prefix(IPv4Address(raw: prefix($0, of: routes)), 24), group: 0) }
        report(
            Line(
                what: "all routes withdrawn",
                seconds: seconds {
                    second.take(update)
                    drain(second)
                }, count: routes))
    }
}
