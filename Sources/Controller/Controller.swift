import Engine
import LineCard
import Machine
import Records
import Redundancy
import Wire

/// One controller: line card, log, RCM and SRM, wired by values. The host drives it with the real world, the simulator
/// with virtual time; neither does anything of its own but carry octets and ask the clock.
///
/// ```
///  frames ─► LineCard ─► records ─► ReplicationSender ═► twin: ReplicationReceiver
///              ▲                        │        │                   │
///              │ effects ≤ committed    │        └► engine work      └► engine work
///              └───────── gate ◄────────┴─────────── reports ◄───────────┘
///  Mastership ◄─► arbiter      GracefulSwitchover ◄─► twin      TwinWatch, RouterClock
/// ```
///
/// Read in this order: `Controller.swift` (state, the one switch over inputs), `Role` (what each role has for itself),
/// `+Role` (becoming the router, ceasing to be), `ActiveLog` and `+Records` (log, gate, engine), `+Channel` (the twin), `+Beats`
/// (what it says of itself), `+Switchover` (FIG. 11–13), `+Operator`, `+Status`. The other files are values of the state.
///
/// What the world owes it:
/// - outputs are carried out in their order; what is for the channel stands before the engine work of the same records,
///   so that a record that kills this process is on its way to the twin;
/// - `channelSend` octets arrive in order or the channel closes;
/// - engine work is answered in order, arbiter requests are answered in order;
/// - before a burst of `transmit` it compares the newest `lease` with its clock.
///
/// `now` is this machine's own monotonic clock; what the router calls time is made here (`routerTime`).
///
/// There is one of it in a process, and it is large: who keeps it in an object and looks at it often does so by `inout`, which
/// copies nothing. (As a type that cannot be copied it takes the compiler many minutes.)
public struct Controller {
    public internal(set) var configuration: ControllerConfiguration

    // MARK: SRM
    var role = Role.standby(.init())
    var mastership: Mastership
    var availability = Availability()
    var watch: TwinWatch
    /// What is left of the watch's patience by the neighbours' BFD.
    var borneSilence = BorneSilence()
    var clock = RouterClock()
    /// The pair's own arbitration; `nil` where somebody else decides alone, or there is no twin.
    var pair: PairArbiter?
    /// Of beats: the one in use and the one before, which the twin may still use.
    var keys: [PairKey] = []
    let keyShare: PairKey
    var death = TwinDeath()
    var switchovers = Switchovers()
    /// The newest records that killed the twin, for `show redundancy`.
    var quarantined: [LogIndex] = []
    /// What this host says of itself.
    var health = Health()
    var linksUp: [Bool] = []
    var ports: PortWatch
    var strangers = Strangers()
    var complaints = Complaints()
    /// Flows that may have killed the twin's line card.
    var suspects = SuspectFlows()
    /// Frames of such flows that were dropped.
    public private(set) var suspectFrames: UInt64 = 0
    var publishedState: (ControllerState, Epoch)?

    // MARK: RCM
    /// `nil` on a standby, and only there.
    var log: ActiveLog?
    var receiver: ReplicationReceiver
    var channel = TwinChannel()

    // MARK: configuration
    /// In force last, as far as is known here.
    var inForce = ConfigurationPosition.none
    /// Where the configuration with which this controller began as the first of the two came into force again.
    var began: ConfigurationPosition?

    // MARK: engine and line card
    var lineCard: LineCard
    var lineCardEffects: [LineCardEffect] = []
    var interfaces = RouterInterfaces()
    var engine = EngineProgress()
    /// Frames for the new active (1116), or from the old one.
    var passedFrames: [ForwardedFrame] = []

    /// At most this many frames wait for the lease, and as many for a hand-over.
    static let framesHeldMaximum = 4096

    /// Whose BFD packet the line card looks into is noted there, so that a signal handler can tell of it.
    public mutating func noteSessions(in mark: ProgressMark) { lineCard.sessionProgress = mark }

    public init(configuration: ControllerConfiguration) {
        self.configuration = configuration
        var random = RandomNumbers(seed: configuration.randomSeed)
        lineCard = LineCard(seed: random.next())
        if self.configuration.gaspToken == nil {
            self.configuration.gaspToken = DyingGasp.Token(high: random.next(), low: random.next())
        }
        clock = RouterClock(start: configuration.routerTimeStart)
        mastership = Mastership(
            id: configuration.id, lastEpoch: min(configuration.lastEpoch, Beat.epochMaximum),
            renewInterval: configuration.heartbeatInterval, patience: configuration.bootWait,
            staleWait: configuration.staleWait)
        watch = TwinWatch(
            nonce: configuration.bootNonce, interval: configuration.heartbeatInterval,
            lostMaximum: configuration.heartbeatsLostMaximum)
        keyShare = PairKey(high: random.next(), low: random.next())
        keys = configuration.pairKey.map { [$0] } ?? []
        var policy = PortJudgePolicy()
        policy.advertisementInterval = TwinWatch.segmentInterval
        policy.fastInterval = configuration.heartbeatInterval
        policy.steadyTime = configuration.detectionTime
        ports = PortWatch(judge: PortJudge(portCount: configuration.segmentCount, policy: policy))
        receiver = ReplicationReceiver(queueOctetsMaximum: configuration.queueOctetsMaximum)
        beginConfiguration()
        if configuration.arbiter != .leasefile, !configuration.isSingle {
            pair = PairArbiter(
                id: configuration.id, lastEpoch: configuration.lastEpoch, staleWait: configuration.staleWait,
                voteRenewInterval: configuration.arbiter == .link ? nil : configuration.voteRenewInterval)
            pair!.mistakes = configuration.mistakes
        }
    }

