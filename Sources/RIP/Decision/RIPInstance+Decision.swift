import Machine
import Records
import Routing
import Wire

/// RFC 2453 §3.9.2 and §3.8: what entries and timers do to the table.
extension RIPInstance {
    /// What is said of a destination, before split horizon and offsets.
    struct Announcement: Equatable {
        var metric: UInt8
        var tag: UInt16 = 0
        var nextHop: IPAddress?
    }

    /// The destination of a default route.
    var defaultDestination: Destination {
        version == .v2 ? Destination(mapping: IPv4Prefix(.any, 0)) : IPv6Prefix(.any, 0)
    }

    /// Our own routes come first: networks of interfaces, the default route, redistributed routes; then what was learned.
    func announcement(_ number: UInt32) -> Announcement? {
        let route = table[number]
        if let connected = route.connected {
            // RFC 2453 §3.5: the metric of a connected network is its cost.
            return Announcement(metric: interface(connected)?.rip?.metric ?? 1)
        }
        if let foreign = route.foreign {
            let originate =
                table.destination(number) == defaultDestination ? configuration?.defaultOriginate : nil
            return Announcement(
                metric: originate?.metric ?? foreign.metric ?? configuration?.defaultMetric ?? 1,
                tag: originate?.tag ?? foreign.tag, nextHop: foreign.nextHop)
        }
        if route.pathCount > 0 {
            let first = table.path(route.firstPath)
            return Announcement(metric: route.metric, tag: first.tag, nextHop: first.nextHop)
        }
        return route.garbageAt == nil ? nil : Announcement(metric: RIPFormat.infinity)
    }

    // MARK: entries

    /// RFC 2453 §3.9.2: one entry of a response, which passed every check.
    mutating func learn(
        _ entry: LearnedEntry, from neighborIndex: UInt32, at now: Instant, into effects: inout [Effect]
    ) {
        guard let configuration, let neighbor = neighbor(neighborIndex), let rip = interface(neighbor.interface)?.rip
        else { return }
        // "Update the metric by adding the cost of the network on which the message arrived", up to infinity.
        let metric = min(entry.metric &+ min(rip.metric, RIPFormat.infinity), RIPFormat.infinity)
        let deadline = now + .seconds(Int(configuration.timers.timeout))
        let nextHop = entry.nextHop ?? neighbor.address
        // The way to an address of ours leads through nobody.
        if isOwnHost(entry.destination) { return countBadRoute(neighborIndex, .entryDestination) }

        guard let number = table.find(entry.destination) else {
            // "There is no point in adding a route which is unusable."
            guard metric < RIPFormat.infinity, admits(neighborIndex, nil, into: &effects) else { return }
            let number = table.insert(entry.destination)
            adopt(number, nil, neighborIndex, metric, entry.tag, nextHop, deadline, at: now)
            return
        }
        let route = table[number]
        if let index = table.path(of: number, from: neighborIndex) {
            let before = announcement(number)
            if metric == RIPFormat.infinity {
                removePath(number, index)
                settle(number, before, at: now)
            } else if metric == route.metric {
                // "If this datagram is from the same router as the existing route, reinitialize the timeout."
                let old = table.path(index)
                table.updatePath(index) {
                    $0.deadline = deadline
                    $0.tag = entry.tag
                    $0.nextHop = nextHop
                }
                if old.nextHop != nextHop || old.tag != entry.tag {
                    markDirty(number)
                    settle(number, before, at: now)
                }
            } else if metric > route.metric && route.pathCount > 1 {
                // Worse than what others still offer.
                removePath(number, index)
                settle(number, before, at: now)
            } else {
                // "If the metric is different from the same router": adopt it, better or worse.
                removeOtherPaths(number, than: index)
                table.updatePath(index) {
                    $0.deadline = deadline
                    $0.tag = entry.tag
                    $0.nextHop = nextHop
                }
                table.update(number) { $0.metric = metric }
                markDirty(number)
                settle(number, before, at: now)
            }
            return
        }
        guard metric < RIPFormat.infinity else { return }
        if route.pathCount == 0 || metric < route.metric {
            guard admits(neighborIndex, number, into: &effects) else { return }
            adopt(number, nil, neighborIndex, metric, entry.tag, nextHop, deadline, at: now)
        } else if metric == route.metric {
            guard admits(neighborIndex, number, into: &effects) else { return }
            if route.pathCount < max(1, min(configuration.maximumPaths, UInt8(RouteOffer.nextHopsMaximum))) {
                let before = announcement(number)
                addPath(number, neighborIndex, metric, entry.tag, nextHop, deadline)
                settle(number, before, at: now)
            } else if let old = halfExpired(number, at: now, timeout: configuration.timers.timeout) {
                // "If the new metric is the same as the old one, examine the timeout for the existing route. If it is
                // at least halfway to the expiration point, switch to the new route."
                adopt(number, old, neighborIndex, metric, entry.tag, nextHop, deadline, at: now)
            }
        }
    }

