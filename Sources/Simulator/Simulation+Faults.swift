import Controller
import Engine
import Machine
import Records
import Redundancy

/// What a scenario or the weather does to the world.
public enum Act: Sendable, Equatable {
    /// A process starts, with an empty memory.
    case start(ControllerID)
    /// SIGKILL: no word.
    case kill(ControllerID)
    /// Its disk is replaced: when it starts again it remembers nothing of mastership.
    case loseDatastore(ControllerID)
    /// SIGSEGV: the handler sends the gasp.
    case crash(ControllerID)
    /// The process ends after so many more of its outputs: between storing and acknowledging, between two frames.
    case fuse(ControllerID, Int)
    /// The engine is so many times slower.
    case slow(ControllerID, Int)
    /// Carrier of the controller's interface goes with its port, or comes back.
    case unplug(ControllerID)
    case plug(ControllerID)
    /// The cable to one LAN alone is pulled; `plug` puts every cable back.
    case pull(ControllerID, lan: Int)
    case freeze(ControllerID)
    case wake(ControllerID)
    case switchover(ControllerID)
    /// The operator forces it, takes a standby out of redundancy, takes it back.
    case force(ControllerID)
    case goOffline(ControllerID)
    case goOnline(ControllerID)
    /// Memory runs out on one controller, or is free again.
    case memory(ControllerID, MemoryPressure)
    /// The operator commits another configuration.
    case commit
    /// The channel breaks and both ends learn it; it comes up again by itself.
    case breakChannel
    /// As `breakChannel`, so long after the next controller has become the router; the other paths fail with it for a moment.
    case breakChannelAtTakeOver(Duration)
    /// Nothing passes and nobody is told.
    case cutChannel
    case healChannel
    /// Nothing passes between the controllers, on any path; each has its peers, and its vote.
    case partition
    /// Datagrams and frames between the controllers are lost, or pass again; the channel keeps what it has.
    case twinPaths(isCut: Bool)
    /// Nothing passes between this controller and the vote, until it is healed.
    case cutVote(ControllerID)
    case healVote(ControllerID)
    /// With its file, or without.
    case restartWitness(isLost: Bool)
    /// How datagrams of the redundancy link fare; chances per 10,000.
    case linkWeather(loss: Int, duplication: Int, reordering: Int)
    /// Half dead: what goes towards this controller comes late, in order.
    case stallChannel(towards: ControllerID, Duration)
    case command(EngineCommand)
    case cutPort(Int, inward: Bool, outward: Bool)
    case healPort(Int)
    case weather(port: Int, loss: Int, duplication: Int, reordering: Int)
    case announce(station: Int, prefix: UInt64, tail: [UInt32])
    case withdraw(station: Int, prefix: UInt64)
    /// A peer loses its power, says nothing, and connects again at once.
    case reboot(station: Int)
    /// A station asks everybody on the LAN for an address, as hosts do.
    case ask(station: Int)
    /// A link behind a routed station goes down or comes back.
    case link(station: Int, link: Int, isUp: Bool)
    /// A routed station sends a packet that is fatal to an engine that looks into it.
    case poisonPacket(station: Int)
    /// A routed station announces a route that is fatal in this form, and keeps it; 0: no longer.
    case keepPoison(station: Int, form: UInt32)
    /// The LAN router of a routed station is started again, without a word to anybody.
    case restartStation(Int)
    /// A peer behaves badly, or no longer.
    case rude(station: Int, Rudeness)
    case openWindow(station: Int)
    /// Whoever is at this port answers so many milliseconds later, until the port's weather changes.
    case slowPort(Int, milliseconds: Int)
    /// A stranger on the first LAN says something.
    case forge(Forgery)
    /// A third controller is started beside the pair, or stopped.
    case startIntruder(Intruder.Kind)
    case stopIntruder
    /// The third controller of this number must have been refused by now; it ends its connection if it was not.
    case endIntrusion(Int)
    /// It comes to a controller over the redundancy link, in the twin's place.
    case intrude(on: ControllerID)
    /// Replaces a controller's engine by one restored from its snapshot.
    case passThroughSnapshot(ControllerID)
}

extension Simulation {
    public func schedule(_ act: Act, at time: Instant) { queue.schedule(.act(act), at: max(time, now)) }

    /// Who speaks as the router now, as the controllers themselves believe.
    public var active: ControllerID? {
        ControllerID.allCases.filter { node($0).life == .running && node($0).controller.state.isActive }
            .max { node($0).controller.epoch < node($1).controller.epoch }
    }

    /// The LAN is as talkative as LANs are: every station asks for somebody a few times a second.
    func chatter(for duration: Duration) {
        for station in stations.indices {
            var time = now
            while time < now + duration {
                time = time + .milliseconds(random.number(in: 60...350))
                schedule(.ask(station: station), at: time)
            }
        }
    }

