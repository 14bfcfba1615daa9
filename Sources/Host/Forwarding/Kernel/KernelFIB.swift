import CHost
import Glibc
import Machine
import Records
import Routing
import Wire

// The kernel's forwarding table, kept equal to the engine's.
//
//   FIBUpdate ─► GroupBook, RouteBook   what is wanted, what the kernel has, who waits
//                     │ work(): one batch
//                     ▼
//                rtnetlink  ──errors──► parked, tried again
//                     ▲
//   notifications ────┘  somebody else took a route away: it is put back
//
// The kernel gets, in numbers of a range that belongs to this controller: an object for each path (device, gateway),
// a group of them for each group of the FIB, and routes that name a group. So a next hop that changes is one message
// whatever the number of prefixes behind it.
//
// A route is ours if it lies in our table, carries our protocol's number and names a group of our range. Nothing else
// is ever touched, except that a foreign route with the same prefix and the same metric gives way, as the kernel has
// only one place for both.
//
// KernelFIB+Groups.swift  paths and groups to the kernel
// KernelFIB+Routes.swift  routes to the kernel, a batch at a time; errors
// KernelFIB+Stock.swift   what the kernel has: after a start, after lost notifications
// KernelFIB+Notices.swift what others do to our routes

/// One thread's.
final class KernelFIB {
    struct Settings: Sendable, Hashable {
        /// 1…; 254 is main.
        var table: UInt32 = 254
        /// RTA protocol. 76 has no other user in iproute2's rt_protos, the kernel's header or FRR.
        var routeProtocol: UInt8 = 76
        /// Of every route; a lower one wins in the kernel.
        var metric: UInt32 = 20
        /// The first of `KernelFIB.rangeSize` numbers of the kernel's next-hop objects.
        var firstObject: UInt32
    }
    /// Numbers for groups, and as many for paths behind them.
    static let groupLimit: UInt32 = 1 << 20
    static let rangeSize: UInt32 = 2 * groupLimit

    /// What carries an interface of the router.
    struct Device: Equatable, Sendable {
        var index: UInt32
        var isUp: Bool
    }
    struct PathEntry {
        var path: KernelPath
        /// Groups of the kernel that hold it.
        var uses = 0
        var isInKernel = false
    }
    enum Item {
        case path(UInt32)
        case group(UInt32)
        case removal
        /// A route and what the kernel had before.
        case ipv4(UInt32, UInt32)
        case ipv6(UInt32, UInt32)
    }

    let settings: Settings
    let socket: NetlinkSocket
    let batch = NetlinkBatch(capacity: 64 << 10)
    /// What the messages of `batch` are about, by the order of their sequence numbers.
    var items: [Item] = []
    var firstSequence: UInt32 = 0

    var groups = GroupBook(limit: Int(KernelFIB.groupLimit))
    var ipv4: RouteBook<IPv4Prefix>
    var ipv6: RouteBook<IPv6Prefix>
    var paths: [PathEntry?] = []
    var freePaths: [UInt32] = []
    var pathNumbers: [KernelPath: UInt32] = [:]
    /// Paths that no group holds any more.
    var idlePaths: [UInt32] = []
    /// Numbers of paths that went with their device, to be deleted before they are given out again.
    var lostPaths: [UInt32] = []

    /// By `InterfaceID`; `nil` until the first call of `setDevices`, and until then nothing is programmed.
    var devices: [Device?]?
    /// Whether what the kernel has from a life before, and nobody wanted so far, may be removed.
    private(set) var isSettled = false
    var needsStock: String?
    var stockAllowedAt = Instant.zero
    /// When what failed is tried again.
    var retryAt: Instant?
    /// Slots by what the kernel has in them, while numbers of the FIB look for the slots of a life before.
    var orphans: [[KernelMember]: UInt32] = [:]
    var status = KernelFIBStatus()
    /// Keys whose places in the index are read before the first of them is looked up, so that their cache misses
    /// overlap.
    private static let lookAhead = 16
    private var touched: UInt32 = 0
    var events: [Event] = []
    private var complainedAt = Instant.zero