    /// The path that expires first, if half of its time is over.
    private func halfExpired(_ number: UInt32, at now: Instant, timeout: UInt32) -> UInt32? {
        var oldest: (index: UInt32, deadline: Instant)?
        table.forEachPath(of: number) { index, path in
            guard oldest.map({ path.deadline < $0.deadline }) ?? true else { return }
            oldest = (index, path.deadline)
        }
        guard let oldest, oldest.deadline <= now + .seconds(Int(timeout)) / 2 else { return nil }
        return oldest.index
    }

    /// A path in place of one, or (`nil`) of all others.
    private mutating func adopt(
        _ number: UInt32, _ replaced: UInt32?, _ neighborIndex: UInt32, _ metric: UInt8, _ tag: UInt16,
        _ nextHop: IPAddress, _ deadline: Instant, at now: Instant
    ) {
        let before = announcement(number)
        if let replaced { removePath(number, replaced) } else { removeOtherPaths(number, than: Path.none) }
        addPath(number, neighborIndex, metric, tag, nextHop, deadline)
        settle(number, before, at: now)
    }

    private mutating func addPath(
        _ number: UInt32, _ neighborIndex: UInt32, _ metric: UInt8, _ tag: UInt16, _ nextHop: IPAddress,
        _ deadline: Instant
    ) {
        _ = table.addPath(
            number,
            Path(neighbor: neighborIndex, next: Path.none, nextHop: nextHop, tag: tag, deadline: deadline),
            metric: metric)
        neighbors[Int(neighborIndex)]?.routeCount += 1
        timers.set(.path(number, neighbor: neighborIndex), at: deadline)
        markDirty(number)
    }

    mutating func removePath(_ number: UInt32, _ index: UInt32) {
        let neighborIndex = table.path(index).neighbor
        table.removePath(number, index)
        timers.cancel(.path(number, neighbor: neighborIndex))
        if let count = neighbor(neighborIndex)?.routeCount, count > 0 {
            neighbors[Int(neighborIndex)]?.routeCount = count - 1
        }
        markDirty(number)
    }

    mutating func removeOtherPaths(_ number: UInt32, than kept: UInt32) {
        var others: [UInt32] = []
        table.forEachPath(of: number) { index, _ in if index != kept { others.append(index) } }
        for index in others { removePath(number, index) }
    }

    private func isOwnHost(_ destination: Destination) -> Bool {
        guard destination.length == 128 else { return false }
        let address: IPAddress = version == .v2 ? .v4(destination.unmapped.address) : .v6(destination.address)
        return interfaces.contains { $0.addresses.contains(address) }
    }

    /// Whether a neighbour may add a path. Destinations in garbage collection take room as learned ones do: whoever
    /// announces and withdraws ever others would fill the table with them.
    ///
    /// - Parameter number: the destination; `nil` when it is not in the table.
    private mutating func admits(_ index: UInt32, _ number: UInt32?, into effects: inout [Effect]) -> Bool {
        guard let limits = configuration?.limits, let neighbor = neighbor(index) else { return false }
        let route = number.map { table[$0] } ?? Route()
        let isCounted = route.pathCount > 0 || route.garbageAt != nil && route.wasLearned
        if !isCounted, table.learnedCount + table.learnedGarbageCount >= Int(limits.routesMaximum) {
            countBadRoute(index, .tooManyRoutes)
            if !isTableLimitReported {
                isTableLimitReported = true
                effects.append(event(.warning, "the limit of \(limits.routesMaximum) routes is reached; more are refused"))
            }
            return false
        }
        if neighbor.routeCount >= limits.routesPerNeighbor {
            countBadRoute(index, .tooManyRoutes)
            if !neighbor.isLimitReported {
                neighbors[Int(index)]?.isLimitReported = true
                effects.append(
                    event(
                        .warning,
                        "neighbor \(neighbor.address) on \(name(neighbor.interface)) announces more than "
                            + "\(limits.routesPerNeighbor) routes; more are refused"))
            }
            return false
        }
        return true
    }

    mutating func countBadRoute(_ index: UInt32, _ reason: RIPDropReason) {
        guard let interface = neighbor(index)?.interface else { return }
        neighbors[Int(index)]?.badRoutes &+= 1
        if Int(interface.value) < interfaces.count { interfaces[Int(interface.value)].counters.count(reason) }
    }

    // MARK: what follows from a change

    mutating func markDirty(_ number: UInt32) {
        guard !table[number].isDirty else { return }
        table.update(number) { $0.isDirty = true }
        dirty.append(number)
    }

    mutating func markChanged(_ number: UInt32) {
        guard !table[number].isChanged else { return }
        table.update(number) { $0.isChanged = true }
        changed.append(number)
    }

