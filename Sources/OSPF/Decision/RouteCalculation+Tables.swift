import Machine
import SPF
import Wire

/// An LSA that has sources.
struct LSARecord: Sendable {
    var database: DatabaseID
    var key: LSAKey
    var firstSource: UInt32 = 0
}

/// The tables: numbers for prefixes, routers and LSAs, and the lists that sources lie in.
extension RouteCalculation {
    func areaPosition(_ id: UInt32) -> Int? {
        let low = areas.sortedIndex { $0.id < id }
        return low < areas.count && areas[low].id == id ? low : nil
    }

    // MARK: prefixes

    private static func hash(_ prefix: IPPrefix, _ seed: UInt64) -> UInt64 {
        switch prefix {
        case .v4(let prefix): seededHash(UInt64(prefix.address.raw), UInt64(prefix.length), seed: seed)
        case .v6(let prefix):
            seededHash(prefix.address.high, prefix.address.low, seed: seed &+ UInt64(prefix.length) &+ 64)
        }
    }

    func prefixNumber(_ prefix: IPPrefix) -> UInt32? {
        prefixIndex.find(Self.hash(prefix, seed)) { prefixes[Int($0)].prefix == prefix }
    }

    mutating func prefixOrNew(_ prefix: IPPrefix) -> UInt32 {
        if let known = prefixNumber(prefix) { return known }
        let number: UInt32
        if let free = freePrefixes.popLast() {
            number = free
            prefixes[Int(number)] = PrefixRecord(prefix: prefix)
        } else {
            number = UInt32(truncatingIfNeeded: prefixes.count)
            prefixes.append(PrefixRecord(prefix: prefix))
        }
        indexPrefix(number)
        return number
    }

    private mutating func indexPrefix(_ number: UInt32) {
        let (named, seed) = (prefixes, seed)
        prefixIndex.insert(number, hash: Self.hash(named[Int(number)].prefix, seed)) {
            Self.hash(named[Int($0)].prefix, seed)
        }
    }

    /// Frees a prefix that nothing speaks of and that has no route.
    mutating func releasePrefix(_ number: UInt32) {
        let record = prefixes[Int(number)]
        guard record.isUsed, record.firstSource == 0, record.route == nil, record.offered == nil,
            record.internalRoute == nil, !record.isDirty
        else { return }
        unindexPrefix(number)
        prefixes[Int(number)].isUsed = false
        freePrefixes.append(number)
    }

    private mutating func unindexPrefix(_ number: UInt32) {
        let (named, seed) = (prefixes, seed)
        prefixIndex.remove(number, hash: Self.hash(named[Int(number)].prefix, seed)) {
            Self.hash(named[Int($0)].prefix, seed)
        }
    }

    mutating func markPrefix(_ number: UInt32, isInternal: Bool) {
        if isInternal { prefixes[Int(number)].isInternalDirty = true }
        guard !prefixes[Int(number)].isDirty else { return }
        prefixes[Int(number)].isDirty = true
        dirtyPrefixes.append(number)
    }

    // MARK: routers

    private static func hash(_ router: UInt32, _ seed: UInt64) -> UInt64 { seededHash(UInt64(router), 3, seed: seed) }

    func routerNumber(_ id: UInt32) -> UInt32? {
        routerIndex.find(Self.hash(id, seed)) { routers[Int($0)].routerID == id }
    }

    mutating func routerOrNew(_ id: UInt32) -> UInt32 {
        if let known = routerNumber(id) { return known }
        let number: UInt32
        if let free = freeRouters.popLast() {
            number = free
            routers[Int(number)] = RouterRecord(routerID: id)
        } else {
            number = UInt32(truncatingIfNeeded: routers.count)
            routers.append(RouterRecord(routerID: id))
        }
        let (named, seed) = (routers, seed)
        routerIndex.insert(number, hash: Self.hash(id, seed)) { Self.hash(named[Int($0)].routerID, seed) }
        markRouter(number)
        return number
    }

    /// Frees a router that nothing speaks of.
    mutating func releaseRouter(_ number: UInt32) {
        let record = routers[Int(number)]
        guard record.firstDependent == 0, record.firstSource == 0, record.route == nil, !record.isDirty,
            routerNumber(record.routerID) == number
        else { return }
        unindexRouter(number)
        freeRouters.append(number)
    }

    private mutating func unindexRouter(_ number: UInt32) {
        let (named, seed) = (routers, seed)
        routerIndex.remove(number, hash: Self.hash(named[Int(number)].routerID, seed)) {
            Self.hash(named[Int($0)].routerID, seed)
        }
    }

    mutating func markRouter(_ number: UInt32) {
        guard !routers[Int(number)].isDirty else { return }
        routers[Int(number)].isDirty = true
        dirtyRouters.append(number)
    }

    // MARK: vertices

