import Machine
import Records
import Wire

/// The routing table manager of one address family: of all protocols' offers for a prefix the one with the lowest
/// distance is in force, and what those mean on the wire is the forwarding table.
///
/// - `RoutingTable.swift`: offers, and which of them is in force.
/// - `RoutingTable+Resolution.swift`: where next hops lead that are not on a connected network, and static routes, which
///   are offered only while they lead somewhere.
/// - `RoutingTable+Forwarding.swift`: what a kernel has to hear, and the snapshot.
/// - `NextHopSetTable`: the groups of the forwarding table. `TrackedNextHops`, `StaticRoutes`: what resolution works on.
///
/// One offer per protocol and prefix. A prefix with a single offer, nearly every one of a full table, costs its key and
/// 16 octets; further offers lie in a chain of their own.
public struct RoutingTable<Key: PrefixKey>: Sendable {
    /// One protocol's offer. 16 octets without padding: it goes into the bulk update as it lies here.
    struct Offer: BitwiseCopyable, Sendable, Equatable {
        /// Number of the set of next hops.
        var nextHops: UInt32
        /// The metric, or with `hasTag` the place of metric and tag in `tagged`, plus one.
        var metric: UInt32
        /// 255 is "never use" (as in the field); an empty place has it together with `noProtocol`.
        var distance: UInt8
        var source: UInt8
        /// What the protocol itself tells apart, such as external and internal BGP.
        var kind: UInt8
        var flags: UInt8 = 0
        /// The next offer for the same prefix in `others`, plus one; 0 ends the chain. Also chains free places.
        var more: UInt32

        static var noProtocol: UInt8 { 255 }
        static var hasTag: UInt8 { 1 }
        /// The prefix is in the list of those that the forwarding table is to hear of. Only in `best`.
        static var isTouched: UInt8 { 2 }

        /// A total order: distance, then protocol. One protocol never offers twice.
        @inline(__always)
        func isBetter(than other: Offer) -> Bool {
            distance != other.distance ? distance < other.distance : source < other.source
        }
        var hasTag: Bool { flags & Self.hasTag != 0 }
        var isUsable: Bool { distance < 255 }
    }

    /// Metric and tag of an offer with a tag; in a free place `metric` is the next free one.
    struct Tagged: BitwiseCopyable, Sendable, Equatable {
        var metric: UInt32
        var tag: UInt32
    }

    /// A route in words, for look-ups and display.
    public struct Route: Sendable, Equatable {
        public var prefix: Key
        public var source: RouteProtocol
        public var distance: UInt8
        public var metric: UInt32
        /// As the protocol gave it.
        public var kind: UInt8
        public var tag: UInt32
        /// At least one; more than one share the load.
        public var nextHops: [NextHop]
        /// Takes over when none of `nextHops` leads anywhere; empty for none.
        public var backup: [NextHop]
        /// The group of the forwarding table (`FIBUpdate`), and what it means now.
        public var group: UInt32
        public var resolved: [FIBNextHop]
        /// Packets are dropped because the operator wants it: by itself, or by where its next hop is routed.
        public var isBlackhole: Bool
        /// Whether it is the one in force.
        public var isActive: Bool

        /// The first next hop.
        public var nextHop: NextHop { nextHops[0] }
    }

    var prefixes: PrefixTable<Key>
    /// The best offer by prefix number.
    var best: [Offer] = []
    var others: [Offer] = []
    var freeOther: UInt32 = 0
    var tagged: [Tagged] = []
    var freeTagged: UInt32 = 0
    var sets = NextHopSetTable<Key>()
    /// Of the offers in force.
    var routeDigest = StateDigest()

    // Resolution.
    var tracked: TrackedNextHops<Key>
    var statics: StaticRoutes<Key>
    /// By interface number; those beyond are up.
    var interfaces: [Bool] = []
    /// How many prefixes of each length have an offer that can resolve next hops.
    var underlayCounts: [UInt32]
    /// Prefixes of which such an offer changed since the table last settled.
    var unsettled: [Key] = []
    /// Tracked addresses behind static routes that lead around in a circle.
    var circular: [Key.Address] = []
    /// Tracked addresses whose resolution changed, for those who watch.
    var news: [Key.Address] = []
    /// Whom the router itself talks to, ascending, and the way there.
    var destinations: [(address: Key.Address, resolution: Resolution)] = []
    var isDestinationNews = false

