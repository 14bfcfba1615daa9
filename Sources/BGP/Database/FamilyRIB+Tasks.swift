import Machine
import Wire

/// Work over many routes that is done in slices. 16 octets, no padding.
struct RIBTask: BitwiseCopyable, Sendable {
    enum Kind: UInt16 {
        /// Remove all routes of a source whose session is down.
        case sweep = 0
        /// Run a source's routes through import policy again.
        case reimport = 1
        /// Remove all routes of a source whose session goes on.
        case withdraw = 2
        /// Remove a source's routes that are older than `generation`.
        case purge = 3
    }
    var rawKind: UInt16
    var source: UInt16
    /// Page + 1 where to go on; `atStart` before the first.
    var page: UInt32
    /// Offset within the page.
    var offset: UInt32
    /// Of the source, see `AdjRIBIn`.
    var generation: UInt32 = 0
    static let atStart = UInt32.max

    init(_ kind: Kind, _ source: Int) {
        rawKind = kind.rawValue
        self.source = UInt16(source)
        page = Self.atStart
        offset = 0
    }
    var kind: Kind { Kind(rawValue: rawKind) ?? .sweep }
}

/// A prefix that was announced with a next hop that is new. 8 octets.
struct AwaitingPrefix: BitwiseCopyable, Sendable {
    var nextHop: UInt32
    var prefix: UInt32
}

extension FamilyRIB {
    mutating func add(_ task: RIBTask) {
        // A second run over a source's routes begins anew.
        tasks.removeAll { $0.source == task.source && ($0.kind == task.kind || task.kind == .sweep) }
        tasks.append(task)
    }

    /// Does a slice of pending work.
    mutating func runTasks(_ shared: inout RIBShared) {
        var budget = limits.slice
        while budget > 0, !tasks.isEmpty {
            var task = tasks[0]
            if run(&task, &budget, &shared) { tasks.removeFirst() } else { tasks[0] = task }
        }
        if budget > 0 { tellDeferred(&budget, &shared) }
        if budget > 0 { scanNextHops(&budget, &shared) }
        if budget > 0 { scanPayloads(&budget, &shared) }
    }

    func hasTasks(_ shared: borrowing RIBShared) -> Bool {
        !tasks.isEmpty || hasUntold(shared) || !nextHopsScanned.isEmpty || !nextHopsChanged.isEmpty || !payloadScan.isIdle
    }

    /// Deferred route selection is over, and its outcome is not yet told in full.
    func hasUntold(_ shared: borrowing RIBShared) -> Bool { !locRIB.untold.isEmpty && !shared.deferred.contains(family) }

    /// `true` when the task is done.
    private mutating func run(_ task: inout RIBTask, _ budget: inout Int, _ shared: inout RIBShared) -> Bool {
        let source = Int(task.source)
        if task.page == RIBTask.atStart { task.page = adjRIBIn.firstPage(source) }
        while task.page != 0, adjRIBIn.isPage(task.page, of: source) {
            // Removing the last path gives the pages back, so the next one is asked for first.
            let next = adjRIBIn.pageAfter(task.page, source)
            let first = (task.page - 1) << AdjRIBIn.pageBits
            while task.offset < UInt32(AdjRIBIn.pageSize) {
                if budget <= 0 { return false }
                budget -= 1
                let path = first + task.offset
                task.offset += 1
                if adjRIBIn.paths[Int(path)].received == 0 { continue }
                switch task.kind {
                case .sweep, .withdraw: remove(path, &shared)
                case .reimport: reimport(path, source, &shared)
                case .purge:
                    if adjRIBIn.isOlder(path, than: UInt16(truncatingIfNeeded: task.generation)) { remove(path, &shared) }
                }
                if !adjRIBIn.isPage(task.page, of: source) { return true }
            }
            task.page = next
            task.offset = 0
        }
        return true
    }

    mutating func reimport(_ path: UInt32, _ source: Int, _ shared: inout RIBShared) {
        let p = adjRIBIn.paths[Int(path)]
        var policy = ImportPolicy(source: source, received: p.received, family: family, &shared)
        var accepted = policy.accepted(Family.self, prefixes.keys[Int(p.prefix)], &shared)
        if shared.sources[source].longLived.contains(family), adjRIBIn.isStale(path) {
            // RFC 9494 §4.2: as it was sent, or as policy made it.
            if shared.attributes.refusesLongLived(p.received) || shared.attributes.refusesLongLived(accepted) {
                return remove(path, &shared)
            }
            accepted = shared.attributes.longLivedStale(accepted)
        }
        setAccepted(path, accepted, &shared)
    }

    // MARK: stale routes

