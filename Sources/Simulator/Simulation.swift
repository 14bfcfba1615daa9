import Controller
import Engine
import LineCard
import Machine
import Records
import Redundancy
import Wire

/// Both controllers, the channel between them, the arbiter, the LAN and the peers, in one process under virtual time
/// (DESIGN §12). Everything that could surprise follows from one seed.
///
/// `run(until:)` moves time; faults are put in by `Scenario` and `RandomWeather` through the verbs in
/// `Simulation+Faults.swift`; the checkers look on after every step.
public final class Simulation {
    /// Processes that died with a gasp.
    var crashes = 0
    /// What will happen. Node events carry the incarnation they are meant for.
    enum Happening {
        case frame(port: Int, [UInt8])
        case channelOctets(to: ControllerID, generation: Int, [UInt8])
        case channelOpened(generation: Int)
        case channelClosed(to: ControllerID, incarnation: Int, isProcessDead: Bool)
        case channelGone(generation: Int)
        case datagram(to: ControllerID, [UInt8])
        case datagramRefused(to: ControllerID, incarnation: Int)
        case arbiterAnswer(to: ControllerID, incarnation: Int, ArbiterAnswer)
        case voteConnects(ControllerID, connection: Int)
        case voteArrives(from: ControllerID, connection: Int, VoteQueue.Attempt)
        case voteAnswers(to: ControllerID, connection: Int, UInt64, VoteAnswer)
        case voteLost(ControllerID, connection: Int)
        case voteTime(ControllerID, incarnation: Int)
        case engineDone(ControllerID, incarnation: Int, EngineWork)
        case engineStuck(ControllerID, incarnation: Int, LogIndex)
        case snapshotEncoded(ControllerID, incarnation: Int, LogIndex, [UInt8])
        case nodeTime(ControllerID, incarnation: Int, Instant)
        case turn(ControllerID, incarnation: Int)
        case turnGoesOn(ControllerID, incarnation: Int)
        case stationTime(Int, Instant)
        case routedStationTime(Int, Instant)
        case intruderTime(incarnation: Int, Instant)
        case intruderOctets(to: ControllerID, incarnation: Int, [UInt8])
        case act(Act)
    }

    let seed: UInt64
    let options: SimulationOptions
    let peerCount: Int
    /// The controllers' ports carry two VLANs: see `Trunk`.
    let isTrunk: Bool
    let neighborhood: Neighborhood
    var interfaceIDs: [InterfaceID] {
        isTrunk || neighborhood.lanCount == 2 ? [InterfaceID(0), InterfaceID(1)] : [InterfaceID(0)]
    }
    private var newestEpoch = Epoch.zero
    var forger = Forger()
    var intruder: Intruder?
    var intruderIncarnation = 0
    /// Sessions of BFD that may be lost, or what follows from it, are lost by then.
    var lossesExpectedUntil = Instant.zero
    /// When another controller than the first became the router; `nil` before that.
    var roleChangedAt: Instant?
    /// When a controller started last.
    var startedAt = Instant.zero
    /// When a controller's port was mended last.
    var portTroubleAt: Instant?
    /// The newest configuration that was committed.
    var revision: UInt64 = 1
    var now = Instant.zero
    var random: RandomNumbers
    var queue = EventQueue<Happening>()
    var bridge: Bridge
    var wire = ReplicationWire()
    var arbiter = SimulatedArbiter()
    var witness = SimulatedWitness()
    var nodes: [ControllerNode] = []
    var stations: [SpeakerStation] = []
    private var stationWakeUps: [Instant?] = []
    private(set) var routedStations: [RoutedStation] = []
    private var routedStationWakeUps: [Instant?] = []
    /// What a router that never fails knows of these stations; drawn from a world without a twin and without faults.
    private(set) lazy var expectedRoutes: [String] = calmRoutes()
    var checkers: Checkers
    /// The channel breaks so long after the next take-over.
    var breakAtTakeOver: Duration?
    var trace: [String] = []
    /// What each controller told its operator, newest last.
    var events: [[Event]] = [[], []]
    var saboteur: Saboteur?
    /// Findings of the checkers; the run stops at the first.
    public internal(set) var findings: [String] = []
    public internal(set) var steps = 0
    private var stepsAtOnce = 0
    private static let stepsAtOnceMaximum = 20_000

