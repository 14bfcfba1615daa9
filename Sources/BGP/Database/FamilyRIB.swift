import Machine
import Policy
import Routing
import Wire

/// Adj-RIBs-In, Loc-RIB and Adj-RIBs-Out of one family. "Prefix" is what the family's key is, be it no prefix of IP at all.
///
/// Memory per route received once and sent to one group: 8 (key, IPv4) + 5…11 (index) + 8 (entry) + 16 (path) + 8
/// (Adj-RIB-Out), and its share of the attribute set. Each further path costs 16, each further group 8. With path
/// identifiers or labels a path costs 8 more; a group has as many places as its view asks for.
struct FamilyRIB<Family: RoutedFamily>: Sendable {
    typealias Key = Family.Key
    typealias Entry = LocRIB<Family>.Entry

    var prefixes: PrefixTable<Key>
    var adjRIBIn = AdjRIBIn()
    var locRIB = LocRIB<Family>()
    /// With the Adj-RIBs-Out.
    var groups: [UpdateGroup] = []
    /// By source.
    var members: [Member] = []
    var nextGroup: UInt32 = 1
    var nextCohort: UInt32 = 1
    /// Prefixes that may have nothing left.
    var releasable: [UInt32] = []
    /// Prefixes without paths exist that no list names (a group went away): look at all.
    var releaseScanIsDue = false
    var tasks: [RIBTask] = []
    var nextHopsChanged = BitSet()
    var nextHopsScanned = BitSet()
    var nextHopCursor: UInt32 = 0
    var payloadScan = PayloadScan()
    /// Prefixes announced with a next hop of which nobody has told us yet: what one record brings, or one slice of
    /// re-evaluation.
    var awaiting: [AwaitingPrefix] = []
    var isAwaitingSorted = false
    /// Host routes to the router's own addresses: ignored. From the configuration.
    private var ownHosts: [Key.Packed] = []
    var limits = RIBLimits()

    // Scratch, empty between calls.
    var batchKeys: [Key.Packed] = []
    var batchHashes: [UInt64] = []
    /// Only where there are path identifiers or labels.
    var batchIdentities: [PathIdentity] = []
    /// Takes what was read only to have it in the cache. Means nothing.
    var probe: UInt32 = 0
    var scratch = ExportScratch()

    init(seed: UInt64) { prefixes = PrefixTable(seed: seed) }

    var family: RouteFamily { Family.family }

    // MARK: Adj-RIB-In

    private static var batchSize: Int { 64 }

