import Controller
import Engine
import Machine
import Records
import Redundancy
import Wire

/// A third controller that somebody started beside the pair: the real `Controller` with the router's configuration, on a port
/// of its own on the first LAN. It decides by itself, as on a host that shares no lease file with the others.
///
/// It may come to one of the two over the redundancy link as well, where it takes the place of the open channel: only who has
/// the pair's secret comes that far, and what it says of itself decides the rest. That introduction is written here, word by
/// word, since a controller cannot be made to say what it is not.
public final class Intruder {
    public enum Kind: CaseIterable, Sendable {
        /// Beats under a key of its own; nobody opens a channel to it.
        case wrongKey
        case wrongName
        case wrongPair
        /// The letter of the controller that it comes to, and the key file of that one.
        case wrongLetter
        case wrongSchema
        case wrongArbiter
        /// All files of the twin: in every word it is that, started once more.
        case clone
    }

    let kind: Kind
    private(set) var controller: Controller
    private var engine: EngineBox
    private var turn = Turn()
    private var segments = ControllerNode.noSegments
    private var reports: [ControllerInput] = []
    private var frames: [[UInt8]] = []
    private(set) var events: [Event] = []
    /// Frames that it sent as the router.
    private(set) var spoken = 0
    private(set) var isDead = false
    var wakeUp: Instant?
    /// To whom it is connected.
    var victim: ControllerID?
    private var receiver = ChannelReceiver()
    /// What it was told when it was refused.
    private(set) var refusal: String?
    static let address = MACAddress(raw: 0x0200_0000_3002)

    private final class EngineBox {
        var engine: Engine
        init(seed: UInt64) { engine = Engine(seed: seed) }
    }

    init(_ kind: Kind, configuration: ControllerConfiguration, seed: UInt64) {
        self.kind = kind
        controller = Controller(configuration: configuration)
        engine = EngineBox(seed: seed)
    }

    var nextDeadline: Instant? { isDead ? nil : turn.deadline(controller.nextDeadline) }

    // MARK: its turns

    func start(at now: Instant) {
        turn.hear(.link(InterfaceID(0), isUp: true), &controller, at: now)
        turn.hear(.start(failedTests: []), &controller, at: now)
    }

    func receive(_ frame: [UInt8], at now: Instant) {
        guard let interface = segments.interface(for: frame.span.bytes, at: 0) else { return }
        turn.receive(frame.span.bytes, on: interface, &controller, at: now)
    }

    /// What it sends by now.
    func work(at now: Instant) -> [[UInt8]] {
        guard !isDead else { return [] }
        var leaving: [[UInt8]] = []
        turn.tellTime(&controller, at: now, isTwinConnected: false)
        repeat {
            let list = reports
            reports = []
            for report in list { turn.hear(report, &controller, at: now) }
            turn.end()
            finish(&leaving, at: now)
        } while !reports.isEmpty && !isDead
        return leaving
    }

    private func finish(_ leaving: inout [[UInt8]], at now: Instant) {
        while !isDead {
            switch turn.next(&controller, at: now) {
            case .carryOut(let output): carryOut(output, &leaving)
            case .flushChannel: break
            case .releaseFrames(let isAllowed):
                if isAllowed {
                    spoken += frames.count
                    leaving += frames
                }
                frames = []
            case .done: return
            }
        }
    }

    private func carryOut(_ output: ControllerOutput, _ leaving: inout [[UInt8]]) {
        switch output {
        case .transmit(_, let frame): frames.append(frame)
        case .advertise(_, var frame), .ask(_, var frame):
            frame.fillSource(Self.address)
            leaving.append(frame)
        case .engine(let work):
            let report = engine.engine.perform(work)
            if case .snapshot(let snapshot) = report {
                reports.append(.snapshotEncoded(snapshot.index, snapshot.encoded()))
            } else {
                reports.append(.engine(report))
            }
        case .event(let event): events.append(event)
        case .interfaces(let list): segments.assign(list)
        case .exit: isDead = true
        default: break
        }
    }

    // MARK: over the redundancy link

    /// - Parameter twin: the letter of the controller whose place it takes.
    func introduction(to id: ControllerID, arbiter: ArbiterKind, random: inout RandomNumbers) -> [UInt8] {
        victim = id
        receiver = ChannelReceiver()
        var hello = Hello(
            routerName: kind == .wrongName ? "somebody else" : "simulated", pairID: kind == .wrongPair ? 8 : 7,
            controller: kind == .wrongLetter ? id : id.other, state: .booting, epoch: .zero, wasActive: false, isPreferred: true,
            bootNonce: controller.configuration.bootNonce, configuration: .none,
            gaspToken: DyingGasp.Token(high: random.next(), low: random.next()),
            keyShare: PairKey(high: random.next(), low: random.next()),
            arbiter: kind == .wrongArbiter ? (arbiter == .link ? .leasefile : .link) : arbiter)
        hello.schemas = Controller.schemas
        // A release with another form of one protocol's state.
        if kind == .wrongSchema, let bgp = hello.schemas["snapshot/bgp"] {
            hello.schemas = hello.schemas.with(.init(bgp.name, oldest: bgp.newest + 1, newest: bgp.newest + 1))
        }
        return ChannelMessage.hello(hello).encoded()
    }

    /// What the controller that it came to says.
    func hear(_ octets: [UInt8]) {
        receiver.append(octets)
        while let message = try? receiver.next() {
            if case .refuse(let reason) = message { refusal = reason }
        }
    }
}
