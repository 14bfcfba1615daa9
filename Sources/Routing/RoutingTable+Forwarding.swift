import Machine
import Records
import Wire

extension RoutingTable {
    // MARK: forwarding table

    /// What changed in the forwarding table since the last call. Groups and removed groups are appended.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func takeForwarding(into update: inout FIBUpdate) -> [FIBUpdate.Route<Key>] {
        sets.takeChanges(into: &update)
        if touched.isEmpty, removed.isEmpty { return [] }
        var routes: [FIBUpdate.Route<Key>] = []
        routes.reserveCapacity(touched.count + removed.count)
        if isRemovedMixed {
            // A prefix that came again speaks for itself below.
            var gone = removed.map { Key(packed: $0) }
            gone.sort()
            var last: Key? = nil
            for prefix in gone where prefix != last {
                last = prefix
                if prefixes.find(prefix) == nil { routes.append(FIBUpdate.Route(prefix, group: 0)) }
            }
        } else {
            for packed in removed { routes.append(FIBUpdate.Route(Key(packed: packed), group: 0)) }
        }
        for number in touched {
            // A number that was freed and given again is in the list twice.
            guard prefixes.isPresent(number), best[Int(number)].flags & Offer.isTouched != 0 else { continue }
            best[Int(number)].flags &= ~Offer.isTouched
            let offer = best[Int(number)]
            routes.append(
                FIBUpdate.Route(prefixes[number], group: offer.isUsable ? NextHopSetTable<Key>.group(offer.nextHops) : 0))
        }
        isRemovedMixed = false
        touched.removeAll(keepingCapacity: touched.count < 1 << 16)
        removed.removeAll(keepingCapacity: removed.count < 1 << 16)
        return routes
    }

    /// The whole forwarding table, in the order of arrival.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public func completeForwarding(into update: inout FIBUpdate) -> [FIBUpdate.Route<Key>] {
        sets.fillComplete(&update)
        var routes: [FIBUpdate.Route<Key>] = []
        routes.reserveCapacity(prefixes.count)
        for number in 0..<UInt32(best.count) where prefixes.isPresent(number) && best[Int(number)].isUsable {
            routes.append(FIBUpdate.Route(prefixes[number], group: NextHopSetTable<Key>.group(best[Int(number)].nextHops)))
        }
        return routes
    }

    /// The groups as they are, for display: ascending, with the offers that name each.
    public var groups: [(id: UInt32, nextHops: [NextHop], backup: [NextHop], resolved: [FIBNextHop], offers: UInt32)] {
        sets.present.map { number in
            let set = sets.sets[Int(number)]
            return (
                NextHopSetTable<Key>.group(number), set.nextHops, set.backup, sets.resolved[Int(number)], sets.uses(of: number)
            )
        }
    }

    /// Prefixes whose route in force changed since the last call, each once, ascending; only while `isObserved`.
    public mutating func takeObserved() -> [Key] {
        if observed.isEmpty { return [] }
        var result: [Key] = []
        result.reserveCapacity(observed.count)
        for prefix in observed.map({ Key(packed: $0) }).sorted() where result.last != prefix { result.append(prefix) }
        observed.removeAll(keepingCapacity: observed.count < 1 << 16)
        return result
    }
}

// MARK: snapshot

