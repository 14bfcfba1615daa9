import Machine
import Records
import Routing
import Wire

/// What one neighbour says about one destination.
struct Path: ArenaElement, Equatable {
    static let none = UInt32.max

    /// Position in the table of neighbours; `none` in a place that is not in use.
    var neighbor: UInt32
    /// The next path of the same route, in order of arrival.
    var next: UInt32
    /// The gateway: the neighbour, or a router on its link that it names (RFC 2453 §4.4).
    var nextHop: IPAddress
    var tag: UInt16
    /// RFC 2453 §3.8: when the timeout expires.
    var deadline: Instant

    var isVacant: Bool { neighbor == Self.none }
    mutating func vacate() { neighbor = Self.none }

    var hash: UInt64 {
        var digest = StateDigest(UInt64(neighbor) << 32 | UInt64(tag))
        digest.mix(nextHop)
        digest.mix(UInt64(bitPattern: deadline.nanoseconds))
        return digest.value
    }
}

/// A route of another protocol that RIP announces.
struct ForeignRoute: Equatable {
    /// 1…16; `nil` is the default metric.
    var metric: UInt8?
    var tag: UInt16
    var nextHop: IPAddress?
}

/// A destination: what was learned of it, what of it is our own, and what is being forgotten.
struct Route: Equatable {
    /// Learned, all of the same metric; `Path.none` when there is none.
    var firstPath = Path.none
    var pathCount: UInt8 = 0
    /// Of the learned paths, with the cost of their networks; infinity when there is none.
    var metric = RIPFormat.infinity
    /// The interface whose own network this is.
    var connected: InterfaceID?
    var foreign: ForeignRoute?
    /// RFC 2453 §3.8: when the garbage collection timer expires. Set while nothing is known but that it was reachable.
    var garbageAt: Instant?
    /// RFC 2453 §3.4.4: the route change flag, for the next triggered update.
    var isChanged = false
    /// News for the routing table manager is due.
    var isDirty = false
    /// The routing table manager has a route from us.
    var isOffered = false
    /// A neighbour announced it since anything was known of it: what is left of it counts as learned.
    var wasLearned = false

    /// Whether anything is to be said of it.
    var isKnown: Bool { pathCount > 0 || connected != nil || foreign != nil || garbageAt != nil }

    var hash: UInt64 {
        var digest = StateDigest(UInt64(pathCount) << 8 | UInt64(metric))
        digest.mix(
            UInt64(connected?.value ?? 0xffff) << 8 | (isChanged ? 1 : 0) | (isDirty ? 2 : 0) | (isOffered ? 4 : 0)
                | (wasLearned ? 8 : 0))
        if let foreign {
            digest.mix(UInt64(foreign.metric ?? 0) << 16 | UInt64(foreign.tag))
            if let hop = foreign.nextHop { digest.mix(hop) }
        }
        if let garbageAt { digest.mix(UInt64(bitPattern: garbageAt.nanoseconds)) }
        return digest.value
    }
}

extension StateDigest {
    mutating func mix(_ address: IPAddress) {
        switch address {
        case .v4(let a): mix(UInt64(a.raw) | 4 << 40)
        case .v6(let a):
            mix(a.high)
            mix(a.low)
        }
    }
}

/// RFC 2453 §3.4, the routing database: destinations by number, the paths of each in a chain. Flat, so that a copy is a
/// snapshot, and with a digest that follows every change.
struct RouteTable: Sendable {
    private(set) var prefixes: PrefixTable<Destination>
    /// By prefix number.
    private var routes: [Route] = []
    private var paths = Arena<Path>()
    /// Of routes and paths.
    private(set) var digest = StateDigest()
    /// Destinations with learned paths, and with foreign routes: for the limits.
    private(set) var learnedCount = 0
    private(set) var foreignCount = 0
    /// Destinations in garbage collection that neighbours announced, and those that were our own to announce.
    private(set) var learnedGarbageCount = 0
    private(set) var ownGarbageCount = 0

    init(seed: UInt64) { prefixes = PrefixTable(seed: seed) }

