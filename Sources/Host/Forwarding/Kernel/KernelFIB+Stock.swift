import Glibc
import Machine
import Records
import Routing
import Wire

// What the kernel has: read and compared at the start, so that a daemon that comes back moves no route that is right;
// and whenever we cannot know any more, because notifications or answers were lost.

extension KernelFIB {
    private struct Found {
        var paths: [(number: UInt32, path: KernelPath)] = []
        var groups: [(slot: UInt32, members: [(object: UInt32, weight: UInt8)])] = []
    }

    func takeStock(_ reason: String, at now: Instant) {
        let began = monotonicKernelNow()
        needsStock = nil
        stockAllowedAt = now + .seconds(1)
        do {
            try takeStockOfNextHops()
            let before = (ipv4.pendingCount, ipv6.pendingCount)
            try takeStock(of: &ipv4, KernelFamily.ipv4)
            try takeStock(of: &ipv6, KernelFamily.ipv6)
            if !isSettled, orphans.isEmpty { rememberOrphans() }
            queueDifferences()
            status.lastStockDifferences = ipv4.pendingCount + ipv6.pendingCount - before.0 - before.1
        } catch {
            failed("to show its tables", error.code, error.text, at: now)
            needsStock = reason
            return
        }
        status.stocktakings += 1
        status.lastStock = now
        status.lastStockReason = reason
        status.lastStockDuration = monotonicKernelNow() - began
        if status.stocktakings > 1 {
            events.append(
                Event(
                    .info, "forwarding",
                    "the kernel's table was read (\(reason)): "
                        + "\(status.lastStockDifferences) routes differ, \(status.lastStockDuration.inMilliseconds) ms"))
        }
    }

    private func takeStockOfNextHops() throws(NetlinkSocket.Failure) {
        var found = Found()
        let first = settings.firstObject
        try socket.dump(RouteMessage.getNextHop, { $0.nextHopHeader(KernelFamily.unspecified) }) { message in
            guard message.type == RouteMessage.newNextHop else { return }
            let object = NextHopObject(message)
            guard object.id >= first, object.id - first < Self.rangeSize else { return }
            let number = object.id - first
            if number < Self.groupLimit {
                found.groups.append((number, object.members))
            } else if object.isBlackhole {
                found.paths.append((number - Self.groupLimit, .blackhole))
            } else {
                found.paths.append(
                    (
                        number - Self.groupLimit, KernelPath(device: object.device, gateway: object.gateway)
                    ))
            }
        }
        paths = []
        pathNumbers = [:]
        freePaths = []
        idlePaths = []
        lostPaths = []
        var byNumber: [UInt32: KernelPath] = [:]
        for (number, path) in found.paths.sorted(by: { $0.number < $1.number }) where byNumber[number] == nil {
            while paths.count < Int(number) {
                freePaths.append(UInt32(paths.count))
                paths.append(nil)
            }
            paths.append(PathEntry(path: path, isInKernel: true))
            byNumber[number] = path
            // Of two objects for one path the second is not used; its groups are written anew.
            if pathNumbers[path] == nil { pathNumbers[path] = number }
        }
        var isPresent = [Bool](repeating: false, count: groups.slots.count)
        for (slot, members) in found.groups.sorted(by: { $0.slot < $1.slot }) where groups.claim(slot) {
            if Int(slot) < isPresent.count { isPresent[Int(slot)] = true }
            var content: [KernelMember]? = []
            for member in members {
                let number = member.object &- first &- Self.groupLimit
                guard let path = byNumber[number], pathNumbers[path] == number else {
                    content = nil
                    break
                }
                content?.append(KernelMember(path: path, weight: member.weight &+ 1))
            }
            groups[slot].content = content.map(Self.ordered)
            groups[slot].hasFailed = content == nil
            for member in content ?? [] { paths[Int(pathNumbers[member.path]!)]!.uses += 1 }
            groups.enqueue(slot)
        }
        for slot in isPresent.indices where !isPresent[slot] { groups[UInt32(slot)].content = nil }
        for number in paths.indices where paths[number]?.uses == 0 { idlePaths.append(UInt32(number)) }
    }

