import Machine
import Routing
import Wire

/// Adj-RIBs-In, Loc-RIB and Adj-RIBs-Out of one address family.
///
/// Memory per route received once and sent to one group: 8 (key, IPv4) + 5…11 (index) + 8 (entry) + 16 (path) + 8
/// (Adj-RIB-Out), and its share of the attribute set. Each further path costs 16, each further group 8.
struct FamilyRIB<Key: NLRIKey>: Sendable {
    /// What belongs to a prefix besides its key.
    struct Entry: BitwiseCopyable, Sendable {
        /// First path, 0 for none. The chain has no meaning in its order.
        var head: UInt32
        /// Loc-RIB: the best path, 0 for none.
        var best: UInt32
    }

    var prefixes: PrefixTable<Key>
    var entries: [Entry] = []
    var store = PathStore()
    var groups: [UpdateGroup] = []
    /// By source.
    var members: [Member] = []
    var nextGroup: UInt32 = 1
    var nextCohort: UInt32 = 1
    /// Prefixes whose best route changed since groups were last told.
    var changed = DirtySet()
    /// For the routing table manager.
    var changes: [BestRouteChange<Key.Address>] = []
    /// Of Loc-RIB.
    var digest = StateDigest()
    /// Prefixes that may have nothing left.
    var releasable: [UInt32] = []
    /// Prefixes without paths exist that no list names (a group went away): look at all.
    var releaseScanIsDue = false
    var tasks: [RIBTask] = []
    var nextHopsChanged = DirtySet()
    var nextHopsScanned = DirtySet()
    var nextHopCursor: UInt32 = 0
    /// Prefixes announced with a next hop of which nobody has told us yet: what one record brings, or one slice of
    /// re-evaluation.
    var awaiting: [AwaitingPrefix] = []
    var isAwaitingSorted = false
    /// Loc-RIB prefixes.
    var bestCount = 0
    let family: RouteFamily
    /// Host routes to the router's own addresses: ignored. From the configuration.
    private var ownHosts: [Key.Packed] = []
    var limits = RIBLimits()

    // Scratch, empty between calls.
    var batchKeys: [Key.Packed] = []
    var batchHashes: [UInt64] = []
    /// Takes what was read only to have it in the cache. Means nothing.
    var probe: UInt32 = 0
    var scratch = ExportScratch()

    init(seed: UInt64, family: RouteFamily) {
        prefixes = PrefixTable(seed: seed)
        self.family = family
    }

    // MARK: Adj-RIB-In

    private static var batchSize: Int { 64 }

    /// Decodes up to a batch of prefixes and begins their look-ups. Returns the octets consumed; stops at anything
    /// malformed, which the codec has already refused.
    private mutating func readBatch(_ nlri: RawSpan, from start: Int) -> Int {
        batchKeys.removeAll(keepingCapacity: true)
        batchHashes.removeAll(keepingCapacity: true)
        let count = nlri.byteCount
        var i = start
        var touched: UInt32 = 0
        let seed = prefixes.seed
        while i < count, batchKeys.count < Self.batchSize {
            guard let (packed, size) = Key.read(nlri, at: i) else { return count }
            i &+= size
            let hash = Key.hash(packed, seed: seed)
            // The look-ups of a batch begin together: their cache misses overlap instead of adding up.
            touched ^= prefixes.touch(hash)
            batchKeys.append(packed)
            batchHashes.append(hash)
        }
        probe ^= touched
        return i
    }

    /// Nobody else can tell us a way to an address of the router itself.
    mutating func setOwnAddresses(_ addresses: [IPAddress]) {
        ownHosts = addresses.compactMap { Key.own($0).map { Key($0, Key.lengthMaximum).packed } }
    }

