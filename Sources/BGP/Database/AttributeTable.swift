import Machine
import Routing
import Wire

/// Every set of path attributes once, under a 32-bit number that routes hold.
///
/// A set is its canonical octets (see `RIB`), its marks and its weight. A block as received is found through an *alias*: its octets
/// under the context of its session. When a block came in canonical form, which is the rule, the alias has no octets of
/// its own.
///
/// References are plain counts, kept by those who store a handle. A set that nobody holds is freed by `collect`, which
/// runs between records, so that a handle stays good while one record is applied. Memory per set: 64 octets, 32 for an
/// alias, about 10 of index, and the octets. The number of sets is bounded by that of routes.
struct AttributeTable: Sendable {
    /// 32 octets, no padding.
    private struct Alias: BitwiseCopyable, Sendable {
        var hash: UInt64
        var context: UInt32
        /// The set; in a free entry the next free one + 1.
        var set: UInt32
        var octets: UInt32
        var length: UInt32
        /// 1 when the octets are not the set's own.
        var ownsOctets: UInt32
        /// Next alias of the same set + 1.
        var next: UInt32
    }

    /// By handle; 0 is no set.
    private(set) var sets: [AttributeSet]
    private var aliases: [Alias] = []
    private var setIndex = HashIndex()
    private var aliasIndex = HashIndex()
    private var freeSet: UInt32 = 0
    private var freeAlias: UInt32 = 0
    private(set) var arena = OctetArena()
    private(set) var nextHops: NextHopTable
    /// Handles whose count has been 0 at some time since the last `collect`.
    private var unused: [UInt32] = []
    /// Sets in use.
    private(set) var count = 0
    private let seed: UInt64
    private(set) var parameters: Parameters

    /// What of the configuration goes into a set's summary.
    struct Parameters: Hashable, Sendable {
        var routerAS: UInt32
        var routerID: UInt32
        /// RFC 4456 §7: our cluster; the router identifier unless configured.
        var clusterID: UInt32
        var defaultLocalPreference: UInt32
        /// RFC 5065: the identifier of our confederation; 0 if we are in none.
        var confederation: UInt32 = 0
        var rules: DecisionRules = []

        /// What the world outside knows us by.
        var externalAS: UInt32 { confederation == 0 ? routerAS : confederation }
    }

    init(parameters: Parameters, seed: UInt64) {
        self.parameters = parameters
        self.seed = seed
        nextHops = NextHopTable(seed: mix64(seed))
        var none = AttributeSet()
        none.length = AttributeSet.freeLength
        sets = [none]
    }

    @inline(__always) subscript(handle: UInt32) -> AttributeSet { sets[Int(handle)] }

    func withOctets<R>(_ handle: UInt32, _ body: (RawSpan) -> R) -> R {
        let set = sets[Int(handle)]
        return arena.octets(set.octets, count: Int(set.length), body)
    }
    /// RFC 6811 §2, Route Origin ASN; `nil` for "NONE".
    func routeOrigin(_ handle: UInt32) -> UInt32? {
        withOctets(handle) { Self.routeOrigin($0, routerAS: parameters.externalAS) }
    }
    static func routeOrigin(_ canonical: RawSpan, routerAS: UInt32) -> UInt32? {
        var origin: UInt32? = routerAS
        forEachAttribute(canonical) { _, type, value in
            if type == AttributeCode.asPath { origin = Self.origin(of: value, routerAS: routerAS) }
        }
        return origin
    }
    private static func origin(of path: RawSpan, routerAS: UInt32) -> UInt32? {
        // An empty path, or one that ends inside our confederation, begins with us.
        var origin: UInt32? = routerAS
        var i = 0
        while i + 2 <= path.byteCount {
            let type = path.u8(i), count = Int(path.u8(i + 1))
            guard i + 2 + 4 * count <= path.byteCount else { break }
            switch type {
            case 2: origin = count == 0 ? origin : path.u32(i + 2 + 4 * (count - 1))
            case 3, 4: origin = routerAS
            default: origin = nil
            }
            i += 2 + 4 * count
        }
        return origin
    }
    /// A copy of the canonical octets.
    func octets(_ handle: UInt32) -> [UInt8] { withOctets(handle) { [UInt8](copying: $0) } }