    static let routerAddress = IPv4Address(198, 18, 0, 1)
    static let routerMAC = MACAddress(raw: 0x0000_5e00_0101)

    public init(seed: UInt64, options: SimulationOptions) {
        self.seed = seed
        self.options = options
        var first = RandomNumbers(seed: mix64(seed))
        let peerCount = options.peerCount ?? first.number(in: 2...5)
        self.peerCount = peerCount
        isTrunk =
            options.routedStationCount == 0 && !options.hasSecondLAN && !options.hasStrangers
            && mix64(seed &+ 0x7472_756e_6b) & 3 == 0
        neighborhood = Neighborhood(options, peerCount: peerCount, seed: seed)
        random = first
        bridge = Bridge(lans: neighborhood.lans)
        for id in ControllerID.allCases { for port in neighborhood.ports(of: id) { bridge.twins[port] = true } }
        checkers = Checkers(options: options)
        if let bug = options.plantedBug { saboteur = Saboteur(bug) }
        for id in ControllerID.allCases {
            nodes.append(
                ControllerNode(
                    id: id, configuration: controllerConfiguration(id), seed: random.next(),
                    clockOffset: .milliseconds(random.number(in: 0...100_000)),
                    devices: neighborhood.lanCount == 2 ? ControllerNode.twoSegments : ControllerNode.noSegments))
        }
        for number in 0..<peerCount {
            let isActive = random.chance(1, in: 2)
            let holdSeconds: Int64 = [9, 30, 90][random.number(in: 0...2)]
            stations.append(
                SpeakerStation(
                    number: number, routerAddress: Neighborhood.routerAddress(lan: neighborhood.lan(ofPeer: number)),
                    isActive: isActive, holdSeconds: options.holdSeconds ?? holdSeconds, seed: random.next(),
                    watch: neighborhood.bfd?.parameters))
            stationWakeUps.append(nil)
        }
        for number in 0..<options.routedStationCount {
            routedStations.append(
                RoutedStation(
                    number: number, routerCount: options.routersPerStation, seed: mix64(seed &+ 977 &* UInt64(number + 1)),
                    place: neighborhood.place(ofRouted: number)))
            routedStationWakeUps.append(nil)
        }
    }

    var portCount: Int { bridge.ports.count }

    private func calmRoutes() -> [String] {
        var calm = options
        calm.isSingle = true
        calm.isTraced = false
        calm.plantedBug = nil
        calm.isRude = false
        let world = Simulation(seed: seed, options: calm)
        world.start()
        world.run(until: .zero + .seconds(25))
        if !world.findings.isEmpty { find("the world without faults: \(world.findings[0])") }
        return GatewayChecker.routes(in: world)
    }

    func node(_ id: ControllerID) -> ControllerNode { nodes[Int(id.rawValue)] }

    func controllerConfiguration(_ id: ControllerID) -> ControllerConfiguration {
        var configuration = ControllerConfiguration(
            id: id, routerName: "simulated", pairID: 7, bootNonce: random.next(), randomSeed: random.next())
        configuration.isPreferred = id == .a
        configuration.arbiter = options.arbiter
        configuration.segmentCount = interfaceIDs.count
        configuration.bootWait = .milliseconds(300)
        configuration.isSingle = options.isSingle
        configuration.testing = true
        configuration.mistakes = options.plantedBug?.mistakes ?? []
        if nodes.count > Int(id.rawValue) {
            configuration.lastEpoch = node(id).storedEpoch
            configuration.wasActive = node(id).wasActive
            configuration.pairKey = node(id).storedKey
        }
        configuration.initialConfiguration = (1, RouterPlan.encoded(neighborhood, isTrunk: isTrunk))
        return configuration
    }