    /// One more than the greatest number in use.
    var capacity: Int { routes.count }
    var count: Int { prefixes.count }

    subscript(number: UInt32) -> Route { routes[Int(number)] }
    func path(_ index: UInt32) -> Path { paths[index] }
    func destination(_ number: UInt32) -> Destination { prefixes[number] }
    func isPresent(_ number: UInt32) -> Bool { prefixes.isPresent(number) }
    func find(_ destination: Destination) -> UInt32? { prefixes.find(destination) }

    private func hash(_ number: UInt32) -> UInt64 {
        seededHash(routes[Int(number)].hash, UInt64(number), seed: 1)
    }
    private func pathHash(_ index: UInt32) -> UInt64 {
        seededHash(paths[index].hash, UInt64(index), seed: 2)
    }

    /// The number of the destination, which is made when it is absent.
    mutating func insert(_ destination: Destination) -> UInt32 {
        if let number = prefixes.find(destination) { return number }
        let number = prefixes.insert(destination)
        if Int(number) == routes.count { routes.append(Route()) } else { routes[Int(number)] = Route() }
        digest.add(hash(number))
        return number
    }

    /// Forgets a destination of which nothing is known.
    mutating func remove(_ number: UInt32) {
        precondition(!routes[Int(number)].isKnown, "a destination is forgotten when nothing is known of it")
        digest.remove(hash(number))
        prefixes.remove(number)
        routes[Int(number)] = Route()
    }

    /// Changes what is not a path.
    mutating func update(_ number: UInt32, _ body: (inout Route) -> Void) {
        digest.remove(hash(number))
        count(routes[Int(number)], -1)
        body(&routes[Int(number)])
        count(routes[Int(number)], 1)
        digest.add(hash(number))
    }

    private mutating func count(_ route: Route, _ step: Int) {
        if route.foreign != nil { foreignCount += step }
        guard route.garbageAt != nil else { return }
        if route.wasLearned { learnedGarbageCount += step } else { ownGarbageCount += step }
    }

    mutating func updatePath(_ index: UInt32, _ body: (inout Path) -> Void) {
        digest.remove(pathHash(index))
        body(&paths[index])
        digest.add(pathHash(index))
    }

    /// The path of a neighbour.
    func path(of number: UInt32, from neighbor: UInt32) -> UInt32? {
        var index = routes[Int(number)].firstPath
        while index != Path.none {
            if paths[index].neighbor == neighbor { return index }
            index = paths[index].next
        }
        return nil
    }

    /// Calls the body with each path in order of arrival.
    func forEachPath(of number: UInt32, _ body: (UInt32, Path) -> Void) {
        var index = routes[Int(number)].firstPath
        while index != Path.none {
            let path = paths[index]
            body(index, path)
            index = path.next
        }
    }

    /// Appends a path and returns its index.
    mutating func addPath(_ number: UInt32, _ path: Path, metric: UInt8) -> UInt32 {
        var path = path
        path.next = Path.none
        let index = paths.insert(path)
        digest.add(pathHash(index))
        var last = Path.none
        forEachPath(of: number) { i, _ in last = i }
        if last != Path.none { updatePath(last) { $0.next = index } }
        if routes[Int(number)].pathCount == 0 { learnedCount += 1 }
        update(number) {
            if last == Path.none { $0.firstPath = index }
            $0.pathCount += 1
            $0.metric = metric
            $0.wasLearned = true
        }
        return index
    }

    mutating func removePath(_ number: UInt32, _ index: UInt32) {
        let next = paths[index].next
        if routes[Int(number)].firstPath == index {
            update(number) { $0.firstPath = next }
        } else {
            var before = routes[Int(number)].firstPath
            while paths[before].next != index { before = paths[before].next }
            updatePath(before) { $0.next = next }
        }
        digest.remove(pathHash(index))
        paths.remove(index)
        update(number) {
            $0.pathCount -= 1
            if $0.pathCount == 0 { $0.metric = RIPFormat.infinity }
        }
        if routes[Int(number)].pathCount == 0 { learnedCount -= 1 }
    }

