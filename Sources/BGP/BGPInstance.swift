import Machine
import Records
import Routing
import Wire

/// BGP-4 as one deterministic machine: sessions on one side, the RIB on the other, and this between them.
///
/// Standards: RFC 4271 with 4760 (IPv4 and IPv6 unicast), 5492, 6793, 2918, 6286, 6608, 7606, 7607, 8212, 8654, 9003,
/// 9072, 9234, 9687; 4724, 7313, 8538, 9494 restarts and refreshes; 1997, 4360 and 8092 communities; 4456 route reflection;
/// 5065 confederations; 7705 another AS.
///
/// Rooms:
/// - `BGPConfiguration.swift`: what the operator wants.
/// - `Packet/`: octets to values and back. `UpdateMessage` and `PathAttributes` carry RFC 7606.
/// - `Session/`: `SessionStateMachine` is the switch of RFC 4271 §8.2.2, `Neighbor` the two connections that a
///   neighbour may have, and the extensions of `BGPInstance` what the machine's actions mean.
/// - `Database/`, `Decision/`, `Policy/`: Adj-RIBs-In, Loc-RIB, Adj-RIBs-Out and what is between them.
///
/// The way of a record: `handle` fires the timers that are due, applies the input (octets become messages, messages
/// become RIB calls), then one flush: the RIB decides and encodes what changed, and every neighbour whose stream has room
/// gets its part. What does not fit stays in the Adj-RIB-Out, so that a neighbour that reads slowly costs no memory.
///
/// Bounds: per connection less than one message is held before it is understood (65,534 octets), and at most
/// `transmitWindow` octets (and one slice) beyond what the neighbour acknowledged are generated; 4,096 neighbours with
/// two connections each.
///
/// After each `handle` the engine takes `rib.takeIPv4Changes()` and `rib.takeIPv6Changes()`.
public struct BGPInstance: StreamProtocol {
    public typealias Configuration = BGPConfiguration
    public typealias Input = StreamProtocolInput<BGPConfiguration>
    public typealias Effect = StreamProtocolEffect

    /// How many octets beyond the acknowledged ones a stream may hold before routes wait in the Adj-RIB-Out.
    public static let transmitWindow = 1 << 20
    /// RFC 9687 §4: the SendHoldTimer is at least this.
    static let sendHoldMinimum = Duration.seconds(480)
    /// How long a finished connection may take until it is aborted.
    static let lingerTime = Duration.seconds(20)
    /// The least time between two passes over the table for a neighbour's ROUTE-REFRESH.
    static let refreshInterval = Duration.seconds(2)
    static let housekeepingTime = Duration.seconds(60)
    /// Numbers of endpoints from here on are those of ranges.
    static let neighborsMaximum = 4096
    /// Where we listen (RFC 4271 §4).
    static let port: UInt16 = 179
    /// What a router that speaks no BGP has in force.
    static let unconfigured = BGPConfiguration(routerAS: .zero, routerID: RouterID(raw: 0))

    public internal(set) var configuration: BGPConfiguration?
    /// Routes. The engine takes best-route changes from here.
    public var rib: RIB

    /// By `PeerIndex`. A slot is free again once its routes are gone.
    var neighbors: [Neighbor?] = []
    /// Established sessions in ascending order of peer: who gets routes. Derived from `neighbors`, and flat, since every
    /// input looks at all of them.
    var outlets: [Outlet] = []
    /// Looked up, never iterated; rebuilt from `neighbors` after a restore.
    var owners: [ConnectionID: Owner] = [:]
    /// Finished by us, not yet by the neighbour, in order of their numbers.
    var lingering: [ConnectionID] = []
    var timers = TimerTable<SessionTimer>()
    var random: RandomNumbers
    /// Next hops whose state we asked for, ascending, with the newest answer.
    var trackedNextHops: [IPAddress] = []
    var nextHopStates: [NextHopState] = []
    /// AS numbers of neighbours whose first AS is checked: the position is part of the attribute context.
    var checkedAS: [ASNumber] = []
    /// What was fatal to a controller, to be known when it comes again.
    var fatalInputs = FatalInputs()
    /// The router came up with neighbours that may be keeping its routes; `nil`: with none.
    var coldStart: ColdStart?
    /// The pair has a standby in lock step.
    var isRedundant = false
    /// How many neighbours have a challenger. Derived from `neighbors`.
    var challengers = 0
    /// Neighbours that came by themselves of late.
    var arrivals = Arrivals()
    /// Something changed since the last look that `firstRoutes` depends on. The engine looks at the end of each record.
    var hasFirstRoutesNews = false
    /// Where the number of the message at work is noted, for the dying gasp. No part of the state.
    public var progress = ProgressMark()
    /// The message of its record that met `TestingConfiguration.notesTrap`.
    var trapMessage = 0
    public var metTrap: Int? { rib.hasMetTrap ? trapMessage : nil }
    /// Scratch space of the receive path; without meaning between inputs.
    var scratch = ReceiveScratch()