    // MARK: frames

    /// A frame came in on an interface. Ignored unless this controller is the router, except the twin's beats.
    public mutating func receive(
        _ frame: RawSpan, on interface: InterfaceID, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        attend(at: now, into: &outputs)
        if Beat.isOne(frame) { return receiveBeat(frame: frame, on: interface, at: now, into: &outputs) }
        if interfaces.areSource(of: frame, on: interface) { return heardOurAddress(on: interface, at: now, into: &outputs) }
        if !configuration.isSingle { ports.count(frame, on: interface) }
        guard role.isReading else {
            // 1116: this side has stopped reading, the other does not speak yet. Nothing is lost.
            if role.isActive, passedFrames.count < Self.framesHeldMaximum, frame.byteCount <= ChannelLimit.forwardedFrame {
                passedFrames.append(ForwardedFrame(interface: interface, octets: [UInt8](copying: frame)))
            }
            return
        }
        checkLease(at: now, into: &outputs)
        guard role.isActive else { return }
        if suspects.contain(frame, on: interface) {
            suspectFrames += 1
            return
        }
        lineCard.receive(frame, on: interface, at: clock.routerTime(at: now), into: &lineCardEffects)
        if !lineCardEffects.isEmpty { drainLineCard(at: now, into: &outputs) }
    }

    // MARK: everything else

    public mutating func handle(_ input: ControllerInput, at now: Instant, into outputs: inout [ControllerOutput]) {
        attend(at: now, into: &outputs)
        checkLease(at: now, into: &outputs)
        switch input {
        case .start(let failedTests): start(failedTests, at: now, into: &outputs)
        case .channelOpened: channelOpened(at: now, into: &outputs)
        case .channelReceived(let octets): channelReceived(octets, at: now, into: &outputs)
        case .channelClosed(let reason, let isProcessDead, let isStreamWhole):
            channelEnded(
                "the channel closed: \(reason)", isProcessDead: isProcessDead, isStreamWhole: isStreamWhole, at: now,
                into: &outputs)
        case .datagram(let octets): receiveDatagram(octets, at: now, into: &outputs)
        case .datagramRefused: datagramRefused(at: now, into: &outputs)
        case .arbiter(let answer):
            if pair != nil {
                voteAnswered(answer, at: now, into: &outputs)
            } else {
                arbiterAnswered(answer, at: now, into: &outputs)
            }
        case .engine(let report): engineReported(report, at: now, into: &outputs)
        case .snapshotEncoded(let index, let octets):
            replicate(at: now, into: &outputs) { $0.snapshotEncoded(index, octets, at: now, into: &$1) }
        case .engineStuck(let index): engineStuck(index, at: now, into: &outputs)
        case .framesLost(let interface): ports.judge.lostFrames(interface, at: now)
        case .link(let interface, let isUp): linkChanged(interface, isUp, at: now, into: &outputs)
        case .memory(let pressure): memoryChanged(pressure, at: now, into: &outputs)
        case .request(let id, let request): operatorAsks(id, request, at: now, into: &outputs)
        case .mirror(let transaction, let octets): mirror(transaction, octets, into: &outputs)
        case .mirrored(let transaction, let refusal):
            channel.send(.mirrorAnswer(transaction: transaction, refusal: refusal ?? ""))
        case .endOfBatch: endBatch(at: now, into: &outputs)
        case .time: tick(at: now, into: &outputs)
        }
        channel.flush(into: &outputs)
        publish(at: now, into: &outputs)
    }

    private mutating func start(_ failedTests: [String], at now: Instant, into outputs: inout [ControllerOutput]) {
        for test in failedTests { note(.alarm, "srm", "self-test failed: \(test)", into: &outputs) }
        if !failedTests.isEmpty {
            availability.failure = "self-test failed"
            return
        }
        note(.notice, "srm", "controller \(configuration.id) of '\(configuration.routerName)' starts", into: &outputs)
        if interfaces.isEmpty, let first = configuration.initialConfiguration,
            let router = try? RouterConfiguration(decoding: first.bytes)
        {
            learnInterfaces(router.interfaces, into: &outputs)
        }
        let hasTwin = !configuration.isSingle
        if hasTwin { watch.start(at: now) }
        master(at: now, into: &outputs) { $0.start(waitForTwin: hasTwin, at: now, into: &$1) }
    }

    // MARK: time