    // MARK: time

    /// Starts processes and stations.
    public func start() {
        boot(.a)
        if !options.isSingle { boot(.b) }
        for number in stations.indices {
            transmit(stations[number].start(number: number, at: now), from: 2 + number)
            reschedule(station: number)
        }
        for number in routedStations.indices { tell(routedStation: number) { $0.start(at: $1) } }
    }

    public func run(until end: Instant) {
        while findings.isEmpty, let next = queue.nextTime, next <= end {
            let (time, happening) = queue.pop()!
            stepsAtOnce = time == now ? stepsAtOnce + 1 : 0
            now = time
            steps += 1
            // A deadline that stays in the past when it is told the time would keep a real edge spinning.
            if stepsAtOnce > Self.stepsAtOnceMaximum {
                find("time stands still: \(stepsAtOnce) steps at once, the newest \(happening)")
            }
            handle(happening)
            checkers.look(at: self)
        }
        if findings.isEmpty { now = max(now, end) }
    }

    func note(_ sentence: @autoclosure () -> String) {
        if options.isTraced { trace.append("\(now) \(sentence())") }
    }

    func find(_ sentence: String) {
        note("FOUND \(sentence)")
        if findings.count < 20 { findings.append("at \(now): \(sentence)") }
    }

    // MARK: what happens

