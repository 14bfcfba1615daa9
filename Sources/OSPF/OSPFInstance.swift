import Machine
import Records
import Routing
import SPF
import Wire

/// OSPF as one deterministic machine: version 2 for IPv4, version 3 for IPv6 or IPv4, chosen by its configuration.
///
/// Standards: RFC 2328 (broadcast and point-to-point networks, areas, ABR, ASBR) with 3101 (NSSA), 5250 (opaque LSAs),
/// 6987 (stub router), 5709 and 7474 (authentication), 3623 (graceful-restart helper), 5309 (point-to-point over a
/// LAN), 6860; RFC 5340 with 5838 (address families), 7166 (authentication), 5187 (graceful-restart helper); RFC 8405
/// (SPF back-off) and 5882 (BFD).
///
/// Rooms:
/// - `OSPFConfiguration.swift`: what the operator wants.
/// - `Packet/`: octets to values and back: the five packets, authentication, LSAs and their bodies.
/// - `Session/`: the machines of RFC 2328 §9 and §10, and the extensions of `OSPFInstance` that run them: `+Receive`
///   (§8.2), `+Hello` (§9.5, §10.5), `+Interfaces` (§9), `+Neighbors` (§10.3), `+Exchange` (§10.6…§10.9), `+Send`
///   (§8.1), `+Quarantine`.
/// - `Database/`: `LSDB` holds the LSAs of every scope; `+Flooding` is §13, `+Acknowledgement` §13.5…§13.7, `+Ageing`
///   §14 and `+Origination` §12.4 with its timers, refresh and the defence of our own LSAs (§13.4).
/// - `Decision/`: shortest paths, routes, and what our summaries and externals say; `Database/OwnTopology` has the rest.
///
/// The way of a record: `handle` fires the timers that are due, applies the input, then one flush: own LSAs follow from
/// what changed, everything that is to be flooded leaves in as few packets as it fits in, acknowledgements behind it,
/// and LSAs that everybody acknowledged at MaxAge go.
///
/// Departures from the RFCs, and why:
/// - A neighbour's Database summary list is not a list but a range of handles: what came later is flooded anyway, and
///   what went is not described.
/// - A received instance of an own LSA is outbid at once, not after MinLSInterval (§13.4 does not say which): old
///   instances of a former life are then gone in one round trip. Each such instance had to pass MinLSArrival.
/// - MinLSInterval (§12.4) is where the wait between two originations of an LSA ends up when changes keep coming; after
///   a quiet time it begins at MinLSArrival, the least that receivers accept, and doubles.
/// - Cryptographic sequence numbers come from the router's time, which never goes back whoever is active, so that they
///   need no store. Both controllers work out the same ones.
/// - Virtual links, NBMA and point-to-multipoint networks and demand circuits are not done; DoNotAge is tolerated.
///
/// Bounds: `OSPFLimits`; acknowledgements that wait are at most what one packet holds.
public struct OSPFInstance: InteriorGateway {
    public typealias Configuration = OSPFConfiguration
    public typealias Input = InteriorGatewayInput<OSPFConfiguration>
    public typealias Effect = InteriorGatewayEffect

    public internal(set) var configuration: OSPFConfiguration?
    /// The router's interfaces, by `InterfaceID`.
    var devices: [InterfaceConfiguration] = []
    /// Interfaces whose carrier is gone, ascending.
    var carrierLost: [InterfaceID] = []
    /// By `InterfaceID`; `nil` where OSPF is not configured.
    var interfaces: [OSPFInterface?] = []
    /// By `NeighborIndex`; `nil` where the number is free.
    var neighbors: [OSPFNeighbor?] = []
    public internal(set) var database = LSDB()
    var timers = TimerTable<OSPFTimer>()
    var random: RandomNumbers
    /// The highest cryptographic sequence number sent.
    var lastSequence: UInt64 = 0
    /// When the configuration first came: RFC 6987's start.
    var started = Instant.zero
    /// Neighbours in Exchange or Loading: RFC 2328 §14 keeps LSAs of MaxAge for them.
    var exchanging = 0
    /// LSAs at MaxAge that are on their way out, in the order in which they got there.
    var flushing: [LSAHandle] = []
    /// What own LSAs are to be made again.
    var dirty = OriginationWork()
    /// RFC 8405's machine.
    var backOff = SPFBackOff()
    /// Whether the databases changed in a way that routes may depend on since they were last calculated.
    var needsCalculation = false
    var decision: DecisionState
    /// What was fatal to a controller, and who is not listened to.
    var fatal = FatalMemory()

    // Scratch of one input; without meaning between inputs.
    /// Direct acknowledgements, by the neighbour that gets them (§13.5).
    var directAcknowledgements: [(neighbor: NeighborIndex, header: LSAHeader)] = []
    /// Interfaces whose `floodQueue` holds something.
    var floodedInterfaces: [InterfaceID] = []
    /// Whether `flushing` may have entries that can go.
    var mayRemove = false