    private mutating func tick(at now: Instant, into outputs: inout [ControllerOutput]) {
        if case .greeting(let until) = channel.stage, until <= now {
            closeChannel("the twin did not introduce itself", at: now, into: &outputs)
        }
        judgeSilence(at: now, into: &outputs)
        ports.judge.tick(at: now)
        releaseSuspects(at: now, into: &outputs)
        considerPorts(at: now, into: &outputs)
        probe(at: now, into: &outputs)
        askStations(at: now, into: &outputs)
        if let wait = role.standby?.gaspUntil, wait.at <= now {
            role.standby?.gaspUntil = nil
            if channel.isClosed {
                master(at: now, into: &outputs) { $0.twinLost(wait.reason, into: &$1) }
            } else {
                outputs.append(.channelClose(reason: "the twin died"))
                twinLost(wait.reason, isProcessDead: true, at: now, into: &outputs)
            }
        }
        pollPair(at: now, into: &outputs)
        master(at: now, into: &outputs) { $0.tick(at: now, into: &$1) }
        replicate(at: now, into: &outputs) { $0.tick(at: now, into: &$1) }
        beat(at: now, into: &outputs)
        if role.isReading {
            lineCard.handle(.time, at: clock.routerTime(at: now), into: &lineCardEffects)
            drainLineCard(at: now, into: &outputs)
        }
        if let exit = availability.exitBy, exit.at <= now { finishExit(into: &outputs) }
        releaseLinkLosses(at: now, into: &outputs)
        advanceSwitchover(at: now, into: &outputs)
    }

    /// When `.time` is next wanted, on the clock of `now`.
    public var nextDeadline: Instant? {
        var next: Instant?
        func consider(_ deadline: Instant?) {
            guard let deadline else { return }
            next = next.map { min($0, deadline) } ?? deadline
        }
        if case .greeting(let until) = channel.stage { consider(until) }
        if !keys.isEmpty { consider(watch.nextDeadline) }
        if channel.isOpen { consider(watch.silenceEnds(after: silenceMaximum)) }
        consider(role.standby?.gaspUntil?.at)
        consider(suspects.deadline(redundantSince: log?.redundantSince))
        if isProbing { consider(strangers.probeAt) }
        consider(pair?.nextDeadline(watch))
        if !configuration.isSingle { consider(ports.judge.nextDeadline) }
        consider(mastership.nextDeadline)
        consider(log?.sender.nextDeadline)
        consider(availability.exitBy?.at)
        consider(switchovers.fromActive?.nextDeadline)
        consider(switchovers.fromStandby?.nextDeadline)
        if role.isReading {
            if switchovers.fromActive == nil { consider(log?.nextLinkLoss) }
            consider(lineCard.nextDeadline.map { clock.localTime(of: $0) })
            if let due = timeRecordDue { consider(clock.localTime(of: due)) }
        }
        return next
    }

    // MARK: small things

    public var epoch: Epoch { mastership.epoch }

    /// In which forms the twin that was connected last and this one speak; `nil` before there was any.
    public var agreement: SchemaAgreement? { channel.agreement }

    public var state: ControllerState {
        if availability.failure != nil { return .failed }
        if availability.isOffline { return .offline }
        switch role {
        case .active:
            // Between 1118 and 1120 nobody is active, and this one has all that the other needs.
            guard mastership.isHolding else { return .standby }
            // While it leaves redundancy it still waits for the twin's consent, and may not be able to speak.
            return log?.sender.phase == .redundant || log?.sender.phase == .leaving ? .active : .activeAlone
        case .takingOver: return receiver.isInSync ? .standby : .syncing
        case .standby:
            if receiver.isInSync { return .standby }
            switch mastership.stage {
            case .waiting: return .booting
            case .following(let patience): return patience == nil ? .syncing : .booting
            case .acquiring, .holding, .released, .offline: return .syncing
            }
        }
    }

    /// Router time at a moment of the local clock. Meaningful on the active, an estimate on a standby.
    public func routerTime(at now: Instant) -> Instant { clock.routerTime(at: now) }

    func note(_ severity: Event.Severity, _ component: String, _ text: String, into outputs: inout [ControllerOutput]) {
        outputs.append(.event(Event(severity, component, text)))
    }

    /// Says what changed in what others see of this controller.
    mutating func publish(at now: Instant, into outputs: inout [ControllerOutput]) {
        let state = self.state
        if let published = publishedState, published == (state, epoch) { return }
        publishedState = (state, epoch)
        outputs.append(.state(state, epoch))
        note(.notice, "srm", "controller \(configuration.id) is \(state), epoch \(epoch)", into: &outputs)
        if !role.isStandby, channel.twin != nil {
            let gasp = DyingGasp(
                controller: configuration.id, epoch: epoch, index: .zero, bootNonce: configuration.bootNonce,
                token: configuration.gaspToken!)
            outputs.append(.prepareGasp(gasp.encoded()))
        } else {
            outputs.append(.prepareGasp(nil))
        }
        // The twin hears of it at once, not at the next beat.
        beat(at: now, isDue: true, into: &outputs)
        channel.flush(into: &outputs)
    }
}
