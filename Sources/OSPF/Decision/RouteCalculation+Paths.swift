import Records
import Routing
import SPF
import Wire

/// From sources to routes.
extension RouteCalculation {
    /// A path within the AS to an AS boundary router or forwarding address, as §16.4 compares them.
    private struct InternalPath {
        /// RFC 2328 §16.4.1: 0 is preferred over 1.
        var preference: UInt8
        var cost: UInt32
        var area: UInt32
        var nextHops: [NextHop]
    }

    /// Chooses for all destinations that are dirty: within the AS first, since externals depend on it.
    mutating func chooseRoutes(_ database: LSDB, into outcome: inout Outcome) {
        var late: [UInt32] = []
        var work = dirtyPrefixes
        // §16.2 (3): whether a summary of one of our own ranges counts depends on the intra-area routes within.
        var i = 0
        while i < work.count {
            let number = work[i]
            i += 1
            guard prefixes[number].isInternalDirty else { continue }
            if isRange(prefixes[number].prefix) { late.append(number) } else { chooseInternal(number, database) }
        }
        if isBorderRouter, !changedInternal.isEmpty {
            for area in local?.configuration.areas ?? [] {
                for range in area.ranges {
                    let number = prefixOrNew(range.prefix)
                    if late.contains(number) { continue }
                    markPrefix(number, isInternal: true)
                    late.append(number)
                }
            }
        }
        // The longest first: whether a range is active depends on what lies within it.
        late.sort { (prefixes[$0].prefix.length, $1) > (prefixes[$1].prefix.length, $0) }
        for number in late { chooseInternal(number, database) }

        chooseRouters(database, into: &outcome)
        if !changedInternal.isEmpty { markForwarding() }
        changedInternal.removeAll(keepingCapacity: true)

        work = dirtyPrefixes
        dirtyPrefixes = []
        for number in work { choose(number, database, into: &outcome) }
        outcome.updates.sort { $0.prefix < $1.prefix }
        outcome.changedPrefixes.sort()
        for number in work { releasePrefix(number) }
    }

    private func isRange(_ prefix: IPPrefix) -> Bool {
        guard isBorderRouter, let local else { return false }
        return local.configuration.areas.contains { area in area.ranges.contains { $0.prefix == prefix } }
    }

    private mutating func chooseInternal(_ number: UInt32, _ database: LSDB) {
        prefixes[number].isInternalDirty = false
        let old = prefixes[number].internalRoute
        var new = internalRoute(number, database)
        if new?.type != .intraArea, isRange(prefixes[number].prefix),
            let discard = discardRoute(prefixes[number].prefix)
        {
            new = discard
        }
        guard old != new else { return }
        prefixes[number].internalRoute = new
        let length = Int(prefixes[number].prefix.length)
        if old == nil { internalCounts[length] += 1 }
        if new == nil { internalCounts[length] -= 1 }
        changedInternal.append(prefixes[number].prefix)
    }

    // MARK: §16.1 and §16.2

    private mutating func internalRoute(_ number: UInt32, _ database: LSDB) -> CalculatedRoute? {
        guard let local else { return nil }
        let prefix = prefixes[number].prefix
        var best: CalculatedRoute?
        var next = prefixes[number].firstSource
        while next != 0 {
            let source = sources[next - 1]
            next = source.nextOfDestination
            let type: OSPFPathType
            switch source.kind {
            case .intraArea: type = .intraArea
            case .interArea: type = .interArea
            default: continue
            }
            let at = Int(source.area)
            guard let path = areas[at].path(to: source.owner) else { continue }
            if type == .interArea {
                guard isExamined(areas[at].id), isBorder(at, source.owner) else { continue }
                // §16.2 (3): our own active range stands against it.
                if isBorderRouter, isActiveRange(prefix) { continue }
            }
            let (sum, overflow) = path.distance.addingReportingOverflow(source.metric)
            let cost = overflow ? UInt32.max : sum
            if let best, (best.type, best.cost) < (type, cost) { continue }
            let isOwn = areas[at].vertices[source.owner].key == LinkStateGraph.Key(UInt64(local.routerID))
            let hops =
                isOwn ? ownInterfaces(prefix, area: areas[at].id) : nextHops(area: at, set: path.set, database)
            if hops.isEmpty, !isOwn { continue }
            var route = CalculatedRoute(
                prefix: prefix, type: type, area: areas[at].id, cost: cost, type2Cost: 0, tag: 0,
                advertisingRouter: source.advertisingRouter, isNSSA: false, nextHops: hops)
            if let best, (best.type, best.cost) == (type, cost) {
                // §16.1, §16.2 (7): equal cost. Which of the areas and routers gives its name decides nothing but must
                // not depend on the order in which LSAs came.
                route.nextHops = merge(best.nextHops, hops)
                if (best.area, best.advertisingRouter) > (route.area, route.advertisingRouter) {
                    route.area = best.area
                    route.advertisingRouter = best.advertisingRouter
                }
            }
            best = route
        }
        return best
    }

