import Machine
import SPF
import Wire

/// An LSA that has sources.
struct LSARecord: Sendable {
    struct Key: Hashable, Sendable {
        var database: DatabaseID
        var lsa: LSAKey
    }
    var key: Key
    var firstSource: UInt32 = 0
    var isUsed = true
}

extension PathSource: ArenaElement {
    var isVacant: Bool { kind == .none }
    mutating func vacate() {
        kind = .none
        forwardingAddress = nil
    }
}

extension PrefixRecord: KeyedElement {
    var isVacant: Bool { !isUsed }
    mutating func vacate() { isUsed = false }
    var key: IPPrefix { prefix }
    static func hash(_ prefix: IPPrefix, seed: UInt64) -> UInt64 {
        switch prefix {
        case .v4(let prefix): seededHash(UInt64(prefix.address.raw), UInt64(prefix.length), seed: seed)
        case .v6(let prefix):
            seededHash(prefix.address.high, prefix.address.low, seed: seed &+ UInt64(prefix.length) &+ 64)
        }
    }
}

extension RouterRecord: KeyedElement {
    var isVacant: Bool { !isUsed }
    mutating func vacate() { isUsed = false }
    var key: UInt32 { routerID }
    static func hash(_ router: UInt32, seed: UInt64) -> UInt64 { seededHash(UInt64(router), 3, seed: seed) }
}

extension LSARecord: KeyedElement {
    var isVacant: Bool { !isUsed }
    mutating func vacate() { isUsed = false }
    static func hash(_ key: Key, seed: UInt64) -> UInt64 {
        let (database, lsa) = (key.database, key.lsa)
        let place = UInt64(database.number) << 18 | UInt64(database.scope.rawValue) << 16 | UInt64(lsa.type.rawValue)
        return seededHash(place, UInt64(lsa.linkStateID) << 32 | UInt64(lsa.advertisingRouter), seed: seed)
    }
}

extension VertexRecord: KeyedElement {
    var isVacant: Bool { !isUsed }
    mutating func vacate() { isUsed = false }
    static func hash(_ key: LinkStateGraph.Key, seed: UInt64) -> UInt64 {
        seededHash(key.identifier, key.isNetwork ? 1 : 2, seed: seed)
    }
}

/// The tables: numbers for prefixes, routers and LSAs, and the lists that sources lie in.
extension RouteCalculation {
    func areaPosition(_ id: UInt32) -> Int? {
        let low = areas.sortedIndex { $0.id < id }
        return low < areas.count && areas[low].id == id ? low : nil
    }

    // MARK: prefixes

    func prefixNumber(_ prefix: IPPrefix) -> UInt32? { prefixes.find(prefix) }

    mutating func prefixOrNew(_ prefix: IPPrefix) -> UInt32 {
        prefixNumber(prefix) ?? prefixes.insert(PrefixRecord(prefix: prefix))
    }

    /// Frees a prefix that nothing speaks of and that has no route.
    mutating func releasePrefix(_ number: UInt32) {
        let record = prefixes[number]
        guard record.isUsed, record.firstSource == 0, record.route == nil, record.offered == nil,
            record.internalRoute == nil, !record.isDirty
        else { return }
        prefixes.remove(number)
    }

    mutating func markPrefix(_ number: UInt32, isInternal: Bool) {
        if isInternal { prefixes[number].isInternalDirty = true }
        guard !prefixes[number].isDirty else { return }
        prefixes[number].isDirty = true
        dirtyPrefixes.append(number)
    }

    // MARK: routers

    func routerNumber(_ id: UInt32) -> UInt32? { routers.find(id) }

    mutating func routerOrNew(_ id: UInt32) -> UInt32 {
        if let known = routerNumber(id) { return known }
        let number = routers.insert(RouterRecord(routerID: id))
        markRouter(number)
        return number
    }

    /// Frees a router that nothing speaks of.
    mutating func releaseRouter(_ number: UInt32) {
        let record = routers[number]
        guard record.isUsed, record.firstDependent == 0, record.firstSource == 0, record.route == nil, !record.isDirty else {
            return
        }
        routers.remove(number)
    }

    mutating func markRouter(_ number: UInt32) {
        guard !routers[number].isDirty else { return }
        routers[number].isDirty = true
        dirtyRouters.append(number)
    }

    // MARK: vertices

    /// What hangs on a vertex is to be looked at again: its path changed, or what its router says of itself.
    mutating func markDependents(area: UInt32, _ vertex: UInt32) {
        let record = areas[Int(area)].vertices[vertex]
        var next = record.firstSource
        while next != 0 {
            let source = sources[next - 1]
            markDestination(source)
            next = source.nextOfOwner
        }
        if !record.key.isNetwork {
            let id = UInt32(truncatingIfNeeded: record.key.identifier)
            if let number = routerNumber(id) {
                markRouter(number)
            } else if record.flags.contains(.boundary) {
                _ = routerOrNew(id)
            }
        }
    }