    /// Called after a destination changed: the route change flag, and the beginning and end of garbage collection.
    /// - Parameter before: what was announced.
    mutating func settle(_ number: UInt32, _ before: Announcement?, at now: Instant) {
        let route = table[number]
        let hasMore = route.pathCount > 0 || route.connected != nil || route.foreign != nil
        if hasMore, route.pathCount == 0, route.wasLearned { table.update(number) { $0.wasLearned = false } }
        if hasMore, route.garbageAt != nil {
            // RFC 2453 §3.8: a new route to the destination ends the garbage collection.
            timers.cancel(.garbage(number))
            table.update(number) { $0.garbageAt = nil }
        } else if !hasMore, route.garbageAt == nil {
            // What we announced ourselves is bounded as well; beyond that neighbours learn of the end by their timeouts.
            let isCrowded = !route.wasLearned && table.ownGarbageCount >= Int(configuration?.limits.routesMaximum ?? 0)
            guard before != nil, !isCrowded else {
                if !route.isDirty { table.remove(number) }
                return
            }
            // RFC 2453 §3.8: the destination goes on to be announced, as unreachable.
            let end = now + .seconds(Int(configuration?.timers.garbage ?? 1))
            table.update(number) { $0.garbageAt = end }
            timers.set(.garbage(number), at: end)
        }
        if announcement(number) != before { markChanged(number) }
    }

    // MARK: timers

    /// RFC 2453 §3.8: the timeout. Responses move a path's deadline and leave the timer where it is.
    mutating func pathTimerFired(_ number: UInt32, _ neighborIndex: UInt32, at now: Instant) {
        guard table.isPresent(number), let index = table.path(of: number, from: neighborIndex) else { return }
        let deadline = table.path(index).deadline
        guard deadline <= now else {
            timers.set(.path(number, neighbor: neighborIndex), at: deadline)
            return
        }
        let before = announcement(number)
        removePath(number, index)
        settle(number, before, at: now)
    }

    /// RFC 2453 §3.8: the destination is forgotten.
    mutating func garbageTimerFired(_ number: UInt32) {
        guard table.isPresent(number), table[number].garbageAt != nil else { return }
        table.update(number) { $0.garbageAt = nil }
        let count = table.learnedCount + table.learnedGarbageCount
        if count < Int(configuration?.limits.routesMaximum ?? 0) { isTableLimitReported = false }
        if !table[number].isKnown, !table[number].isDirty { table.remove(number) }
    }

    // MARK: our own routes

    mutating func redistribute(
        _ updates: [RedistributionUpdate], at now: Instant, into effects: inout [Effect]
    ) {
        guard let configuration else { return }
        for update in updates {
            guard let destination = Destination(update.prefix, version: configuration.version) else { continue }
            let foreign = update.route.map { route in
                ForeignRoute(
                    metric: route.metric.map { UInt8(clamping: min(max($0, 1), UInt32(RIPFormat.infinity))) },
                    tag: UInt16(truncatingIfNeeded: route.tag), nextHop: route.nextHop)
            }
            setForeign(destination, foreign, at: now)
        }
        let isRefused = refusedForeign > 0
        refusedForeign = 0
        if table.foreignCount < Int(configuration.limits.routesMaximum) { isForeignLimitReported = false }
        if isRefused, !isForeignLimitReported {
            isForeignLimitReported = true
            effects.append(
                event(
                    .warning,
                    "more than \(configuration.limits.routesMaximum) routes are redistributed; the rest is not announced"))
        }
    }

    mutating func setForeign(_ destination: Destination, _ foreign: ForeignRoute?, at now: Instant) {
        // The default route that is announced always is one of our own, not of those who redistribute.
        let isDefault = destination == defaultDestination
        if isDefault { redistributedDefault = foreign }
        let value = foreign ?? (isDefault ? originatedDefault : nil)
        if value == nil, table.find(destination) == nil { return }
        if value != nil, table.foreignCount >= Int(configuration?.limits.routesMaximum ?? 0),
            table.find(destination).map({ table[$0].foreign == nil }) ?? true
        {
            refusedForeign += 1
            return
        }
        let number = table.insert(destination)
        let before = announcement(number)
        table.update(number) { $0.foreign = value }
        settle(number, before, at: now)
    }

    /// The default route that is announced whether another protocol has one or not.
    var originatedDefault: ForeignRoute? {
        guard let originate = configuration?.defaultOriginate, originate.always else { return nil }
        return ForeignRoute(metric: originate.metric, tag: originate.tag, nextHop: nil)
    }

    /// After the configuration or an interface changed: which interface's network a destination is.
    mutating func recomputeConnected(_ destination: Destination, at now: Instant) {
        var owner: InterfaceID?
        for (position, interface) in interfaces.enumerated()
        where owner == nil && interface.isRunning && interface.rip?.suppressesPrefixes == false
            && interface.networks.contains(destination)
        {
            owner = InterfaceID(UInt16(truncatingIfNeeded: position))
        }
        guard let number = owner == nil ? table.find(destination) : table.insert(destination) else { return }
        let before = announcement(number)
        table.update(number) { $0.connected = owner }
        settle(number, before, at: now)
    }
}
