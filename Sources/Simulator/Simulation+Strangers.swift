import Controller
import Machine
import Records
import Redundancy

// Who has no business on the LAN or on the redundancy link: a forger, and a third controller.

extension Simulation {
    /// One stranger does something; the pair may lose redundancy for a moment, and nothing else.
    func injectStranger() {
        for _ in 0..<random.number(in: 1...4) {
            let forgery = Forgery.allCases[random.number(in: 0...(Forgery.allCases.count - 1))]
            // RFC 5227 §2.4 allows one defence in ten seconds: a claim that comes again cuts neighbours off.
            if forgery == .addressClaim { continue }
            schedule(.forge(forgery), at: now + .milliseconds(random.number(in: 0...300)))
        }
        guard random.chance(1, in: 2), let active else { return }
        perform(.startIntruder(Intruder.Kind.allCases[random.number(in: 0...(Intruder.Kind.allCases.count - 1))]))
        let id = random.chance(1, in: 2) ? active : active.other
        schedule(.intrude(on: id), at: now + .milliseconds(random.number(in: 0...600)))
        schedule(.stopIntruder, at: now + .milliseconds(random.number(in: 600...3000)))
    }

    func forge(_ forgery: Forgery) {
        transmit(forger.frames(forgery, random: &random), from: neighborhood.forgerPort)
        guard forgery == .datagrams else { return }
        for id in ControllerID.allCases {
            for bytes in Forger.datagrams(as: id.other, random: &random) { give(.datagram(bytes), to: node(id)) }
        }
    }

    func startIntruder(_ kind: Intruder.Kind) {
        stopIntruder()
        // It was made from the active's files, or from those of the controller whose letter it has.
        let original = active ?? .a
        var configuration = controllerConfiguration(original)
        configuration.arbiter = .link
        configuration.isSingle = false
        configuration.wasActive = false
        configuration.lastEpoch = .zero
        configuration.initialConfiguration = (1, RouterPlan.encoded(neighborhood, isTrunk: isTrunk))
        configuration.segmentCount = 1
        switch kind {
        case .wrongKey: configuration.pairKey = PairKey(high: random.next(), low: random.next())
        case .wrongName: configuration.routerName = "somebody else"
        case .wrongPair: configuration.pairID = 8
        case .wrongLetter, .wrongSchema, .wrongArbiter, .clone: break
        }
        let intruder = Intruder(kind, configuration: configuration, seed: random.next())
        self.intruder = intruder
        intruderIncarnation += 1
        tellIntruder { $0.start(at: $1) }
    }

    func stopIntruder() {
        guard intruder != nil else { return }
        endIntrusion()
        intruder = nil
        intruderIncarnation += 1
    }

    func tellIntruder(_ body: (Intruder, Instant) -> Void) {
        guard let intruder else { return }
        body(intruder, now)
        transmit(intruder.work(at: now), from: neighborhood.intruderPort)
        if intruder.spoken > 0, nodes.contains(where: { $0.life == .running && $0.controller.state.isActive }) {
            find("a third controller (\(intruder.kind)) speaks as the router beside the pair")
        }
        guard let next = intruder.nextDeadline else { return }
        let time = max(next, now)
        if let planned = intruder.wakeUp, planned <= time { return }
        intruder.wakeUp = time
        queue.schedule(.intruderTime(incarnation: intruderIncarnation, time), at: time)
    }

    /// It has the pair's secret and the twin's address: the host gives it the place of the channel that is open
    /// (`ReplicationChannel.promote`), whose other end sees a connection that is gone.
    func intrude(on id: ControllerID) {
        guard let intruder, intruder.kind != .wrongKey, intruder.victim == nil, wire.state == .up, !wire.isCut,
            node(id).life == .running, node(id.other).life == .running
        else { return }
        note("a third controller (\(intruder.kind)) is connected to \(id)")
        wire.close()
        queue.schedule(
            .channelClosed(to: id.other, incarnation: node(id.other).incarnation, isProcessDead: true),
            at: now + .microseconds(random.number(in: 20...100)))
        let hello = intruder.introduction(to: id, arbiter: options.arbiter, random: &random)
        give(.channelClosed(reason: "the twin opened a new connection", isProcessDead: false), to: node(id))
        give(.channelOpened, to: node(id))
        let time = now + .microseconds(random.number(in: 30...300))
        queue.schedule(.intruderOctets(to: id, incarnation: node(id).incarnation, hello), at: time)
        schedule(.endIntrusion(intruderIncarnation), at: now + .milliseconds(400))
    }

    /// The third controller was refused by now, unless it was believed, or whom it came to had other troubles.
    func judgeIntrusion() {
        guard let intruder, let id = intruder.victim else { return }
        let isHeard = !wire.isCut && wire.datagramLoss < 5000 && !bridge.isTwinPathCut
        if intruder.refusal == nil, isHeard, nodes.allSatisfy({ $0.life == .running }) {
            find("\(id) believes a third controller (\(intruder.kind)) to be its twin")
        }
        endIntrusion()
    }

    /// The connection to the third controller ends, and the twin comes back.
    func endIntrusion() {
        guard let intruder, let id = intruder.victim else { return }
        intruder.victim = nil
        give(.channelClosed(reason: "the transport closed", isProcessDead: false), to: node(id))
        if wire.state == .down { openChannel() }
    }
}
