import Machine
import Policy
import Routing
import Wire

/// Working memory of export, empty between calls, kept only to be allocated once.
struct ExportScratch: Sendable {
    var picked: [UInt32] = []
    /// What is to be advertised for each of `picked`, before policy; 0 for nothing.
    var handles: [UInt32] = []
    /// By attribute handle: how many, then where the next one goes. All 0 between calls.
    var counts: [UInt32] = []
    /// Handles in order of first appearance: the order of the messages.
    var order: [UInt32] = []
    /// Prefix numbers by bucket.
    var placed: [UInt32] = []
    /// Prefixes of one message.
    var announced: [UInt32] = []
    /// Prefixes to withdraw, and who need not hear of it.
    var withdrawals: [(number: UInt32, except: UInt16)] = []
    /// Prefixes to withdraw from a single member.
    var ownWithdrawals: [(number: UInt32, only: UInt16)] = []
    /// Prefixes to announce to a single member.
    var ownAnnouncements: [(handle: UInt32, number: UInt32, only: UInt16)] = []
    /// Paths of the prefix at work that pass export policy, and those chosen of them.
    var candidates: [CandidatePath] = []
    var selected: [SelectedPath] = []
    /// What is to be said of single paths.
    var items: [ExportItem] = []
    var outcomes = OutcomeCache()

    fileprivate mutating func clear() {
        picked.removeAll(keepingCapacity: true)
        handles.removeAll(keepingCapacity: true)
        order.removeAll(keepingCapacity: true)
        withdrawals.removeAll(keepingCapacity: true)
        ownWithdrawals.removeAll(keepingCapacity: true)
        ownAnnouncements.removeAll(keepingCapacity: true)
        items.removeAll(keepingCapacity: true)
    }
}

extension FamilyRIB {
    /// A group and the working memory, out of the table for the time of one flush, so that nothing is held twice and copied.
    mutating func takeOut(_ index: Int) -> (UpdateGroup, ExportScratch) {
        var group = UpdateGroup(id: 0, parameters: groups[index].parameters, hasLabels: false, first: 0)
        swap(&group, &groups[index])
        var work = ExportScratch()
        swap(&work, &scratch)
        return (group, work)
    }
    mutating func putBack(_ index: Int, _ group: inout UpdateGroup, _ work: inout ExportScratch) {
        swap(&group, &groups[index])
        work.clear()
        swap(&work, &scratch)
    }

