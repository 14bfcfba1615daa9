import Machine
import Records
import Routing
import Wire

// Neighbours that come by themselves.
//
// A range of addresses is an endpoint of its own, whose number is beyond those of neighbours. A connection from one of its
// addresses, which no neighbour has, makes one: under the lowest free number, with what the range's peer group says, passive
// for as long as it lives. From then on it is a neighbour like any other. Its AS is known with its OPEN if the range takes
// several. It is gone `patience` after its last connection, and what was fatal in its messages is known after that, too.
//
// Bounds: each range has a limit, all of them together the number of neighbours, and no more than `Arrivals.perSecond` come
// within a second, since a new one costs a new list of listeners.

/// How many neighbours came by themselves within the second that began last.
struct Arrivals: Sendable {
    var began = Instant.zero
    var count: UInt32 = 0
    /// Said once a second.
    var isRefusalSaid = false

    static let perSecond: UInt32 = 32

    /// Whether another one may come now.
    mutating func admit(at now: Instant) -> Bool {
        if now - began >= .seconds(1) { self = Arrivals(began: now, count: 0) }
        guard count < Self.perSecond else { return false }
        count += 1
        return true
    }
}

extension Arrivals: Fielded {
    static var blank: Self { .init() }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&began)
        try visitor.field(&count)
        try visitor.field(&isRefusalSaid)
    }
}

extension BGPInstance {
    /// How long a neighbour that came by itself is remembered without a connection.
    static let patience = Duration.seconds(120)

    /// Ranges as endpoints, in the order of the configuration.
    var rangeEndpoints: [StreamEndpoint] {
        guard let configuration else { return [] }
        return configuration.ranges.enumerated().filter { !$1.template.isShutdown }.map { number, range in
            StreamEndpoint(
                number: StreamEndpointID(UInt16(Self.neighborsMaximum + number)), local: range.template.localAddress,
                localPort: Self.port, remote: range.prefix.address, remoteLength: range.prefix.length, remotePort: 0,
                options: range.template.transportOptions(routerAS: configuration.routerAS))
        }
    }

    /// Somebody connected from a range.
    mutating func welcome(
        _ connection: ConnectionID, _ identity: ConnectionIdentity, _ addresses: SessionAddresses, range number: Int,
        at now: Instant, into effects: inout [Effect]
    ) {
        let address = identity.tuple.remote
        // Another connection of his was faster than the new list of listeners.
        if let known = peerIndex(address) {
            return opened(connection, identity, addresses, known, isOurs: false, at: now, into: &effects)
        }
        let place = number - Self.neighborsMaximum
        guard let ranges = configuration?.ranges, ranges.indices.contains(place), owners[connection] == nil else {
            effects.append(.abort(connection))
            return
        }
        let range = ranges[place]
        guard range.prefix.contains(address), !range.template.isShutdown else {
            effects.append(.abort(connection))
            return
        }
        guard arrivals.admit(at: now) else {
            return turnAway(connection, address, "more than \(Arrivals.perSecond) new neighbors a second", into: &effects)
        }
        guard neighbors.count(where: { $0?.configuration.range == range.prefix }) < Int(range.limit) else {
            return turnAway(connection, address, "\(range.prefix) has its limit of \(range.limit) neighbors", into: &effects)
        }
        guard let peer = freeIndex() else {
            return turnAway(connection, address, "no room for another neighbor", into: &effects)
        }
        let neighbor = Neighbor(configuration: range.neighbor(address))
        if Int(peer.value) < neighbors.count { neighbors[Int(peer.value)] = neighbor } else { neighbors.append(neighbor) }
        event(.notice, peer, "came by itself from \(range.prefix), peer group \(range.group)", into: &effects)
        updateListeners(into: &effects)
        startMachine(peer, at: now, into: &effects)
        opened(connection, identity, addresses, peer, isOurs: false, at: now, into: &effects)
    }

    /// One event a second at most: whoever is turned away can come again at once.
    private mutating func turnAway(
        _ connection: ConnectionID, _ address: IPAddress, _ reason: String, into effects: inout [Effect]
    ) {
        effects.append(.abort(connection))
        guard !arrivals.isRefusalSaid else { return }
        arrivals.isRefusalSaid = true
        effects.append(.event(Event(.warning, "bgp", "a connection from \(address) is refused: \(reason)")))
    }

    /// The AS that the OPEN says, if it is one of those that may come from the neighbour's range.
    func asNumber(of neighbor: Neighbor, _ open: OpenMessage) -> ASNumber? {
        guard let range = configuration?.range(of: neighbor.configuration.address), range.accepts(open.asNumber) else {
            return nil
        }
        return open.asNumber
    }

    /// Without a session the time runs until it is forgotten.
    mutating func awaitReturn(_ peer: PeerIndex, at now: Instant) {
        let key = timer(.forget, peer, .own)
        if neighbor(peer)?.establishedSlot != nil {
            timers.cancel(key)
        } else if !timers.isRunning(key) {
            timers.set(key, at: now + Self.patience)
        }
    }

    mutating func forget(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(peer), neighbor.configuration.range != nil, neighbor.establishedSlot == nil else { return }
        // A connection is under way, its routes wait for it, or it is kept down: that must not be forgotten by going away.
        guard neighbor.incoming == nil, neighbor.retention == nil, !neighbor.isBlocked, !neighbor.isQuarantined else {
            return awaitReturn(peer, at: now)
        }
        event(.notice, peer, "has gone", into: &effects)
        remove(peer)
        updateListeners(into: &effects)
    }

    /// Takes a neighbour without connections out of the table.
    mutating func remove(_ peer: PeerIndex) {
        for kind in [SessionTimer.Kind.idleHold, .connectRetry, .quarantine, .challenge, .forget] {
            timers.cancel(timer(kind, peer, .own))
        }
        neighbors[Int(peer.value)] = nil
        hasFirstRoutesNews = true
    }

    /// What the neighbour is in a new configuration; `nil`: nothing any more.
    func wanted(_ neighbor: Neighbor, in new: BGPConfiguration) -> NeighborConfiguration? {
        let known = neighbor.configuration
        if let wanted = new.neighbors.first(where: { $0.address == known.address }) { return wanted }
        guard known.range != nil, let range = new.range(of: known.address), !range.template.isShutdown else { return nil }
        var wanted = range.neighbor(known.address)
        if range.accepts(known.remoteAS) { wanted.remoteAS = known.remoteAS }
        return wanted
    }
}