    /// All routes of the source are stale from here on; a route that comes again is not.
    mutating func markStale(_ source: Int) { adjRIBIn.mark(source) }

    /// Removes what is stale of the source, in slices.
    mutating func purgeStale(_ source: Int) {
        guard adjRIBIn.staleCount(source) > 0 else { return }
        var task = RIBTask(.purge, source)
        task.generation = UInt32(adjRIBIn.generation(source))
        add(task)
    }

    /// Tells the routing table manager what it was not told while route selection was deferred.
    private mutating func tellDeferred(_ budget: inout Int, _ shared: inout RIBShared) {
        guard !locRIB.untold.isEmpty, !shared.deferred.contains(family) else { return }
        var numbers: [UInt32] = []
        // The call ends at the end of the table, and what was added before the cursor is taken by the next.
        locRIB.untold.drain(from: &locRIB.untoldCursor, limit: budget, into: &numbers)
        budget -= max(numbers.count, 1)
        for number in numbers where prefixes.isPresent(number) && locRIB.entries[Int(number)].best != 0 {
            tellRoute(number, shared)
        }
    }

    /// RFC 4271 §9.1.2.1: decides again the prefixes that have a path through a next hop whose state changed. One pass over
    /// all paths, in slices, serves all changes that came before it began: there is no list from a next hop to its routes,
    /// which would cost memory for each route and time for each update.
    private mutating func scanNextHops(_ budget: inout Int, _ shared: inout RIBShared) {
        while budget > 0 {
            if nextHopsScanned.isEmpty {
                if nextHopsChanged.isEmpty { return }
                swap(&nextHopsScanned, &nextHopsChanged)
                nextHopCursor = 0
            }
            while budget > 0, Int(nextHopCursor) < adjRIBIn.paths.count {
                budget -= 1
                let path = nextHopCursor
                nextHopCursor += 1
                let p = adjRIBIn.paths[Int(path)]
                if p.received == 0 || p.accepted == 0 { continue }
                if nextHopsScanned.contains(shared.attributes[p.accepted].nextHop) { reconsider(p.prefix, &shared) }
            }
            if Int(nextHopCursor) >= adjRIBIn.paths.count { nextHopsScanned.removeAll() }
        }
    }

    /// Remembers a prefix whose next hop is new.
    mutating func noteNewNextHop(_ number: UInt32, _ accepted: UInt32, _ shared: borrowing RIBShared) {
        if accepted == 0 { return }
        let nextHop = shared.attributes[accepted].nextHop
        guard shared.attributes.nextHops.isNew(nextHop) else { return }
        awaiting.append(AwaitingPrefix(nextHop: nextHop, prefix: number))
        isAwaitingSorted = false
    }

    /// Decides again what came with a next hop that is known now.
    mutating func decideAwaiting(_ nextHop: UInt32, _ shared: inout RIBShared) {
        if !isAwaitingSorted {
            awaiting.sort { $0.nextHop != $1.nextHop ? $0.nextHop < $1.nextHop : $0.prefix < $1.prefix }
            isAwaitingSorted = true
        }
        var low = awaiting.sortedIndex { $0.nextHop < nextHop }
        while low < awaiting.count, awaiting[low].nextHop == nextHop {
            let number = awaiting[low].prefix
            if prefixes.isPresent(number) { reconsider(number, &shared) }
            low += 1
        }
    }

    /// Lets go of prefixes whose next hops are no longer new.
    mutating func forgetAwaiting(_ shared: borrowing RIBShared) {
        if awaiting.isEmpty { return }
        awaiting.removeAll { !shared.attributes.nextHops.isNew($0.nextHop) }
    }

    /// Runs the decision process although no path of the prefix changed.
    mutating func reconsider(_ number: UInt32, _ shared: inout RIBShared) {
        redecide(number, from: chosen(number), &shared)
    }

    /// Frees the numbers of prefixes of which nothing is left and nobody needs to hear.
    mutating func releasePrefixes() {
        if releaseScanIsDue {
            releaseScanIsDue = false
            releasable.removeAll(keepingCapacity: true)
            for number in locRIB.entries.indices where locRIB.entries[number].head == 0 { releasable.append(UInt32(number)) }
        }
        if releasable.isEmpty { return }
        for number in releasable where prefixes.isPresent(number) && locRIB.entries[Int(number)].head == 0 {
            if locRIB.changed.contains(number) || locRIB.altered.contains(number) || groups.contains(where: { $0.knows(number) })
            {
                continue
            }
            locRIB.entries[Int(number)] = Entry(head: 0, best: 0)
            prefixes.remove(number)
        }
        releasable.removeAll(keepingCapacity: true)
    }
}
