import Controller
import Engine
import Machine
import Records
import Redundancy
import Wire

/// A controller process of the simulated world: the real `Controller` and the real `Engine`, the latter behind a queue
/// with virtual latency, so that a crash finds records stored and not applied.
final class ControllerNode {
    enum Life: Equatable {
        case running
        /// SIGSTOP: nothing happens in it; what arrives waits for it.
        case frozen
        case dead
    }

    let id: ControllerID
    var life = Life.dead
    /// Counts starts of the process: what was meant for one before is not for this one.
    var incarnation = 0
    var controller: Controller
    /// A look at the controller without a copy of it.
    func look<Result>(_ body: (inout Controller) -> Result) -> Result { body(&controller) }
    private var engine: EngineBox
    private(set) var work: [EngineWork] = []
    var isEngineBusy = false
    /// Until when frames may leave, and under which epoch: the host's gate.
    var lease: (epoch: Epoch, until: Instant) = (.zero, .zero)
    /// Makes the engine so many times slower.
    var slowness = 1
    /// The process ends after so many more outputs: a crash between any two things that it does.
    var fuse: Int?
    /// What its datastore remembers of mastership when the process starts again.
    var storedEpoch = Epoch.zero
    var wasActive = false
    /// Its interface has no carrier.
    var isUnplugged = false
    var storedKey: PairKey?
    /// What the process's signal handler would send.
    var gasp: [UInt8]?
    /// What has come and was not heard yet, oldest first.
    var inbox: [Waiting] = []
    /// What its host finds out about whose a frame is. One device, whose name nobody needs.
    var segments: SegmentMap
    static let noSegments = SegmentMap(bindings: [.init(name: "lan", device: "eth"), .init(name: "spare", device: "eth")])
    static let twoSegments = SegmentMap(bindings: [.init(name: "lan", device: "eth"), .init(name: "lan2", device: "eth2")])
    private let devices: SegmentMap
    /// The edge's own order of things.
    var turn = Turn()
    var isTurnPlanned = false
    /// A turn is under way; if time passes meanwhile, its thread was stopped in the midst of it.
    var isMidTurn = false
    /// Made in this turn, and not on the wire yet.
    var frames: [(interface: InterfaceID, octets: [UInt8])] = []
    /// Its monotonic clock is this much ahead of the world's.
    let clockOffset: Duration
    /// The time for which a wake-up is scheduled.
    var wakeUp: Instant?

    enum Waiting {
        case input(ControllerInput)
        case frame([UInt8], device: Int)

        /// Sources that become readable apart from each other. What the twin sent over the channel is heard last.
        enum Source: Int, CaseIterable { case segment, engine, commands, datagrams, channel }
        var source: Source {
            switch self {
            case .frame: .segment
            case .input(.engine): .engine
            case .input(.datagram), .input(.datagramRefused): .datagrams
            case .input(.channelOpened), .input(.channelReceived), .input(.channelClosed): .channel
            case .input: .commands
            }
        }
    }

    private final class EngineBox {
        var engine: Engine
        init(seed: UInt64) {
            engine = Engine(seed: seed)
            engine.plantTrap(ending: Checkers.packetPoisonMark, content: Checkers.contentPoisonMark)
        }
    }

    init(
        id: ControllerID, configuration: ControllerConfiguration, seed: UInt64, clockOffset: Duration,
        devices: SegmentMap = ControllerNode.noSegments
    ) {
        self.id = id
        self.devices = devices
        segments = devices
        self.clockOffset = clockOffset
        controller = Controller(configuration: configuration)
        engine = EngineBox(seed: seed)
    }

    /// A new process in the same place: memory is gone.
    func restart(_ configuration: ControllerConfiguration, seed: UInt64) {
        incarnation += 1
        life = .running
        controller = Controller(configuration: configuration)
        engine = EngineBox(seed: seed)
        work = []
        isEngineBusy = false
        lease = (.zero, .zero)
        slowness = 1
        fuse = nil
        gasp = nil
        segments = devices
        forgetTurn()
        wakeUp = nil
    }

    func forgetTurn() {
        inbox = []
        turn = Turn()
        isTurnPlanned = false
        isMidTurn = false
        frames = []
    }

    func clock(_ now: Instant) -> Instant { now + clockOffset }
    func world(_ local: Instant) -> Instant { local == .distantFuture ? local : local - clockOffset }

    func enqueue(_ item: EngineWork) { work.append(item) }
    func nextWork() -> EngineWork? { work.isEmpty ? nil : work.removeFirst() }
    /// The record of which the engine would have died, and the message in it.
    var trapMet: (index: LogIndex, message: UInt16)? { engine.engine.trapMet }
    func perform(_ item: EngineWork) -> EngineReport { engine.engine.perform(item) }

    /// The routes of interior protocols, one line each.
    var interiorRoutes: [String] {
        RouteLines.of(engine.engine.ipv4Routes) + RouteLines.of(engine.engine.ipv6Routes)
    }
    func isStaticRouteActive(_ prefix: IPPrefix) -> Bool {
        RouteLines.isStaticRouteActive(prefix, in: engine.engine.ipv4Routes)
    }
    var digest: EngineDigest { engine.engine.digest }
    var applied: LogIndex { engine.engine.applied }

    /// The state as bytes, now: for the checker that compares a restored engine with the one that grew up.
    func encodedState() -> [UInt8] {
        guard case .snapshot(let snapshot) = engine.engine.perform(.snapshot()) else { return [] }
        return snapshot.encoded()
    }

    /// Replaces the engine by one restored from its own snapshot. `false` if the restored one encodes differently.
    func passThroughSnapshot() -> Bool {
        let bytes = encodedState()
        let restored = EngineBox(seed: 0)
        guard case .restored = restored.engine.perform(.restore(bytes)) else { return false }
        engine = restored
        return encodedState() == bytes
    }
}