    /// Numbers in the order of prefixes, for display.
    func ordered(after destination: Destination?, limit: Int) -> [UInt32] {
        prefixes.ordered(after: destination, limit: limit)
    }
}

extension RouteTable: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        prefixes.write(to: &writer)
        writer.writeList(routes) { route, w in
            w.write(route.firstPath)
            w.write(route.pathCount)
            w.write(route.metric)
            w.write(route.connected?.value ?? .max)
            w.write(route.foreign != nil)
            route.foreign?.write(to: &w)
            w.write(route.garbageAt)
            w.write(
                UInt8(route.isChanged ? 1 : 0) | (route.isDirty ? 2 : 0) | (route.isOffered ? 4 : 0)
                    | (route.wasLearned ? 8 : 0))
        }
        writer.writeList(paths.places) { path, w in
            w.write(path.neighbor)
            w.write(path.next)
            path.nextHop.write(to: &w)
            w.write(path.tag)
            w.write(path.deadline)
        }
        writer.writeBlock(paths.free)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        prefixes = try PrefixTable(from: &reader)
        routes = try reader.readList { r throws(DecodeError) in
            var route = Route()
            route.firstPath = try r.read()
            route.pathCount = try r.read()
            route.metric = try r.read()
            let connected: UInt16 = try r.read()
            route.connected = connected == .max ? nil : InterfaceID(connected)
            if try r.readBool() { route.foreign = try ForeignRoute(from: &r) }
            route.garbageAt = try r.readOptionalInstant()
            let flags: UInt8 = try r.read()
            route.isChanged = flags & 1 != 0
            route.isDirty = flags & 2 != 0
            route.isOffered = flags & 4 != 0
            route.wasLearned = flags & 8 != 0
            return route
        }
        let places = try reader.readList { r throws(DecodeError) in
            let neighbor: UInt32 = try r.read()
            let next: UInt32 = try r.read()
            let nextHop = try IPAddress(from: &r)
            let tag: UInt16 = try r.read()
            return Path(neighbor: neighbor, next: next, nextHop: nextHop, tag: tag, deadline: try r.readInstant())
        }
        let free = try reader.readBlock(of: UInt32.self)
        paths = try Arena(places: places, free: free, of: "route table", at: reader.position)
        try restoreCounts(at: reader.position)
    }

    /// Every path belongs to one chain or is free; counts and digest follow from the rest.
    private mutating func restoreCounts(at position: Int) throws(DecodeError) {
        let refused = DecodeError("route table", at: position, .badValue)
        guard routes.count == prefixes.capacity else { throw refused }
        var isUsed = [Bool](repeating: false, count: paths.capacity)
        var used = 0
        for number in routes.indices {
            guard prefixes.isPresent(UInt32(number)) else {
                guard !routes[number].isKnown else { throw refused }
                continue
            }
            var index = routes[number].firstPath
            var length = 0
            while index != Path.none {
                guard paths.isPresent(index), !isUsed[Int(index)] else { throw refused }
                isUsed[Int(index)] = true
                length += 1
                digest.add(pathHash(index))
                index = paths[index].next
            }
            guard length == Int(routes[number].pathCount) else { throw refused }
            used += length
            if length > 0 { learnedCount += 1 }
            count(routes[number], 1)
            digest.add(hash(UInt32(number)))
        }
        guard used == paths.count else { throw refused }
    }

    /// Whether all paths name a neighbour for whom the test holds.
    func pathsHold(_ test: (UInt32) -> Bool) -> Bool {
        for number in routes.indices where prefixes.isPresent(UInt32(number)) {
            var isGood = true
            forEachPath(of: UInt32(number)) { if !test($1.neighbor) { isGood = false } }
            if !isGood { return false }
        }
        return true
    }
}

extension ForeignRoute: Fielded {
    static var blank: Self { .init(metric: nil, tag: 0, nextHop: nil) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&metric)
        try visitor.field(&tag)
        try visitor.field(&nextHop)
    }
}
