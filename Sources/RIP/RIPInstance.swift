import Machine
import Records
import Routing
import Wire

/// RIP as one deterministic machine: version 2 over IPv4 or RIPng over IPv6, as the configuration says.
///
/// Standards: RFC 2453 (and RFC 1058 where an interface is told so), RFC 4822 authentication, RFC 2080, RFC 5082 for
/// RIPv2 on request, RFC 5881/5882 BFD as a client.
///
/// Rooms:
/// - `RIPConfiguration.swift`: what the operator wants.
/// - `Packet/`: octets to values and back, which entries are believed, authentication, packing.
/// - `Session/`: interfaces and neighbours; `+Receive` is RFC 2453 §3.9 from the datagram down to its entries,
///   `+Requests` §3.9.1, `+Send` §3.10 with split horizon, `+Configuration` what comes and goes,
///   `+Quarantine` what was fatal to a controller.
/// - `Database/`: destinations and the paths of each, flat.
/// - `Decision/`: §3.9.2, what an entry does to the table; §3.8, timeout and garbage collection.
///
/// One table serves both versions: IPv4 destinations are mapped into IPv6 (`Destination`).
///
/// Where this departs from the RFC, and why:
/// - §3.9.2 keeps one gateway per destination. Here neighbours that announce the best metric share the load, up to
///   `maximumPaths`; with one path, the RFC's rule for a gateway that is half way to its timeout holds.
/// - Routes that are our own (networks of RIP's interfaces, redistributed routes) are what we announce, whatever others
///   say of the same destination; what was learned is kept beneath and offered to the routing table manager, so that it
///   is there when our own goes.
/// - §3.8 has one timer for all regular updates; here each interface has its own, with the same jitter, so that a router
///   with many interfaces does not send everything at once.
/// - §3.10.1: a triggered update waits a few milliseconds for what comes in the same burst.
/// - §4.4: a route that another protocol learned on an interface's network is announced there with its next hop.
/// - A gateway that BFD lost is not believed for one timeout, or until BFD has it back.
///
/// Sequence numbers (RFC 4822 §2.2) count tenths of a second of router time and are stepped with every message; they are
/// state, so that the twin goes on where this one stopped, and even one with stale state is ahead of what was sent.
///
/// Bounds: `RIPLimits`, in which destinations in garbage collection count; at most `messagesPerStep` messages leave at
/// once, and the rest of a long table or of many changes follows in steps (`+Pacing`). Timers: one for each path, whose deadline moves without touching the heap; the heap's entry
/// moves when it fires.
public struct RIPInstance: InteriorGateway {
    public typealias Configuration = RIPConfiguration
    public typealias Input = InteriorGatewayInput<RIPConfiguration>
    public typealias Effect = InteriorGatewayEffect

    /// Steps by which sequence numbers grow in a second, at least.
    static let sequenceTicksPerSecond: Int64 = 10
    /// Between two events on refused packets of an interface.
    static let refusalEventInterval = Duration.seconds(60)

    /// `nil` while the protocol is not configured.
    public internal(set) var configuration: RIPConfiguration?
    /// By `InterfaceID`.
    var interfaces: [RIPInterface] = []
    /// `nil` where a slot is free. Paths name neighbours by position.
    var neighbors: [RIPNeighbor?] = []
    /// Positions of neighbours in ascending order of (interface, address). Derived.
    var neighborOrder: [UInt32] = []
    var table: RouteTable
    /// Destinations for the next triggered update, in order of change; those whose flag is clear count no more.
    var changed: [UInt32] = []
    /// Whole tables that are on their way, in the order in which they were asked for.
    var pending: [PendingTable] = []
    /// Destinations that the routing table manager is to hear of; empty between inputs.
    var dirty: [UInt32] = []
    /// RFC 2453 §3.10.1: no triggered update before this.
    var triggeredNotBefore: Instant = .zero
    /// The number for the next authenticated message.
    var sequence: UInt32 = 0
    /// The default route as another protocol has it, beneath the one that is always announced.
    var redistributedDefault: ForeignRoute?
    /// Redistributed routes that were refused; without meaning between inputs.
    var refusedForeign = 0
    /// An event told of it.
    var isForeignLimitReported = false
    /// An event told that the table is full.
    var isTableLimitReported = false
    var timers = TimerTable<RIPTimer>()
    var random: RandomNumbers
    /// What was fatal to a controller, and who is not listened to.
    var fatal = FatalMemory()
    public var watch = PacketWatch()

    /// - Parameter seed: of the pair: hash seeds, jitter.
    public init(seed: UInt64) {
        random = RandomNumbers(seed: seed)
        table = RouteTable(seed: random.next())
    }