    // What the forwarding table and others are still to hear: empty whenever a snapshot is taken.
    var touched: [UInt32] = []
    var removed: [Key.Packed] = []
    /// A prefix was entered while others waited in `removed`: one may be there twice.
    var isRemovedMixed = false
    /// Whether somebody wants to know which prefixes changed (redistribution, aggregates).
    public var isObserved = false
    var observed: [Key.Packed] = []

    public init(seed: UInt64) {
        prefixes = PrefixTable(seed: seed)
        tracked = TrackedNextHops(seed: seed)
        statics = StaticRoutes(seed: seed)
        underlayCounts = [UInt32](repeating: 0, count: Int(Key.lengthMaximum) + 1)
    }

    /// Prefixes with at least one offer.
    public var count: Int { prefixes.count }

    /// Of the offers in force and of what their next hops mean; equal on both controllers at equal indices.
    public var digest: StateDigest {
        var digest = routeDigest
        digest.value &+= sets.digest.value
        return digest
    }

    public mutating func reserve(_ count: Int) {
        prefixes.reserve(count)
        best.reserveCapacity(count)
    }

    // MARK: changes

    /// A protocol's news about one prefix, in the short form of a full table: one gateway to be resolved, and one to take
    /// its place.
    public struct Change: Sendable {
        public var prefix: Key
        /// `nil` withdraws. No gateway: packets are dropped.
        public var offer: (kind: UInt8, distance: UInt8, gateway: Key.Address?, backup: Key.Address?)?

        @inlinable
        public init(_ prefix: Key, _ offer: (kind: UInt8, distance: UInt8, gateway: Key.Address?, backup: Key.Address?)?) {
            self.prefix = prefix
            self.offer = offer
        }
    }

