import Machine
import Policy
import Routing
import Wire

// Export where a group's view is more than "the best path": the general way, path by path. `FamilyRIB+Export` has the short
// one that nearly all neighbours go.
//
// For each prefix whose paths changed: choose (`select`), compare with what the Adj-RIB-Out has in its places (`settle`),
// and note what has to be said of each path, and to whom (`ExportItem`). Then all items are sorted, so that those with
// equal attributes and receivers stand together, and encoded in runs.

/// A path that may be chosen for a group.
struct CandidatePath: BitwiseCopyable, Sendable {
    var path: UInt32
    /// Attributes after export policy.
    var outcome: UInt32
}

/// A path that was chosen.
struct SelectedPath: BitwiseCopyable, Sendable {
    var route: AdvertisedRoute
    var label: UInt32
}

/// Something to be said of one path.
struct ExportItem: BitwiseCopyable, Sendable {
    /// Attributes to announce it with; 0: withdraw it.
    var handle: UInt32
    var number: UInt32
    /// RFC 7911 §3; written only to neighbours that take it.
    var id: UInt32
    var label: UInt32
    var receivers: SegmentQueue.Receivers

    /// Announcements before withdrawals, then what can share a message. A total order on the items of one flush.
    @inline(__always)
    static func precedes(_ a: ExportItem, _ b: ExportItem) -> Bool {
        if a.handle != b.handle { return a.handle &- 1 < b.handle &- 1 }
        if a.receivers.except != b.receivers.except { return a.receivers.except < b.receivers.except }
        if a.receivers.only != b.receivers.only { return a.receivers.only < b.receivers.only }
        return a.number != b.number ? a.number < b.number : a.id < b.id
    }
}

/// What export makes of attributes, remembered during one flush: a table with one place for each key, in which the later
/// one stands.
struct OutcomeCache: Sendable {
    private struct Place: BitwiseCopyable, Sendable {
        var policyClass: UInt32 = 0
        var generation: UInt64 = 0
        var handle: UInt32 = 0
        var kind: UInt32 = 0
        var originator: UInt32 = 0
        var outcome: UInt32 = 0
    }
    private var places: [Place] = []
    private var generation: UInt64 = 0

    /// Forgets everything.
    mutating func begin() {
        if places.isEmpty { places = [Place](repeating: Place(), count: 1024) }
        generation &+= 1
    }
    @inline(__always)
    private static func index(_ handle: UInt32, _ policyClass: PolicyClass, _ kind: RouteSource, _ originator: UInt32) -> Int {
        let key = UInt64(handle) << 2 ^ UInt64(kind.rawValue) ^ UInt64(policyClass.raw) << 34 ^ UInt64(originator) << 17
        return Int(truncatingIfNeeded: mix64(key) & 1023)
    }
    /// - Parameter originator: where reflection makes something else of each source's routes; 0 elsewhere.
    @inline(__always)
    func find(_ handle: UInt32, _ policyClass: PolicyClass, _ kind: RouteSource, _ originator: UInt32) -> UInt32? {
        let place = places[Self.index(handle, policyClass, kind, originator)]
        guard place.generation == generation, place.handle == handle, place.policyClass == policyClass.raw,
            place.kind == UInt32(kind.rawValue), place.originator == originator
        else { return nil }
        return place.outcome
    }
    mutating func note(
        _ handle: UInt32, _ policyClass: PolicyClass, _ kind: RouteSource, _ originator: UInt32, _ outcome: UInt32
    ) {
        places[Self.index(handle, policyClass, kind, originator)] = Place(
            policyClass: policyClass.raw, generation: generation, handle: handle, kind: UInt32(kind.rawValue),
            originator: originator, outcome: outcome)
    }
}

extension FamilyRIB {
    /// Works off pending prefixes of a group's first cohort: RFC 4271 §9.1.3 and §9.2, RFC 7911, RFC 7947 §2.3.
    mutating func flushPaths(_ index: Int, _ shared: inout RIBShared) {
        var (group, work) = takeOut(index)
        defer { putBack(index, &group, &work) }
        pick(&group.cohorts[0], &work)
        group.out.reserve(prefixes.capacity)
        work.outcomes.begin()
        var export = BucketExport(Family.self, group: group.parameters)
        let room = MessageBuilder(maximum: group.parameters.messageMaximum)
        for number in work.picked {
            select(number, group, &export, room, &work, &shared)
            if case .bestAccepted = group.parameters.view {
                settleAlternates(number, &group, &work, &shared)
            } else {
                settlePlaces(number, &group, &work, &shared)
            }
            if locRIB.entries[Int(number)].head == 0 { releasable.append(number) }
        }
        encode(&work, &export, group, shared)
            .finish(into: &group.cohorts[0].queue)
        if group.cohorts[0].cursor == 0 { group.cohorts[0].isFirstPass = false }
    }

