import Machine
import Routing
import Wire

extension FamilyRIB {
    /// While changes keep coming, a group is worked off no more often than this; when idle at once. It takes the place of
    /// RFC 4271 §9.2.1.1 MinRouteAdvertisementInterval where the operator says none (`ExportParameters.interval`).
    static var coalescing: Duration { .milliseconds(5) }
    /// Between slices of work that one call did not finish.
    static var slice: Duration { .milliseconds(1) }

    // MARK: joining and leaving

    /// The source gets routes from now on.
    mutating func join(_ source: Int, _ parameters: ExportParameters) {
        while members.count <= source { members.append(Member()) }
        let index: Int
        if let known = groups.firstIndex(where: { $0.parameters == parameters }) {
            index = known
        } else {
            var group = UpdateGroup(id: nextGroup, parameters: parameters, hasLabels: Family.hasLabels, first: nextCohort)
            nextGroup += 1
            nextCohort += 1
            for number in locRIB.entries.indices where locRIB.entries[number].best != 0 {
                group.cohorts[0].pending.insert(UInt32(number))
            }
            if parameters.defaultOriginate {
                // The group's own route needs a number, though nobody announced it.
                let number = prefixes.insert(Key.everything)
                locRIB.admit(number)
                group.cohorts[0].pending.insert(number)
            }
            groups.append(group)
            index = groups.count - 1
            watchPaths()
        }
        members[source] = Member(group: groups[index].id, owes: .endOfRIB)
        // Nothing advertised yet: the group's own work is all there is to hear.
        if groups[index].out.count == 0, groups[index].cohorts[0].queue.octetCount == 0 {
            enter(source, index, 0)
            return
        }
        // Others may have begun in the same moment: they share the walk.
        if let same = groups[index].cohorts.indices.dropFirst().first(where: {
            let cohort = groups[index].cohorts[$0]
            return cohort.isFirstPass && cohort.cursor == 0 && cohort.queue.end == 0
        }) {
            enter(source, index, same)
            return
        }
        var cohort = Cohort(id: nextCohort, isFirstPass: true)
        nextCohort += 1
        markAdvertised(index, &cohort.pending)
        groups[index].cohorts.append(cohort)
        enter(source, index, groups[index].cohorts.count - 1)
    }

    private func markAdvertised(_ index: Int, _ pending: inout BitSet) {
        groups[index].out.forEachAdvertised { pending.insert($0) }
    }

    /// Some groups must hear of every path.
    private mutating func watchPaths() {
        locRIB.keepsAltered = groups.contains { $0.parameters.view != .best }
        if !locRIB.keepsAltered { locRIB.altered.removeAll() }
    }

    private mutating func enter(_ source: Int, _ group: Int, _ cohort: Int) {
        members[source].cohort = groups[group].cohorts[cohort].id
        members[source].position = groups[group].cohorts[cohort].queue.end
        let value = UInt16(source)
        let at = groups[group].cohorts[cohort].members.firstIndex { $0 > value } ?? groups[group].cohorts[cohort].members.count
        groups[group].cohorts[cohort].members.insert(value, at: at)
    }

    /// Takes the source out of its cohort; the cohort and the group go when nobody is left.
    mutating func leave(_ source: Int, _ shared: inout RIBShared) {
        guard source < members.count, members[source].group != 0,
            let index = groups.firstIndex(where: { $0.id == members[source].group })
        else { return }
        detach(source, index)
        members[source] = Member()
        if groups[index].hasMembers { return }
        for route in groups[index].out.routes where route.handle != 0 { shared.attributes.release(route.handle) }
        groups.remove(at: index)
        watchPaths()
        releaseScanIsDue = true
    }

    private mutating func detach(_ source: Int, _ index: Int) {
        guard let cohort = groups[index].cohortIndex(members[source].cohort) else { return }
        groups[index].cohorts[cohort].members.removeAll { $0 == UInt16(source) }
        if cohort > 0, groups[index].cohorts[cohort].members.isEmpty {
            groups[index].cohorts.remove(at: cohort)
            releaseScanIsDue = true
        }
    }