    private func handle(_ happening: Happening) {
        switch happening {
        case .frame(let port, let frame):
            switch neighborhood.owner(of: port) {
            case .controller(let id, let device):
                give(frame: isTrunk ? Trunk.tagged(frame) : frame, device: device, to: node(id))
            case .peer(let number):
                transmit(stations[number].receive(frame, at: now), from: port)
                reschedule(station: number)
            case .routed(let number): tell(routedStation: number) { $0.receive(frame, at: $1) }
            case .forger: forger.hear(frame)
            case .intruder: tellIntruder { $0.receive(frame, at: $1) }
            }
        case .channelOctets(let id, let generation, let octets):
            if wire.delivers(generation: generation, to: id) { give(.channelReceived(octets), to: node(id)) }
        case .channelOpened(let generation):
            guard generation == wire.generation, wire.state == .opening else { return }
            wire.finishOpening()
            for id in ControllerID.allCases { give(.channelOpened, to: node(id)) }
        case .channelClosed(let id, let incarnation, let isProcessDead):
            guard node(id).incarnation == incarnation else { return }
            give(.channelClosed(reason: "the transport closed", isProcessDead: isProcessDead), to: node(id))
        case .channelGone(let generation):
            guard generation == wire.generation else { return }
            wire.close()
            openChannel()
        case .datagram(let id, let bytes):
            if node(id).life == .dead {
                // Nobody listens on that port: the kernel says so to whoever asked.
                queue.schedule(
                    .datagramRefused(to: id.other, incarnation: node(id.other).incarnation),
                    at: now + .microseconds(random.number(in: 20...150)))
            } else {
                give(.datagram(bytes), to: node(id))
            }
        case .datagramRefused(let id, let incarnation):
            if node(id).incarnation == incarnation, !wire.isCut { give(.datagramRefused, to: node(id)) }
        case .arbiterAnswer(let id, let incarnation, let answer):
            if node(id).incarnation == incarnation { give(.arbiter(answer), to: node(id)) }
        case .voteConnects(let id, let connection): voteConnects(id, connection: connection)
        case .voteArrives(let id, let connection, let attempt): voteArrives(from: id, connection: connection, attempt)
        case .voteAnswers(let id, let connection, let number, let answer):
            voteAnswers(to: id, connection: connection, number, answer)
        case .voteLost(let id, let connection):
            if witness[id].connection == connection, witness[id].isCut { loseVote(id, "silent") }
        case .voteTime(let id, let incarnation):
            guard node(id).incarnation == incarnation else { return }
            witness[id].wakeUp = nil
            pumpVote(node(id))
        case .engineDone(let id, let incarnation, let work):
            let node = node(id)
            guard node.incarnation == incarnation, node.life != .dead else { return }
            if node.life == .frozen {
                // A frozen engine goes on where it was.
                queue.schedule(happening, at: now + .milliseconds(1))
                return
            }
            finish(work, on: node)
        case .engineStuck(let id, let incarnation, let index):
            if node(id).incarnation == incarnation { give(.engineStuck(index), to: node(id)) }
        case .snapshotEncoded(let id, let incarnation, let index, let bytes):
            if node(id).incarnation == incarnation { give(.snapshotEncoded(index, bytes), to: node(id)) }
        case .nodeTime(let id, let incarnation, let time):
            let node = node(id)
            guard node.incarnation == incarnation, node.wakeUp == time else { return }
            node.wakeUp = nil
            planTurn(node)
        case .turn(let id, let incarnation):
            let node = node(id)
            guard node.incarnation == incarnation, node.isTurnPlanned else { return }
            node.isTurnPlanned = false
            if node.life == .running { takeTurn(node) }
        case .turnGoesOn(let id, let incarnation):
            let node = node(id)
            guard node.incarnation == incarnation, node.isMidTurn else { return }
            if node.life == .frozen {
                // It goes on where it was when it wakes.
                queue.schedule(happening, at: now + .milliseconds(1))
            } else {
                goOn(node)
            }
        case .stationTime(let number, let time):
            guard stationWakeUps[number] == time else { return }
            stationWakeUps[number] = nil
            transmit(stations[number].time(at: now), from: 2 + number)
            reschedule(station: number)
        case .routedStationTime(let number, let time):
            guard routedStationWakeUps[number] == time else { return }
            routedStationWakeUps[number] = nil
            tell(routedStation: number) { $0.time(at: $1) }
        case .intruderTime(let incarnation, let time):
            guard incarnation == intruderIncarnation, intruder?.wakeUp == time else { return }
            intruder?.wakeUp = nil
            tellIntruder { _, _ in }
        case .intruderOctets(let id, let incarnation, let octets):
            if node(id).incarnation == incarnation, intruder?.victim == id { give(.channelReceived(octets), to: node(id)) }
        case .act(let act):
            perform(act)
        }
    }

    /// A turn of a routed station: what it sends leaves, and it is woken when it wants to be.
    func tell(routedStation number: Int, _ body: (RoutedStation, Instant) -> [[UInt8]]) {
        transmit(body(routedStations[number], now), from: neighborhood.port(ofRouted: number))
        guard let next = routedStations[number].nextDeadline else { return }
        let time = max(next, now)
        if let planned = routedStationWakeUps[number], planned <= time { return }
        routedStationWakeUps[number] = time
        queue.schedule(.routedStationTime(number, time), at: time)
    }

    func transmit(_ frames: [[UInt8]], from port: Int) {
        for var frame in frames {
            if isTrunk, port < 2 {
                switch Trunk.vlan(of: frame) {
                case Trunk.stations: frame = Trunk.untagged(frame)
                case Trunk.spare:
                    if let delay = bridge.crossing(from: port, to: 1 - port, random: &random) {
                        queue.schedule(.frame(port: 1 - port, frame), at: now + delay)
                    }
                    continue
                default: continue
                }
            }
            for (target, delay) in bridge.forward(frame, from: port, random: &random) {
                queue.schedule(.frame(port: target, frame), at: now + delay)
            }
        }
    }