extension RoutingTable: Snapshotting {
    /// Offers as they lie in memory. Interfaces, static routes and whatever is worked out from them follow with `resume`.
    public func write(to writer: inout SnapshotWriter) {
        prefixes.write(to: &writer)
        writer.writeBlock(best)
        writer.writeBlock(others)
        writer.write(freeOther)
        writer.writeBlock(tagged)
        writer.write(freeTagged)
        sets.write(to: &writer)
        let watched = tracked.watched
        writer.writeBlock(watched.map { Key($0.address, Key.lengthMaximum).packed })
        writer.writeBlock(watched.map(\.told))
    }

    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let prefixes = try PrefixTable<Key>(from: &reader)
        self.init(seed: prefixes.seed)
        self.prefixes = prefixes
        best = try reader.readBlock(of: Offer.self)
        others = try reader.readBlock(of: Offer.self)
        freeOther = try reader.read()
        tagged = try reader.readBlock(of: Tagged.self)
        freeTagged = try reader.read()
        let position = reader.position
        sets = try NextHopSetTable(from: &reader) { capacity throws(DecodeError) in try countUses(capacity, position) }
        let refused = DecodeError("watched next hops", at: reader.position, .badValue)
        let addresses = try reader.readBlock(of: Key.Packed.self)
        let told = try reader.readBlock(of: UInt64.self)
        guard addresses.count == told.count else { throw refused }
        for (packed, state) in zip(addresses, told) {
            guard Key.length(of: packed) == Key.lengthMaximum else { throw refused }
            let place = tracked.insert(Key(packed: packed).address).number
            tracked.entries[Int(place)].isWatched = true
            tracked.entries[Int(place)].told = state
        }
        for number in best.indices where prefixes.isPresent(UInt32(number)) {
            best[number].flags &= Offer.hasTag
            routeDigest.add(hash(prefixes.keys[number], best[number]))
        }
    }

    /// Walks every chain once: each place is used by one prefix or free, and every number lies within its table.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    private mutating func countUses(_ capacity: Int, _ position: Int) throws(DecodeError) -> [UInt32] {
        let refused = DecodeError("routing table", at: position, .badValue)
        guard best.count == prefixes.capacity, Int(freeOther) <= others.count, Int(freeTagged) <= tagged.count else {
            throw refused
        }
        var uses = [UInt32](repeating: 0, count: capacity)
        var isMet = [Bool](repeating: false, count: others.count)
        var isTagMet = [Bool](repeating: false, count: tagged.count)
        for number in best.indices where prefixes.isPresent(UInt32(number)) {
            var offer = best[number]
            var hasUnderlay = false
            while true {
                guard RouteProtocol(rawValue: offer.source) != nil, Int(offer.nextHops) < capacity else { throw refused }
                uses[Int(offer.nextHops)] += 1
                if offer.hasTag {
                    let place = Int(offer.metric) - 1
                    guard place >= 0, place < tagged.count, !isTagMet[place] else { throw refused }
                    isTagMet[place] = true
                }
                if Self.isUnderlay(offer.source) { hasUnderlay = true }
                if offer.more == 0 { break }
                let place = Int(offer.more) - 1
                guard place < others.count, !isMet[place] else { throw refused }
                isMet[place] = true
                offer = others[place]
            }
            if hasUnderlay { underlayCounts[Int(Key.length(of: prefixes.keys[number]))] += 1 }
        }
        var next = freeOther
        while next != 0 {
            guard Int(next) <= others.count, !isMet[Int(next) - 1] else { throw refused }
            isMet[Int(next) - 1] = true
            next = others[Int(next) - 1].more
        }
        next = freeTagged
        while next != 0 {
            guard Int(next) <= tagged.count, !isTagMet[Int(next) - 1] else { throw refused }
            isTagMet[Int(next) - 1] = true
            next = tagged[Int(next) - 1].metric
        }
        return uses
    }

    /// Goes on after a restore, with what the configuration says: everything that is worked out from the table is worked
    /// out again, with the same result.
    @specialized(where Key == IPv4Prefix)
    @specialized(where Key == IPv6Prefix)
    public mutating func resume(
        interfaces states: [Bool], statics routes: [StaticRouteSpecification<Key>], destinations addresses: [Key.Address]
    ) {
        interfaces = states
        statics = StaticRoutes(routes, seed: prefixes.seed)
        for place in tracked.all() { resumeTracking(place) }
        for number in sets.present { adopt(number) }
        adoptStatics()
        setDestinations(addresses)
        settle()
        isDestinationNews = false
        sets.forgetChanges()
        for number in touched { best[Int(number)].flags &= ~Offer.isTouched }
        touched.removeAll()
        removed.removeAll()
        observed.removeAll()
        isRemovedMixed = false
    }
}