    struct Outlet: Sendable, BitwiseCopyable {
        var peer: PeerIndex
        var connection: ConnectionID
        var isIncoming: Bool
        var unacknowledged: Int
    }

    struct Owner: Sendable {
        var peer: PeerIndex
        var slot: SessionSlot
        /// The neighbour's session is another connection; see `BGPInstance+Challenger.swift`.
        var isChallenger = false
    }

    /// - Parameter seed: of the pair; the RIB's hash tables and the jitter of timers come from it.
    public init(seed: UInt64) {
        random = RandomNumbers(seed: seed)
        let ribSeed = random.next()
        rib = RIB(configuration: Self.unconfigured, seed: ribSeed)
    }

    public mutating func handle(_ input: Input, at now: Instant, into effects: inout [Effect]) {
        fireTimers(at: now, into: &effects)
        switch input {
        case .configure(let configuration, let interfaces):
            rib.setOwnAddresses(interfaces.flatMap { $0.addresses.map(\.address) })
            configure(configuration ?? Self.unconfigured, at: now, into: &effects)
        case .connecting(let endpoint, let connection): connecting(PeerIndex(endpoint.value), connection, into: &effects)
        case .cannotConnect(let endpoint):
            let peer = PeerIndex(endpoint.value)
            guard neighbor(peer)?.own.isConnecting == true else { break }
            neighbors[Int(peer.value)]!.own.isConnecting = false
            run(.tcpFails, peer, .own, reason: "no way to the neighbor", at: now, into: &effects)
        case .opened(let connection, let identity, let addresses, let endpoint, let isOurs):
            opened(connection, identity, addresses, PeerIndex(endpoint.value), isOurs: isOurs, at: now, into: &effects)
        case .closed(let connection, let end): closed(connection, end, at: now, into: &effects)
        case .received(let connection, let bytes):
            receive(bytes, on: connection, at: now, into: &effects)
            if challengers > 0, !bytes.isEmpty { heard(connection, offset: nil, at: now, into: &effects) }
        case .finished(let connection):
            guard let owner = owners[connection] else { break }
            if owner.isChallenger {
                dropChallenger(owner.peer, .cease(.connectionCollision), at: now, into: &effects)
                break
            }
            run(.tcpFails, owner.peer, owner.slot, reason: "the neighbor closed the connection", at: now, into: &effects)
        case .acknowledged(let connection, let offset): acknowledge(offset, on: connection, at: now, into: &effects)
        case .nextHop(let address, let state): setNextHop(address, state)
        case .nextHops(let changes):
            for change in changes { setNextHop(change.address, change.state) }
            // The forwarding table has its backups in place already: its news must not wait for a slice of ours.
            return flush(at: now, defersTasks: true, into: &effects)
        case .redistribute(let updates): rib.redistribute(updates)
        case .payloads(let table, let changed): rib.setPayloads(table, changed: changed)
        case .bfd(let address, let isUp, let isIndependent):
            if !isUp { pathDown(address, isIndependent: isIndependent, at: now, into: &effects) }
        case .command(let command): perform(command, at: now, into: &effects)
        case .fault(let connection, let octets, let message):
            fault(connection, octets, message: message, at: now, into: &effects)
        case .redundancy(let isRedundant): noteRedundancy(isRedundant, at: now)
        case .takenOver: askAgain(at: now)
        case .memoryExhausted: shed(at: now, into: &effects)
        case .time: break
        }
        if hasFirstRoutesNews, !rib.deferred.isEmpty { judgeSelection(at: now, into: &effects) }
        flush(at: now, into: &effects)
    }

    public var nextDeadline: Instant? {
        guard let routes = rib.nextDeadline else { return timers.next }
        guard let timer = timers.next else { return routes }
        return min(routes, timer)
    }

    // MARK: flush

    /// Decides and encodes what the input changed, then fills the streams that have room.
    private mutating func flush(at now: Instant, defersTasks: Bool = false, into effects: inout [Effect]) {
        if needsHousekeeping {
            needsHousekeeping = false
            timers.set(SessionTimer(kind: .housekeeping, number: 0), at: now + Self.housekeepingTime)
        }
        let hadUntold = coldStart != nil && rib.hasUntoldRoutes
        rib.advertise(at: now, defersTasks: defersTasks)
        if hadUntold, !rib.hasUntoldRoutes { hasFirstRoutesNews = true }
        // Policy that was run again in there may have set next hops that nobody asked about.
        if rib.hasNewNextHops { resolveNextHops(into: &effects) }
        for i in outlets.indices { fill(outlets[i], at: now, into: &effects) }
    }

