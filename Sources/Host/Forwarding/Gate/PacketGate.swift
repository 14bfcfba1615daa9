import Machine
import Records
import Wire

/// What the kernel may do with the router's devices, in three tables of nf_tables named after this controller.
///
/// **The gate** (family netdev). Both hosts have the devices, the virtual MAC on them, and all routes; on one of them
/// nothing may pass. Ingress and egress of the devices drop everything unless the device is in the set `open`.
/// Opening and closing is one transaction on that set. Its elements have a timeout that the daemon renews, so
///
/// - a daemon that dies leaves the gate open for a moment: its host goes on forwarding until the twin has taken over and
///   the switch has learnt the MAC on the other port;
/// - it does not stay open much longer than it takes to notice the death. Every packet that the dead one's kernel forwards
///   teaches the switch its port again, so that with steady traffic both hosts would take the router's MAC from each
///   other, and the new active would miss what peers send it: with two seconds, BFD sessions were lost. While it lasts
///   the new active announces itself every few milliseconds (`LineCard.beaconGap`);
/// - a daemon that is started again closes it before anything else.
///
/// **The guard** (family inet). The kernel needs the router's addresses: without them it asks for neighbours in the
/// name of some other address of the host, and sends time exceeded and packet too big in that name. But they belong
/// to the line card, so whatever is addressed to them is dropped before the kernel looks at it: no reset, no ICMP, no
/// echo. Only neighbour advertisements pass, which answer the kernel's own questions. What the kernel sends of its
/// own over the devices is ICMP errors and neighbour solicitations; MLD, router solicitations, redirects and whatever
/// processes of the host send are dropped. Forwarding stays among the router's devices: a host's default route
/// through its management network is no way out for transit packets.
///
/// Static neighbour entries from the line card were weighed instead of addresses: then every host of a connected
/// network would have to be resolved by the daemon, a dead daemon's host could not forward to a new one, and the ICMP
/// errors would still have no right source.
///
/// **The ARP guard** (family arp). The kernel answers ARP for its addresses on every device (it does not mind which);
/// requests for the router's are dropped before it sees them.
///
/// An administrator's `nft flush ruleset` takes these tables away; the next renewal notices and puts them back.
final class PacketGate {
    struct Contents: Equatable {
        var devices: [(index: UInt32, name: String)] = []
        /// The router's, link-local ones included.
        var addresses: [IPAddress] = []
        static func == (a: Self, b: Self) -> Bool {
            a.addresses == b.addresses && a.devices.map(\.index) == b.devices.map(\.index)
        }
    }

    let table: String
    private let socket: NetlinkSocket
    private(set) var contents = Contents()
    private(set) var isOpen = false
    /// How long the gate stays open without renewal; `nil`: for ever.
    let openFor: Duration?

    init(table: String, openFor: Duration?) throws {
        self.table = table
        self.openFor = openFor
        socket = try NetlinkSocket(NetlinkProtocol.netfilter, receiveBuffer: 256 << 10)
    }

    /// Puts all tables in place, with the gate as it is.
    func install(_ contents: Contents) throws(NetlinkSocket.Failure) {
        self.contents = contents
        let transaction = FilterTransaction(socket, table: table)
        writeGate(transaction)
        writeGuard(transaction)
        writeARPGuard(transaction)
        try transaction.commit()
    }

    /// Closes what a life before left open; nothing happens where there is nothing.
    func closeLeftBehind() {
        let transaction = FilterTransaction(socket, table: table)
        transaction.empty("open", .netdev)
        try? transaction.commit()
    }

    func set(open: Bool) throws(NetlinkSocket.Failure) {
        isOpen = open
        guard !contents.devices.isEmpty else { return }
        let transaction = FilterTransaction(socket, table: table)
        transaction.empty("open", .netdev)
        if open { transaction.add(indices, to: "open", .netdev, timeout: openFor) }
        try transaction.commit()
    }

    /// Renews the gate, open or closed, and sees whether the tables are still there. Returns false if they had to be
    /// made again.
    /// - Parameter looksAround: whether to see after the guard, too; less often is enough.
    func renew(looksAround: Bool) throws(NetlinkSocket.Failure) -> Bool {
        guard !contents.devices.isEmpty else { return true }
        do {
            if isOpen || looksAround { try set(open: isOpen) }
            guard looksAround else { return true }
            // The gate's table is known to be there; an element of the guard's sets shows that the guard is.
            let transaction = FilterTransaction(socket, table: table)
            transaction.add(Array(indices.prefix(1)), to: "devices", .inet)
            try transaction.commit()
            return true
        } catch {
            try install(contents)
            return false
        }
    }

    func remove() {
        for family in [FilterTransaction.Family.netdev, .inet, .arp] {
            let transaction = FilterTransaction(socket, table: table)
            transaction.removeTable(family)
            try? transaction.commit()
        }
    }