    mutating func announce(_ nlri: RawSpan, source: Int, received: UInt32, _ shared: inout RIBShared) {
        store.reserve(sources: shared.sources.count)
        var policy = ImportPolicy(source: source, received: received, family: family, shared)
        var trap: Key.Packed? = nil
        if let prefix = shared.trapOnPrefix, let key = Key(prefix) { trap = key.packed }
        var position = 0
        while position < nlri.byteCount {
            position = readBatch(nlri, from: position)
            for k in 0..<batchKeys.count {
                let packed = batchKeys[k]
                if let trap, trap == packed {
                    guard shared.notesTrap else { preconditionFailure("testing.trapOnPrefix: \(Key(packed: packed))") }
                    shared.hasMetTrap = true
                }
                if Key(packed: packed).isUnusable || Key.length(of: packed) == Key.lengthMaximum && ownHosts.contains(packed) {
                    shared.martians += 1
                    continue
                }
                let accepted = policy.accepted(Key.self, packed, &shared)
                install(packed, batchHashes[k], source, received, accepted, &shared)
            }
        }
    }

    /// Stores one route and decides its prefix.
    @inline(__always)
    private mutating func install(
        _ packed: Key.Packed, _ hash: UInt64, _ source: Int, _ received: UInt32, _ accepted: UInt32, _ shared: inout RIBShared
    ) {
        let (number, _) = prefixes.insert(packed, hash: hash)
        if Int(number) >= entries.count { entries.append(Entry(head: 0, best: 0)) }
        if shared.attributes.nextHops.mayBeNew { noteNewNextHop(number, accepted, shared) }
        let entry = entries[Int(number)]
        var path = entry.head
        while path != 0, store.owner(path) != UInt16(truncatingIfNeeded: source) { path = store.paths[Int(path)].next }
        if path != 0 {
            // Implicit withdraw of the former route, RFC 4271 §3.1.
            let old = store.paths[Int(path)]
            if old.received == received, old.accepted == accepted { return }
            let bestAccepted = entry.best == 0 ? 0 : store.paths[Int(entry.best)].accepted
            hold(received, accepted, &shared)
            store.paths[Int(path)].received = received
            store.paths[Int(path)].accepted = accepted
            redecide(
                number, oldBest: entry.best, oldAccepted: bestAccepted, oldOwner: entry.best == 0 ? 0 : store.owner(entry.best),
                &shared)
            letGo(old.received, old.accepted, &shared)
            return
        }
        path = store.allocate(source)
        hold(received, accepted, &shared)
        store.paths[Int(path)] = Path(prefix: number, next: entry.head, received: received, accepted: accepted)
        entries[Int(number)].head = path
        if entry.best != 0 {
            // A new path that already loses by rank changes nothing: it is not among those that MED could compare.
            let best = store.paths[Int(entry.best)].accepted
            if accepted == 0 || shared.attributes[accepted].rank > shared.attributes[best].rank {
                if accepted != 0, backupPath(number, shared) == path { tellRoute(number, shared) }
                return
            }
            redecide(number, oldBest: entry.best, oldAccepted: best, oldOwner: store.owner(entry.best), &shared)
        } else if Decision.ineligibility(accepted, shared.sources[source], shared.attributes) == nil {
            // The others, if any, are not eligible: nothing else could have made this prefix one without a best path.
            setBest(number, path, oldBest: 0, oldAccepted: 0, oldOwner: 0, &shared)
        }
    }

    @inline(__always)
    private func hold(_ received: UInt32, _ accepted: UInt32, _ shared: inout RIBShared) {
        shared.attributes.retain(received)
        if accepted != 0, accepted != received { shared.attributes.retain(accepted) }
    }
    @inline(__always)
    private func letGo(_ received: UInt32, _ accepted: UInt32, _ shared: inout RIBShared) {
        shared.attributes.release(received)
        if accepted != 0, accepted != received { shared.attributes.release(accepted) }
    }

    mutating func withdraw(_ nlri: RawSpan, source: Int, _ shared: inout RIBShared) {
        store.reserve(sources: shared.sources.count)
        var position = 0
        while position < nlri.byteCount {
            position = readBatch(nlri, from: position)
            for k in 0..<batchKeys.count {
                guard let number = prefixes.find(batchKeys[k], hash: batchHashes[k]) else { continue }
                var path = entries[Int(number)].head
                while path != 0, store.owner(path) != UInt16(truncatingIfNeeded: source) { path = store.paths[Int(path)].next }
                if path != 0 { remove(path, &shared) }
            }
        }
    }