    /// Works off pending prefixes of a group's first cohort: RFC 4271 §9.1.3 (phase 3) and §9.2.
    mutating func flush(_ index: Int, _ shared: inout RIBShared) {
        var (group, work) = takeOut(index)
        defer { putBack(index, &group, &work) }
        pick(&group.cohorts[0], &work)
        group.out.reserve(prefixes.capacity)
        let takes = group.parameters.takes
        let defaultRoute = ownDefault(group.parameters, &shared)
        bucket(&work, sets: shared.attributes.sets.count) { number in
            if defaultRoute != 0, isDefault(number) { return defaultRoute }
            let best = locRIB.entries[Int(number)].best
            if best == 0 { return 0 }
            // RFC 4271 §9.2: what an internal neighbour told us goes to another internal one by reflection only.
            if takes != .all, shared.sources[Int(adjRIBIn.owner(best))].sourceClass.isDisjoint(with: takes) { return 0 }
            return adjRIBIn.paths[Int(best)].accepted
        }
        var builder = MessageBuilder(maximum: group.parameters.messageMaximum)
        var export = BucketExport(Family.self, group: group.parameters)
        for (position, number) in work.picked.enumerated() where work.handles[position] == 0 {
            retract(number, &group, &work, &shared)
        }
        var start = 0
        for handle in work.order {
            let end = Int(work.counts[Int(handle)])
            export.begin(handle, shared)
            // Usually one round: one source, one outcome of policy.
            var rest = work.placed[start..<end]
            while !rest.isEmpty {
                work.announced.removeAll(keepingCapacity: true)
                var later: [UInt32] = []
                var hasFrame = false
                var outcome: UInt32 = 0
                var owner: UInt16 = 0
                var isFirst = true
                // Attributes that cannot be sent to this group: the route is not advertised (RFC 8654 §4).
                var isUnsendable = false
                for number in rest {
                    let isOurs = handle == defaultRoute && isDefault(number)
                    let own = isOurs ? 0 : adjRIBIn.owner(locRIB.entries[Int(number)].best)
                    let to =
                        isOurs
                        ? handle
                        : export.outcome(Family.self, prefixes.keys[Int(number)], shared.sources[Int(own)], &shared)
                    if isFirst {
                        outcome = to
                        owner = own
                        isFirst = false
                    } else if to != outcome || own != owner {
                        later.append(number)
                        continue
                    }
                    let old = group.out.routes[Int(number)]
                    if outcome == 0 || isUnsendable {
                        retract(number, &group, &work, &shared)
                        continue
                    }
                    if old.handle == outcome, old.source == owner { continue }
                    if !hasFrame {
                        hasFrame = export.makeFrame(outcome, shared) && builder.fits(export.frame, prefixSize: Family.sizeMaximum)
                        if !hasFrame {
                            isUnsendable = true
                            retract(number, &group, &work, &shared)
                            continue
                        }
                    }
                    advertise(number, AdvertisedRoute(handle: outcome, source: owner), &group, &work, &shared)
                }
                if !work.announced.isEmpty {
                    builder.append(
                        Family.self, work.announced[...], export.frame, SegmentQueue.Receivers(except: tag(owner, group)),
                        prefixes)
                }
                rest = later[...]
            }
            work.counts[Int(handle)] = 0
            start = end
        }
        finishOwn(&builder, &export, group, &work, shared)
        builder.finish(into: &group.cohorts[0].queue)
        if group.cohorts[0].cursor == 0 { group.cohorts[0].isFirstPass = false }
    }

    /// Attributes of the default route that is made for a group; 0: none is, now.
    func ownDefault(_ parameters: ExportParameters, _ shared: inout RIBShared) -> UInt32 {
        guard parameters.defaultOriginate else { return 0 }
        if let condition = parameters.defaultCondition {
            guard let key = Family.key(condition), let number = prefixes.find(key), locRIB.entries[Int(number)].best != 0
            else { return 0 }
        }
        let handle = shared.defaultRoutes[family.index]
        guard parameters.defaultChain >= 0 else { return parameters.defaultChain == PolicyTable.acceptAll ? handle : 0 }
        var run = PolicyRun(chain: parameters.defaultChain, family: family, isExport: true)
        run.begin(handle)
        return run.outcome(Family.prefix(Key.everything.packed), .local, &shared)
    }

    @inline(__always)
    func isDefault(_ number: UInt32) -> Bool { Key.length(of: prefixes.keys[Int(number)]) == 0 }

    /// Picks pending prefixes of a cohort, ascending from where it stopped; around the end only when nothing came before.
    func pick(_ cohort: inout Cohort, _ work: inout ExportScratch) {
        let wasInside = cohort.cursor > 0
        cohort.pending.drain(from: &cohort.cursor, limit: limits.flush, into: &work.picked)
        if cohort.pending.isEmpty { cohort.cursor = 0 }
        if work.picked.isEmpty, wasInside {
            cohort.isFirstPass = false
            cohort.pending.drain(from: &cohort.cursor, limit: limits.flush, into: &work.picked)
        }
    }

    /// Sorts `picked` by attribute set, each bucket in ascending order, buckets in order of first appearance.
    private func bucket(_ work: inout ExportScratch, sets: Int, _ handleOf: (UInt32) -> UInt32) {
        if work.counts.count < sets { work.counts.append(contentsOf: repeatElement(0, count: sets - work.counts.count)) }
        for number in work.picked {
            let handle = handleOf(number)
            work.handles.append(handle)
            if handle == 0 { continue }
            if work.counts[Int(handle)] == 0 { work.order.append(handle) }
            work.counts[Int(handle)] &+= 1
        }
        var sum: UInt32 = 0
        for handle in work.order {
            let count = work.counts[Int(handle)]
            work.counts[Int(handle)] = sum
            sum &+= count
        }
        if work.placed.count < Int(sum) {
            work.placed.append(contentsOf: repeatElement(0, count: Int(sum) - work.placed.count))
        }
        for position in work.picked.indices {
            let handle = work.handles[position]
            if handle == 0 { continue }
            work.placed[Int(work.counts[Int(handle)])] = work.picked[position]
            work.counts[Int(handle)] &+= 1
        }
    }