    /// §16.2: an area border router looks at the backbone's summaries only.
    private func isExamined(_ area: UInt32) -> Bool { !isBorderRouter || area == 0 }

    /// §16.2 (4): whether the routing table has an entry for the router; it has for those that say B or E (§16.1 (4)).
    private func isBorder(_ area: Int, _ vertex: UInt32) -> Bool {
        let flags = areas[area].vertices[vertex].flags
        return flags.contains(.border) || flags.contains(.boundary)
    }

    /// Whether one of our ranges has an intra-area route within.
    private func isActiveRange(_ prefix: IPPrefix) -> Bool { activeRange(prefix) { _ in true } != nil }

    /// The area (the one with the largest ID) that has an active range with this prefix. An intra-area route for just
    /// the range itself does not count: it is preferred to all else anyway, and is what is being chosen.
    private func activeRange(_ prefix: IPPrefix, where isMeant: (OSPFAreaRange) -> Bool) -> UInt32? {
        guard let local else { return nil }
        for area in local.configuration.areas.reversed() {
            guard area.ranges.contains(where: { $0.prefix == prefix && isMeant($0) }) else { continue }
            for record in prefixes.places where record.isUsed {
                if let route = record.internalRoute, route.type == .intraArea, route.area == area.areaID.raw,
                    prefix.covers(record.prefix), record.prefix != prefix, !route.isDiscard
                {
                    return area.areaID.raw
                }
            }
        }
        return nil
    }

    /// RFC 2328 §12.4.3's ranges invite packets for all that is in them: what nobody has is dropped here, and does not
    /// go back to where a shorter prefix leads.
    private func discardRoute(_ prefix: IPPrefix) -> CalculatedRoute? {
        guard let local, let area = activeRange(prefix, where: { $0.isAdvertised }) else { return nil }
        return CalculatedRoute(
            prefix: prefix, type: .intraArea, area: area, cost: 0, type2Cost: 0, tag: 0,
            advertisingRouter: local.routerID, isNSSA: false, nextHops: [.blackhole])
    }

    // MARK: AS boundary routers

    private mutating func chooseRouters(_ database: LSDB, into outcome: inout Outcome) {
        let work = dirtyRouters
        dirtyRouters = []
        for number in work {
            routers[number].isDirty = false
            let old = routers[number].route
            let new = boundaryRoute(number, database)
            if old != new {
                routers[number].route = new
                outcome.changedRouters.append(routers[number].routerID)
                var next = routers[number].firstDependent
                while next != 0 {
                    let source = sources[next - 1]
                    markPrefix(source.destination, isInternal: false)
                    next = source.nextOfOwner
                }
            }
            releaseRouter(number)
        }
        outcome.changedRouters.sort()
    }