    // MARK: looking up

    private func aliasHash(_ key: RawSpan, _ context: AttributeContext) -> UInt64 {
        seededHash(key, seed: seed ^ mix64(UInt64(context.value) &+ 1))
    }

    func find(key: RawSpan, context: AttributeContext) -> UInt32? {
        let hash = aliasHash(key, context)
        let found = aliasIndex.find(hash) { number in
            let alias = aliases[Int(number)]
            return alias.hash == hash && alias.context == context.value
                && arena.isEqual(alias.octets, count: Int(alias.length), to: key)
        }
        return found.map { aliases[Int($0)].set }
    }

    /// Remembers that `key` under `context` means `canonical`.
    mutating func insert(key: RawSpan, context: AttributeContext, canonical: RawSpan) -> UInt32 {
        if let known = find(key: key, context: context) { return known }
        let handle = intern(canonical, marks: [])
        let set = sets[Int(handle)]
        let shares = arena.isEqual(set.octets, count: Int(set.length), to: key)
        let alias = Alias(
            hash: aliasHash(key, context), context: context.value, set: handle,
            octets: shares ? set.octets : arena.store(key), length: UInt32(key.byteCount), ownsOctets: shares ? 0 : 1,
            next: set.firstAlias)
        let number: UInt32
        if freeAlias != 0 {
            number = freeAlias - 1
            freeAlias = aliases[Int(number)].set
            aliases[Int(number)] = alias
        } else {
            number = UInt32(aliases.count)
            aliases.append(alias)
        }
        sets[Int(handle)].firstAlias = number + 1
        aliasIndex.insert(number, hash: alias.hash) { [aliases] in aliases[Int($0)].hash }
        return handle
    }

    /// The set with these canonical octets, marks and weight, made if need be. Whoever stores the handle retains it.
    mutating func intern(_ canonical: RawSpan, marks: AttributeSet.Marks, weight: UInt16 = 0) -> UInt32 {
        let hash = seededHash(canonical, seed: seed ^ UInt64(marks.rawValue) ^ UInt64(weight) << 8)
        let found = setIndex.find(hash) { number in
            let set = sets[Int(number)]
            return set.hash == hash && set.marks == marks && set.weight == weight
                && arena.isEqual(set.octets, count: Int(set.length), to: canonical)
        }
        if let found { return found }
        var set = summary(canonical, weight: weight)
        set.hash = hash
        set.marks = marks
        set.length = UInt32(canonical.byteCount)
        set.octets = arena.store(canonical)
        let handle: UInt32
        if freeSet != 0 {
            handle = freeSet - 1
            freeSet = sets[Int(handle)].references
            sets[Int(handle)] = set
        } else {
            handle = UInt32(sets.count)
            sets.append(set)
        }
        setIndex.insert(handle, hash: hash) { [sets] in sets[Int($0)].hash }
        count += 1
        unused.append(handle)
        return handle
    }

    /// RFC 9234 §5, on receipt and before policy: the set that stands for this one on a session with that role; 0 when it
    /// has no room for the mark.
    mutating func ingress(_ handle: UInt32, _ role: PeeringRole, remoteAS: UInt32) -> UInt32 {
        let set = sets[Int(handle)]
        let value = set.flags.contains(.isOnlyToCustomer) ? set.onlyToCustomer : nil
        switch OnlyToCustomer.ingress(role, value, remoteAS: remoteAS) {
        case .unchanged: return handle
        case .leak:
            let octets = octets(handle)
            return intern(octets.span.bytes, marks: set.marks.union(.isLeak))
        case .marked:
            var octets = octets(handle)
            var attribute: [UInt8] = [0xc0, AttributeCode.onlyToCustomer, 4]
            ExportEncoder.append(remoteAS, to: &attribute)
            octets.insert(contentsOf: attribute, at: Self.place(of: AttributeCode.onlyToCustomer, in: octets))
            return internIfItFits(octets, marks: set.marks)
        }
    }