    // MARK: choosing

    /// Chooses what the group gets for a prefix, in the order of preference.
    private func select(
        _ number: UInt32, _ group: borrowing UpdateGroup, _ export: inout BucketExport, _ room: borrowing MessageBuilder,
        _ work: inout ExportScratch, _ shared: inout RIBShared
    ) {
        work.selected.removeAll(keepingCapacity: true)
        let defaultRoute = group.parameters.defaultOriginate && isDefault(number) ? ownDefault(group.parameters, &shared) : 0
        if defaultRoute != 0 {
            let handle = defaultRoute
            if export.makeFrame(handle, shared), room.fits(export.frame, prefixSize: Family.sizeMaximum + 4) {
                let route = AdvertisedRoute(handle: handle, source: UInt16(Source.networks))
                work.selected.append(SelectedPath(route: route, label: LabelField.implicitNull))
            }
            return
        }
        let best = locRIB.entries[Int(number)].best
        if group.parameters.view == .best {
            if best == 0 { return }
            let outcome = outcome(best, number, group, &export, room, &work, &shared)
            if outcome != 0 { choose(CandidatePath(path: best, outcome: outcome), &work) }
            return
        }
        work.candidates.removeAll(keepingCapacity: true)
        var path = locRIB.entries[Int(number)].head
        while path != 0 {
            let p = adjRIBIn.paths[Int(path)]
            if Decision.ineligibility(p.accepted, shared.sources[Int(adjRIBIn.owner(path))], shared.attributes) == nil {
                let outcome = outcome(path, number, group, &export, room, &work, &shared)
                if outcome != 0 { work.candidates.append(CandidatePath(path: path, outcome: outcome)) }
            }
            path = p.next
        }
        while work.selected.count < group.out.width, let at = preferred(work.candidates, shared) {
            let candidate = work.candidates[at]
            choose(candidate, &work)
            if case .several = group.parameters.view {
                work.candidates.remove(at: at)
                continue
            }
            // The source of the first one gets the best of what others have.
            let owner = adjRIBIn.owner(candidate.path)
            guard work.selected.count == 1, Int(owner) >= Source.firstSession else { return }
            work.candidates.removeAll { adjRIBIn.owner($0.path) == owner }
        }
    }

    private func choose(_ candidate: CandidatePath, _ work: inout ExportScratch) {
        let route = AdvertisedRoute(handle: candidate.outcome, source: adjRIBIn.owner(candidate.path))
        work.selected.append(SelectedPath(route: route, label: adjRIBIn.identity(candidate.path).label))
    }

    /// Attributes that the group would get the path with; 0: export rules or policy keep it back, or it cannot be encoded.
    private func outcome(
        _ path: UInt32, _ number: UInt32, _ group: borrowing UpdateGroup, _ export: inout BucketExport,
        _ room: borrowing MessageBuilder, _ work: inout ExportScratch, _ shared: inout RIBShared
    ) -> UInt32 {
        let handle = adjRIBIn.paths[Int(path)].accepted
        let source = shared.sources[Int(adjRIBIn.owner(path))], kind = source.kind
        // RFC 4271 §9.2: what an internal neighbour told us goes to another internal one by reflection only.
        if source.sourceClass.isDisjoint(with: group.parameters.takes) { return 0 }
        let originator = group.parameters.clusterID != 0 && source.sourceClass != .outside ? source.identifier : 0
        let chain = group.parameters.chain
        let policyClass =
            chain < 0
            ? .any
            : shared.policyClass(
                of: Family.prefix(prefixes.keys[Int(number)]), chain,
                origin: shared.policies.asksForValidity(chain) ? shared.attributes.routeOrigin(handle) : nil)
        if let known = work.outcomes.find(handle, policyClass, kind, originator) { return known }
        export.begin(handle, shared)
        var outcome = export.outcome(Family.self, prefixes.keys[Int(number)], source, &shared)
        // RFC 8654 §4: attributes that leave no room for a prefix, or have no next hop for these neighbours.
        if outcome != 0,
            !(export.makeFrame(outcome, shared) && room.fits(export.frame, prefixSize: Family.sizeMaximum + 4))
        {
            outcome = 0
        }
        work.outcomes.note(handle, policyClass, kind, originator, outcome)
        return outcome
    }