    /// Moves a member to a cohort of its own. What it has not sent yet is pending there, besides `everything`.
    mutating func separate(_ source: Int, everything: Bool) {
        guard source < members.count, members[source].group != 0,
            let index = groups.firstIndex(where: { $0.id == members[source].group }),
            let old = groups[index].cohortIndex(members[source].cohort)
        else { return }
        var cohort = Cohort(id: nextCohort, isFirstPass: false)
        nextCohort += 1
        if old > 0 { cohort.pending.formUnion(groups[index].cohorts[old].pending) }
        if everything { markAdvertised(index, &cohort.pending) }
        let queue = groups[index].cohorts[old].queue
        var position = members[source].position
        while position < queue.end {
            let segment = queue[position]
            if segment.receivers.includes(UInt16(source)) {
                recall(segment.octets, source, hasPathIDs: groups[index].parameters.sendsPathIDs, &cohort.pending)
            }
            position += 1
        }
        detach(source, index)
        groups[index].cohorts.append(cohort)
        enter(source, index, groups[index].cohorts.count - 1)
    }

    /// Marks the prefixes of messages that will not be sent. A prefix whose number was given up meanwhile gets one again.
    private mutating func recall(
        _ octets: ArraySlice<UInt8>, _ source: Int, hasPathIDs: Bool, _ pending: inout BitSet
    ) {
        let bytes = Array(octets)
        var at = 0
        while at + 23 <= bytes.count {
            let length = Int(bytes[at + 16]) << 8 | Int(bytes[at + 17])
            guard length >= 23, at + length <= bytes.count else { return }
            defer { at += length }
            if bytes[at + 18] == MessageType.routeRefresh.rawValue {
                // RFC 7313 §3.2: what was to be said of a refresh is still to be said.
                let isBeginning = bytes[at + 21] == RouteRefreshMessage.Subtype.beginning.rawValue
                members[source].owes.insert(isBeginning ? .beginning : .ending)
                continue
            }
            var isEmpty = true
            for range in OwnUpdate.nlri(bytes, at, length, hasOwnFields: Family.hasOwnFields) where !range.isEmpty {
                isEmpty = false
                let nlri = bytes.span.bytes.extracting(range)
                var i = 0
                while i < nlri.byteCount {
                    if hasPathIDs { i += 4 }
                    guard i < nlri.byteCount, let (packed, _, size) = Family.read(nlri, at: i) else { break }
                    i += size
                    let (number, isNew) = prefixes.insert(packed, hash: prefixes.hash(packed))
                    locRIB.admit(number)
                    if isNew { locRIB.entries[Int(number)] = Entry(head: 0, best: 0) }
                    pending.insert(number)
                }
            }
            if isEmpty { members[source].owes.insert(.endOfRIB) }
        }
    }

    /// The session stays, but what it gets follows other parameters now. It is told the difference only: what either
    /// group advertises is pending, and waits until the new group knows what it advertises.
    mutating func move(_ source: Int, _ parameters: ExportParameters, _ shared: inout RIBShared) {
        separate(source, everything: true)
        guard let index = groups.firstIndex(where: { $0.id == members[source].group }),
            let cohort = groups[index].cohortIndex(members[source].cohort)
        else { return }
        let pending = groups[index].cohorts[cohort].pending
        let owes = members[source].owes
        // Prefixes in `pending` are held by the new cohort before the old one lets go: nothing is released in between.
        leave(source, &shared)
        join(source, parameters)
        members[source].owes = owes
        separate(source, everything: true)
        guard let new = groups.firstIndex(where: { $0.id == members[source].group }),
            let own = groups[new].cohortIndex(members[source].cohort)
        else { return }
        groups[new].cohorts[own].pending.formUnion(pending)
    }

    /// Sends everything again.
    /// - Parameter isMarked: between the marks of RFC 7313 §4.
    /// - Returns: `false`: nothing is done, since that is not allowed before End-of-RIB is sent.
    mutating func refresh(_ source: Int, isMarked: Bool) -> Bool {
        guard source < members.count, members[source].group != 0 else { return true }
        if isMarked, members[source].owes.contains(.endOfRIB) { return false }
        separate(source, everything: true)
        if isMarked { members[source].owes.formUnion([.beginning, .ending]) }
        return true
    }

    // MARK: working off