    /// RFC 7705 §3, on receipt and before policy: the set that stands for this one on a session on which we are another AS. One
    /// that has this AS more often than it may is a loop; else it is put in front, unless that is not wanted. 0 when it has no
    /// room for that.
    mutating func ingress(_ handle: UInt32, localAS: UInt32, prepends: Bool, allowed: UInt8) -> UInt32 {
        var count = 0
        withOctets(handle) { octets in
            forEachAttribute(octets) { _, type, value in
                if type == AttributeCode.asPath { count = Self.occurrences(of: localAS, in: value) }
            }
        }
        let marks = sets[Int(handle)].marks
        if count > Int(allowed) {
            let octets = octets(handle)
            return intern(octets.span.bytes, marks: marks.union(.isLoop))
        }
        guard prepends else { return handle }
        var route = withOctets(handle) { RouteAttributes(canonical: $0, marks: marks) }
        route.prepend(ASNumber(localAS))
        return internIfItFits(route.encoded(), marks: marks)
    }

    private static func occurrences(of number: UInt32, in path: RawSpan) -> Int {
        var found = 0, i = 0
        while i + 2 <= path.byteCount {
            let count = Int(path.u8(i + 1))
            guard i + 2 + 4 * count <= path.byteCount else { break }
            for k in 0..<count where path.u32(i + 2 + 4 * k) == number { found += 1 }
            i += 2 + 4 * count
        }
        return found
    }

    /// RFC 4456 §8: the set as a reflector passes it on. ORIGINATOR_ID is made where there is none, our cluster is put in front
    /// of CLUSTER_LIST. 0 when there is no room for that.
    mutating func reflected(_ handle: UInt32, originator: UInt32, cluster: UInt32) -> UInt32 {
        var out: [UInt8] = []
        var hasOriginator = false, hasList = false
        func add(before type: UInt8) {
            if type > AttributeCode.originatorID, !hasOriginator {
                hasOriginator = true
                out += [0x80, AttributeCode.originatorID, 4]
                ExportEncoder.append(originator, to: &out)
            }
            if type > AttributeCode.clusterList, !hasList {
                hasList = true
                out += [0x80, AttributeCode.clusterList, 4]
                ExportEncoder.append(cluster, to: &out)
            }
        }
        withOctets(handle) { octets in
            forEachAttribute(octets) { flags, type, value in
                add(before: type)
                if type == AttributeCode.originatorID { hasOriginator = true }
                guard type == AttributeCode.clusterList else {
                    return ExportEncoder.appendAttribute(flags, type, value, to: &out)
                }
                hasList = true
                // It fits: what came in a message leaves room for four octets in sixteen bits of length.
                ExportEncoder.appendHeader(flags, type, value.byteCount + 4, to: &out)
                ExportEncoder.append(cluster, to: &out)
                unsafe value.withUnsafeBytes { unsafe out.append(contentsOf: $0) }
            }
        }
        add(before: .max)
        return internIfItFits(out, marks: sets[Int(handle)].marks.union(.isReflected))
    }

    /// RFC 9494 §4.2: the set with LLGR_STALE; 0 when it has no room for it.
    mutating func longLivedStale(_ handle: UInt32) -> UInt32 {
        if handle == 0 || sets[Int(handle)].flags.contains(.isLongLivedStale) { return handle }
        return changed(handle) { $0.communities = $0.communities.adding([.llgrStale]) }
    }
    /// RFC 9494 §4.6: the set for an internal neighbour that knows nothing of stale routes.
    mutating func restrictedStale(_ handle: UInt32) -> UInt32 {
        changed(handle) {
            $0.communities = $0.communities.adding([.noExport])
            $0.localPreference = 0
        }
    }
    /// RFC 9494 §3.3
    func refusesLongLived(_ handle: UInt32) -> Bool { sets[Int(handle)].flags.contains(.refusesLongLived) }