    /// RFC 4271 §9.1.2 among these paths, all of them eligible: as `decide`, which walks a prefix's whole chain.
    private func preferred(_ list: [CandidatePath], _ shared: borrowing RIBShared) -> Int? {
        func set(_ at: Int) -> AttributeSet { shared.attributes[adjRIBIn.paths[Int(list[at].path)].accepted] }
        var rank = UInt64.max
        var first = 0, tied = 0
        for at in list.indices {
            let own = set(at).rank
            if tied == 0 || own < rank {
                (rank, first, tied) = (own, at, 1)
            } else if own == rank {
                tied += 1
            }
        }
        if tied <= 1 { return tied == 0 ? nil : first }
        // Steps 4 to 11 among those of that rank.
        let comparesAll = shared.attributes.parameters.rules.contains(.alwaysCompareMED)
        var best: Int?
        for at in first..<list.count {
            let own = set(at)
            if own.rank != rank { continue }
            let losesByMED =
                (comparesAll || own.neighborAS != 0) && own.med != 0
                && list.indices.contains { other in
                    let set = set(other)
                    return set.rank == rank && (comparesAll || set.neighborAS == own.neighborAS) && set.med < own.med
                }
            if losesByMED { continue }
            guard let found = best else {
                best = at
                continue
            }
            if compareLate(list[at].path, list[found].path, shared).aIsBetter { best = at }
        }
        return best
    }

    // MARK: comparing

    /// Puts `selected` into the places of the Adj-RIB-Out, each into the one that it has already if it can, and notes what
    /// differs. A place is a path of its own to the neighbours.
    private func settlePlaces(
        _ number: UInt32, _ group: inout UpdateGroup, _ work: inout ExportScratch, _ shared: inout RIBShared
    ) {
        let width = group.out.width
        // Bits by place, and by position in `selected`.
        var taken: UInt32 = 0, done: UInt32 = 0
        func assign(_ fits: (SelectedPath, AdvertisedRoute, UInt32) -> Bool) {
            for (i, new) in work.selected.enumerated() where done & 1 << UInt32(i) == 0 {
                for k in 0..<width where taken & 1 << UInt32(k) == 0 {
                    guard fits(new, group.out.route(number, k), group.out.label(number, k)) else { continue }
                    taken |= 1 << UInt32(k)
                    done |= 1 << UInt32(i)
                    replace(number, k, new, &group, &work, &shared)
                    break
                }
            }
        }
        assign { new, old, label in new.route == old && new.label == label }
        assign { new, old, _ in old.handle != 0 && new.route.source == old.source }
        assign { _, old, _ in old.handle == 0 }
        assign { _, _, _ in true }
        for k in 0..<width where taken & 1 << UInt32(k) == 0 {
            replace(number, k, SelectedPath(route: .none, label: 0), &group, &work, &shared)
        }
    }

    private func replace(
        _ number: UInt32, _ k: Int, _ new: SelectedPath, _ group: inout UpdateGroup, _ work: inout ExportScratch,
        _ shared: inout RIBShared
    ) {
        let old = group.out.route(number, k), oldLabel = group.out.label(number, k)
        if old == new.route, oldLabel == new.label { return }
        store(number, k, new, &group, &shared)
        let id = group.parameters.pathID(k)
        func note(_ handle: UInt32, _ receivers: SegmentQueue.Receivers) {
            work.items.append(ExportItem(handle: handle, number: number, id: id, label: new.label, receivers: receivers))
        }
        if new.route.handle == 0 { return note(0, SegmentQueue.Receivers(except: tag(old.source, group))) }
        let main = group.cohorts[0].id
        // Who had the former route and is the source of this one.
        let loses = old.handle != 0 && old.source != new.route.source && isMember(new.route.source, of: main)
        if old.handle == new.route.handle, oldLabel == new.label {
            // The same from another source: only these two see a difference.
            if isMember(old.source, of: main) { note(new.route.handle, SegmentQueue.Receivers(only: old.source)) }
        } else {
            note(new.route.handle, SegmentQueue.Receivers(except: tag(new.route.source, group)))
        }
        if loses { note(0, SegmentQueue.Receivers(only: new.route.source)) }
    }

    private func store(
        _ number: UInt32, _ k: Int, _ new: SelectedPath, _ group: inout UpdateGroup, _ shared: inout RIBShared
    ) {
        let at = group.out.place(number, k)
        let old = group.out.routes[at]
        if new.route.handle != 0 {
            shared.attributes.retain(new.route.handle)
            group.out.count += 1
        }
        group.out.routes[at] = new.route
        if group.out.hasLabels { group.out.labels[at] = new.label }
        if old.handle != 0 {
            shared.attributes.release(old.handle)
            group.out.count -= 1
        }
        if group.cohorts.count > 1 { tellOthers(number, &group) }
    }

