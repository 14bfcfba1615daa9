import Engine
import ISIS
import LineCard
import Machine
import OSPF
import RIP
import Records
import Routing
import Wire

/// A router without a twin and without a controller: the real engine and the real line card, every record committed as
/// soon as it is made, every effect carried out at once.
///
/// It is the yardstick: a router that never fails. Its tests show that everything below the controllers works before two
/// of them share it.
struct SoloRouter: ~Copyable {
    /// A frame that leaves on an interface.
    struct Frame {
        var interface: InterfaceID
        var octets: [UInt8]
    }

    private var engine: Engine
    private(set) var lineCard: LineCard
    private var index = LogIndex.zero
    private var engineDeadline: Instant?
    /// The log, when asked for.
    private(set) var records: [Record] = []
    private let keepsLog: Bool
    let seed: UInt64
    private(set) var events: [Event] = []
    /// Tests of the checkers look at what an engine does with its own snapshot.
    private(set) var snapshotsPassed = 0

    init(seed: UInt64, keepsLog: Bool = false) {
        self.seed = seed
        engine = Engine(seed: seed)
        lineCard = LineCard(seed: seed &+ 1)
        self.keepsLog = keepsLog
    }

    var digest: EngineDigest { engine.digest }
    var lastIndex: LogIndex { index }
    var nextDeadline: Instant? { [lineCard.nextDeadline, engineDeadline].compactMap { $0 }.min() }

    mutating func start(_ configuration: [UInt8], at now: Instant) -> [Frame] {
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        guard case .image(let image) = engine.perform(.image) else { return [] }
        lineCard.handle(.takeOver(image), at: now, into: &effects)
        apply(.mastership(.a, Epoch(1), isFresh: false), at: now, into: &effects)
        apply(.configure(revision: 1, configuration), at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    /// Another configuration takes the place of the one in force.
    mutating func configure(_ configuration: [UInt8], revision: UInt64, at now: Instant) -> [Frame] {
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        apply(.configure(revision: revision, configuration), at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    mutating func receive(
        _ frame: [UInt8], on interface: InterfaceID = InterfaceID(0), at now: Instant
    ) -> [Frame] {
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        lineCard.receive(frame.span.bytes, on: interface, at: now, into: &effects)
        lineCard.handle(.endOfBatch, at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    mutating func time(at now: Instant) -> [Frame] {
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        lineCard.handle(.time, at: now, into: &effects)
        if let due = engineDeadline, due <= now { apply(.time, at: now, into: &effects) }
        lineCard.handle(.endOfBatch, at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    /// Carrier of an interface comes or goes.
    mutating func setLink(_ interface: InterfaceID, isUp: Bool, at now: Instant) -> [Frame] {
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        lineCard.handle(.link(interface, isUp: isUp), at: now, into: &effects)
        apply(.interfaceState(interface, isUp: isUp), at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    /// Sends a packet that no protocol asked for.
    mutating func send(_ packet: OutgoingPacket, at now: Instant) -> [Frame] {
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        lineCard.handle(.engine(.send(packet)), at: now, into: &effects)
        lineCard.handle(.endOfBatch, at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    var ospf: OSPFInstance { engine.ospf }
    var isis: ISISInstance { engine.isis }
    var rip: RIPInstance { engine.rip }
    var ripng: RIPInstance { engine.ripng }
    var ospfv3: OSPFInstance { engine.ospfv3 }
    var bfdSessions: [BFDClientSession] { engine.bfdSessions }
    /// The routes of interior protocols, one line each, in order.
    var interiorRoutes: [String] { RouteLines.of(engine.ipv4Routes) + RouteLines.of(engine.ipv6Routes) }

    mutating func encodedState() -> [UInt8] {
        guard case .snapshot(let snapshot) = engine.perform(.snapshot()) else { return [] }
        return snapshot.encoded()
    }

    /// Another engine restored from this one's snapshot goes on in its place. `false` if it encodes differently.
    mutating func passThroughSnapshot() -> Bool {
        guard case .snapshot(let snapshot) = engine.perform(.snapshot()) else { return false }
        let bytes = snapshot.encoded()
        var restored = Engine(seed: 0)
        guard case .restored = restored.perform(.restore(bytes)), restored.digest == engine.digest,
            case .snapshot(let again) = restored.perform(.snapshot()), again.encoded() == bytes
        else { return false }
        engine = restored
        snapshotsPassed += 1
        return true
    }

    /// The line card dies and another takes over from the engine's state alone.
    mutating func replaceLineCard(seed: UInt64, at now: Instant) -> [Frame] {
        guard case .image(let image) = engine.perform(.image) else { return [] }
        var frames: [Frame] = []
        var effects: [LineCardEffect] = []
        lineCard = LineCard(seed: seed)
        lineCard.handle(.takeOver(image), at: now, into: &effects)
        lineCard.handle(.endOfBatch, at: now, into: &effects)
        settle(&effects, into: &frames, at: now)
        return frames
    }

    private mutating func settle(_ effects: inout [LineCardEffect], into frames: inout [Frame], at now: Instant) {
        while !effects.isEmpty {
            let round = effects
            effects = []
            for effect in round {
                switch effect {
                case .transmit(let interface, let octets): frames.append(Frame(interface: interface, octets: octets))
                case .record(let body):
                    lineCard.handle(.logged(index.next), at: now, into: &effects)
                    apply(body, at: now, into: &effects)
                case .event(let event): events.append(event)
                case .addressConflict, .probeResult: break
                }
            }
            lineCard.handle(.endOfBatch, at: now, into: &effects)
        }
    }

    private mutating func apply(_ body: RecordBody, at now: Instant, into effects: inout [LineCardEffect]) {
        index = index.next
        let record = Record(index: index, time: now, body: body)
        if keepsLog { records.append(record) }
        guard case .applied(_, let list, _, _, let deadline) = engine.perform(.apply([record])) else { return }
        engineDeadline = deadline
        for item in list {
            if case .event(let event) = item.effect { events.append(event) }
            lineCard.handle(.engine(item.effect), at: now, into: &effects)
        }
        lineCard.handle(.committed(index), at: now, into: &effects)
        lineCard.handle(.applied(index), at: now, into: &effects)
    }
}

/// Routing tables in words, so that two can be compared and a difference be told.
enum RouteLines {
    /// Whether an operator's route is in force.
    static func isStaticRouteActive(_ prefix: IPPrefix, in table: RoutingTable<IPv4Prefix>) -> Bool {
        table.page(after: nil, limit: .max).contains {
            $0.isActive && $0.source == .static && "\($0.prefix)" == "\(prefix)"
        }
    }

    /// What interior protocols have, whether it is the best route or not.
    static func of<Key: PrefixKey>(_ table: RoutingTable<Key>) -> [String] {
        table.page(after: nil, limit: .max).filter(\.isActive).compactMap { route in
            switch route.source {
            case .ospf, .ospfv3, .isis, .rip, .ripng:
                "\(route.prefix) \(route.source) metric \(route.metric) by \(route.nextHops)"
            default: nil
            }
        }
    }
}