    private mutating func changed(_ handle: UInt32, _ change: (inout RouteAttributes) -> Void) -> UInt32 {
        if handle == 0 { return 0 }
        let marks = sets[Int(handle)].marks
        var route = withOctets(handle) { RouteAttributes(canonical: $0, marks: marks) }
        change(&route)
        return internIfItFits(route.encoded(), marks: marks)
    }

    /// An attribute block that no longer fits a message cannot be kept.
    private mutating func internIfItFits(_ octets: [UInt8], marks: AttributeSet.Marks) -> UInt32 {
        octets.count <= 0xffff ? intern(octets.span.bytes, marks: marks) : 0
    }

    /// Where an attribute of this type belongs among canonical octets that have none.
    static func place(of type: UInt8, in octets: [UInt8], from start: Int = 0) -> Int {
        var at = start
        while at + 3 < octets.count, octets[at + 1] < type {
            let isLong = octets[at] & 0x10 != 0
            at += isLong ? 4 + (Int(octets[at + 2]) << 8 | Int(octets[at + 3])) : 3 + Int(octets[at + 2])
        }
        return min(at, octets.count)
    }

    // MARK: counting

    @inline(__always) mutating func retain(_ handle: UInt32, _ count: Int = 1) {
        sets[Int(handle)].references &+= UInt32(truncatingIfNeeded: count)
    }
    @inline(__always) mutating func release(_ handle: UInt32) {
        let left = sets[Int(handle)].references &- 1
        sets[Int(handle)].references = left
        if left == 0 { unused.append(handle) }
    }

    /// Frees the sets that nobody holds. Between records only.
    mutating func collect() {
        if unused.isEmpty { return }
        for handle in unused where sets[Int(handle)].references == 0 && !sets[Int(handle)].isFree { drop(handle) }
        unused.removeAll(keepingCapacity: true)
    }

    private mutating func drop(_ handle: UInt32) {
        let set = sets[Int(handle)]
        var next = set.firstAlias
        while next != 0 {
            let number = next - 1
            let alias = aliases[Int(number)]
            aliasIndex.remove(number, hash: alias.hash) { [aliases] in aliases[Int($0)].hash }
            if alias.ownsOctets != 0 { arena.release(alias.octets, count: Int(alias.length)) }
            next = alias.next
            aliases[Int(number)] = Alias(
                hash: 0, context: 0, set: freeAlias, octets: 0, length: 0, ownsOctets: 0, next: 0)
            freeAlias = number + 1
        }
        setIndex.remove(handle, hash: set.hash) { [sets] in sets[Int($0)].hash }
        arena.release(set.octets, count: Int(set.length))
        if set.flags.contains(.hasNextHop) { nextHops.release(set.nextHop) }
        var free = AttributeSet()
        free.length = AttributeSet.freeLength
        free.references = freeSet
        sets[Int(handle)] = free
        freeSet = handle + 1
        count -= 1
    }

    // MARK: summary

