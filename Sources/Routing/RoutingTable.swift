import Machine
import Records
import Wire

/// The routing table manager of one address family: of all protocols' offers for a prefix the one with the lowest
/// distance is in force, and the table of those is the in-memory FIB, searched by longest match.
///
/// One offer per protocol and prefix. A prefix with a single offer, nearly every one of a full table, costs its key and
/// 16 octets; further offers lie in a chain of their own.
public struct RoutingTable<Key: PrefixKey>: Sendable {
    /// One protocol's offer. 16 octets without padding: it goes into the bulk update as it lies here.
    struct Offer: BitwiseCopyable, Sendable, Equatable {
        var nextHop: UInt32
        var metric: UInt32
        /// 255 is "never use" (as in the field); an empty place has it together with `noProtocol`.
        var distance: UInt8
        var source: UInt8
        /// What the protocol itself tells apart, such as external and internal BGP.
        var kind: UInt8
        var reserved: UInt8 = 0
        /// The next offer for the same prefix in `others`, plus one; 0 ends the chain. Also chains free places.
        var more: UInt32

        static var noProtocol: UInt8 { 255 }

        /// A total order: distance, then protocol. One protocol never offers twice.
        func isBetter(than other: Offer) -> Bool {
            distance != other.distance ? distance < other.distance : source < other.source
        }
    }

    /// A route in words, for look-ups and display.
    public struct Route: Sendable, Equatable {
        public var prefix: Key
        public var source: RouteProtocol
        public var distance: UInt8
        public var metric: UInt32
        /// As the protocol gave it.
        public var kind: UInt8
        public var nextHop: NextHop
        /// Whether it is the one in force.
        public var isActive: Bool
    }

    private var prefixes: PrefixTable<Key>
    /// The best offer by prefix number.
    private var best: [Offer] = []
    private var others: [Offer] = []
    private var freeOther: UInt32 = 0
    private var nextHops = NextHopTable()
    /// Of the offers in force; equal on both controllers at equal indices.
    public private(set) var digest = StateDigest()

    public init(seed: UInt64) { prefixes = PrefixTable(seed: seed) }

    /// Prefixes with at least one offer.
    public var count: Int { prefixes.count }

    public mutating func reserve(_ count: Int) {
        prefixes.reserve(count)
        best.reserveCapacity(count)
    }

    /// Remembers the last next hop while a batch of routes is offered.
    public struct Batch {
        var hint: (nextHop: NextHop, number: UInt32)?
        public init() {}
    }

    /// Enters or replaces the protocol's offer for a prefix.
    public mutating func offer(
        _ prefix: Key, from source: RouteProtocol, kind: UInt8 = 0, distance: UInt8, metric: UInt32,
        nextHop: NextHop, batch: inout Batch
    ) {
        let packed = prefix.packed
        let (number, isNew) = prefixes.insert(packed, hash: prefixes.hash(packed))
        var offer = Offer(
            nextHop: nextHops.retain(nextHop, hint: &batch.hint), metric: metric, distance: distance,
            source: source.rawValue, kind: kind, more: 0)
        if isNew {
            if Int(number) == best.count { best.append(offer) } else { best[Int(number)] = offer }
            digest.add(hash(packed, offer))
            return
        }
        let present = best[Int(number)]
        if present.source == source.rawValue, present.more == 0 {
            // The common change: the only offer, another next hop.
            digest.remove(hash(packed, present))
            nextHops.release(present.nextHop)
            best[Int(number)] = offer
            digest.add(hash(packed, offer))
            return
        }
        remove(source, at: number, packed)
        guard prefixes.isPresent(number), best[Int(number)].source != Offer.noProtocol else {
            preconditionFailure("a prefix with two offers keeps one of them")
        }
        if offer.isBetter(than: best[Int(number)]) {
            digest.remove(hash(packed, best[Int(number)]))
            offer.more = place(best[Int(number)])
            best[Int(number)] = offer
            digest.add(hash(packed, offer))
        } else {
            offer.more = best[Int(number)].more
            best[Int(number)].more = place(offer)
        }
    }

    /// A protocol's news about one prefix, for `apply`.
    public struct Change: Sendable {
        public var prefix: Key
        /// `nil` withdraws. `Key.Address` of a gateway, or no gateway: packets are dropped.
        public var offer: (kind: UInt8, distance: UInt8, gateway: Key.Address?)?

        @inlinable
        public init(_ prefix: Key, _ offer: (kind: UInt8, distance: UInt8, gateway: Key.Address?)?) {
            self.prefix = prefix
            self.offer = offer
        }
    }