    /// Decodes up to a batch of prefixes and begins their look-ups. Returns the octets consumed; stops at anything
    /// malformed, which the codec has already refused.
    @inline(__always)
    private mutating func readBatch(_ nlri: RawSpan, from start: Int, hasPathIDs: Bool) -> Int {
        batchKeys.removeAll(keepingCapacity: true)
        batchHashes.removeAll(keepingCapacity: true)
        if hasPathIDs || Family.hasLabels { batchIdentities.removeAll(keepingCapacity: true) }
        let count = nlri.byteCount
        var i = start
        var touched: UInt32 = 0
        let seed = prefixes.seed
        while i < count, batchKeys.count < Self.batchSize {
            var id: UInt32 = 0
            if hasPathIDs {
                guard i &+ 4 < count else { return count }
                id = nlri.u32(i)
                i &+= 4
            }
            guard let (packed, label, size) = Family.read(nlri, at: i) else { return count }
            i &+= size
            if hasPathIDs || Family.hasLabels {
                batchIdentities.append(PathIdentity(id: id, label: Family.hasLabels ? LabelField.label(label) : 0))
            }
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
        ownHosts = addresses.compactMap { Family.host($0) }
    }

    mutating func announce(_ nlri: RawSpan, source: Int, received: UInt32, _ shared: inout RIBShared) {
        adjRIBIn.reserve(sources: shared.sources.count)
        let hasPathIDs = shared.sources[source].receivesPathIDs.contains(family)
        let hasIdentities = hasPathIDs || Family.hasLabels
        if hasIdentities { adjRIBIn.keepIdentities() }
        var policy = ImportPolicy(source: source, received: received, family: family, &shared)
        let isLoop = shared.attributes[received].flags.contains(.isReflectedBack)
        var trap: Key.Packed? = nil
        if let prefix = shared.trapOnPrefix, let key = Family.key(prefix) { trap = key.packed }
        var position = 0
        while position < nlri.byteCount {
            position = readBatch(nlri, from: position, hasPathIDs: hasPathIDs)
            if policy.isLeak { shared.leaks += batchKeys.count }
            if isLoop { shared.reflectionLoops += batchKeys.count }
            for k in 0..<batchKeys.count {
                let packed = batchKeys[k]
                if let trap, trap == packed {
                    guard shared.notesTrap else { preconditionFailure("testing.trapOnPrefix: \(Key(packed: packed))") }
                    shared.hasMetTrap = true
                }
                if Family.isUnusable(packed) || Key.length(of: packed) == Key.lengthMaximum && ownHosts.contains(packed) {
                    shared.martians += 1
                    continue
                }
                let accepted = policy.accepted(Family.self, packed, &shared)
                let identity = hasIdentities ? batchIdentities[k] : .none
                install(packed, batchHashes[k], source, identity, received, accepted, &shared)
            }
        }
    }

    /// Stores one route and decides its prefix.
    @inline(__always)
    private mutating func install(
        _ packed: Key.Packed, _ hash: UInt64, _ source: Int, _ identity: PathIdentity, _ received: UInt32,
        _ accepted: UInt32, _ shared: inout RIBShared
    ) {
        let (number, _) = prefixes.insert(packed, hash: hash)
        locRIB.admit(number)
        if shared.attributes.nextHops.mayBeNew { noteNewNextHop(number, accepted, shared) }
        let entry = locRIB.entries[Int(number)]
        var path = find(source, identity.id, entry.head)
        if path != 0 {
            // Implicit withdraw of the former route, RFC 4271 §3.1.
            let old = adjRIBIn.paths[Int(path)]
            adjRIBIn.renew(path)
            if old.received == received, old.accepted == accepted, adjRIBIn.identity(path) == identity { return }
            let chosen = chosen(number)
            hold(received, accepted, &shared)
            adjRIBIn.paths[Int(path)].received = received
            adjRIBIn.paths[Int(path)].accepted = accepted
            adjRIBIn.setIdentity(path, identity)
            redecide(number, from: chosen, &shared)
            letGo(old.received, old.accepted, &shared)
            return
        }
        if adjRIBIn.isFull(source) {
            shared.extras += 1
            if entry.head == 0 { releasable.append(number) }
            return
        }
        path = adjRIBIn.allocate(source)
        hold(received, accepted, &shared)
        let chosen = chosen(number)
        adjRIBIn.paths[Int(path)] = Path(prefix: number, next: entry.head, received: received, accepted: accepted)
        adjRIBIn.setIdentity(path, identity)
        locRIB.entries[Int(number)].head = path
        if entry.best != 0 {
            // A new path that already loses by rank changes nothing: it is not among those that MED could compare.
            if accepted == 0 || shared.attributes[accepted].rank > shared.attributes[chosen.accepted].rank {
                if accepted != 0 { locRIB.noteAltered(number) }
                if accepted != 0, backupPath(number, shared) == path { tellRoute(number, shared) }
                return
            }
            redecide(number, from: chosen, &shared)
        } else if Decision.ineligibility(accepted, shared.sources[source], shared.attributes) == nil {
            // The others, if any, are not eligible: nothing else could have made this prefix one without a best path.
            setBest(number, path, from: .none, &shared)
        }
    }

    /// The path that `source` calls `id`, in the chain that begins with `head`; 0 for none.
    @inline(__always)
    private func find(_ source: Int, _ id: UInt32, _ head: UInt32) -> UInt32 {
        var path = head
        while path != 0, !adjRIBIn.isPath(path, of: UInt16(truncatingIfNeeded: source), id) {
            path = adjRIBIn.paths[Int(path)].next
        }
        return path
    }

    /// The best path as it is now.
    @inline(__always)
    func chosen(_ number: UInt32) -> ChosenPath {
        let best = locRIB.entries[Int(number)].best
        if best == 0 { return .none }
        return ChosenPath(
            path: best, accepted: adjRIBIn.paths[Int(best)].accepted, owner: adjRIBIn.owner(best),
            identity: adjRIBIn.identity(best))
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
        adjRIBIn.reserve(sources: shared.sources.count)
        let hasPathIDs = shared.sources[source].receivesPathIDs.contains(family)
        var position = 0
        while position < nlri.byteCount {
            position = readBatch(nlri, from: position, hasPathIDs: hasPathIDs)
            for k in 0..<batchKeys.count {
                guard let number = prefixes.find(batchKeys[k], hash: batchHashes[k]) else { continue }
                let path = find(source, hasPathIDs ? batchIdentities[k].id : 0, locRIB.entries[Int(number)].head)
                if path != 0 { remove(path, &shared) }
            }
        }
    }

    /// Takes a path out of its prefix and decides again.
    mutating func remove(_ path: UInt32, _ shared: inout RIBShared) {
        let old = adjRIBIn.paths[Int(path)]
        let number = old.prefix
        let chosen = chosen(number)
        if locRIB.entries[Int(number)].head == path {
            locRIB.entries[Int(number)].head = old.next
        } else {
            var before = locRIB.entries[Int(number)].head
            while adjRIBIn.paths[Int(before)].next != path { before = adjRIBIn.paths[Int(before)].next }
            adjRIBIn.paths[Int(before)].next = old.next
        }
        adjRIBIn.free(path)
        redecide(number, from: chosen, hadOthers: true, &shared)
        letGo(old.received, old.accepted, &shared)
        if locRIB.entries[Int(number)].head == 0 { releasable.append(number) }
    }

    /// Changes what policy made of a path.
    mutating func setAccepted(_ path: UInt32, _ accepted: UInt32, _ shared: inout RIBShared) {
        let old = adjRIBIn.paths[Int(path)]
        if old.accepted == accepted { return }
        let number = old.prefix
        let chosen = chosen(number)
        if accepted != 0, accepted != old.received { shared.attributes.retain(accepted) }
        if shared.attributes.nextHops.mayBeNew { noteNewNextHop(number, accepted, shared) }
        adjRIBIn.paths[Int(path)].accepted = accepted
        redecide(number, from: chosen, &shared)
        if old.accepted != 0, old.accepted != old.received { shared.attributes.release(old.accepted) }
    }

    // MARK: Loc-RIB

    /// Runs the decision process for a prefix. `old` is the best path before anything was touched; `hadOthers`: there was at
    /// least one more.
    mutating func redecide(
        _ number: UInt32, from old: ChosenPath, hadOthers: Bool = false, _ shared: inout RIBShared
    ) {
        let best = decide(number, shared).best
        let isSame =
            best == old.path
            && (best == 0
                || adjRIBIn.paths[Int(best)].accepted == old.accepted && adjRIBIn.owner(best) == old.owner
                    && adjRIBIn.identity(best) == old.identity)
        if isSame {
            locRIB.noteAltered(number)
            // What would take its place may be another.
            if best != 0, hadOthers || !isOnlyPath(best, number) { tellRoute(number, shared) }
            return
        }
        setBest(number, best, from: old, &shared)
    }

    @inline(__always)
    private mutating func setBest(
        _ number: UInt32, _ best: UInt32, from former: ChosenPath, _ shared: inout RIBShared
    ) {
        let keyHash = Key.hash(prefixes.keys[Int(number)], seed: 0x5eed)
        var old: AttributeSet? = nil
        if former.accepted != 0 {
            let set = shared.attributes[former.accepted]
            locRIB.digest.remove(seededHash(keyHash, set.hash, seed: UInt64(former.owner) ^ former.identity.hash))
            old = set
            locRIB.count &-= 1
        }
        locRIB.entries[Int(number)].best = best
        locRIB.changed.insert(number)
        if best == 0 {
            tellNoRoute(number, shared)
            return
        }
        locRIB.count &+= 1
        let owner = adjRIBIn.owner(best)
        let set = shared.attributes[adjRIBIn.paths[Int(best)].accepted]
        locRIB.digest.add(seededHash(keyHash, set.hash, seed: UInt64(owner) ^ adjRIBIn.identity(best).hash))
        let kind = shared.sources[Int(owner)].kind
        if let old, old.nextHop == set.nextHop, shared.sources[Int(former.owner)].kind == kind, isOnlyPath(best, number),
            owner == former.owner || kind != .local
        {
            return
        }
        tellRoute(number, shared)
    }

    @inline(__always)
    private func isOnlyPath(_ path: UInt32, _ number: UInt32) -> Bool {
        locRIB.entries[Int(number)].head == path && adjRIBIn.paths[Int(path)].next == 0
    }

    /// RFC 4724 §4.1: before route selection there is nothing with which to update the forwarding state.
    @inline(__always)
    private mutating func isDeferred(_ number: UInt32, _ shared: borrowing RIBShared) -> Bool {
        guard shared.deferred.contains(family) else { return false }
        locRIB.untold.insert(number)
        return true
    }

    /// The routing table manager has no route of BGP's for the prefix any more.
    private mutating func tellNoRoute(_ number: UInt32, _ shared: borrowing RIBShared) {
        guard Family.isForwarded, !isDeferred(number, shared) else { return }
        let none = shared.attributes.nextHops.entries[0]
        locRIB.changes.append(Family.change(prefixes.keys[Int(number)], nil, nextHop: none, backup: none))
    }

    /// Tells the routing table manager the best route, and what is to take its place when its next hop is lost: so that
    /// packets need not wait until every prefix behind that next hop was decided again. There may be no news in it.
    @inline(__always)
    mutating func tellRoute(_ number: UInt32, _ shared: borrowing RIBShared) {
        guard Family.isForwarded, !isDeferred(number, shared) else { return }
        let best = locRIB.entries[Int(number)].best
        let owner = adjRIBIn.owner(best)
        // A route of another protocol is in the routing table already.
        if owner == UInt16(Source.redistribution) { return tellNoRoute(number, shared) }
        func nextHop(_ path: UInt32) -> NextHopTable.Entry {
            shared.attributes.nextHops.entries[Int(shared.attributes[adjRIBIn.paths[Int(path)].accepted].nextHop)]
        }
        let first = nextHop(best)
        let backup = isOnlyPath(best, number) ? 0 : backupPath(number, shared)
        locRIB.changes.append(
            Family.change(
                prefixes.keys[Int(number)], shared.sources[Int(owner)].kind, nextHop: first,
                backup: backup == 0 ? first : nextHop(backup)))
    }

    /// The best path with another next hop than the best path's, as far as steps 1 to 3 tell, then by the number of the
    /// source: every eligible path is free of loops, and which of them carries packets for a moment matters little. 0
    /// for none.
    private func backupPath(_ number: UInt32, _ shared: borrowing RIBShared) -> UInt32 {
        let best = locRIB.entries[Int(number)].best
        if best == 0 { return 0 }
        let nextHop = shared.attributes[adjRIBIn.paths[Int(best)].accepted].nextHop
        var found: UInt32 = 0
        var rank = UInt64.max
        var path = locRIB.entries[Int(number)].head
        while path != 0 {
            defer { path = adjRIBIn.paths[Int(path)].next }
            let p = adjRIBIn.paths[Int(path)]
            if path == best || p.accepted == 0 { continue }
            let set = shared.attributes[p.accepted]
            // The router itself (0) leads nowhere.
            if set.nextHop == nextHop || set.nextHop == 0 || set.rank > rank { continue }
            if set.rank == rank, found != 0, comesAfter(path, found) { continue }
            guard Decision.ineligibility(p.accepted, shared.sources[Int(adjRIBIn.owner(path))], shared.attributes) == nil
            else { continue }
            found = path
            rank = set.rank
        }
        return found
    }

    /// An order that does not depend on which path came first.
    private func comesAfter(_ a: UInt32, _ b: UInt32) -> Bool {
        let oa = adjRIBIn.owner(a), ob = adjRIBIn.owner(b)
        return oa != ob ? oa > ob : adjRIBIn.identity(a).id > adjRIBIn.identity(b).id
    }

    /// RFC 4271 §9.1.2: the best path, and the step that told it from the runner-up it met last.
    func decide(_ number: UInt32, _ shared: borrowing RIBShared) -> (best: UInt32, step: DecisionStep) {
        var path = locRIB.entries[Int(number)].head
        // Steps 0 to 3: the lowest rank among eligible paths.
        var rank = UInt64.max
        var best: UInt32 = 0
        var tied = 0
        while path != 0 {
            let p = adjRIBIn.paths[Int(path)]
            if Decision.ineligibility(p.accepted, shared.sources[Int(adjRIBIn.owner(path))], shared.attributes) == nil {
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
        path = locRIB.entries[Int(number)].head
        while path != 0 {
            defer { path = adjRIBIn.paths[Int(path)].next }
            guard isTied(path, rank, shared), !losesByMED(path, number, rank, shared) else { continue }
            if best == 0 {
                best = path
                continue
            }
            let (isBetter, by) = compareLate(path, best, shared)
            step = by
            if isBetter { best = path }
        }
        return (best, step)
    }

    /// Steps 5 to 11 between two paths of one rank.
    func compareLate(_ a: UInt32, _ b: UInt32, _ shared: borrowing RIBShared) -> (aIsBetter: Bool, step: DecisionStep) {
        let oa = adjRIBIn.owner(a), ob = adjRIBIn.owner(b)
        return Decision.compareLate(
            shared.attributes[adjRIBIn.paths[Int(a)].accepted], shared.sources[Int(oa)], oa, adjRIBIn.identity(a).id,
            shared.attributes[adjRIBIn.paths[Int(b)].accepted], shared.sources[Int(ob)], ob, adjRIBIn.identity(b).id,
            shared.attributes)
    }

    private func isTied(_ path: UInt32, _ rank: UInt64, _ shared: borrowing RIBShared) -> Bool {
        let p = adjRIBIn.paths[Int(path)]
        return Decision.ineligibility(p.accepted, shared.sources[Int(adjRIBIn.owner(path))], shared.attributes) == nil
            && shared.attributes[p.accepted].rank == rank
    }

    /// Step 4, RFC 4271 §9.1.2.2 (c): another path of that rank from the same neighbouring AS has a lower MED. Paths that
    /// began in our own AS have no neighbouring AS to compare.
    func losesByMED(_ path: UInt32, _ number: UInt32, _ rank: UInt64, _ shared: borrowing RIBShared) -> Bool {
        let own = shared.attributes[adjRIBIn.paths[Int(path)].accepted]
        let comparesAll = shared.attributes.parameters.rules.contains(.alwaysCompareMED)
        if own.med == 0 || own.neighborAS == 0 && !comparesAll { return false }
        var other = locRIB.entries[Int(number)].head
        while other != 0 {
            if other != path {
                let p = adjRIBIn.paths[Int(other)]
                if p.accepted != 0 {
                    let set = shared.attributes[p.accepted]
                    if set.med < own.med, comparesAll || set.neighborAS == own.neighborAS, isTied(other, rank, shared) {
                        return true
                    }
                }
            }
            other = adjRIBIn.paths[Int(other)].next
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

/// Import policy over one message: the outcome per class of prefixes is worked out once.
struct ImportPolicy {
    private let kind: RouteSource
    let isLeak: Bool
    /// Every prefix has this outcome, when known.
    private var constant: UInt32?
    private var run: PolicyRun

    /// Not only a set of attributes is judged here: the role comes before policy (RFC 9234 §5). It turns what was received
    /// into another set, or into one that says that it is a leak, for which policy is not asked.
    init(source: Int, received: UInt32, family: RouteFamily, _ shared: inout RIBShared) {
        let origin = shared.sources[source]
        kind = origin.kind
        run = PolicyRun(chain: origin.importChain, family: family, isExport: false)
        var base = received
        if let role = origin.role, family.code.hasRoles {
            base = shared.attributes.ingress(received, role, remoteAS: origin.remoteAS)
        }
        isLeak = shared.attributes[base].marks.contains(.isLeak)
        if base != 0, origin.localAS != 0, !isLeak {
            base = shared.attributes.ingress(
                base, localAS: origin.localAS, prepends: origin.prependsLocalAS, allowed: origin.allowASIn)
        }
        if isLeak || base == 0 || shared.attributes[base].marks.contains(.isLoop) {
            constant = base
            return
        }
        run.begin(base)
        constant = shared.policies.verdict(origin.importChain).map { $0 ? base : 0 }
    }

    @inline(__always)
    mutating func accepted<Family: RoutedFamily>(
        _: Family.Type, _ key: Family.Key.Packed, _ shared: inout RIBShared
    ) -> UInt32 {
        if let constant { return constant }
        return evaluate(Family.prefix(key), &shared)
    }

    private mutating func evaluate(_ prefix: IPPrefix?, _ shared: inout RIBShared) -> UInt32 {
        guard run.isIndifferent(shared) else { return run.outcome(prefix, kind, &shared) }
        let outcome = run.outcome(nil, kind, &shared)
        constant = outcome
        return outcome
    }
}