    public mutating func handle(_ input: Input, at now: Instant, into effects: inout [Effect]) {
        fireTimers(at: now, into: &effects)
        switch input {
        case .configure(let configuration, let list): configure(configuration, list, at: now, into: &effects)
        case .interface(let interface, let isUp): setInterface(interface, isUp: isUp, at: now, into: &effects)
        case .packet(let packet): receive(packet, at: now, into: &effects)
        case .redistribute(let updates): redistribute(updates, at: now, into: &effects)
        case .bfd(let peer, let isUp): setBFD(peer, isUp: isUp, at: now, into: &effects)
        case .fault(let packet, let message): fault(packet, message: message, at: now, into: &effects)
        case .redundancy(let isRedundant): fatal.note(isRedundant: isRedundant, at: now)
        case .clear(let neighbor): clear(neighbor, at: now, into: &effects)
        case .time: break
        }
        flush(at: now, into: &effects)
    }

    public var nextDeadline: Instant? { timers.next }

    /// Neighbours answer a request with their whole table at once, and a route counts from the message that brings it.
    public var isConverging: Bool { false }

    private mutating func fireTimers(at now: Instant, into effects: inout [Effect]) {
        while let timer = timers.popDue(at: now) {
            switch timer {
            case .regular(let interface): sendRegularUpdate(interface, at: now, into: &effects)
            case .triggered: sendTriggeredUpdate(at: now, into: &effects)
            case .path(let number, let neighbor): pathTimerFired(number, neighbor, at: now)
            case .garbage(let number): garbageTimerFired(number)
            case .neighbor(let index): neighborTimerFired(index, at: now, into: &effects)
            case .pending: sendPending(at: now, into: &effects)
            }
        }
    }

    // MARK: flush

    /// What an input left behind: news for the routing table manager, and a triggered update.
    private mutating func flush(at now: Instant, into effects: inout [Effect]) {
        if !dirty.isEmpty { offerRoutes(into: &effects) }
        guard !changed.isEmpty, let timers = configuration?.timers, !self.timers.isRunning(.triggered) else { return }
        // RFC 2453 §3.10.1: after one triggered update others wait for a random time, so that they are few. The short
        // wait before the first lets the other datagrams of the neighbour's update come in.
        let due = max(now + .milliseconds(Int(timers.triggeredInitial)), triggeredNotBefore)
        if due <= now { sendTriggeredUpdate(at: now, into: &effects) } else { self.timers.set(.triggered, at: due) }
    }

    private mutating func offerRoutes(into effects: inout [Effect]) {
        var updates: [RouteUpdate] = []
        updates.reserveCapacity(dirty.count)
        for number in dirty where table.isPresent(number) && table[number].isDirty {
            let offer = self.offer(number)
            let wasOffered = table[number].isOffered
            table.update(number) {
                $0.isDirty = false
                $0.isOffered = offer != nil
            }
            if offer != nil || wasOffered {
                updates.append(RouteUpdate(table.destination(number).prefix(version: version), offer))
            }
            if !table[number].isKnown { table.remove(number) }
        }
        dirty.removeAll(keepingCapacity: true)
        if !updates.isEmpty { effects.append(.routes(updates)) }
    }

    /// What the routing table manager is offered for a destination.
    private func offer(_ number: UInt32) -> RouteOffer? {
        let route = table[number]
        guard route.pathCount > 0, let configuration else { return nil }
        var nextHops: [NextHop] = []
        var tag: UInt16?
        table.forEachPath(of: number) { _, path in
            guard let neighbor = neighbor(path.neighbor) else { return }
            tag = tag ?? path.tag
            let hop = NextHop.via(path.nextHop, neighbor.interface)
            if !nextHops.contains(hop) { nextHops.append(hop) }
        }
        guard !nextHops.isEmpty else { return nil }
        nextHops.sort()
        return RouteOffer(
            nextHops: nextHops, metric: UInt32(route.metric), distance: configuration.distance, tag: UInt32(tag ?? 0))
    }

    // MARK: small things

    var version: RIPVersion { configuration?.version ?? .v2 }

    func neighbor(_ index: UInt32) -> RIPNeighbor? {
        Int(index) < neighbors.count ? neighbors[Int(index)] : nil
    }

    func interface(_ id: InterfaceID) -> RIPInterface? {
        Int(id.value) < interfaces.count ? interfaces[Int(id.value)] : nil
    }

    func name(_ id: InterfaceID) -> String { interface(id)?.settings.name ?? "\(id)" }

    func event(_ severity: Event.Severity, _ message: String) -> Effect {
        .event(Event(severity, version.routeProtocolName, message))
    }
}

/// What RIP waits for.
enum RIPTimer: Hashable, Sendable {
    /// RFC 2453 §3.8: the regular update of an interface.
    case regular(InterfaceID)
    /// RFC 2453 §3.10.1
    case triggered
    /// RFC 2453 §3.8: the timeout of a destination by a neighbour.
    case path(UInt32, neighbor: UInt32)
    /// RFC 2453 §3.8: the garbage collection of a destination.
    case garbage(UInt32)
    /// Nothing was heard of a neighbour.
    case neighbor(UInt32)
    /// The next part of a table that is too long for one step.
    case pending
}