    /// Reads what the decision process needs, and counts the next hop.
    private mutating func summary(_ canonical: RawSpan, weight: UInt16) -> AttributeSet {
        var set = AttributeSet()
        var localPreference = parameters.defaultLocalPreference
        var pathLength: UInt32 = 0
        var origin: UInt8 = Origin.incomplete.rawValue
        var nextHop: IPAddress? = nil
        let parameters = parameters
        if parameters.rules.contains(.missingMEDAsWorst) { set.med = .max }
        forEachAttribute(canonical) { _, type, value in
            switch type {
            case AttributeCode.origin where value.byteCount >= 1:
                origin = value.u8(0)
            case AttributeCode.asPath:
                let path = ASPathSummary(value, parameters)
                pathLength = parameters.rules.contains(.ignorePathLength) ? 0 : path.length
                set.neighborAS = path.neighborAS
                set.ownASCount = path.ownASCount
                if path.endsWithOwnAS { set.flags.insert(.beganInOwnAS) }
            case AttributeCode.nextHop where value.byteCount == 4:
                nextHop = .v4(IPv4Address(raw: value.u32(0)))
            case AttributeCode.med where value.byteCount == 4:
                set.med = value.u32(0)
                set.flags.insert(.hasMED)
            case AttributeCode.localPreference where value.byteCount == 4:
                localPreference = value.u32(0)
                set.flags.insert(.hasLocalPreference)
            case AttributeCode.communities:
                var i = 0
                while i &+ 4 <= value.byteCount {
                    let community = value.u32(i)
                    if community == Community.llgrStale.raw { set.flags.insert(.isLongLivedStale) }
                    if community == Community.noLLGR.raw { set.flags.insert(.refusesLongLived) }
                    if community >= 0xffff_ff01 {
                        if community == Community.noExport.raw { set.flags.insert(.noExport) }
                        if community == Community.noAdvertise.raw { set.flags.insert(.noAdvertise) }
                        if community == Community.noExportSubconfed.raw { set.flags.insert(.noExportSubconfed) }
                    }
                    i &+= 4
                }
            case AttributeCode.originatorID where value.byteCount == 4:
                set.originatorID = value.u32(0)
                if set.originatorID == parameters.routerID { set.flags.insert(.isReflectedBack) }
            case AttributeCode.clusterList:
                set.clusterCount = UInt32(value.byteCount / 4)
                var i = 0
                while i &+ 4 <= value.byteCount {
                    if value.u32(i) == parameters.clusterID { set.flags.insert(.isReflectedBack) }
                    i &+= 4
                }
            case AttributeCode.onlyToCustomer where value.byteCount == 4:
                set.onlyToCustomer = value.u32(0)
                set.flags.insert(.isOnlyToCustomer)
            case AttributeCode.mpReach where value.byteCount >= 20:
                // AFI, SAFI, length of next hop; of a pair (RFC 2545 §3) the global address comes first.
                nextHop = .v6(IPv6Address(high: value.u64(4), low: value.u64(12)))
                set.flags.insert(.isIPv6)
            default: break
            }
        }
        set.rank = AttributeSet.rank(
            weight: weight, localPreference: localPreference, pathLength: pathLength, origin: origin,
            isLongLivedStale: set.flags.contains(.isLongLivedStale))
        if let nextHop {
            set.nextHop = nextHops.retain(nextHop)
            set.flags.insert(.hasNextHop)
        }
        return set
    }

    /// The configuration changed: ranks with a default LOCAL_PREF and loop marks are read again.
    mutating func reconfigure(_ new: Parameters) {
        if new == parameters { return }
        parameters = new
        for handle in 1..<max(1, sets.count) where !sets[handle].isFree {
            let octets = octets(UInt32(handle))
            let old = sets[handle]
            var fresh = summary(octets.span.bytes, weight: old.weight)
            if fresh.flags.contains(.hasNextHop) { nextHops.release(fresh.nextHop) }
            fresh.hash = old.hash
            fresh.references = old.references
            fresh.octets = old.octets
            fresh.length = old.length
            fresh.firstAlias = old.firstAlias
            fresh.marks = old.marks
            sets[handle] = fresh
        }
    }

    /// Returns the next hops that now have a way.
    mutating func resolveNewNextHops(_ state: (IPAddress) -> NextHopState) -> [UInt32] {
        nextHops.takeNew().filter { nextHops.set($0, state(nextHops.address($0))) != .nothing }
    }
    mutating func setNextHop(_ number: UInt32, _ state: NextHopState) -> NextHopTable.Consequence {
        nextHops.set(number, state)
    }
}

/// Length, first AS and loops of an AS_PATH with four-octet numbers.
struct ASPathSummary {
    /// RFC 4271 §9.1.2.2 (a): an AS_SET counts as one; RFC 5065 §5.3: confederation segments do not count.
    var length: UInt32 = 0
    /// The first AS of the first segment outside of our confederation when that is a sequence; 0 otherwise. RFC 5065 §5.3 takes a
    /// route that began in the confederation for one of our own AS; the operator may want the first member of it instead.
    var neighborAS: UInt32 = 0
    var ownASCount: UInt8 = 0
    /// The last number of the last segment, a sequence, is our own.
    var endsWithOwnAS = false