    /// The LSA of a vertex changed, or our own part in it.
    mutating func noteVertexChange(area: UInt32, _ vertex: UInt32) {
        areas[Int(area)].markVertex(vertex)
        markDependents(area: area, vertex)
    }

    mutating func markDestination(_ source: PathSource) {
        switch source.kind {
        case .intraArea, .interArea: markPrefix(source.destination, isInternal: true)
        case .external, .nssa: markPrefix(source.destination, isInternal: false)
        case .interAreaRouter: markRouter(source.destination)
        case .none: break
        }
    }

    // MARK: sources

    /// Takes everything back that an LSA said.
    mutating func removeSources(_ database: DatabaseID, _ key: LSAKey) {
        guard let number = lsas.find(LSARecord.Key(database: database, lsa: key)) else { return }
        var next = lsas[number].firstSource
        while next != 0 {
            let source = sources[next - 1]
            unlink(next, source)
            next = source.nextOfLSA
        }
        lsas.remove(number)
    }

    /// Puts what an LSA says into the lists. The LSA has no sources yet.
    mutating func addSources(_ new: [PathSource], _ database: DatabaseID, _ key: LSAKey) {
        guard !new.isEmpty else { return }
        var first: UInt32 = 0
        for var source in new {
            source.nextOfLSA = first
            let number = sources.insert(source) + 1
            link(number, &source)
            sources[number - 1] = source
            if let address = source.forwardingAddress { forwarding.add(address, number) }
            markDestination(source)
            first = number
        }
        _ = lsas.insert(LSARecord(key: LSARecord.Key(database: database, lsa: key), firstSource: first))
    }

    private func head(ofDestination source: PathSource) -> UInt32 {
        source.kind == .interAreaRouter
            ? routers[source.destination].firstSource : prefixes[source.destination].firstSource
    }
    private mutating func setHead(ofDestination source: PathSource, _ number: UInt32) {
        if source.kind == .interAreaRouter {
            routers[source.destination].firstSource = number
        } else {
            prefixes[source.destination].firstSource = number
        }
    }
    private func head(ofOwner source: PathSource) -> UInt32 {
        source.kind == .external
            ? routers[source.owner].firstDependent
            : areas[Int(source.area)].vertices[source.owner].firstSource
    }
    private mutating func setHead(ofOwner source: PathSource, _ number: UInt32) {
        if source.kind == .external {
            routers[source.owner].firstDependent = number
        } else {
            areas[Int(source.area)].vertices[source.owner].firstSource = number
        }
    }

    private mutating func link(_ number: UInt32, _ source: inout PathSource) {
        source.nextOfDestination = head(ofDestination: source)
        source.previousOfDestination = 0
        if source.nextOfDestination != 0 { sources[source.nextOfDestination - 1].previousOfDestination = number }
        setHead(ofDestination: source, number)
        source.nextOfOwner = head(ofOwner: source)
        source.previousOfOwner = 0
        if source.nextOfOwner != 0 { sources[source.nextOfOwner - 1].previousOfOwner = number }
        setHead(ofOwner: source, number)
    }

    private mutating func unlink(_ number: UInt32, _ source: PathSource) {
        if source.previousOfDestination != 0 {
            sources[source.previousOfDestination - 1].nextOfDestination = source.nextOfDestination
        } else {
            setHead(ofDestination: source, source.nextOfDestination)
        }
        if source.nextOfDestination != 0 {
            sources[source.nextOfDestination - 1].previousOfDestination = source.previousOfDestination
        }
        if source.previousOfOwner != 0 {
            sources[source.previousOfOwner - 1].nextOfOwner = source.nextOfOwner
        } else {
            setHead(ofOwner: source, source.nextOfOwner)
        }
        if source.nextOfOwner != 0 {
            sources[source.nextOfOwner - 1].previousOfOwner = source.previousOfOwner
        }
        markDestination(source)
        if source.kind == .external {
            markRouter(source.owner)
        } else {
            loose.append((source.area, source.owner))
        }
        if source.forwardingAddress != nil { forwarding.noteRemoval() }
        sources.remove(number - 1)
    }

    /// Gives numbers back that may not be used any more.
    mutating func releaseLoose() {
        for entry in loose { areas[Int(entry.area)].releaseVertex(entry.vertex) }
        loose.removeAll(keepingCapacity: true)
    }
}