    /// Takes a path out of its prefix and decides again.
    mutating func remove(_ path: UInt32, _ shared: inout RIBShared) {
        let old = store.paths[Int(path)]
        let number = old.prefix
        let best = entries[Int(number)].best
        let bestAccepted = best == 0 ? 0 : store.paths[Int(best)].accepted
        let bestOwner = best == 0 ? 0 : store.owner(best)
        if entries[Int(number)].head == path {
            entries[Int(number)].head = old.next
        } else {
            var before = entries[Int(number)].head
            while store.paths[Int(before)].next != path { before = store.paths[Int(before)].next }
            store.paths[Int(before)].next = old.next
        }
        store.free(path)
        redecide(number, oldBest: best, oldAccepted: bestAccepted, oldOwner: bestOwner, hadOthers: true, &shared)
        letGo(old.received, old.accepted, &shared)
        if entries[Int(number)].head == 0 { releasable.append(number) }
    }

    /// Changes what policy made of a path.
    mutating func setAccepted(_ path: UInt32, _ accepted: UInt32, _ shared: inout RIBShared) {
        let old = store.paths[Int(path)]
        if old.accepted == accepted { return }
        let number = old.prefix
        let best = entries[Int(number)].best
        let bestAccepted = best == 0 ? 0 : store.paths[Int(best)].accepted
        if accepted != 0, accepted != old.received { shared.attributes.retain(accepted) }
        if shared.attributes.nextHops.mayBeNew { noteNewNextHop(number, accepted, shared) }
        store.paths[Int(path)].accepted = accepted
        redecide(number, oldBest: best, oldAccepted: bestAccepted, oldOwner: best == 0 ? 0 : store.owner(best), &shared)
        if old.accepted != 0, old.accepted != old.received { shared.attributes.release(old.accepted) }
    }

    // MARK: Loc-RIB

    /// Runs the decision process for a prefix. `old…` say what the best path was before anything was touched, and
    /// `hadOthers` that there was at least one more.
    mutating func redecide(
        _ number: UInt32, oldBest: UInt32, oldAccepted: UInt32, oldOwner: UInt16, hadOthers: Bool = false,
        _ shared: inout RIBShared
    ) {
        let best = decide(number, shared).best
        let accepted = best == 0 ? 0 : store.paths[Int(best)].accepted
        if best == oldBest, accepted == oldAccepted, best == 0 || store.owner(best) == oldOwner {
            // What would take its place may be another.
            if best != 0, hadOthers || !isOnlyPath(best, number) { tellRoute(number, shared) }
            return
        }
        setBest(number, best, oldBest: oldBest, oldAccepted: oldAccepted, oldOwner: oldOwner, &shared)
    }

    @inline(__always)
    private mutating func setBest(
        _ number: UInt32, _ best: UInt32, oldBest: UInt32, oldAccepted: UInt32, oldOwner: UInt16, _ shared: inout RIBShared
    ) {
        let key = Key(packed: prefixes.keys[Int(number)])
        let keyHash = Key.hash(key.packed, seed: 0x5eed)
        var old: AttributeSet? = nil
        if oldAccepted != 0 {
            let set = shared.attributes[oldAccepted]
            digest.remove(seededHash(keyHash, set.hash, seed: UInt64(oldOwner)))
            old = set
            bestCount &-= 1
        }
        entries[Int(number)].best = best
        changed.insert(number)
        if best == 0 {
            tellNoRoute(key)
            return
        }
        bestCount &+= 1
        let owner = store.owner(best)
        let set = shared.attributes[store.paths[Int(best)].accepted]
        digest.add(seededHash(keyHash, set.hash, seed: UInt64(owner)))
        let kind = shared.sources[Int(owner)].kind
        if let old, old.nextHop == set.nextHop, shared.sources[Int(oldOwner)].kind == kind, isOnlyPath(best, number),
            owner == oldOwner || kind != .local
        {
            return
        }
        tellRoute(number, shared)
    }