    func reschedule(station number: Int) {
        guard let next = stations[number].nextDeadline else { return }
        let time = max(next, now)
        if let planned = stationWakeUps[number], planned <= time { return }
        stationWakeUps[number] = time
        queue.schedule(.stationTime(number, time), at: time)
    }

    /// Lets a station say something.
    func speak(_ number: Int, _ body: (inout BGPSpeaker) -> [UInt8]) {
        transmit(stations[number].speak(at: now, body), from: 2 + number)
        reschedule(station: number)
    }

    func reboot(station number: Int) {
        let seed = random.next()
        transmit(stations[number].reboot(number: number, seed: seed, at: now), from: 2 + number)
        reschedule(station: number)
    }

    // MARK: controllers

    /// Something came for a controller. It hears of it in a turn of its own; what comes meanwhile is heard together.
    func give(_ input: ControllerInput, to node: ControllerNode) { give(.input(input), to: node) }
    func give(frame: [UInt8], device: Int, to node: ControllerNode) {
        give(.frame(frame, device: device), to: node)
    }

    private func give(_ item: ControllerNode.Waiting, to node: ControllerNode) {
        guard node.life != .dead else { return }
        node.inbox.append(item)
        planTurn(node)
    }

    /// The edge's thread is woken, and runs when the machine lets it.
    func planTurn(_ node: ControllerNode) {
        guard node.life == .running, !node.isTurnPlanned, !node.isMidTurn else { return }
        node.isTurnPlanned = true
        let delay = random.chance(1, in: 64) ? random.number(in: 50...3000) : random.number(in: 0...10)
        queue.schedule(.turn(node.id, incarnation: node.incarnation), at: now + .microseconds(delay))
    }

    private func takeTurn(_ node: ControllerNode) {
        let inbox = node.inbox
        node.inbox = []
        // Which descriptor is served first is the kernel's choice; the channel's news come last (`Turn`).
        var sources = Array(ControllerNode.Waiting.Source.allCases.dropLast())
        for i in sources.indices.dropLast() { sources.swapAt(i, random.number(in: i...(sources.count - 1))) }
        let framesMaximum = random.chance(1, in: 4) ? random.number(in: 1...8) : 256
        var frames = 0
        // Nearly always there is one thing.
        let order =
            inbox.count < 2
            ? [0]
            : (sources + [.channel]).flatMap { source in
                inbox.indices.filter { inbox[$0].source == source }
            }
        for i in order where i < inbox.count {
            switch inbox[i] {
            case .input(let input): node.turn.hear(input, &node.controller, at: node.clock(now))
            case .frame(let frame, let device):
                frames += 1
                if frames > framesMaximum {
                    node.inbox.append(inbox[i])
                } else {
                    guard let interface = node.segments.interface(for: frame.span.bytes, at: device) else { continue }
                    node.turn.receive(frame.span.bytes, on: interface, &node.controller, at: node.clock(now))
                }
            }
        }
        node.turn.tellTime(&node.controller, at: node.clock(now), isTwinConnected: wire.state == .up)
        node.turn.end()
        node.isMidTurn = true
        goOn(node)
    }

    /// One step after the other, unless the thread is stopped between two of them.
    private func goOn(_ node: ControllerNode) {
        let incarnation = node.incarnation
        while node.life == .running, node.incarnation == incarnation {
            if random.chance(1, in: 5000) {
                queue.schedule(
                    .turnGoesOn(node.id, incarnation: incarnation), at: now + .microseconds(random.number(in: 10...30_000)))
                return
            }
            switch node.turn.next(&node.controller, at: node.clock(now)) {
            case .carryOut(let output): carryOut(output, of: node)
            case .flushChannel: break
            case .releaseFrames(let isAllowed):
                let frames = node.frames
                node.frames = []
                guard isAllowed else { continue }
                for frame in frames {
                    checkers.transmitted(frame.octets, by: node, in: self)
                    transmit([frame.octets], from: port(of: node, frame.interface))
                }
            case .done:
                node.isMidTurn = false
                if !node.inbox.isEmpty { planTurn(node) }
                planTime(node)
                return
            }
        }
    }