    /// Offers and withdraws in order. The way for many routes: compiled for each family, which a call from another
    /// module to generic verbs is not.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func apply(_ changes: [Change], from source: RouteProtocol) {
        var hint: (pair: NextHopSetTable<Key>.Pair, number: UInt32)? = nil
        for change in changes {
            guard let new = change.offer else {
                remove(change.prefix, source)
                continue
            }
            let set: UInt32
            if let gateway = new.gateway {
                let pair = NextHopSetTable<Key>.Pair(primary: gateway, backup: new.backup ?? gateway)
                // A number of which the last use may have gone meanwhile is looked up again.
                if let known = hint, known.pair == pair, sets.isPresent(known.number) {
                    set = known.number
                    sets.retain(set)
                } else {
                    let (number, isNew) = sets.retain(pair)
                    if isNew { adopt(number) }
                    hint = (pair, number)
                    set = number
                }
            } else {
                set = retain(NextHopSet([.blackhole]))
            }
            enter(
                change.prefix,
                Offer(nextHops: set, metric: 0, distance: new.distance, source: source.rawValue, kind: new.kind, more: 0))
        }
        settle()
    }

    /// News of interior protocols; of those of the other family nothing is taken.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func apply(_ updates: [RouteUpdate], from source: RouteProtocol) {
        for update in updates {
            guard let prefix = Key(update.prefix) else { continue }
            change(prefix, update.offer, from: source)
        }
        settle()
    }

    /// One protocol's offer; `settle` is to follow.
    mutating func change(_ prefix: Key, _ offer: RouteOffer?, from source: RouteProtocol) {
        guard let offer, !offer.nextHops.isEmpty else { return remove(prefix, source) }
        let set = retain(NextHopSet(Self.normal(offer.nextHops)))
        var entry = Offer(
            nextHops: set, metric: offer.metric, distance: offer.distance, source: source.rawValue, kind: offer.kind, more: 0)
        if offer.tag != 0 {
            entry.metric = place(Tagged(metric: offer.metric, tag: offer.tag))
            entry.flags = Offer.hasTag
        }
        enter(prefix, entry)
    }

    private static func normal(_ nextHops: [NextHop]) -> [NextHop] {
        var isNormal = nextHops.count <= RouteOffer.nextHopsMaximum
        for i in nextHops.indices.dropFirst() where !(nextHops[i - 1] < nextHops[i]) { isNormal = false }
        if isNormal { return nextHops }
        var result: [NextHop] = []
        for nextHop in nextHops.sorted() where result.last != nextHop { result.append(nextHop) }
        return Array(result.prefix(RouteOffer.nextHopsMaximum))
    }

    /// Withdraws everything that a protocol offered. For configuration changes: it walks the table.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func withdrawAll(from source: RouteProtocol) {
        for number in 0..<UInt32(best.count) where prefixes.isPresent(number) { remove(prefixes[number], source) }
        settle()
    }

    /// Gives all offers of one protocol and kind another distance. For configuration changes: it walks the table.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func setDistance(_ distance: UInt8, of source: RouteProtocol, kind: UInt8) {
        for number in 0..<UInt32(best.count) where prefixes.isPresent(number) {
            guard var offer = offer(of: source, at: number), offer.kind == kind, offer.distance != distance else { continue }
            sets.retain(offer.nextHops)
            if offer.hasTag { offer.metric = place(tagged[Int(offer.metric - 1)]) }
            offer.distance = distance
            offer.flags &= Offer.hasTag
            offer.more = 0
            enter(prefixes[number], offer)
        }
        settle()
    }

    private func offer(of source: RouteProtocol, at number: UInt32) -> Offer? {
        var offer = best[Int(number)]
        while offer.source != source.rawValue {
            if offer.more == 0 { return nil }
            offer = others[Int(offer.more - 1)]
        }
        return offer
    }

    // MARK: look-up

    /// The route in force that covers the address: longest-prefix match as a kernel does it.
    public func lookup(_ address: Key.Address) -> Route? {
        guard let number = prefixes.longestMatch(address, where: { best[Int($0)].isUsable }) else { return nil }
        return route(best[Int(number)], prefixes[number], isActive: true)
    }

    /// The route in force for exactly this prefix.
    public func active(_ prefix: Key) -> Route? {
        guard let number = prefixes.find(prefix), best[Int(number)].isUsable else { return nil }
        return route(best[Int(number)], prefix, isActive: true)
    }

    /// All offers for exactly this prefix, the one in force first.
    public func offers(for prefix: Key) -> [Route] {
        guard let number = prefixes.find(prefix) else { return [] }
        var result = [route(best[Int(number)], prefix, isActive: best[Int(number)].isUsable)]
        var next = best[Int(number)].more
        while next != 0 {
            let offer = others[Int(next - 1)]
            result.append(route(offer, prefix, isActive: false))
            next = offer.more
        }
        return result
    }

    /// The routes in force in the order of prefixes, those after `prefix`, at most `limit`. One pass over the table.
    public func page(after prefix: Key?, limit: Int) -> [Route] {
        prefixes.ordered(after: prefix, limit: limit).map {
            route(best[Int($0)], prefixes[$0], isActive: best[Int($0)].isUsable)
        }
    }

    /// Calls `body` with every prefix that has an offer, in the order of arrival.
    public func forEachPrefix(_ body: (Key) -> Void) {
        for number in 0..<UInt32(best.count) where prefixes.isPresent(number) { body(prefixes[number]) }
    }

    private func route(_ offer: Offer, _ prefix: Key, isActive: Bool) -> Route {
        let set = sets.sets[Int(offer.nextHops)]
        let extra = offer.hasTag ? tagged[Int(offer.metric - 1)] : Tagged(metric: offer.metric, tag: 0)
        return Route(
            prefix: prefix, source: RouteProtocol(rawValue: offer.source) ?? .static, distance: offer.distance,
            metric: extra.metric, kind: offer.kind, tag: extra.tag, nextHops: set.nextHops, backup: set.backup,
            group: NextHopSetTable<Key>.group(offer.nextHops), resolved: sets.resolved[Int(offer.nextHops)],
            isBlackhole: sets.resolved[Int(offer.nextHops)].isEmpty && isBlackhole(set.nextHops), isActive: isActive)
    }

    // MARK: inside

    /// Whether routes of the protocol resolve next hops. Not BGP, whose routes would decide over their own next hops, nor
    /// aggregates, which lead nowhere. Static routes are looked up as they are configured (`StaticRoutes`), so that
    /// whether one is in force cannot depend on itself.
    @inline(__always)
    static func isUnderlay(_ source: UInt8) -> Bool {
        source != RouteProtocol.bgp.rawValue && source != RouteProtocol.static.rawValue
            && source != RouteProtocol.aggregate.rawValue
    }

    /// Enters or replaces a protocol's offer. The caller retained its set.
    @inline(__always)
    private mutating func enter(_ prefix: Key, _ new: Offer) {
        let packed = prefix.packed
        let (number, isNew) = prefixes.insert(packed, hash: prefixes.hash(packed))
        if isNew {
            if Int(number) == best.count {
                best.append(new)
            } else {
                best[Int(number)] = new
            }
            if !removed.isEmpty { isRemovedMixed = true }
            if Self.isUnderlay(new.source) { addUnderlay(prefix) }
            routeDigest.add(hash(packed, new))
            touch(number, packed)
            return
        }
        let present = best[Int(number)]
        if present.source == new.source, present.more == 0 {
            // The common change: the only offer, another next hop.
            if isSame(present, new) { return release(new) }
            if Self.isUnderlay(new.source) { unsettled.append(prefix) }
            routeDigest.remove(hash(packed, present))
            best[Int(number)] = new
            best[Int(number)].flags |= present.flags & Offer.isTouched
            routeDigest.add(hash(packed, new))
            release(present)
            touch(number, packed)
            return
        }
        enterAmongOthers(prefix, number, new)
    }

    private mutating func enterAmongOthers(_ prefix: Key, _ number: UInt32, _ new: Offer) {
        if let source = RouteProtocol(rawValue: new.source), let old = offer(of: source, at: number) {
            if isSame(old, new) { return release(new) }
            take(source, from: number, prefix)
        }
        if Self.isUnderlay(new.source) { addUnderlay(prefix, at: number) }
        if new.isBetter(than: best[Int(number)]) {
            var new = new
            new.more = place(best[Int(number)])
            replaceBest(number, prefix.packed, with: new)
        } else {
            var new = new
            new.more = best[Int(number)].more
            best[Int(number)].more = place(new)
        }
    }

    private func isSame(_ a: Offer, _ b: Offer) -> Bool {
        a.nextHops == b.nextHops && a.distance == b.distance && a.kind == b.kind && a.hasTag == b.hasTag
            && (a.hasTag ? tagged[Int(a.metric - 1)] == tagged[Int(b.metric - 1)] : a.metric == b.metric)
    }

    private mutating func replaceBest(_ number: UInt32, _ packed: Key.Packed, with new: Offer) {
        let old = best[Int(number)]
        routeDigest.remove(hash(packed, old))
        best[Int(number)] = new
        best[Int(number)].flags = new.flags & Offer.hasTag | old.flags & Offer.isTouched
        routeDigest.add(hash(packed, new))
        touch(number, packed)
    }

    /// Withdraws the protocol's offer; nothing happens when there is none.
    @inline(__always)
    mutating func remove(_ prefix: Key, _ source: RouteProtocol) {
        guard let number = prefixes.find(prefix) else { return }
        let only = best[Int(number)]
        if only.more == 0 {
            guard only.source == source.rawValue else { return }
            if Self.isUnderlay(only.source) { removeUnderlay(prefix) }
            routeDigest.remove(hash(prefix.packed, only))
            best[Int(number)].source = Offer.noProtocol
            best[Int(number)].flags = 0
            prefixes.remove(number)
            removed.append(prefix.packed)
            if isObserved { observed.append(prefix.packed) }
            release(only)
            return
        }
        take(source, from: number, prefix)
    }

    /// Takes a protocol's offer, if it has one, from a prefix that keeps at least one other.
    private mutating func take(_ source: RouteProtocol, from number: UInt32, _ prefix: Key) {
        let first = best[Int(number)]
        if first.source == source.rawValue {
            // The best of the rest moves up; the chain is as long as there are protocols.
            var winner = first.more, beforeWinner: UInt32 = 0
            var before = first.more
            var next = others[Int(first.more - 1)].more
            while next != 0 {
                if others[Int(next - 1)].isBetter(than: others[Int(winner - 1)]) {
                    winner = next
                    beforeWinner = before
                }
                before = next
                next = others[Int(next - 1)].more
            }
            var promoted = others[Int(winner - 1)]
            let afterWinner = promoted.more
            promoted.more = first.more
            if beforeWinner == 0 { promoted.more = afterWinner } else { others[Int(beforeWinner - 1)].more = afterWinner }
            free(winner)
            replaceBest(number, prefix.packed, with: promoted)
            if Self.isUnderlay(first.source) { removeUnderlay(prefix, at: number) }
            release(first)
            return
        }
        var before: UInt32 = 0
        var next = first.more
        while next != 0 {
            let offer = others[Int(next - 1)]
            if offer.source == source.rawValue {
                if before == 0 { best[Int(number)].more = offer.more } else { others[Int(before - 1)].more = offer.more }
                free(next)
                if Self.isUnderlay(offer.source) { removeUnderlay(prefix, at: number) }
                release(offer)
                return
            }
            before = next
            next = offer.more
        }
    }

    /// Whether any offer for the prefix resolves next hops.
    private func hasUnderlay(_ number: UInt32) -> Bool {
        var offer = best[Int(number)]
        while !Self.isUnderlay(offer.source) {
            if offer.more == 0 { return false }
            offer = others[Int(offer.more - 1)]
        }
        return true
    }

    private mutating func addUnderlay(_ prefix: Key) {
        underlayCounts[Int(prefix.length)] += 1
        unsettled.append(prefix)
    }
    /// Before the offer is in the chain.
    private mutating func addUnderlay(_ prefix: Key, at number: UInt32) {
        if hasUnderlay(number) { unsettled.append(prefix) } else { addUnderlay(prefix) }
    }
    private mutating func removeUnderlay(_ prefix: Key) {
        underlayCounts[Int(prefix.length)] -= 1
        unsettled.append(prefix)
    }
    /// After the offer left the chain.
    private mutating func removeUnderlay(_ prefix: Key, at number: UInt32) {
        if hasUnderlay(number) { unsettled.append(prefix) } else { removeUnderlay(prefix) }
    }

    /// Notes that what is in force for the prefix changed.
    @inline(__always)
    private mutating func touch(_ number: UInt32, _ packed: Key.Packed) {
        if isObserved { observed.append(packed) }
        if best[Int(number)].flags & Offer.isTouched != 0 { return }
        best[Int(number)].flags |= Offer.isTouched
        touched.append(number)
    }

    /// Puts an offer into the side chain and returns its number plus one.
    private mutating func place(_ offer: Offer) -> UInt32 {
        var offer = offer
        offer.flags &= Offer.hasTag
        if freeOther != 0 {
            let place = freeOther
            freeOther = others[Int(place - 1)].more
            others[Int(place - 1)] = offer
            return place
        }
        others.append(offer)
        return UInt32(others.count)
    }

    private mutating func free(_ place: UInt32) {
        others[Int(place - 1)] = Offer(
            nextHops: 0, metric: 0, distance: 255, source: Offer.noProtocol, kind: 0, more: freeOther)
        freeOther = place
    }

    private mutating func place(_ extra: Tagged) -> UInt32 {
        if freeTagged != 0 {
            let place = freeTagged
            freeTagged = tagged[Int(place - 1)].metric
            tagged[Int(place - 1)] = extra
            return place
        }
        tagged.append(extra)
        return UInt32(tagged.count)
    }

    /// Lets go of what an offer holds that is in no chain any more.
    @inline(__always)
    private mutating func release(_ offer: Offer) {
        if offer.hasTag {
            tagged[Int(offer.metric - 1)] = Tagged(metric: freeTagged, tag: 0)
            freeTagged = offer.metric
        }
        if sets.release(offer.nextHops) { forget(offer.nextHops) }
    }

    @inline(__always)
    func hash(_ packed: Key.Packed, _ offer: Offer) -> UInt64 {
        let extra = offer.hasTag ? tagged[Int(offer.metric - 1)] : Tagged(metric: offer.metric, tag: 0)
        let route = UInt64(offer.nextHops) << 32 | UInt64(extra.metric)
        let rest = UInt64(extra.tag) << 32 | UInt64(offer.kind) << 16 | UInt64(offer.distance) << 8 | UInt64(offer.source)
        return seededHash(Key.hash(packed, seed: 1), route, seed: rest)
    }
}