    /// - Parameter parameters: our own AS; in a confederation this is what its segments have, and its identifier in the others.
    init(_ value: RawSpan, _ parameters: AttributeTable.Parameters) {
        var i = 0
        var isInside = true
        var firstMember: UInt32 = 0
        while i &+ 2 <= value.byteCount {
            let type = value.u8(i)
            let count = Int(value.u8(i &+ 1))
            guard i &+ 2 &+ 4 &* count <= value.byteCount else { return }
            let ownAS = type > 2 ? parameters.routerAS : parameters.externalAS
            if type > 2 {
                if i == 0, type == 3, count > 0 { firstMember = value.u32(2) }
            } else {
                if isInside, type == 2, count > 0 { neighborAS = value.u32(i &+ 2) }
                isInside = false
                length &+= type == 2 ? UInt32(count) : 1
            }
            for k in 0..<count where value.u32(i &+ 2 &+ 4 &* k) == ownAS && ownASCount < 255 { ownASCount += 1 }
            i &+= 2 &+ 4 &* count
            endsWithOwnAS = type == 2 && count > 0 && value.u32(i &- 4) == ownAS
        }
        if isInside, parameters.rules.contains(.confederationMED) { neighborAS = firstMember }
    }
}

extension AttributeTable: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(seed)
        writer.write(parameters.routerAS)
        writer.write(parameters.routerID)
        writer.write(parameters.clusterID)
        writer.write(parameters.defaultLocalPreference)
        writer.write(parameters.confederation)
        writer.write(parameters.rules.rawValue)
        writer.writeBlock(sets.map(\.stored))
        writer.writeBlock(aliases)
        setIndex.write(to: &writer)
        aliasIndex.write(to: &writer)
        writer.write(freeSet)
        writer.write(freeAlias)
        arena.write(to: &writer)
        nextHops.write(to: &writer)
        writer.writeBlock(unused)
        writer.write(UInt64(count))
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        seed = try reader.read()
        parameters = Parameters(
            routerAS: try reader.read(), routerID: try reader.read(), clusterID: try reader.read(),
            defaultLocalPreference: try reader.read())
        parameters.confederation = try reader.read()
        parameters.rules = DecisionRules(rawValue: try reader.read())
        sets = try reader.readBlock(of: AttributeSet.self).map { AttributeSet(stored: $0) }
        aliases = try reader.readBlock(of: Alias.self)
        setIndex = try HashIndex(from: &reader)
        aliasIndex = try HashIndex(from: &reader)
        freeSet = try reader.read()
        freeAlias = try reader.read()
        arena = try OctetArena(from: &reader)
        nextHops = try NextHopTable(from: &reader)
        unused = try reader.readBlock(of: UInt32.self)
        count = try reader.readCount()
        let refused = DecodeError("attribute table", at: reader.position, .badValue)
        guard !sets.isEmpty, sets[0].isFree, setIndex.isWithin(sets.count), aliasIndex.isWithin(aliases.count),
            Int(freeSet) <= sets.count, Int(freeAlias) <= aliases.count
        else { throw refused }
        for set in sets {
            if set.isFree {
                guard Int(set.references) <= sets.count else { throw refused }
            } else {
                guard arena.holds(set.octets, count: Int(set.length)), Int(set.nextHop) < nextHops.entries.count,
                    Int(set.firstAlias) <= aliases.count
                else { throw refused }
            }
        }
        for alias in aliases {
            guard Int(alias.set) <= sets.count, Int(alias.next) <= aliases.count,
                alias.length == 0 || arena.holds(alias.octets, count: Int(alias.length))
            else { throw refused }
        }
        for handle in unused where Int(handle) >= sets.count { throw refused }
    }
}