    /// Whether the pair has a standby in lock step.
    public var isRedundant: Bool {
        guard let active, node(active).controller.state == .active else { return false }
        let other = node(active.other)
        return other.life == .running && other.controller.state == .standby
    }

    func perform(_ act: Act) {
        note("ACT \(act)")
        switch act {
        case .start(let id): if node(id).life == .dead { boot(id) }
        case .kill(let id): if node(id).life != .dead { die(node(id)) }
        case .fuse(let id, let outputs): node(id).fuse = outputs
        case .slow(let id, let factor): node(id).slowness = max(1, factor)
        case .pull(let id, let lan):
            bridge.cut(port: neighborhood.port(of: id, lan: lan), inward: true, outward: true)
            give(.link(interfaceIDs[lan], isUp: false), to: node(id))
        case .restartStation(let number): tell(routedStation: number) { $0.restart(at: $1) }
        case .rude(let station, let rudeness): behave(rudeness, station: station)
        case .openWindow(let station):
            transmit(stations[station].openWindow(at: now), from: neighborhood.port(ofPeer: station))
            reschedule(station: station)
        case .slowPort(let port, let milliseconds):
            var weather = Bridge.Weather()
            weather.delayMinimum = .milliseconds(milliseconds)
            weather.delayMaximum = .milliseconds(milliseconds + 1)
            bridge.setWeather(weather, port: port)
        case .forge(let forgery): forge(forgery)
        case .startIntruder(let kind): startIntruder(kind)
        case .stopIntruder: stopIntruder()
        case .endIntrusion(let incarnation): if incarnation == intruderIncarnation { judgeIntrusion() }
        case .intrude(let id): intrude(on: id)
        case .unplug(let id):
            for port in neighborhood.ports(of: id) { bridge.cut(port: port, inward: true, outward: true) }
            node(id).isUnplugged = true
            for interface in interfaceIDs { give(.link(interface, isUp: false), to: node(id)) }
        case .plug(let id):
            for port in neighborhood.ports(of: id) { bridge.cut(port: port, inward: false, outward: false) }
            node(id).isUnplugged = false
            for interface in interfaceIDs { give(.link(interface, isUp: true), to: node(id)) }
        case .loseDatastore(let id):
            node(id).storedEpoch = .zero
            node(id).wasActive = false
            node(id).storedKey = nil
        case .crash(let id): if node(id).life == .running { crash(node(id), applying: .zero) }
        case .freeze(let id): if node(id).life == .running { node(id).life = .frozen }
        case .wake(let id): wake(node(id))
        case .switchover(let id):
            give(.request(OperatorRequestID(UInt64(steps)), .switchover(reason: "scenario")), to: node(id))
        case .force(let id):
            give(.request(OperatorRequestID(UInt64(steps)), .forcedSwitchover(reason: "scenario")), to: node(id))
        case .goOffline(let id):
            give(.request(OperatorRequestID(UInt64(steps)), .goOffline(reason: "scenario")), to: node(id))
        case .goOnline(let id): give(.request(OperatorRequestID(UInt64(steps)), .goOnline), to: node(id))
        case .memory(let id, let pressure): give(.memory(pressure), to: node(id))
        case .commit:
            guard let active else { return }
            revision += 1
            let bytes = RouterPlan.encoded(neighborhood, revision: revision, isTrunk: isTrunk)
            give(.request(OperatorRequestID(UInt64(steps)), .commit(revision: revision, bytes)), to: node(active))
        case .breakChannel: if wire.state == .up { closeChannel(by: nil, isProcessDead: false) }
        case .breakChannelAtTakeOver(let pause): breakAtTakeOver = pause
        case .cutChannel: wire.isCut = true
        case .partition:
            wire.isCut = true
            bridge.isTwinPathCut = true
        case .twinPaths(let isCut):
            wire.datagramLoss = isCut ? 10_000 : 0
            bridge.isTwinPathCut = isCut
        case .cutVote(let id): cutVote(id)
        case .healVote(let id): healVote(id)
        case .restartWitness(let isLost): restartWitness(isLost: isLost)
        case .linkWeather(let loss, let duplication, let reordering):
            wire.datagramLoss = loss
            wire.datagramDuplication = duplication
            wire.datagramReordering = reordering
        case .stallChannel(let id, let duration): wire.stall(towards: id, until: now + duration)
        case .command(let command):
            guard let active else { return }
            give(.request(OperatorRequestID(UInt64(steps)), .command(command)), to: node(active))
        case .healChannel:
            bridge.isTwinPathCut = false
            guard wire.isCut else { return }
            wire.isCut = false
            // What was under way when it was cut is lost, so the transport cannot go on in order.
            closeChannel(by: nil, isProcessDead: false)
        case .cutPort(let port, let inward, let outward): bridge.cut(port: port, inward: inward, outward: outward)
        case .healPort(let port): bridge.cut(port: port, inward: false, outward: false)
        case .weather(let port, let loss, let duplication, let reordering):
            bridge.setWeather(
                .init(loss: loss, duplication: duplication, reordering: reordering), port: port)
        case .announce(let station, let prefix, let tail): speak(station) { $0.announce(prefix, tail: tail) }
        case .ask(let station): transmit([SpeakerStation.question(station)], from: 2 + station)
        case .withdraw(let station, let prefix): speak(station) { $0.withdraw(prefix) }
        case .reboot(let station): reboot(station: station)
        case .link(let station, let link, let isUp):
            tell(routedStation: station) { $0.setLink(link, isUp: isUp, at: $1) }
        case .keepPoison(let station, let form): tell(routedStation: station) { $0.keepPoison(form: form, at: $1) }
        case .poisonPacket(let station): tell(routedStation: station) { $0.sendPoison(at: $1) }
        case .passThroughSnapshot(let id):
            // Between two pieces of work only: the engine's owner would not do it in the midst of one.
            if node(id).life == .running, !node(id).passThroughSnapshot() {
                find("\(id): an engine restored from its own snapshot encodes differently")
            }
        }
    }

