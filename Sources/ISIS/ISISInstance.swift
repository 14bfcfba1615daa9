import Machine
import Records
import Routing
import SPF
import Wire

/// Integrated IS-IS as one deterministic machine.
///
/// Standards: ISO/IEC 10589:2002 with RFC 1195; 5301 host names; 5302 (2966) leaking between levels; 5303 three-way
/// handshake; 5304 and 5310 authentication; 5305 wide metrics; 5306 as the helper of a neighbour that restarts; 5308
/// IPv6; 5309 point-to-point over LAN; 5120 multi-topology; 6232 and 6233 purges; 7987 minimum remaining lifetime;
/// 8405 back-off of the route calculation.
///
/// Rooms:
/// - `ISISConfiguration.swift`: what the operator wants. `ISISInstance+Configuration.swift` says what a change
///   disturbs.
/// - `Packet/`: octets to values and back.
/// - `Session/`: circuits and adjacencies. `+Hellos` sends, `+LANHello` and `+PointToPointHello` receive (§8.2, §8.4),
///   `+Adjacencies` is what becoming and ceasing to be a neighbour means, `+DesignatedIS` the election; `+Flooding`
///   sends LSPs and sequence numbers, `+LinkStatePDU` and `+SequenceNumbers` receive them (§7.3.15), in the order of
///   the steps. `+Quarantine` is what was fatal to a controller.
/// - `Database/`: LSPs with their flags, and `+OwnLSPs`: sequence numbers, refresh, purges and the defence of what we
///   say.
/// - `Decision/`: what own LSPs hold, and routes. `+Calculation` runs them after changes.
///
/// The way of a record: `handle` fires the timers that are due, applies the input, then one flush sends what flags
/// ask for. Nothing is retransmitted because a controller took over: flags, timers and sequence numbers are state, so
/// the twin goes on where this one stopped.
///
/// Where we depart from the standard:
/// - §7.3.16.1: when the sequence numbers of an LSP are used up, that LSP dies out and begins anew, and not the whole
///   router.
/// - §7.3.15.6 wants 33 ms between LSPs on a LAN; bursts of ten go at the interval that is configured.
/// - §7.3.16.4 lets anyone purge an LSP whose lifetime ended. So do we, but we say so in it (RFC 6232).
/// - Repair of partitions, end systems and reverse-path multicast of OSI are not done.
///
/// Bounds: `ISISLimits` for LSPs and adjacencies; a neighbour's hello keeps 16 addresses of each family and 3 areas;
/// the octets of an LSP are at most those of a frame.
public struct ISISInstance: InteriorGateway {
    public typealias Configuration = ISISConfiguration
    public typealias Input = InteriorGatewayInput<ISISConfiguration>
    public typealias Effect = InteriorGatewayEffect

    /// ISO 10589 §7.3.21 ZeroAgeLifetime: how long the end of an LSP is remembered.
    static let zeroAgeLifetime = Duration.seconds(60)
    /// LSPs that leave together on a circuit.
    static let burst = 10

    public internal(set) var configuration: ISISConfiguration?
    /// The router's interfaces; the position is the `InterfaceID`.
    var interfaces: [InterfaceConfiguration] = []
    /// By interface; an interface not in the list is up.
    var downInterfaces: [Bool] = []
    /// By interface; `nil` where IS-IS does not run.
    var circuits: [Circuit?] = []
    /// By level.
    public internal(set) var databases: [LSPDatabase]
    /// By level: making own LSPs.
    var originators = [Originator(), Originator()]
    /// RFC 8405; one for both levels, whose routes depend on each other.
    var backoff = SPFBackOff()
    var calculation: Calculation
    var timers = TimerTable<ISISTimer>()
    var random: RandomNumbers
    /// The overload bit that an event set: bit 0 the start, bits 1 and 2 a full database of the level.
    var overloadReasons: UInt8 = 0
    /// What was fatal to a controller, and who is not listened to.
    var fatal = FatalMemory()
    /// The last one heard last.
    var ignored: [IgnoredLSP] = []
    public internal(set) var counters = ISISCounters()
    public var watch = PacketWatch()
    /// The newest last.
    public internal(set) var spfLog: [SPFRun] = []

    public init(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        databases = Level.allCases.map { LSPDatabase(level: $0, seed: random.next()) }
        calculation = Calculation(seed: random.next())
        self.random = random
    }