    private mutating func boundaryRoute(_ number: UInt32, _ database: LSDB) -> CalculatedRouter? {
        guard let local else { return nil }
        let record = routers[number]
        guard record.routerID != local.routerID else { return nil }
        var best: (preference: UInt8, route: CalculatedRouter)?
        // §16.1 (4). RFC 3101 §2.5 (3): type 5 does not come by ways through areas without externals.
        for at in areas.indices where areas[at].kind.importsExternals {
            guard let vertex = areas[at].router(record.routerID),
                areas[at].vertices[vertex].flags.contains(.boundary), let path = areas[at].path(to: vertex)
            else { continue }
            let hops = nextHops(area: at, set: path.set, database)
            if hops.isEmpty { continue }
            let route = CalculatedRouter(
                routerID: record.routerID, type: .intraArea, area: areas[at].id, cost: path.distance, nextHops: hops,
                options: areas[at].vertices[vertex].options)
            // §16.4 (3): §16.4.1's preference, then the least cost, then the largest area ID.
            let preference = self.preference(.intraArea, areas[at].id)
            if let best, (best.preference, best.route.cost) < (preference, route.cost) { continue }
            best = (preference, route)
        }
        if let best { return best.route }
        var next = record.firstSource
        var inter: CalculatedRouter?
        while next != 0 {
            let source = sources[next - 1]
            next = source.nextOfDestination
            let at = Int(source.area)
            guard isExamined(areas[at].id), areas[at].kind.importsExternals, isBorder(at, source.owner),
                let path = areas[at].path(to: source.owner)
            else { continue }
            let (sum, overflow) = path.distance.addingReportingOverflow(source.metric)
            let cost = overflow ? UInt32.max : sum
            if let inter, inter.cost < cost { continue }
            let hops = nextHops(area: at, set: path.set, database)
            if hops.isEmpty { continue }
            var route = CalculatedRouter(
                routerID: record.routerID, type: .interArea, area: areas[at].id, cost: cost, nextHops: hops,
                options: source.options)
            if let inter, inter.cost == cost {
                route.nextHops = merge(inter.nextHops, hops)
                route.area = max(inter.area, route.area)
                // OSPFv3: should border routers disagree on its options, any one rule will do.
                route.options = OSPFOptions(rawValue: max(inter.options.rawValue, route.options.rawValue))
            }
            inter = route
        }
        return inter
    }

    /// §16.4.1, unless RFC1583Compatibility makes all equal.
    private func preference(_ type: OSPFPathType, _ area: UInt32) -> UInt8 {
        if local?.configuration.rfc1583Compatibility == true { return 0 }
        return type == .intraArea && area != 0 ? 0 : 1
    }

    // MARK: §16.4, RFC 3101 §2.5

    private mutating func markForwarding() {
        let table = sources
        forwarding.settle { table[Int($0.source - 1)].forwardingAddress == $0.address }
        var found: [UInt32] = []
        for prefix in changedInternal {
            forwarding.within(prefix) { entry in
                let source = table[Int(entry.source - 1)]
                if source.kind != .none, source.forwardingAddress == entry.address { found.append(source.destination) }
            }
        }
        for number in found { markPrefix(number, isInternal: false) }
    }

    /// §11.1: the longest match among intra- and inter-area routes.
    private func internalMatch(_ address: IPAddress) -> CalculatedRoute? {
        var length = address.family == .ipv4 ? 32 : 128
        while length >= 0 {
            if internalCounts[length] > 0, let number = prefixNumber(IPPrefix(address, UInt8(length))),
                let route = prefixes[number].internalRoute, !route.isDiscard
            {
                return route
            }
            length -= 1
        }
        return nil
    }

    /// The way to where an external LSA sends packets.
    private mutating func internalPath(_ source: PathSource, _ database: LSDB) -> InternalPath? {
        guard let local else { return nil }
        if let address = source.forwardingAddress {
            // Sent to ourselves, packets would come back to where they are.
            let isOurs = local.interfaces.contains { $0.device.addresses.contains { $0.address == address } }
            if isOurs { return nil }
            guard let route = internalMatch(address) else { return nil }
            // RFC 3101 §2.5 (3): of type 7, the address lies within the NSSA.
            if source.kind == .nssa {
                guard route.type == .intraArea, route.area == areas[Int(source.area)].id else { return nil }
            }
            let hops = route.nextHops.map { hop -> NextHop in
                if case .connected(let interface) = hop { return .via(address, interface) }
                return hop
            }
            guard !hops.isEmpty else { return nil }
            return InternalPath(
                preference: preference(route.type, route.area), cost: route.cost, area: route.area,
                nextHops: Array(hops.prefix(Int(max(1, local.configuration.maximumPaths)))))
        }
        if source.kind == .nssa {
            let at = Int(source.area)
            guard areas[at].vertices[source.owner].flags.contains(.boundary),
                let path = areas[at].path(to: source.owner)
            else { return nil }
            let hops = nextHops(area: at, set: path.set, database)
            guard !hops.isEmpty else { return nil }
            return InternalPath(
                preference: preference(.intraArea, areas[at].id), cost: path.distance, area: areas[at].id,
                nextHops: hops)
        }
        guard let route = routers[source.owner].route else { return nil }
        return InternalPath(
            preference: preference(route.type, route.area), cost: route.cost, area: route.area,
            nextHops: route.nextHops)
    }