    func boot(_ id: ControllerID) {
        let node = node(id)
        startedAt = now
        node.restart(controllerConfiguration(id), seed: random.next())
        note("\(id) starts")
        beginVote(node)
        // A host tells of every link when it starts; the twin weighs how many each of them has.
        for interface in interfaceIDs {
            give(.link(interface, isUp: !bridge.ports[port(of: node, interface)].isCutInward), to: node)
        }
        give(.start(failedTests: []), to: node)
        if wire.state == .down || wire.state == .opening { openChannel() }
    }

    /// The process ends: its descriptors close, and the twin is told by the kernel.
    func die(_ node: ControllerNode) {
        note("\(node.id) is dead")
        node.life = .dead
        node.fuse = nil
        node.incarnation += 1
        node.forgetTurn()
        witness[node.id].connection += 1
        witness[node.id].isUp = false
        closeChannel(by: node.id, isProcessDead: true)
    }

    func crash(_ node: ControllerNode, applying index: LogIndex, message: UInt16 = 0) {
        crashes += 1
        if var gasp = node.gasp {
            for i in 0..<2 { gasp[DyingGasp.messageOffset + i] = UInt8(truncatingIfNeeded: message >> UInt16(8 - 8 * i)) }
            for i in 0..<8 { gasp[DyingGasp.indexOffset + i] = UInt8(truncatingIfNeeded: index.value >> UInt64(56 - 8 * i)) }
            // As often as the signal handler sends it.
            for _ in 0..<3 { sendDatagram(gasp, from: node.id) }
        }
        die(node)
    }

    private func wake(_ node: ControllerNode) {
        guard node.life == .frozen else { return }
        node.life = .running
        note("\(node.id) wakes with \(node.inbox.count) inputs waiting")
        planTurn(node)
        pumpVote(node)
    }

    /// A datagram over the redundancy link: it may be lost, come twice, or late.
    func sendDatagram(_ bytes: [UInt8], from id: ControllerID) {
        guard !wire.isCut else { return }
        for delay in wire.datagramDelays(random: &random) {
            queue.schedule(.datagram(to: id.other, bytes), at: now + delay)
        }
    }

    /// Tears the transport down; a new one is tried after a moment. With a closer, what it had sent still arrives.
    func closeChannel(by closer: ControllerID?, isProcessDead: Bool) {
        guard wire.state == .up, !wire.isCut else {
            if case .closing(let other) = wire.state, other == closer { return }
            wire.close()
            openChannel()
            return
        }
        var last = now + .microseconds(20)
        for id in ControllerID.allCases where id != closer && node(id).life != .dead {
            let time =
                closer == nil
                ? now + .microseconds(random.number(in: 20...100)) : wire.arrivalTime(towards: id, at: now, random: &random)
            queue.schedule(
                .channelClosed(to: id, incarnation: node(id).incarnation, isProcessDead: isProcessDead), at: time)
            last = max(last, time)
        }
        if let closer {
            wire.beginClosing(by: closer)
            queue.schedule(.channelGone(generation: wire.generation), at: last)
        } else {
            wire.close()
            openChannel()
        }
    }

    func openChannel() {
        guard !options.isSingle else { return }
        wire.beginOpening()
        tryOpening(generation: wire.generation)
    }

    private func tryOpening(generation: Int) {
        // Both must live, or the connection is tried again by whoever comes up: see `boot` and `healChannel`.
        guard nodes.allSatisfy({ $0.life != .dead }), !wire.isCut else { return }
        queue.schedule(.channelOpened(generation: generation), at: now + .milliseconds(random.number(in: 5...40)))
    }
}