    private func planTime(_ node: ControllerNode) {
        guard let next = node.turn.deadline(node.look { $0.nextDeadline }) else { return }
        let time = max(node.world(next), now)
        if let planned = node.wakeUp, planned <= time { return }
        node.wakeUp = time
        queue.schedule(.nodeTime(node.id, incarnation: node.incarnation, time), at: time)
    }

    private func carryOut(_ output: ControllerOutput, of node: ControllerNode) {
        if let left = node.fuse {
            node.fuse = left - 1
            if left <= 0 {
                note("\(node.id) dies between two outputs")
                return die(node)
            }
        }
        switch output {
        case .transmit(let interface, let frame): node.frames.append((interface, frame))
        case .advertise(let interface, var frame), .ask(let interface, var frame):
            frame.fillSource(Self.hostMAC(node.id))
            if options.plantedBug == .segmentsUnheard, case .advertise = output { return }
            transmit([frame], from: port(of: node, interface))
        case .channelSend(let octets) where intruder?.victim == node.id: intruder?.hear(octets)
        case .channelClose(let reason) where intruder?.victim == node.id:
            note("\(node.id) closes the channel to the third controller: \(reason)")
            // Who asks the vote for mastership talks to nobody, be it the twin.
            if reason == "mastership is being asked for" { endIntrusion() } else { judgeIntrusion() }
        case .lease(let epoch, let until):
            node.lease = (epoch, until)
        case .channelSend(let octets):
            guard wire.state == .up, !wire.isCut else { return }
            send(octets, from: node)
        case .channelClose(let reason):
            note("\(node.id) closes the channel: \(reason)")
            closeChannel(by: node.id, isProcessDead: false)
        case .prepareGasp(let bytes):
            node.gasp = bytes
        case .datagram(let bytes):
            sendDatagram(bytes, from: node.id)
        case .pairKey(let key):
            node.storedKey = key
        case .arbiter(let request) where hasVote: askVote(request, of: node)
        case .arbiter(let request):
            let answer = arbiter.answer(
                Saboteur.changed(request, options.plantedBug), from: node, isTwinDead: self.node(node.id.other).life == .dead,
                at: now)
            // Renewals are every heartbeat's; a trace of them alone would hide the rest.
            if case .renewed = answer {} else { note("\(node.id) asks the arbiter \(request): \(answer)") }
            // One mapped word: it is asked and answered within the turn.
            node.turn.hear(.arbiter(answer), &node.controller, at: node.clock(now))
        case .engine(let work):
            node.enqueue(work)
            startEngine(node)
        case .event(let event):
            note("\(node.id) \(event)")
            events[Int(node.id.rawValue)].append(event)
        case .state(let state, let epoch):
            note("\(node.id) is \(state) in epoch \(epoch)")
            if epoch > node.storedEpoch { node.storedEpoch = epoch }
            node.wasActive = state.isActive
            checkers.state(state, epoch, of: node, in: self)
            if state.isActive, epoch != newestEpoch {
                if newestEpoch != .zero { roleChangedAt = now }
                newestEpoch = epoch
            }
            if state.isActive, let pause = breakAtTakeOver {
                breakAtTakeOver = nil
                schedule(.breakChannel, at: now + pause)
                // What breaks a connection often takes everything else with it, for less than the detection time.
                perform(.twinPaths(isCut: true))
                schedule(.twinPaths(isCut: false), at: now + .milliseconds(random.number(in: 0...20)))
            }
        case .interfaces(let list): node.segments.assign(list)
        case .configured, .mirrorEverything, .mirrorAnswered: break
        case .answer(_, let answer):
            note("\(node.id) answers the operator: \(answer)")
        case .mirror(let transaction, _):
            give(.mirrored(transaction: transaction, refusal: nil), to: node)
        case .exit(let reason):
            note("\(node.id) exits: \(reason)")
            die(node)
            let pause = Duration.milliseconds(random.number(in: 200...2000))
            queue.schedule(.act(.start(node.id)), at: now + pause)
        }
    }