    /// Hands out changes, encodes what members have room for, and says when there is more to do by itself.
    mutating func advertise(at now: Instant, defersTasks: Bool, _ shared: inout RIBShared) -> Instant? {
        if !defersTasks { runTasks(&shared) }
        var deadline: Instant? = hasTasks(shared) ? now + Self.slice : nil
        func wake(_ at: Instant) { deadline = deadline.map { min($0, at) } ?? at }
        if !locRIB.changed.isEmpty {
            noteConditions()
            for index in groups.indices { groups[index].cohorts[0].pending.formUnion(locRIB.changed) }
            locRIB.changed.removeAll()
        }
        if !locRIB.altered.isEmpty {
            for index in groups.indices where groups[index].parameters.view != .best {
                groups[index].cohorts[0].pending.formUnion(locRIB.altered)
            }
            locRIB.altered.removeAll()
        }
        // RFC 4724 §4.1: nothing is advertised, and nothing is complete, before routes are selected.
        if shared.deferred.contains(family) { return deadline }
        for index in groups.indices {
            // Catching up first: a member that gets there goes on with the first cohort at once.
            var cohort = groups[index].cohorts.count - 1
            while cohort > 0 {
                // A group that is only finding out what it advertises has nothing to compare with yet.
                let isUnready = groups[index].cohorts[0].isFirstPass && !groups[index].cohorts[0].pending.isEmpty
                if isUnready, !groups[index].cohorts[cohort].isFirstPass {
                    if isHungry(index, 0) { wake(now + Self.slice) }
                } else if isHungry(index, cohort) {
                    payBeginning(index, cohort)
                    if !groups[index].cohorts[cohort].pending.isEmpty {
                        if groups[index].isPlain { catchUp(index, cohort, shared) } else { catchUpPaths(index, cohort, shared) }
                    }
                    payEnding(index, cohort)
                    if groups[index].cohorts[cohort].pending.isEmpty { rejoin(index, cohort) } else { wake(now + Self.slice) }
                }
                cohort -= 1
            }
            if isHungry(index, 0) {
                let pause = max(Self.coalescing, .seconds(Int(groups[index].parameters.interval)))
                let due = groups[index].lastFlush.nanoseconds == .min ? now : groups[index].lastFlush + pause
                if !groups[index].cohorts[0].pending.isEmpty {
                    if now >= due {
                        if groups[index].isPlain { flush(index, &shared) } else { flushPaths(index, &shared) }
                        groups[index].lastFlush = now
                        if !groups[index].cohorts[0].pending.isEmpty {
                            // The rest of a large change does not wait.
                            groups[index].lastFlush = Instant(nanoseconds: .min)
                            wake(now + Self.slice)
                        }
                    } else {
                        wake(due)
                    }
                }
                payEnding(index, 0)
            }
        }
        releasePrefixes()
        return deadline
    }

    /// A default route that hangs on a prefix whose best path changed is judged again.
    private mutating func noteConditions() {
        for index in groups.indices {
            guard let condition = groups[index].parameters.defaultCondition.flatMap({ Family.key($0) }),
                let number = prefixes.find(condition), locRIB.changed.contains(number)
            else { continue }
            let everything = prefixes.insert(Key.everything)
            locRIB.admit(everything)
            groups[index].cohorts[0].pending.insert(everything)
        }
    }

    /// Whether some member has taken all there is. Nobody else is worth encoding for.
    private mutating func isHungry(_ index: Int, _ cohort: Int) -> Bool {
        let end = groups[index].cohorts[cohort].queue.end
        var least = end
        var isHungry = false
        for source in groups[index].cohorts[cohort].members {
            let position = members[Int(source)].position
            least = min(least, position)
            if position == end { isHungry = true }
        }
        groups[index].cohorts[cohort].queue.trim(before: least)
        // With all members elsewhere the first cohort goes on for the sake of what the group advertises.
        if cohort == 0, groups[index].cohorts[0].members.isEmpty { return true }
        if isHungry, groups[index].cohorts[cohort].queue.octetCount > limits.lag { separateLaggards(index, cohort) }
        return isHungry
    }

    /// Some member has taken everything, so the cohort itself stays.
    private mutating func separateLaggards(_ index: Int, _ cohort: Int) {
        let queue = groups[index].cohorts[cohort].queue
        // The newest position from which more than the bound is unsent.
        var unsent = 0
        var position = queue.end
        while position > queue.first {
            unsent += queue[position - 1].octets.count
            if unsent > limits.lag { break }
            position -= 1
        }
        for source in groups[index].cohorts[cohort].members where members[Int(source)].position < position {
            separate(Int(source), everything: false)
        }
        var least = queue.end
        for source in groups[index].cohorts[cohort].members { least = min(least, members[Int(source)].position) }
        groups[index].cohorts[cohort].queue.trim(before: least)
    }