    /// The source as somebody to leave out, if it is in the group's first cohort at all.
    func tag(_ source: UInt16, _ group: borrowing UpdateGroup) -> UInt16 {
        isMember(source, of: group.cohorts[0].id) ? source : SegmentQueue.Receivers.nobody
    }
    func isMember(_ source: UInt16, of cohort: UInt32) -> Bool {
        Int(source) < members.count && members[Int(source)].group != 0 && members[Int(source)].cohort == cohort
    }

    private func advertise(
        _ number: UInt32, _ new: AdvertisedRoute, _ group: inout UpdateGroup, _ work: inout ExportScratch,
        _ shared: inout RIBShared
    ) {
        let old = group.out.routes[Int(number)]
        group.out.routes[Int(number)] = new
        if group.cohorts.count > 1 { tellOthers(number, &group) }
        let main = group.cohorts[0].id
        if old.handle == new.handle {
            // The same attributes from another source: only these two sources see a difference.
            if isMember(old.source, of: main) { work.ownAnnouncements.append((new.handle, number, old.source)) }
            if isMember(new.source, of: main) { work.ownWithdrawals.append((number, new.source)) }
            return
        }
        shared.attributes.retain(new.handle)
        work.announced.append(number)
        if old.handle == 0 {
            group.out.count += 1
            return
        }
        shared.attributes.release(old.handle)
        if old.source != new.source, isMember(new.source, of: main) { work.ownWithdrawals.append((number, new.source)) }
    }

    private mutating func retract(
        _ number: UInt32, _ group: inout UpdateGroup, _ work: inout ExportScratch, _ shared: inout RIBShared
    ) {
        if locRIB.entries[Int(number)].head == 0 { releasable.append(number) }
        let old = group.out.routes[Int(number)]
        if old.handle == 0 { return }
        group.out.routes[Int(number)] = .none
        group.out.count -= 1
        shared.attributes.release(old.handle)
        if group.cohorts.count > 1 { tellOthers(number, &group) }
        work.withdrawals.append((number, tag(old.source, group)))
    }

    func tellOthers(_ number: UInt32, _ group: inout UpdateGroup) {
        for i in 1..<group.cohorts.count { group.cohorts[i].pending.insert(number) }
    }

    /// Withdraws, and what concerns single members.
    private func finishOwn(
        _ builder: inout MessageBuilder, _ export: inout BucketExport, _ group: borrowing UpdateGroup,
        _ work: inout ExportScratch, _ shared: borrowing RIBShared
    ) {
        let withdrawal = MessageBuilder.withdrawal(Family.self)
        if !work.withdrawals.isEmpty {
            let first = work.withdrawals[0].except
            if work.withdrawals.contains(where: { $0.except != first }) {
                work.withdrawals.sort { $0.except != $1.except ? $0.except < $1.except : $0.number < $1.number }
            }
            runs(work.withdrawals.map { ($0.number, $0.except) }) { numbers, except in
                builder.append(Family.self, numbers, withdrawal, SegmentQueue.Receivers(except: except), prefixes)
            }
        }
        if !work.ownWithdrawals.isEmpty {
            work.ownWithdrawals.sort { $0.only != $1.only ? $0.only < $1.only : $0.number < $1.number }
            runs(work.ownWithdrawals.map { ($0.number, $0.only) }) { numbers, only in
                builder.append(Family.self, numbers, withdrawal, SegmentQueue.Receivers(only: only), prefixes)
            }
        }
        if !work.ownAnnouncements.isEmpty {
            work.ownAnnouncements.sort {
                if $0.only != $1.only { return $0.only < $1.only }
                return $0.handle != $1.handle ? $0.handle < $1.handle : $0.number < $1.number
            }
            var start = 0
            let list = work.ownAnnouncements
            while start < list.count {
                var end = start + 1
                while end < list.count, list[end].only == list[start].only, list[end].handle == list[start].handle { end += 1 }
                if export.makeFrame(list[start].handle, shared) {
                    builder.append(
                        Family.self, list[start..<end].map(\.number)[...], export.frame,
                        SegmentQueue.Receivers(only: list[start].only),
                        prefixes)
                }
                start = end
            }
        }
    }