    init(_ settings: Settings, seed: UInt64 = UInt64.random(in: 1 ... .max)) throws {
        self.settings = settings
        socket = try NetlinkSocket(receiveBuffer: 16 << 20)
        ipv4 = RouteBook(seed: seed)
        ipv6 = RouteBook(seed: seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    // MARK: what is wanted

    func take(_ update: FIBUpdate) {
        guard !update.isEmpty else { return }
        status.updates += 1
        if update.isComplete {
            groups.unbindAll()
            wantNothing(&ipv4)
            wantNothing(&ipv6)
            rememberOrphans()
        }
        for group in update.groups { setGroup(group) }
        want(update.ipv4, in: &ipv4, queues: !update.isComplete)
        want(update.ipv6, in: &ipv6, queues: !update.isComplete)
        for number in update.removedGroups {
            if let slot = groups.unbind(fib: number) { groups.enqueue(slot) }
        }
        if update.hasFirstRoutes {
            settle()
        } else if update.isComplete {
            // All that the engine has, and its neighbours have not said all yet: what it does not name stays for now.
            queueDifferences()
        }
    }

    /// From here on what nobody wants is removed: when the engine has the first routes of all neighbours, or when the time
    /// is over that what a life before left behind was given.
    func settle() {
        isSettled = true
        orphans = [:]
        queueDifferences()
    }

    func queueDifferences() {
        enqueueDifferences(&ipv4)
        enqueueDifferences(&ipv6)
        for slot in groups.slots.indices where groups.slots[slot].isInUse { groups.enqueue(UInt32(slot)) }
    }

    private func enqueueDifferences<Key>(_ book: inout RouteBook<Key>) {
        for number in book.numbers where book.isPresent(number) {
            let n = Int(number)
            if book.wanted[n] == book.installed[n] {
                book.forgetIfUnused(number)
            } else if isSettled || book.wanted[n] != GroupBook.none {
                book.enqueue(number)
            }
        }
    }

    private func wantNothing<Key>(_ book: inout RouteBook<Key>) {
        for number in book.numbers where book.isPresent(number) { setWanted(number, GroupBook.none, in: &book) }
    }

    private func want<Key>(_ routes: [FIBUpdate.Route<Key>], in book: inout RouteBook<Key>, queues: Bool) {
        // Not for each small one: reserving exactly would make an array grow every time.
        if routes.count > book.prefixes.count / 2, routes.count > 1000 { book.reserve(more: routes.count) }
        var hashes = [UInt64](repeating: 0, count: Self.lookAhead)
        var first = 0
        while first < routes.count {
            let end = min(first + Self.lookAhead, routes.count)
            for i in first..<end {
                let hash = book.prefixes.hash(routes[i].prefix.packed)
                hashes[i - first] = hash
                touched &+= book.prefixes.touch(hash)
            }
            for i in first..<end { want(routes[i], hash: hashes[i - first], in: &book, queues: queues) }
            first = end
        }
    }

    @inline(__always)
    private func want<Key>(_ route: FIBUpdate.Route<Key>, hash: UInt64, in book: inout RouteBook<Key>, queues: Bool) {
        if route.group == 0 {
            guard let number = book.find(route.prefix) else { return }
            setWanted(number, GroupBook.none, in: &book)
            if queues {
                book.enqueue(number)
                book.forgetIfUnused(number)
            }
            return
        }
        guard let slot = groups.slot(ofFIB: route.group) else {
            // The engine names groups before routes; there is nothing better to do with one it did not.
            status.unknownGroups += 1
            return
        }
        let number = book.number(of: route.prefix.packed, hash: hash)
        setWanted(number, slot, in: &book)
        if queues, book.installed[Int(number)] != slot { book.enqueue(number) }
    }

    func setWanted<Key>(_ number: UInt32, _ slot: UInt32, in book: inout RouteBook<Key>) {
        count(from: book.wanted[Int(number)], to: slot)
        book.setWanted(number, slot)
    }
    func setInstalled<Key>(_ number: UInt32, _ slot: UInt32, in book: inout RouteBook<Key>) {
        count(from: book.installed[Int(number)], to: slot)
        book.setInstalled(number, slot)
    }
    @inline(__always)
    private func count(from old: UInt32, to new: UInt32) {
        guard old != new else { return }
        if new != GroupBook.none { groups[new].uses += 1 }
        if old != GroupBook.none {
            groups[old].uses -= 1
            if groups[old].uses == 0, groups[old].fib == 0 { groups.enqueue(old) }
        }
    }

    private func setGroup(_ group: FIBUpdate.Group) {
        if let slot = groups.slot(ofFIB: group.id) {
            groups[slot].nextHops = group.nextHops
            groups.enqueue(slot)
            return
        }
        let slot: UInt32
        if let known = orphans.removeValue(forKey: resolve(group.nextHops)) {
            slot = known
            groups.bind(slot, toFIB: group.id)
        } else if let fresh = groups.add(fib: group.id) {
            slot = fresh
        } else {
            status.unknownGroups += 1
            return
        }
        groups[slot].nextHops = group.nextHops
        groups.enqueue(slot)
    }

    /// What the kernel has and the FIB does not name: the next groups of the FIB with the same paths get these slots,
    /// so that a daemon that was started again moves no route.
    func rememberOrphans() {
        orphans = [:]
        for slot in groups.slots.indices where groups.slots[slot].isInUse && groups.slots[slot].fib == 0 {
            guard let content = groups.slots[slot].content else { continue }
            if orphans[content] == nil { orphans[content] = UInt32(slot) }
        }
    }

    // MARK: devices

    /// Which device carries which interface. What is programmed over a device that is gone, the kernel has dropped by
    /// itself.
    func setDevices(_ list: [Device?]) {
        let before = devices ?? []
        devices = list
        for (i, device) in before.enumerated() {
            guard let device, device.isUp else { continue }
            let now = i < list.count ? list[i] : nil
            if now?.index != device.index || now?.isUp != true { lost(device.index) }
        }
        for slot in groups.slots.indices where groups.slots[slot].fib != 0 { groups.enqueue(UInt32(slot)) }
    }

    // MARK: work

    /// Whether there is something that can be done now.
    var hasWork: Bool {
        guard devices != nil else { return false }
        return groups.hasQueued || ipv4.pendingCount + ipv6.pendingCount > 0 || !idlePaths.isEmpty
            || !lostPaths.isEmpty
    }
    /// When to call `work` though nothing new has come.
    var deadline: Instant? {
        guard devices != nil else { return nil }
        let stock = needsStock == nil ? nil : stockAllowedAt
        return switch (stock, retryAt) {
        case (let a?, let b?): min(a, b)
        case (let a, let b): a ?? b
        }
    }

    /// One piece of work: at most one batch of routes, some milliseconds.
    func work(at now: Instant) {
        guard devices != nil else { return }
        if let reason = needsStock, now >= stockAllowedAt { takeStock(reason, at: now) }
        if let retry = retryAt, retry <= now {
            retryAt = nil
            ipv4.retryAll()
            ipv6.retryAll()
            for slot in groups.slots.indices where groups.slots[slot].hasFailed { groups.enqueue(UInt32(slot)) }
        }
        flushGroups(at: now)
        flushRoutes(at: now)
    }

    func retry(after delay: Duration, at now: Instant) {
        retryAt = min(retryAt ?? .distantFuture, now + delay)
    }

    func failed(_ what: String, _ code: Int32, _ text: String?, at now: Instant) {
        status.errors += 1
        status.lastError = "\(what): \(text ?? SystemError.text(of: code))"
        // A million refusals are one line.
        guard now - complainedAt >= .seconds(5) else { return }
        complainedAt = now
        events.append(Event(.warning, "forwarding", "the kernel refuses \(status.lastError); tried again every second"))
    }

    /// Removes everything that is ours: the kernel removes the routes of a group that goes.
    func removeAll() {
        takeStock("the end", at: monotonicKernelNow())
        for slot in groups.slots.indices where groups.slots[slot].content != nil {
            remove(groupObject(UInt32(slot)))
        }
        for number in paths.indices where paths[number] != nil {
            remove(pathObject(UInt32(number)))
        }
    }
    private func remove(_ object: UInt32) {
        _ = try? socket.request(RouteMessage.deleteNextHop, { self.nextHopNumber($0, object) })
    }

    // MARK: for show

    var summary: KernelFIBStatus {
        var copy = status
        copy.ipv4 = .init(ipv4)
        copy.ipv6 = .init(ipv6)
        copy.groups = groups.slots.count { $0.fib != 0 }
        copy.groupsInstalled = groups.slots.count { $0.content != nil }
        copy.paths = paths.count { $0?.isInKernel ?? false }
        copy.isSettled = isSettled
        return copy
    }
}

func monotonicKernelNow() -> Instant { Instant(nanoseconds: chost_now()) }

/// What `show fib kernel` shows.
struct KernelFIBStatus: Sendable, Equatable {
    struct Family: Sendable, Equatable {
        var wanted = 0
        var installed = 0
        var pending = 0
        /// Refused by the kernel, or taken away by others; tried again.
        var failed = 0
        init() {}
        init<Key>(_ book: RouteBook<Key>) {
            wanted = book.wantedCount
            installed = book.installedCount
            pending = book.pendingCount
            failed = book.failedCount
        }
    }
    var ipv4 = Family()
    var ipv6 = Family()
    /// Of the FIB, and of the kernel.
    var groups = 0
    var groupsInstalled = 0
    var paths = 0
    /// Messages given to the kernel, and the system calls they took.
    var messages: UInt64 = 0
    var batches: UInt64 = 0
    var updates: UInt64 = 0
    var errors: UInt64 = 0
    var lastError = ""
    /// Routes and next hops that others removed or replaced.
    var foreignChanges: UInt64 = 0
    var unknownGroups: UInt64 = 0
    /// How often the kernel's table was read and compared.
    var stocktakings: UInt64 = 0
    var lastStock = Instant.zero
    var lastStockReason = ""
    var lastStockDuration = Duration.zero
    /// What that found to be different.
    var lastStockDifferences = 0
    var isSettled = false
}