    private func send(_ octets: [UInt8], from node: ControllerNode) {
        var octets = octets
        let other = node.id.other
        if saboteur != nil {
            let work = saboteur!.pass(octets, from: node.id, generation: wire.generation, at: now)
            octets = work.forward
            if let forged = work.forged {
                let time = wire.arrivalTime(towards: node.id, at: now, random: &random)
                queue.schedule(.channelOctets(to: node.id, generation: wire.generation, forged), at: time)
                if octets.isEmpty { return }
            }
        }
        let time = wire.arrivalTime(towards: other, at: now, random: &random)
        queue.schedule(.channelOctets(to: other, generation: wire.generation, octets), at: time)
    }

    /// The port at which an interface of a controller is plugged in.
    func port(of node: ControllerNode, _ interface: InterfaceID) -> Int {
        guard neighborhood.lanCount == 2 else { return Int(node.id.rawValue) }
        let isWrong = options.plantedBug == .wrongPort && node.controller.epoch > Epoch(3)
        return neighborhood.port(of: node.id, lan: isWrong ? 0 : min(1, Int(interface.value)))
    }

    static func hostMAC(_ id: ControllerID) -> MACAddress { MACAddress(raw: 0x0200_0000_3000 | UInt64(id.rawValue)) }

    private func startEngine(_ node: ControllerNode) {
        guard !node.isEngineBusy, let work = node.nextWork() else { return }
        node.isEngineBusy = true
        let latency = Duration.microseconds(random.number(in: options.engineLatency) * node.slowness)
        queue.schedule(.engineDone(node.id, incarnation: node.incarnation, work), at: now + latency)
    }

    private func finish(_ work: EngineWork, on node: ControllerNode) {
        switch checkers.fatal(in: work) {
        case .crash(let index):
            note("\(node.id): record \(index) is poison")
            return crash(node, applying: index)
        case .hang(let index):
            // The engine never comes back; the watchdog of its process sees it.
            note("\(node.id): the engine hangs in record \(index)")
            let time = now + .milliseconds(random.number(in: 50...200))
            queue.schedule(.engineStuck(node.id, incarnation: node.incarnation, index), at: time)
            return
        case nil: break
        }
        node.isEngineBusy = false
        var report = node.perform(work)
        if options.plantedBug == .sessionsForgotten { report = Saboteur.forgetSessions(report) }
        if let (index, message) = node.trapMet {
            // What it has done since is forgotten with it.
            note("\(node.id): message \(message) of record \(index) is poison")
            return crash(node, applying: index, message: message)
        }
        if options.plantedBug == .effectsReordered, !node.controller.state.isActive { report = Saboteur.reorder(report) }
        checkers.engine(work, report, of: node, in: self)
        if case .snapshot(let snapshot) = report {
            let time = now + .microseconds(random.number(in: options.engineLatency) * 5)
            queue.schedule(
                .snapshotEncoded(node.id, incarnation: node.incarnation, snapshot.index, snapshot.encoded()), at: time)
        } else {
            give(.engine(report), to: node)
        }
        if node.life != .dead { startEngine(node) }
    }
}

extension Simulation {
    public var traceLines: [String] { trace }

    /// One line on what a run did.
    public var summary: String {
        let epoch = nodes.map { $0.controller.epoch.value }.max() ?? 0
        let heard = stations.map(\.speaker.updatesReceived).reduce(0, +)
        return "\(now) s, \(steps) steps, epoch \(epoch), \(heard) updates heard, "
            + "\(checkers.lockstep.comparisons) comparisons, \(checkers.acknowledgements.comparisons) connections taken over"
    }
}