    /// Calls `body` for each run of one receiver.
    private func runs(_ list: [(UInt32, UInt16)], _ body: (ArraySlice<UInt32>, UInt16) -> Void) {
        let numbers = list.map(\.0)
        var start = 0
        while start < list.count {
            var end = start + 1
            while end < list.count, list[end].1 == list[start].1 { end += 1 }
            body(numbers[start..<end], list[start].1)
            start = end
        }
    }

    /// Works off pending prefixes of a cohort that is behind, straight from what the group advertises.
    mutating func catchUp(_ index: Int, _ cohortIndex: Int, _ shared: borrowing RIBShared) {
        var (group, work) = takeOut(index)
        defer { putBack(index, &group, &work) }
        pick(&group.cohorts[cohortIndex], &work)
        let isFirstPass = group.cohorts[cohortIndex].isFirstPass
        let id = group.cohorts[cohortIndex].id
        bucket(&work, sets: shared.attributes.sets.count) { group.out.route($0).handle }
        var builder = MessageBuilder(maximum: group.parameters.messageMaximum)
        var export = BucketExport(Family.self, group: group.parameters)
        for (position, number) in work.picked.enumerated() where work.handles[position] == 0 {
            if locRIB.entries[Int(number)].head == 0 { releasable.append(number) }
            if !isFirstPass { work.withdrawals.append((number, SegmentQueue.Receivers.nobody)) }
        }
        var start = 0
        for handle in work.order {
            let end = Int(work.counts[Int(handle)])
            let isSendable = export.makeFrame(handle, shared)
            var rest = work.placed[start..<end]
            while !rest.isEmpty {
                let source = group.out.route(rest[rest.startIndex]).source
                let same = rest.filter { group.out.route($0).source == source }
                let isOwn = isMember(source, of: id)
                if isSendable {
                    builder.append(
                        Family.self, same[...], export.frame,
                        SegmentQueue.Receivers(except: isOwn ? source : SegmentQueue.Receivers.nobody),
                        prefixes)
                }
                if isOwn, !isFirstPass { for number in same { work.ownWithdrawals.append((number, source)) } }
                rest = same.count == rest.count ? [] : rest.filter { group.out.route($0).source != source }[...]
            }
            work.counts[Int(handle)] = 0
            start = end
        }
        finishOwn(&builder, &export, group, &work, shared)
        builder.finish(into: &group.cohorts[cohortIndex].queue)
        if group.cohorts[cohortIndex].cursor == 0 { group.cohorts[cohortIndex].isFirstPass = false }
    }
}

/// Export rules and policy for one attribute set at a time: the outcome per class of prefixes and kind of source is worked
/// out once.
struct BucketExport {
    private let parameters: ExportParameters
    private let code: FamilyCode
    private let encoder: ExportEncoder
    private var handle: UInt32 = 0
    /// RFC 1997, RFC 8212 or RFC 9234 forbids it.
    private var isForbidden = false
    private var run: PolicyRun
    /// Whether policy lets everything pass as it is.
    private var passes = false
    /// Sets of this bucket that were reflected already. No more are kept than are quickly searched.
    private var reflections: [(outcome: UInt32, identifier: UInt32, reflected: UInt32)] = []
    private static let reflectionsMaximum = 64
    /// RFC 9494 §4.6: the bucket is of long-lived stale routes, and these neighbours get them changed; and the last change.
    private var isRestricted = false
    private var restricted: (outcome: UInt32, made: UInt32)?