    private func takeStock<Key: PrefixKey>(
        of book: inout RouteBook<Key>, _ family: UInt8
    ) throws(NetlinkSocket.Failure) {
        book.beginStocktaking()
        let (table, own, metric) = (settings.table, settings.routeProtocol, settings.metric)
        let first = settings.firstObject
        do {
            try socket.dump(
                RouteMessage.getRoute,
                { batch in
                    batch.u8(family)
                    batch.u8(0)
                    batch.u16(0)
                    batch.u8(0)
                    batch.u8(own)
                    batch.u16(0)
                    batch.u32(0)
                    batch.attribute(RouteAttribute.table, table)
                }
            ) { message in
                guard message.type == RouteMessage.newRoute else { return }
                let route = RouteObject(message)
                guard route.family == family, route.routeProtocol == own, route.table == table, route.metric == metric,
                    route.group >= first, route.group - first < Self.groupLimit, let prefix: Key = route.prefix()
                else { return }
                let number = book.number(of: prefix)
                let slot = route.group - first
                book.markSeen(number)
                guard groups.isInUse(slot) else { return }
                setInstalled(number, slot, in: &book)
            }
        } catch {
            // A table that does not exist is empty.
            guard error.code == ENOENT else { throw error }
        }
        for number in book.numbers where book.isPresent(number) && !book.isSeen(number) {
            if book.installed[Int(number)] != GroupBook.none { setInstalled(number, GroupBook.none, in: &book) }
        }
    }
}

/// RTM_NEWNEXTHOP, taken apart.
struct NextHopObject {
    var id: UInt32 = 0
    var routeProtocol: UInt8 = 0
    var device: UInt32 = 0
    var gateway: IPAddress?
    var isBlackhole = false
    /// Object and weight, which begins with 0.
    var members: [(object: UInt32, weight: UInt8)] = []

    init(_ message: borrowing NetlinkMessage) {
        routeProtocol = message.load(2)
        message.attributes(after: 8) { type, value in
            switch type {
            case NextHopAttribute.id: id = NetlinkReader.load(value, 0)
            case NextHopAttribute.device: device = NetlinkReader.load(value, 0)
            case NextHopAttribute.gateway: gateway = NetlinkReader.address(value)
            case NextHopAttribute.blackhole: isBlackhole = true
            case NextHopAttribute.group:
                for i in 0..<value.byteCount / 8 {
                    members.append((NetlinkReader.load(value, 8 * i), NetlinkReader.load(value, 8 * i + 4)))
                }
            default: break
            }
        }
    }
}

/// RTM_NEWROUTE or RTM_DELROUTE, taken apart as far as it concerns us.
struct RouteObject {
    var family: UInt8
    var length: UInt8
    var routeProtocol: UInt8
    var table: UInt32
    var metric: UInt32 = 0
    var group: UInt32 = 0
    var destination: IPAddress?

    init(_ message: borrowing NetlinkMessage) {
        family = message.load(0)
        length = message.load(1)
        table = UInt32(message.load(4, as: UInt8.self))
        routeProtocol = message.load(5)
        message.attributes(after: 12) { type, value in
            switch type {
            case RouteAttribute.destination: destination = NetlinkReader.address(value)
            case RouteAttribute.priority: metric = NetlinkReader.load(value, 0)
            case RouteAttribute.table: table = NetlinkReader.load(value, 0)
            case RouteAttribute.nextHopID: group = NetlinkReader.load(value, 0)
            default: break
            }
        }
    }

    /// The default route has no destination.
    func prefix<Key: PrefixKey>() -> Key? {
        guard length <= Key.lengthMaximum else { return nil }
        let any: IPAddress = Key.family == .ipv4 ? .v4(.any) : .v6(.any)
        switch destination ?? any {
        case .v4(let v4): return Key.family == .ipv4 ? Key(IPPrefix.v4(IPv4Prefix(v4, length))) : nil
        case .v6(let v6): return Key.family == .ipv6 ? Key(IPPrefix.v6(IPv6Prefix(v6, length))) : nil
        }
    }
}