    @inline(__always)
    private func isOnlyPath(_ path: UInt32, _ number: UInt32) -> Bool {
        entries[Int(number)].head == path && store.paths[Int(path)].next == 0
    }

    /// The routing table manager has no route of BGP's for the prefix any more.
    private mutating func tellNoRoute(_ key: Key) {
        changes.append(
            BestRouteChange(
                address: key.address, length: key.length, source: nil, nextHop: Key.zeroAddress, backup: Key.zeroAddress))
    }

    /// Tells the routing table manager the best route, and what is to take its place when its next hop is lost: so that
    /// packets need not wait until every prefix behind that next hop was decided again. There may be no news in it.
    @inline(__always)
    private mutating func tellRoute(_ number: UInt32, _ shared: borrowing RIBShared) {
        let key = Key(packed: prefixes.keys[Int(number)])
        let best = entries[Int(number)].best
        let owner = store.owner(best)
        // A route of another protocol is in the routing table already.
        if owner == UInt16(Source.redistribution) { return tellNoRoute(key) }
        func address(_ path: UInt32) -> Key.Address {
            let nextHop = shared.attributes.nextHops.entries[Int(shared.attributes[store.paths[Int(path)].accepted].nextHop)]
            return Key.address(high: nextHop.high, low: nextHop.low)
        }
        let nextHop = address(best)
        let backup = isOnlyPath(best, number) ? 0 : backupPath(number, shared)
        changes.append(
            BestRouteChange(
                address: key.address, length: key.length, source: shared.sources[Int(owner)].kind, nextHop: nextHop,
                backup: backup == 0 ? nextHop : address(backup)))
    }

    /// The best path with another next hop than the best path's, as far as steps 1 to 3 tell, then by the number of the
    /// source: every eligible path is free of loops, and which of them carries packets for a moment matters little. 0
    /// for none.
    private func backupPath(_ number: UInt32, _ shared: borrowing RIBShared) -> UInt32 {
        let best = entries[Int(number)].best
        if best == 0 { return 0 }
        let nextHop = shared.attributes[store.paths[Int(best)].accepted].nextHop
        var found: UInt32 = 0
        var rank = UInt64.max
        var path = entries[Int(number)].head
        while path != 0 {
            defer { path = store.paths[Int(path)].next }
            let p = store.paths[Int(path)]
            if path == best || p.accepted == 0 { continue }
            let set = shared.attributes[p.accepted]
            // The router itself (0) leads nowhere.
            if set.nextHop == nextHop || set.nextHop == 0 || set.rank > rank { continue }
            if set.rank == rank, store.owner(path) > store.owner(found) { continue }
            guard Decision.ineligibility(p.accepted, shared.sources[Int(store.owner(path))], shared.attributes) == nil
            else { continue }
            found = path
            rank = set.rank
        }
        return found
    }

    /// RFC 4271 §9.1.2: the best path, and the step that told it from the runner-up it met last.
    func decide(_ number: UInt32, _ shared: borrowing RIBShared) -> (best: UInt32, step: DecisionStep) {
        var path = entries[Int(number)].head
        // Steps 0 to 3: the lowest rank among eligible paths.
        var rank = UInt64.max
        var best: UInt32 = 0
        var tied = 0
        while path != 0 {
            let p = store.paths[Int(path)]
            if Decision.ineligibility(p.accepted, shared.sources[Int(store.owner(path))], shared.attributes) == nil {
                let own = shared.attributes[p.accepted].rank
                if best == 0 || own < rank {
                    rank = own
                    best = path
                    tied = 1
                } else if own == rank {
                    tied += 1
                }
            }
            path = p.next
        }
        if tied <= 1 { return (best, .eligible) }
        // Steps 4 to 10 among those of that rank.
        best = 0
        var step = DecisionStep.eligible
        path = entries[Int(number)].head
        while path != 0 {
            defer { path = store.paths[Int(path)].next }
            guard isTied(path, rank, shared), !losesByMED(path, number, rank, shared) else { continue }
            if best == 0 {
                best = path
                continue
            }
            let a = store.paths[Int(path)], b = store.paths[Int(best)]
            let (isBetter, by) = Decision.compareLate(
                shared.attributes[a.accepted], shared.sources[Int(store.owner(path))], store.owner(path),
                shared.attributes[b.accepted], shared.sources[Int(store.owner(best))], store.owner(best), shared.attributes)
            step = by
            if isBetter { best = path }
        }
        return (best, step)
    }