    // Not state that a peer would notice.
    public internal(set) var log = SPFLog()
    public var watch = PacketWatch()

    /// - Parameter seed: random per pair; jitter and Database Description sequence numbers come from it.
    public init(seed: UInt64) {
        random = RandomNumbers(seed: seed)
        decision = DecisionState(seed: random.next())
    }

    public var isConverging: Bool {
        needsCalculation || neighbors.contains { $0.map { $0.state >= .exStart && $0.state < .full } ?? false }
    }

    public var version: OSPFVersion { configuration?.version ?? .v2 }
    var routerID: UInt32 { configuration?.routerID.raw ?? 0 }
    var packetProtocol: PacketProtocol { version == .v2 ? .ospfv2 : .ospfv3 }

    public mutating func handle(_ input: Input, at now: Instant, into effects: inout [Effect]) {
        fireTimers(at: now, into: &effects)
        switch input {
        case .configure(let configuration, let devices): configure(configuration, devices, at: now, into: &effects)
        case .interface(let interface, let isUp): setCarrier(interface, isUp: isUp, at: now, into: &effects)
        case .packet(let packet): receive(packet, at: now, into: &effects)
        case .redistribute(let updates): redistribute(updates, into: &effects)
        case .bfd(let peer, let isUp): hearBFD(peer, isUp: isUp, at: now, into: &effects)
        case .fault(let packet, let message): fault(packet, message: message, at: now, into: &effects)
        case .redundancy(let isRedundant): fatal.note(isRedundant: isRedundant, at: now)
        case .clear(let name): clear(name, at: now, into: &effects)
        case .time: break
        }
        flush(at: now, into: &effects)
    }

    public var nextDeadline: Instant? {
        guard let ageing = database.wheel.nextDeadline else { return timers.next }
        guard let timer = timers.next else { return ageing }
        return min(ageing, timer)
    }

    // MARK: flush

    /// What every input ends with: what it changed leaves.
    private mutating func flush(at now: Instant, into effects: inout [Effect]) {
        originateWhatIsDirty(at: now, into: &effects)
        sendFloodQueues(at: now, into: &effects)
        sendDirectAcknowledgements(at: now, into: &effects)
        if mayRemove { removeFlushed(at: now, into: &effects) }
        noteDatabaseChanges(at: now)
    }

    // MARK: timers

    private mutating func fireTimers(at now: Instant, into effects: inout [Effect]) {
        while let due = timers.popDue(at: now) {
            switch due.kind {
            case .hello: helloTimer(InterfaceID(UInt16(truncatingIfNeeded: due.number)), at: now, into: &effects)
            case .wait: interfaceEvent(.waitTimer, InterfaceID(UInt16(truncatingIfNeeded: due.number)), at: now, into: &effects)
            case .delayedAcknowledgement:
                sendDelayedAcknowledgements(InterfaceID(UInt16(truncatingIfNeeded: due.number)), at: now, into: &effects)
            case .inactivity: inactivityTimer(NeighborIndex(due.number), at: now, into: &effects)
            case .databaseDescription: descriptionTimer(NeighborIndex(due.number), at: now, into: &effects)
            case .linkStateRequest: requestTimer(NeighborIndex(due.number), at: now, into: &effects)
            case .retransmission: retransmissionTimer(NeighborIndex(due.number), at: now, into: &effects)
            case .grace: endGrace(NeighborIndex(due.number), reason: "the grace period is over", at: now, into: &effects)
            case .spf: calculate(at: now, into: &effects)
            case .spfHoldDown: backOff.becameQuiet()
            case .spfLearn: backOff.learned()
            case .origination: dirty.endWait()
            case .stubRouter: dirty.everything()
            case .overflow, .duplicate: break
            case .externals: dirty.externals = true
            case .successor: successorTimer(LSAHandle(due.number), at: now, into: &effects)
            }
        }
        fireAges(at: now, into: &effects)
    }

    // MARK: small helpers

    func neighbor(_ index: NeighborIndex) -> OSPFNeighbor? {
        Int(index.value) < neighbors.count ? neighbors[Int(index.value)] : nil
    }
    func interface(_ id: InterfaceID) -> OSPFInterface? {
        Int(id.value) < interfaces.count ? interfaces[Int(id.value)] : nil
    }
    var interfaceIDs: [InterfaceID] { interfaces.indices.compactMap { interfaces[$0]?.id } }

    mutating func drop(_ reason: OSPFDrop, on id: InterfaceID) {
        guard interface(id) != nil else { return }
        interfaces[Int(id.value)]?.counters.drops[Int(reason.rawValue)] &+= 1
    }

    func event(_ severity: Event.Severity, _ message: String, into effects: inout [Effect]) {
        effects.append(.event(Event(severity, version == .v2 ? "ospf" : "ospfv3", message)))
    }

    /// `duration` less up to a tenth, so that routers that began together drift apart.
    mutating func jittered(_ duration: Duration) -> Duration {
        .nanoseconds(duration.inNanoseconds / 1000 * Int64(random.number(in: 900...1000)))
    }
}