    private var indices: [[UInt8]] {
        contents.devices.map { device in withUnsafeBytes(of: device.index) { unsafe Array($0) } }
    }

    // MARK: the tables

    private func writeGate(_ t: FilterTransaction) {
        guard !contents.devices.isEmpty else { return t.removeTable(.netdev) }
        t.replaceTable(.netdev)
        t.set("open", .netdev, .device, hasTimeouts: true)
        if isOpen { t.add(indices, to: "open", .netdev, timeout: openFor) }
        let names = contents.devices.map(\.name)
        t.chain("in", .netdev, .ingress, priority: -500, drops: true, devices: names)
        t.rule("in", .netdev, [.meta(.inputDevice), .isIn("open"), .accept])
        t.chain("out", .netdev, .egress, priority: -500, drops: true, devices: names)
        t.rule("out", .netdev, [.meta(.outputDevice), .isIn("open"), .accept])
    }

    private static let isIPv4: [FilterTransaction.Step] = [.meta(.networkProtocol), .equals([2])]
    private static let isIPv6: [FilterTransaction.Step] = [.meta(.networkProtocol), .equals([10])]
    /// ICMP of a type; `icmp` is 1 or 58.
    private static func type(_ type: UInt8, of icmp: UInt8) -> [FilterTransaction.Step] {
        [.meta(.transportProtocol), .equals([icmp]), .payload(.transport, offset: 0, count: 1), .equals([type])]
    }

    private func writeGuard(_ t: FilterTransaction) {
        t.replaceTable(.inet)
        t.set("devices", .inet, .device)
        t.set("own4", .inet, .ipv4)
        t.set("own6", .inet, .ipv6)
        t.add(indices, to: "devices", .inet)
        t.add(Self.octets(contents.addresses, .ipv4), to: "own4", .inet)
        t.add(Self.octets(contents.addresses, .ipv6), to: "own6", .inet)
        // Before connection tracking, which would remember what is dropped.
        t.chain("arrive", .inet, .prerouting, priority: -310)
        let arrives: [FilterTransaction.Step] = [.meta(.inputDevice), .isIn("devices")]
        t.rule("arrive", .inet, Self.isIPv6 + arrives + Self.type(136, of: 58) + [.accept])
        t.rule("arrive", .inet, Self.isIPv4 + [.payload(.network, offset: 16, count: 4), .isIn("own4"), .drop])
        t.rule("arrive", .inet, Self.isIPv6 + [.payload(.network, offset: 24, count: 16), .isIn("own6"), .drop])
        // Broadcast and multicast are the line card's alone. PACKET_HOST is 0.
        t.rule(
            "arrive", .inet,
            [
                .meta(.inputDevice), .isIn("devices"), .meta(.packetType), .differs([0]), .drop,
            ])
        t.chain("pass", .inet, .forward, priority: -310)
        t.rule(
            "pass", .inet,
            [
                .meta(.inputDevice), .isIn("devices"), .meta(.outputDevice), .isNotIn("devices"), .drop,
            ])
        t.rule(
            "pass", .inet,
            [
                .meta(.outputDevice), .isIn("devices"), .meta(.inputDevice), .isNotIn("devices"), .drop,
            ])
        t.chain("leave", .inet, .output, priority: -310)
        let leaves: [FilterTransaction.Step] = [.meta(.outputDevice), .isIn("devices")]
        // Destination unreachable, time exceeded, parameter problem.
        for type: UInt8 in [3, 11, 12] {
            t.rule("leave", .inet, leaves + Self.isIPv4 + Self.type(type, of: 1) + [.accept])
        }
        // The same with packet too big, and neighbour solicitation.
        for type: UInt8 in [1, 2, 3, 4, 135] {
            t.rule("leave", .inet, leaves + Self.isIPv6 + Self.type(type, of: 58) + [.accept])
        }
        t.rule("leave", .inet, leaves + [.drop])
    }

    private func writeARPGuard(_ t: FilterTransaction) {
        t.replaceTable(.arp)
        t.set("own4", .arp, .ipv4)
        t.add(Self.octets(contents.addresses, .ipv4), to: "own4", .arp)
        t.chain("arrive", .arp, .arpInput, priority: 0)
        // RFC 826: ar$op 1 is a request, the target's protocol address is at 24.
        t.rule(
            "arrive", .arp,
            [
                .payload(.network, offset: 6, count: 2), .equals([0, 1]), .payload(.network, offset: 24, count: 4),
                .isIn("own4"), .drop,
            ])
    }

    private static func octets(_ addresses: [IPAddress], _ family: AddressFamily) -> [[UInt8]] {
        var seen = Set<IPAddress>()
        return addresses.filter { $0.family == family && seen.insert($0).inserted }.map { address in
            var writer = ByteWriter()
            switch address {
            case .v4(let v4): writer.ipv4(v4)
            case .v6(let v6): writer.ipv6(v6)
            }
            return Array(writer.bytes)
        }
    }
}