    public mutating func handle(_ input: Input, at now: Instant, into effects: inout [Effect]) {
        fireTimers(at: now, into: &effects)
        switch input {
        case .configure(let configuration, let interfaces):
            configure(configuration, interfaces, at: now, into: &effects)
        case .interface(let id, let isUp): setInterface(id, isUp: isUp, at: now, into: &effects)
        case .packet(let packet): receive(packet, at: now, into: &effects)
        case .redistribute(let updates): redistribute(updates, at: now, into: &effects)
        case .bfd(let peer, let isUp): bfd(peer, isUp: isUp, at: now, into: &effects)
        case .fault(let packet, _): fault(packet, at: now, into: &effects)
        case .redundancy(let isRedundant): fatal.note(isRedundant: isRedundant, at: now)
        case .clear(let neighbor): clear(neighbor: neighbor, at: now, into: &effects)
        case .time: break
        }
        updateLocal(at: now)
        flush(at: now, into: &effects)
    }

    public var nextDeadline: Instant? {
        var next = timers.next
        for database in databases {
            guard let deadline = database.nextDeadline else { continue }
            next = next.map { min($0, deadline) } ?? deadline
        }
        return next
    }

    private mutating func fireTimers(at now: Instant, into effects: inout [Effect]) {
        while let next = nextDeadline, next <= now {
            if timers.next == next, let timer = timers.popDue(at: now) {
                fire(timer, at: now, into: &effects)
            } else if databases[0].nextDeadline == next, let slot = databases[0].popExpired(at: now) {
                expire(slot, .one, at: now, into: &effects)
            } else if let slot = databases[1].popExpired(at: now) {
                expire(slot, .two, at: now, into: &effects)
            }
        }
    }

    private mutating func fire(_ timer: ISISTimer, at now: Instant, into effects: inout [Effect]) {
        let number = Int(timer.circuit)
        let level = Level(rawValue: timer.level) ?? .one
        switch timer.kind {
        case .hello: sendHello(number, timer.level, at: now, into: &effects)
        case .hold: holdingTimeExpired(number, timer.level, SystemID(raw: timer.name), at: now, into: &effects)
        case .election: electFirst(number, level, at: now, into: &effects)
        case .csnp: sendPeriodicCSNP(number, level, at: now, into: &effects)
        case .psnp: sendPSNP(number, level, at: now, into: &effects)
        case .transmit, .tooLarge, .duplicate: break  // flush looks at what waits
        case .retransmit: retransmit(number, level, at: now)
        case .generate: generate(level, at: now, into: &effects)
        case .refresh: refresh(level, LSPID(raw: timer.name), at: now, into: &effects)
        case .exhausted: generate(level, at: now, into: &effects)
        case .spf: calculate(at: now, into: &effects)
        case .learn: backoff.learned()
        case .holdDown:
            backoff.becameQuiet()
            timers.cancel(ISISTimer(.learn))
        case .overload: endOverload(timer.level, at: now)
        case .key: signAnew(level, at: now, into: &effects)
        }
    }

    public var isConverging: Bool {
        timers.isRunning(ISISTimer(.spf)) || circuits.contains { $0?.adjacencies.contains { !$0.isUp } ?? false }
    }

    // MARK: helpers of all rooms

    func circuit(_ number: Int) -> Circuit? { number >= 0 && number < circuits.count ? circuits[number] : nil }

    func isInterfaceUp(_ number: Int) -> Bool { !(number < downInterfaces.count && downInterfaces[number]) }

    /// ISO 10589 §10.1: a period shortened by up to a quarter, so that routers do not fall into step.
    mutating func jittered(_ interval: Duration) -> Duration {
        let whole = max(interval.inNanoseconds, 4)
        let cut = random.number(in: 0...Int(whole / 4))
        return .nanoseconds(whole - Int64(cut))
    }

    func event(_ severity: Event.Severity, _ message: String, into effects: inout [Effect]) {
        effects.append(.event(Event(severity, "isis", message)))
    }

    func name(_ circuit: Circuit) -> String {
        circuit.number < interfaces.count ? interfaces[circuit.number].name : "\(circuit.interface)"
    }

    var ownID: SystemID { configuration?.systemID ?? .zero }

    // MARK: digest

    /// Of everything the twin must have. Databases, which are large, keep theirs current; circuits are few.
    public var digest: StateDigest {
        var digest = StateDigest(0x1515)
        for circuit in circuits {
            guard let circuit else { continue }
            digest.mix(UInt64(circuit.interface.value) << 8 | UInt64(circuit.levels.rawValue))
            circuit.mix(into: &digest)
        }
        for database in databases { digest.mix(database.digest.value) }
        for originator in originators { digest.mix(originator.digest) }
        digest.mix(UInt64(backoff.state.rawValue))
        digest.mix(calculation.digest)
        digest.mix(random.state)
        digest.mix(UInt64(overloadReasons))
        digest.mix(fatal.digest)
        for lsp in ignored { digest.mix(lsp.id.raw ^ UInt64(lsp.sequence) << 16 ^ UInt64(lsp.circuit)) }
        return digest
    }
}