    private mutating func fill(_ outlet: Outlet, at now: Instant, into effects: inout [Effect]) {
        let room = Self.transmitWindow - outlet.unacknowledged
        guard room > 0 else { return }
        let peer = outlet.peer, connection = outlet.connection
        var sent = (updates: UInt64(0), refreshes: UInt64(0))
        let count = rib.takeOutput(for: peer, limit: room) { slice in
            Self.count(slice, &sent)
            effects.append(.send(connection, slice))
        }
        guard count > 0 else { return }
        neighbors[Int(peer.value)]!.counters.sent.updates &+= sent.updates
        neighbors[Int(peer.value)]!.counters.sent.routeRefreshes &+= sent.refreshes
        neighbors[Int(peer.value)]!.counters.sent.messages &+= sent.updates &+ sent.refreshes
        noteSent(count, peer, outlet.isIncoming ? .incoming : .own, at: now)
    }

    /// Messages in a run of whole ones.
    private static func count(_ slice: ArraySlice<UInt8>, _ sent: inout (updates: UInt64, refreshes: UInt64)) {
        var position = slice.startIndex
        while position + MessageHeader.size <= slice.endIndex {
            if slice[position + 18] == MessageType.routeRefresh.rawValue { sent.refreshes += 1 } else { sent.updates += 1 }
            position += max(Int(slice[position + 16]) << 8 | Int(slice[position + 17]), MessageHeader.size)
        }
    }

    // MARK: next hops

    /// Asks for the ways to next hops that came with new attributes.
    mutating func resolveNextHops(into effects: inout [Effect]) {
        // The RIB calls back while it is being changed, so what is found waits outside of both.
        let tracked = trackedNextHops, states = nextHopStates
        var new: [IPAddress] = []
        rib.resolveNewNextHops { address in
            if let at = Self.position(of: address, in: tracked) { return states[at] }
            new.append(address)
            // Until the engine answers, which it does before the next record.
            return .unreachable
        }
        for address in new {
            let at = trackedNextHops.firstIndex { $0 > address } ?? trackedNextHops.count
            guard at == 0 || trackedNextHops[at - 1] != address else { continue }
            trackedNextHops.insert(address, at: at)
            nextHopStates.insert(.unreachable, at: at)
            effects.append(.track(address))
        }
        if !new.isEmpty, !timers.isRunning(SessionTimer(kind: .housekeeping, number: 0)) { needsHousekeeping = true }
    }

    private static func position(of address: IPAddress, in list: [IPAddress]) -> Int? {
        let low = list.sortedIndex { $0 < address }
        return low < list.count && list[low] == address ? low : nil
    }

    private mutating func setNextHop(_ address: IPAddress, _ state: NextHopState) {
        guard let at = Self.position(of: address, in: trackedNextHops), nextHopStates[at] != state else { return }
        nextHopStates[at] = state
        rib.setNextHop(address, state)
    }

    /// Set when a next hop was added; the timer starts at the end of the input, where the time is known.
    var needsHousekeeping = false

    /// Lets go of next hops that no route uses any more.
    mutating func keepHouse(at now: Instant, into effects: inout [Effect]) {
        let used = rib.nextHops
        var keptAddresses: [IPAddress] = [], keptStates: [NextHopState] = []
        var i = 0
        for (address, state) in zip(trackedNextHops, nextHopStates) {
            while i < used.count, used[i] < address { i += 1 }
            if i < used.count, used[i] == address {
                keptAddresses.append(address)
                keptStates.append(state)
            } else {
                effects.append(.untrack(address))
            }
        }
        trackedNextHops = keptAddresses
        nextHopStates = keptStates
        if !trackedNextHops.isEmpty {
            timers.set(SessionTimer(kind: .housekeeping, number: 0), at: now + Self.housekeepingTime)
        }
    }

    // MARK: small helpers

    /// Brings the outlet of a session in line with the session, or adds or removes it.
    mutating func updateOutlet(_ peer: PeerIndex) {
        let at = outlets.firstIndex { $0.peer >= peer } ?? outlets.count
        let isThere = at < outlets.count && outlets[at].peer == peer
        guard let neighbor = neighbor(peer), let slot = neighbor.establishedSlot, let session = neighbor[slot],
            let connection = session.connection
        else {
            if isThere { outlets.remove(at: at) }
            return
        }
        let outlet = Outlet(
            peer: peer, connection: connection, isIncoming: slot == .incoming, unacknowledged: session.unacknowledged)
        if isThere { outlets[at] = outlet } else { outlets.insert(outlet, at: at) }
    }

    func neighbor(_ peer: PeerIndex) -> Neighbor? {
        Int(peer.value) < neighbors.count ? neighbors[Int(peer.value)] : nil
    }

    /// RFC 4271 §10: between 0.75 and 1 times the value.
    mutating func jittered(_ duration: Duration) -> Duration {
        .nanoseconds(duration.inNanoseconds / 1000 * Int64(random.number(in: 750...1000)))
    }

    func event(_ severity: Event.Severity, _ peer: PeerIndex, _ message: String, into effects: inout [Effect]) {
        let name = neighbor(peer).map { "neighbor \($0.configuration.address)" } ?? "neighbor"
        effects.append(.event(Event(severity, "bgp", "\(name): \(message)")))
    }
}