    /// Offers and withdraws in order. The way for many routes: compiled for each family, which a call from another
    /// module to the generic verbs is not.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func apply(_ changes: [Change], from source: RouteProtocol) {
        var batch = Batch()
        for change in changes {
            guard let new = change.offer else {
                withdraw(change.prefix, from: source)
                continue
            }
            offer(
                change.prefix, from: source, kind: new.kind, distance: new.distance, metric: 0,
                nextHop: new.gateway.map { .gateway(Key.address($0)) } ?? .blackhole, batch: &batch)
        }
    }

    /// Withdraws the protocol's offer; nothing happens when there is none.
    public mutating func withdraw(_ prefix: Key, from source: RouteProtocol) {
        guard let number = prefixes.find(prefix) else { return }
        let only = best[Int(number)]
        if only.more == 0 {
            guard only.source == source.rawValue else { return }
            digest.remove(hash(prefix.packed, only))
            nextHops.release(only.nextHop)
            best[Int(number)].source = Offer.noProtocol
            prefixes.remove(number)
            return
        }
        remove(source, at: number, prefix.packed)
    }

    /// Withdraws everything that a protocol offered. For configuration changes: it walks the table.
    public mutating func withdrawAll(from source: RouteProtocol) {
        for number in 0..<UInt32(best.count) where prefixes.isPresent(number) {
            withdraw(prefixes[number], from: source)
        }
    }

    /// Gives all offers of one protocol and kind another distance. For configuration changes: it walks the table.
    public mutating func setDistance(_ distance: UInt8, of source: RouteProtocol, kind: UInt8) {
        for number in 0..<UInt32(best.count) where prefixes.isPresent(number) {
            let prefix = prefixes[number]
            for route in offers(for: prefix)
            where route.source == source && route.kind == kind && route.distance != distance {
                var batch = Batch()
                offer(
                    prefix, from: source, kind: kind, distance: distance, metric: route.metric,
                    nextHop: route.nextHop, batch: &batch)
            }
        }
    }

    // MARK: look-up

    /// The route in force that covers the address: FIB longest-prefix match.
    public func lookup(_ address: Key.Address) -> Route? {
        guard let number = prefixes.longestMatch(address, where: { best[Int($0)].distance < 255 }) else { return nil }
        return route(best[Int(number)], prefixes[number], isActive: true)
    }

    /// The route that resolves a BGP next hop: longest match over connected and static routes, not the default route
    /// (a default route would make every next hop "reachable" and hide failures) and not BGP itself, which would make
    /// resolution depend on what is being resolved.
    public func resolve(_ address: Key.Address) -> Route? {
        guard
            let number = prefixes.longestMatch(
                address,
                where: {
                    let offer = best[Int($0)]
                    return offer.source != RouteProtocol.bgp.rawValue && offer.distance < 255
                        && prefixes[$0].length > 0
                })
        else { return nil }
        return route(best[Int(number)], prefixes[number], isActive: true)
    }

    /// All offers for exactly this prefix, the one in force first.
    public func offers(for prefix: Key) -> [Route] {
        guard let number = prefixes.find(prefix) else { return [] }
        var result = [route(best[Int(number)], prefix, isActive: best[Int(number)].distance < 255)]
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
            route(best[Int($0)], prefixes[$0], isActive: best[Int($0)].distance < 255)
        }
    }

    // MARK: inside

    private func route(_ offer: Offer, _ prefix: Key, isActive: Bool) -> Route {
        Route(
            prefix: prefix, source: RouteProtocol(rawValue: offer.source)!, distance: offer.distance,
            metric: offer.metric, kind: offer.kind,
            nextHop: nextHops[offer.nextHop], isActive: isActive)
    }

    /// Removes a protocol's offer, if it has one, from a prefix that keeps at least one other.
    private mutating func remove(_ source: RouteProtocol, at number: UInt32, _ packed: Key.Packed) {
        let first = best[Int(number)]
        if first.source == source.rawValue {
            guard first.more != 0 else { preconditionFailure("the only offer is removed by withdraw") }
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
            digest.remove(hash(packed, first))
            nextHops.release(first.nextHop)
            best[Int(number)] = promoted
            digest.add(hash(packed, promoted))
            return
        }
        var before: UInt32 = 0
        var next = first.more
        while next != 0 {
            let offer = others[Int(next - 1)]
            if offer.source == source.rawValue {
                if before == 0 { best[Int(number)].more = offer.more } else { others[Int(before - 1)].more = offer.more }
                nextHops.release(offer.nextHop)
                free(next)
                return
            }
            before = next
            next = offer.more
        }
    }

    /// Puts an offer into the side chain and returns its number plus one.
    private mutating func place(_ offer: Offer) -> UInt32 {
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
            nextHop: 0, metric: 0, distance: 255, source: Offer.noProtocol, kind: 0, more: freeOther)
        freeOther = place
    }

    private func hash(_ packed: Key.Packed, _ offer: Offer) -> UInt64 {
        let route = UInt64(offer.nextHop) << 32 | UInt64(offer.metric)
        return seededHash(
            Key.hash(packed, seed: 1), route, seed: UInt64(offer.distance) << 8 | UInt64(offer.source))
    }
}

extension RoutingTable: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        prefixes.write(to: &writer)
        writer.writeBlock(best)
        writer.writeBlock(others)
        writer.write(freeOther)
        nextHops.write(to: &writer)
        writer.write(digest.value)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        prefixes = try PrefixTable(from: &reader)
        best = try reader.readBlock(of: Offer.self)
        others = try reader.readBlock(of: Offer.self)
        freeOther = try reader.read()
        nextHops = try NextHopTable(from: &reader)
        digest = StateDigest(try reader.read())
        let refused = DecodeError("routing table", at: reader.position, .badValue)
        guard best.count == prefixes.capacity, Int(freeOther) <= others.count else { throw refused }
        for number in best.indices where prefixes.isPresent(UInt32(number)) {
            let offer = best[number]
            guard RouteProtocol(rawValue: offer.source) != nil, nextHops.isPresent(offer.nextHop),
                Int(offer.more) <= others.count
            else { throw refused }
        }
        for offer in others {
            guard Int(offer.more) <= others.count,
                offer.source == Offer.noProtocol
                    || RouteProtocol(rawValue: offer.source) != nil && nextHops.isPresent(offer.nextHop)
            else { throw refused }
        }
    }
}