    /// The view `bestAccepted`: everybody has the first path but its source, which has the second one.
    private func settleAlternates(
        _ number: UInt32, _ group: inout UpdateGroup, _ work: inout ExportScratch, _ shared: inout RIBShared
    ) {
        func place(_ k: Int, _ group: borrowing UpdateGroup) -> SelectedPath {
            SelectedPath(route: group.out.route(number, k), label: group.out.label(number, k))
        }
        let none = SelectedPath(route: .none, label: 0)
        let old = (place(0, group), place(1, group))
        let new = (work.selected.first ?? none, work.selected.count > 1 ? work.selected[1] : none)
        func isSame(_ a: SelectedPath, _ b: SelectedPath) -> Bool { a.route.handle == b.route.handle && a.label == b.label }
        if old.0.route == new.0.route, old.1.route == new.1.route, isSame(old.0, new.0), isSame(old.1, new.1) { return }
        store(number, 0, new.0, &group, &shared)
        store(number, 1, new.1, &group, &shared)
        func note(_ what: SelectedPath, _ receivers: SegmentQueue.Receivers) {
            work.items.append(
                ExportItem(handle: what.route.handle, number: number, id: 1, label: what.label, receivers: receivers))
        }
        let isNews = !isSame(old.0, new.0)
        if isNews {
            let exempt = new.0.route.handle == 0 ? old.0.route.source : new.0.route.source
            note(new.0, SegmentQueue.Receivers(except: tag(exempt, group)))
        }
        // The two that see something else than the others, before or now.
        func seen(_ source: UInt16, _ places: (SelectedPath, SelectedPath)) -> SelectedPath {
            places.0.route.handle != 0 && places.0.route.source == source ? places.1 : places.0
        }
        var sources: [UInt16] = []
        if old.0.route.handle != 0 { sources.append(old.0.route.source) }
        if new.0.route.handle != 0, new.0.route.source != sources.first { sources.append(new.0.route.source) }
        for source in sources where isMember(source, of: group.cohorts[0].id) {
            let before = seen(source, old), now = seen(source, new)
            // What went to everybody went to it, too.
            let wasTold = isNews && (new.0.route.handle == 0 ? source != old.0.route.source : source != new.0.route.source)
            if wasTold || isSame(before, now) { continue }
            note(now, SegmentQueue.Receivers(only: source))
        }
    }

    // MARK: telling

    private func encode(
        _ work: inout ExportScratch, _ export: inout BucketExport, _ group: borrowing UpdateGroup,
        _ shared: borrowing RIBShared
    ) -> MessageBuilder {
        var builder = MessageBuilder(maximum: group.parameters.messageMaximum)
        work.items.sort(by: ExportItem.precedes)
        let withdrawal = MessageBuilder.withdrawal(Family.self)
        var start = 0
        while start < work.items.count {
            let first = work.items[start]
            var end = start + 1
            while end < work.items.count, work.items[end].handle == first.handle, work.items[end].receivers == first.receivers {
                end += 1
            }
            if first.handle == 0 || export.makeFrame(first.handle, shared) {
                let frame = first.handle == 0 ? withdrawal : export.frame
                builder.append(
                    Family.self, work.items[start..<end], frame, first.receivers, prefixes,
                    hasPathIDs: group.parameters.sendsPathIDs)
            }
            start = end
        }
        return builder
    }

    /// Works off pending prefixes of a cohort that is behind. Which paths its members know of a prefix nobody remembers:
    /// they are told what is in each place, and that nothing is.
    mutating func catchUpPaths(_ index: Int, _ cohortIndex: Int, _ shared: borrowing RIBShared) {
        var (group, work) = takeOut(index)
        defer { putBack(index, &group, &work) }
        pick(&group.cohorts[cohortIndex], &work)
        let knowsNothing = group.cohorts[cohortIndex].isFirstPass
        let id = group.cohorts[cohortIndex].id
        var isAlternate = false
        if case .bestAccepted = group.parameters.view { isAlternate = true }
        for number in work.picked {
            if locRIB.entries[Int(number)].head == 0 { releasable.append(number) }
            func note(_ k: Int, _ what: AdvertisedRoute, _ receivers: SegmentQueue.Receivers) {
                if what.handle == 0, knowsNothing { return }
                work.items.append(
                    ExportItem(
                        handle: what.handle, number: number, id: group.parameters.pathID(k), label: group.out.label(number, k),
                        receivers: receivers))
            }
            for k in 0..<(isAlternate ? 1 : group.out.width) {
                let route = group.out.route(number, k)
                let isOwn = route.handle != 0 && isMember(route.source, of: id)
                note(k, route, SegmentQueue.Receivers(except: isOwn ? route.source : SegmentQueue.Receivers.nobody))
                if !isOwn { continue }
                let own = SegmentQueue.Receivers(only: route.source)
                if isAlternate { note(1, group.out.route(number, 1), own) } else { note(k, .none, own) }
            }
        }
        var export = BucketExport(Family.self, group: group.parameters)
        encode(&work, &export, group, shared)
            .finish(into: &group.cohorts[cohortIndex].queue)
        if group.cohorts[cohortIndex].cursor == 0 { group.cohorts[cohortIndex].isFirstPass = false }
    }
}