    /// What hangs on a vertex is to be looked at again: its path changed, or what its router says of itself.
    mutating func markDependents(area: UInt32, _ vertex: UInt32) {
        let record = areas[Int(area)].vertices[Int(vertex)]
        var next = record.firstSource
        while next != 0 {
            let source = sources[Int(next - 1)]
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

    private static func hash(_ database: DatabaseID, _ key: LSAKey, _ seed: UInt64) -> UInt64 {
        let place = UInt64(database.number) << 18 | UInt64(database.scope.rawValue) << 16 | UInt64(key.type.rawValue)
        return seededHash(place, UInt64(key.linkStateID) << 32 | UInt64(key.advertisingRouter), seed: seed)
    }

    private func lsaNumber(_ database: DatabaseID, _ key: LSAKey) -> UInt32? {
        lsaIndex.find(Self.hash(database, key, seed)) {
            lsas[Int($0)].key == key && lsas[Int($0)].database == database
        }
    }

    /// Takes everything back that an LSA said.
    mutating func removeSources(_ database: DatabaseID, _ key: LSAKey) {
        guard let number = lsaNumber(database, key) else { return }
        var next = lsas[Int(number)].firstSource
        while next != 0 {
            let source = sources[Int(next - 1)]
            unlink(next, source)
            next = source.nextOfLSA
        }
        unindexLSA(number)
        freeLSAs.append(number)
    }

    private mutating func unindexLSA(_ number: UInt32) {
        let (named, seed) = (lsas, seed)
        let record = named[Int(number)]
        lsaIndex.remove(number, hash: Self.hash(record.database, record.key, seed)) {
            Self.hash(named[Int($0)].database, named[Int($0)].key, seed)
        }
    }

    /// Puts what an LSA says into the lists. The LSA has no sources yet.
    mutating func addSources(_ new: [PathSource], _ database: DatabaseID, _ key: LSAKey) {
        guard !new.isEmpty else { return }
        var first: UInt32 = 0
        for var source in new {
            source.nextOfLSA = first
            let number: UInt32
            if let free = freeSources.popLast() {
                number = free + 1
            } else {
                sources.append(source)
                number = UInt32(truncatingIfNeeded: sources.count)
            }
            link(number, &source)
            sources[Int(number - 1)] = source
            if let address = source.forwardingAddress { forwarding.add(address, number) }
            markDestination(source)
            first = number
        }
        let record = LSARecord(database: database, key: key, firstSource: first)
        let number: UInt32
        if let free = freeLSAs.popLast() {
            number = free
            lsas[Int(number)] = record
        } else {
            number = UInt32(truncatingIfNeeded: lsas.count)
            lsas.append(record)
        }
        let (named, seed) = (lsas, seed)
        lsaIndex.insert(number, hash: Self.hash(database, key, seed)) {
            Self.hash(named[Int($0)].database, named[Int($0)].key, seed)
        }
    }

    private func head(ofDestination source: PathSource) -> UInt32 {
        source.kind == .interAreaRouter
            ? routers[Int(source.destination)].firstSource : prefixes[Int(source.destination)].firstSource
    }
    private mutating func setHead(ofDestination source: PathSource, _ number: UInt32) {
        if source.kind == .interAreaRouter {
            routers[Int(source.destination)].firstSource = number
        } else {
            prefixes[Int(source.destination)].firstSource = number
        }
    }
    private func head(ofOwner source: PathSource) -> UInt32 {
        source.kind == .external
            ? routers[Int(source.owner)].firstDependent
            : areas[Int(source.area)].vertices[Int(source.owner)].firstSource
    }
    private mutating func setHead(ofOwner source: PathSource, _ number: UInt32) {
        if source.kind == .external {
            routers[Int(source.owner)].firstDependent = number
        } else {
            areas[Int(source.area)].vertices[Int(source.owner)].firstSource = number
        }
    }

    private mutating func link(_ number: UInt32, _ source: inout PathSource) {
        source.nextOfDestination = head(ofDestination: source)
        source.previousOfDestination = 0
        if source.nextOfDestination != 0 { sources[Int(source.nextOfDestination - 1)].previousOfDestination = number }
        setHead(ofDestination: source, number)
        source.nextOfOwner = head(ofOwner: source)
        source.previousOfOwner = 0
        if source.nextOfOwner != 0 { sources[Int(source.nextOfOwner - 1)].previousOfOwner = number }
        setHead(ofOwner: source, number)
    }

    private mutating func unlink(_ number: UInt32, _ source: PathSource) {
        if source.previousOfDestination != 0 {
            sources[Int(source.previousOfDestination - 1)].nextOfDestination = source.nextOfDestination
        } else {
            setHead(ofDestination: source, source.nextOfDestination)
        }
        if source.nextOfDestination != 0 {
            sources[Int(source.nextOfDestination - 1)].previousOfDestination = source.previousOfDestination
        }
        if source.previousOfOwner != 0 {
            sources[Int(source.previousOfOwner - 1)].nextOfOwner = source.nextOfOwner
        } else {
            setHead(ofOwner: source, source.nextOfOwner)
        }
        if source.nextOfOwner != 0 {
            sources[Int(source.nextOfOwner - 1)].previousOfOwner = source.previousOfOwner
        }
        markDestination(source)
        if source.kind == .external {
            markRouter(source.owner)
        } else {
            loose.append((source.area, source.owner))
        }
        if source.forwardingAddress != nil { forwarding.noteRemoval() }
        sources[Int(number - 1)].kind = .none
        sources[Int(number - 1)].forwardingAddress = nil
        freeSources.append(number - 1)
    }

    /// Gives numbers back that may not be used any more.
    mutating func releaseLoose() {
        for entry in loose { areas[Int(entry.area)].releaseVertex(entry.vertex) }
        loose.removeAll(keepingCapacity: true)
    }
}