    private mutating func externalRoute(_ number: UInt32, _ database: LSDB) -> CalculatedRoute? {
        let prefix = prefixes[number].prefix
        var best: (preference: UInt8, rank: UInt8, route: CalculatedRoute)?
        var next = prefixes[number].firstSource
        while next != 0 {
            let source = sources[next - 1]
            next = source.nextOfDestination
            guard source.kind == .external || source.kind == .nssa else { continue }
            if source.kind == .nssa {
                // RFC 3101 §2.5 (3): another border router's default is for the inside of the NSSA.
                if prefix.isDefault, isBorderRouter,
                    !source.isPropagated || !areas[Int(source.area)].kind.importsSummaries
                {
                    continue
                }
            }
            // A router without a way to the originator has no use for the forwarding address either (§16.4 (3)).
            if source.kind == .external {
                guard routers[source.owner].route != nil else { continue }
            } else {
                let at = Int(source.area)
                guard areas[at].vertices[source.owner].flags.contains(.boundary),
                    areas[at].path(to: source.owner) != nil
                else { continue }
            }
            guard let path = internalPath(source, database) else { continue }
            let (sum, overflow) = path.cost.addingReportingOverflow(source.isType2 ? 0 : source.metric)
            let cost = overflow ? UInt32.max : sum
            let type: OSPFPathType = source.isType2 ? .externalType2 : .externalType1
            var route = CalculatedRoute(
                prefix: prefix, type: type, area: path.area, cost: cost, type2Cost: source.isType2 ? source.metric : 0,
                tag: source.tag, advertisingRouter: source.advertisingRouter, isNSSA: source.kind == .nssa,
                nextHops: path.nextHops)
            // RFC 3101 §2.5 (6) (e): of those that are equal in everything else, whose name the route has.
            var rank: UInt8 = source.kind == .external ? 1 : source.isPropagated ? 2 : 0
            if let best {
                // §16.4 (6): (a) type, (b) the metric of type 2, (c) §16.4.1, (d) cost.
                let new = (type, route.type2Cost, path.preference, cost)
                let old = (best.route.type, best.route.type2Cost, best.preference, best.route.cost)
                if old < new { continue }
                if old == new {
                    route.nextHops = merge(best.route.nextHops, route.nextHops)
                    let isNamed =
                        (best.rank, best.route.advertisingRouter, best.route.tag)
                        > (rank, route.advertisingRouter, route.tag)
                    if isNamed {
                        route.area = best.route.area
                        route.tag = best.route.tag
                        route.advertisingRouter = best.route.advertisingRouter
                        route.isNSSA = best.route.isNSSA
                        rank = best.rank
                    }
                }
            }
            best = (path.preference, rank, route)
        }
        return best?.route
    }

    // MARK: the routing table

    private mutating func choose(_ number: UInt32, _ database: LSDB, into outcome: inout Outcome) {
        prefixes[number].isDirty = false
        guard let local, prefixes[number].isUsed else { return }
        // §16.4 (6) (a): paths within the AS come before all others.
        let new = prefixes[number].internalRoute ?? externalRoute(number, database)
        if new != prefixes[number].route {
            if let old = prefixes[number].route { digest.remove(old.digestWord) }
            if let new { digest.add(new.digestWord) }
            prefixes[number].route = new
            outcome.changedPrefixes.append(prefixes[number].prefix)
        }
        let offer = new.flatMap { Self.offer($0, local.configuration) }
        if offer != prefixes[number].offered {
            prefixes[number].offered = offer
            outcome.updates.append(RouteUpdate(prefixes[number].prefix, offer))
        }
    }

    /// What the routing table manager hears of a route: nothing of networks that we are on ourselves.
    static func offer(_ route: CalculatedRoute, _ configuration: OSPFConfiguration) -> RouteOffer? {
        guard !route.isConnected else { return nil }
        let distance =
            switch route.type {
            case .intraArea: configuration.distances.intraArea
            case .interArea: configuration.distances.interArea
            case .externalType1, .externalType2: configuration.distances.external
            }
        return RouteOffer(
            nextHops: route.nextHops, metric: route.metric, kind: route.type.rawValue, distance: distance,
            tag: route.tag)
    }
}