    init<Family: RoutedFamily>(_: Family.Type, group: ExportParameters) {
        parameters = group
        code = Family.code
        run = PolicyRun(chain: group.chain, family: Family.family, isExport: true)
        encoder = ExportEncoder(Family.self, parameters: group)
    }

    mutating func begin(_ handle: UInt32, _ shared: borrowing RIBShared) {
        self.handle = handle
        isForbidden = parameters.forbids(shared.attributes[handle].flags)
        run.begin(handle)
        passes = shared.policies.verdict(parameters.chain) == true
        reflections.removeAll(keepingCapacity: true)
        isRestricted =
            parameters.longLivedStale == .restricted && shared.attributes[handle].flags.contains(.isLongLivedStale)
        restricted = nil
    }

    /// The set to advertise, 0 for none.
    @inline(__always)
    mutating func outcome<Family: RoutedFamily>(
        _: Family.Type, _ key: Family.Key.Packed, _ source: Source, _ shared: inout RIBShared
    ) -> UInt32 {
        if isForbidden { return 0 }
        var outcome = passes ? handle : run.outcome(Family.prefix(key), source.kind, &shared)
        if isRestricted, outcome != 0 { outcome = restrict(outcome, &shared) }
        if parameters.clusterID == 0 || source.sourceClass == .outside { return outcome }
        return reflect(outcome, source.identifier, &shared)
    }

    /// RFC 9494 §4.6, after policy, whose word on LOCAL_PREF does not count here.
    private mutating func restrict(_ outcome: UInt32, _ shared: inout RIBShared) -> UInt32 {
        if let restricted, restricted.outcome == outcome { return restricted.made }
        let made = shared.attributes.restrictedStale(outcome)
        restricted = (outcome, made)
        return made
    }

    /// RFC 4456 §8, after policy. What is made of a route depends on who told us; as a set of its own it can be shared,
    /// stored and encoded like any other.
    private mutating func reflect(_ outcome: UInt32, _ identifier: UInt32, _ shared: inout RIBShared) -> UInt32 {
        if outcome == 0 { return 0 }
        for known in reflections where known.outcome == outcome && known.identifier == identifier { return known.reflected }
        let made = shared.attributes.reflected(outcome, originator: identifier, cluster: parameters.clusterID)
        if reflections.count < Self.reflectionsMaximum { reflections.append((outcome, identifier, made)) }
        return made
    }

    /// What stands around the NLRI of the set for which `makeFrame` was called last.
    private(set) var frame = MessageBuilder.Frame(lead: [])

    /// `false` when these neighbours cannot be sent this set.
    mutating func makeFrame(_ handle: UInt32, _ shared: borrowing RIBShared) -> Bool {
        let marks = shared.attributes[handle].marks
        let encoder = encoder
        return shared.attributes.withOctets(handle) { canonical in
            MessageBuilder.setAnnouncement(&frame, code, hasOwnFields: encoder.hasOwnFields) {
                encoder.encode(canonical, marks: marks, to: &$0)
            }
        }
    }
}

extension ExportParameters {
    /// RFC 1997: NO_ADVERTISE to nobody, NO_EXPORT to nobody outside of our AS or confederation, NO_EXPORT_SUBCONFED to no other
    /// member of it either. RFC 8212: nothing without policy.
    /// RFC 9234 §5, egress 2: what goes to customers only goes to no provider, peer or route server. No action of policy
    /// touches the mark, so it matters not that policy comes after. RFC 9494 §4.3: what is stale for long to nobody who does
    /// not speak of it.
    @inline(__always)
    func forbids(_ flags: AttributeSet.Flags) -> Bool {
        flags.contains(.noAdvertise) || isExternal && !flags.isDisjoint(with: [.noExport, .noExportSubconfed])
            || isOtherMember && flags.contains(.noExportSubconfed)
            || chain == PolicyTable.rejectAll || flags.contains(.isOnlyToCustomer) && role?.isBelowOrBeside == true
            || flags.contains(.isLongLivedStale) && longLivedStale == .none
    }
}