    private func isTied(_ path: UInt32, _ rank: UInt64, _ shared: borrowing RIBShared) -> Bool {
        let p = store.paths[Int(path)]
        return Decision.ineligibility(p.accepted, shared.sources[Int(store.owner(path))], shared.attributes) == nil
            && shared.attributes[p.accepted].rank == rank
    }

    /// Step 4, RFC 4271 §9.1.2.2 (c): another path of that rank from the same neighbouring AS has a lower MED. Paths that
    /// began in our own AS have no neighbouring AS to compare.
    func losesByMED(_ path: UInt32, _ number: UInt32, _ rank: UInt64, _ shared: borrowing RIBShared) -> Bool {
        let own = shared.attributes[store.paths[Int(path)].accepted]
        if own.neighborAS == 0 || own.med == 0 { return false }
        var other = entries[Int(number)].head
        while other != 0 {
            if other != path {
                let p = store.paths[Int(other)]
                if p.accepted != 0 {
                    let set = shared.attributes[p.accepted]
                    if set.neighborAS == own.neighborAS, set.med < own.med, isTied(other, rank, shared) { return true }
                }
            }
            other = store.paths[Int(other)].next
        }
        return false
    }
}

/// Bounds of the work done in one call and of what waits. The same on both controllers; tests make them small.
struct RIBLimits: Sendable {
    /// Prefixes encoded for a cohort in one go; bounds the pause (about 3 ms) and what a queue grows by at a time.
    var flush = 32768
    /// Paths looked at per call by work over many routes: about 10 ms when each of them is removed.
    var slice = 16384
    /// Unsent octets at which a member leaves its cohort, provided that others are ahead of it.
    var lag = 1 << 20
}

/// Import policy over one message: the outcome per pattern is worked out once.
struct ImportPolicy {
    private let chain: Int32
    private let received: UInt32
    private let context: PolicyChain.Context
    /// Every prefix has this outcome, when known.
    private var constant: UInt32?
    private var patterns: [UInt64] = []
    private var outcomes: [UInt32] = []

    init(source: Int, received: UInt32, family: RouteFamily, _ shared: borrowing RIBShared) {
        let origin = shared.sources[source]
        chain = origin.importChain
        self.received = received
        context = PolicyChain.Context(source: origin.kind, family: family, isExport: false)
        switch chain {
        case PolicyChain.acceptAll: constant = received
        case PolicyChain.rejectAll: constant = 0
        default: constant = nil
        }
    }

    @inline(__always)
    mutating func accepted<Key: PrefixKey>(_: Key.Type, _ packed: Key.Packed, _ shared: inout RIBShared) -> UInt32 {
        if let constant { return constant }
        return evaluate(Key(packed: packed).anyFamily, &shared)
    }

    private mutating func evaluate(_ prefix: IPPrefix, _ shared: inout RIBShared) -> UInt32 {
        let policy = shared.policies.chains[Int(chain)]
        if !policy.usesPrefix {
            let outcome = policy.evaluate(received, pattern: 0, prefix: nil, context, &shared.attributes)
            constant = outcome
            return outcome
        }
        let pattern = policy.pattern(prefix)
        if policy.isMemoizable, let known = patterns.firstIndex(of: pattern) { return outcomes[known] }
        let outcome = policy.evaluate(received, pattern: pattern, prefix: prefix, context, &shared.attributes)
        patterns.append(pattern)
        outcomes.append(outcome)
        return outcome
    }
}