    /// Members of a cohort with nothing pending that have taken everything know what the group advertises: they go on
    /// with the first one.
    private mutating func rejoin(_ index: Int, _ cohort: Int) {
        let end = groups[index].cohorts[cohort].queue.end
        for source in groups[index].cohorts[cohort].members where members[Int(source)].position == end {
            groups[index].cohorts[cohort].members.removeAll { $0 == source }
            enter(Int(source), index, 0)
        }
        if groups[index].cohorts[cohort].members.isEmpty { groups[index].cohorts.remove(at: cohort) }
    }

    /// RFC 7313 §4: before the routes of a refresh.
    private mutating func payBeginning(_ index: Int, _ cohort: Int) {
        var builder = MessageBuilder(maximum: 4096)
        for source in groups[index].cohorts[cohort].members where members[Int(source)].owes.contains(.beginning) {
            members[Int(source)].owes.remove(.beginning)
            builder.append(RouteRefreshMessage(family, .beginning), SegmentQueue.Receivers(only: source))
        }
        builder.finish(into: &groups[index].cohorts[cohort].queue)
    }

    /// RFC 4724 §2 and RFC 7313 §4: after the group's first complete pass, or when there is nothing (more) to send. Who is not
    /// with the group has all when nothing is pending there either.
    private mutating func payEnding(_ index: Int, _ cohort: Int) {
        let isGroupReady = !groups[index].cohorts[0].isFirstPass || groups[index].cohorts[0].pending.isEmpty
        guard isGroupReady, cohort == 0 || groups[index].cohorts[cohort].pending.isEmpty else { return }
        var builder = MessageBuilder(maximum: 4096)
        for source in groups[index].cohorts[cohort].members where members[Int(source)].owes != [] {
            let owes = members[Int(source)].owes
            members[Int(source)].owes = []
            if owes.contains(.endOfRIB) { builder.appendEndOfRIB(Family.self, SegmentQueue.Receivers(only: source)) }
            if owes.contains(.ending) {
                builder.append(RouteRefreshMessage(family, .end), SegmentQueue.Receivers(only: source))
            }
        }
        builder.finish(into: &groups[index].cohorts[cohort].queue)
    }

    /// Gives segments until `limit` octets are reached; returns the octets given.
    mutating func take(_ source: Int, limit: Int, _ body: (ArraySlice<UInt8>) -> Void) -> Int {
        guard source < members.count, members[source].group != 0,
            let index = groups.firstIndex(where: { $0.id == members[source].group }),
            let cohort = groups[index].cohortIndex(members[source].cohort)
        else { return 0 }
        var position = members[source].position
        let end = groups[index].cohorts[cohort].queue.end
        var given = 0
        while position < end, given < limit {
            let segment = groups[index].cohorts[cohort].queue[position]
            position += 1
            if segment.receivers.includes(UInt16(source)) {
                given += segment.octets.count
                body(segment.octets)
            }
        }
        members[source].position = position
        return given
    }
}

/// Where prefixes stand in an UPDATE that `MessageBuilder` made.
enum OwnUpdate {
    /// Ranges of withdrawn and announced prefixes.
    static func nlri(_ bytes: [UInt8], _ start: Int, _ length: Int, hasOwnFields: Bool) -> [Range<Int>] {
        func u16(_ at: Int) -> Int { Int(bytes[at]) << 8 | Int(bytes[at + 1]) }
        let end = start + length
        let withdrawn = u16(start + 19)
        let attributes = start + 23 + withdrawn
        let attributesEnd = attributes + u16(start + 21 + withdrawn)
        // The multiprotocol attribute stands first.
        guard attributes < attributesEnd, bytes[attributes + 1] == 14 || bytes[attributes + 1] == 15 else {
            return hasOwnFields ? [(start + 21)..<(start + 21 + withdrawn), attributesEnd..<end] : []
        }
        let isLong = bytes[attributes] & 0x10 != 0
        let value = attributes + (isLong ? 4 : 3)
        let valueEnd = value + (isLong ? u16(attributes + 2) : Int(bytes[attributes + 2]))
        if bytes[attributes + 1] == 15 { return [(value + 3)..<valueEnd] }
        return [(value + 5 + Int(bytes[value + 3]))..<valueEnd]
    }
}
