import Engine
import LineCard
import Machine
import Records
import Redundancy

// Becoming the router and ceasing to be: DESIGN §7, §8.

extension Controller {
    /// Lets mastership act, and carries out what it wants. Arbiters that are in here answer at once.
    mutating func master(
        at now: Instant, into outputs: inout [ControllerOutput],
        _ body: (inout Mastership, inout [Mastership.Action]) -> Void
    ) {
        var actions: [Mastership.Action] = []
        body(&mastership, &actions)
        var i = 0
        while i < actions.count {
            let action = actions[i]
            i += 1
            switch action {
            case .request(let request):
                if case .acquire(_, isResuming: false) = request, let refusal = refuseForStranger(at: now, into: &outputs) {
                    mastership.answered(refusal, at: now, into: &actions)
                } else if configuration.isSingle {
                    mastership.answered(answerAlone(request), at: now, into: &actions)
                } else if pair != nil {
                    if let answer = pair!.ask(request, watch: watch, at: now) {
                        mastership.answered(answer, to: request, at: now, into: &actions)
                    }
                    askVote(into: &outputs)
                    // What we say of the twin's copy is in force from the next beat on: it leaves now.
                    if case .setTwinEligible = request { beat(at: now, isDue: true, into: &outputs) }
                } else if let refusal = refuseWithoutCarrier(request, at: now) {
                    mastership.answered(refusal, to: request, at: now, into: &actions)
                } else {
                    outputs.append(.arbiter(request))
                }
            case .lease(let epoch, let until):
                outputs.append(.lease(epoch, until: until))
                if mastership.isHolding, now < until {
                    for (interface, frame) in log?.takeHeldFrames() ?? [] { outputs.append(.transmit(interface, frame)) }
                }
            case .raised(let epoch): goOn(in: epoch, at: now, into: &outputs)
            case .granted(let epoch, let mayResume, let reason):
                becomeRouter(epoch, mayResume: mayResume, reason: reason, at: now, into: &outputs)
            case .eligibility(let isEligible):
                replicate(at: now, into: &outputs) { $0.eligibilitySet(isEligible, at: now, into: &$1) }
            case .released: mastershipReleased(at: now, into: &outputs)
            case .lost(let inForce):
                stepDown("another controller holds epoch \(inForce)", at: now, into: &outputs)
            case .event(let event): outputs.append(.event(event))
            }
        }
    }

    mutating func arbiterAnswered(_ answer: ArbiterAnswer, at now: Instant, into outputs: inout [ControllerOutput]) {
        master(at: now, into: &outputs) { $0.answered(answer, at: now, into: &$1) }
    }

    /// A holder whose every cable is out does not keep a lease from a twin that may have its own: it lets it run out, and
    /// does not call the twin's copy stale.
    private func refuseWithoutCarrier(_ request: ArbiterRequest, at now: Instant) -> ArbiterAnswer? {
        guard health.links > 0, health.linksUp == 0, watch.isSilent(for: watch.detectionTime, at: now), !death.isKnown else {
            return nil
        }
        switch request {
        case .renew, .setTwinEligible(_, false):
            return .unasked("no interface has a carrier and the twin is not heard: it may be the router")
        case .acquire, .release, .setTwinEligible: return nil
        }
    }

    /// What the pair does not settle between the two goes to the vote.
    mutating func askVote(into outputs: inout [ControllerOutput]) {
        guard pair?.hasVote ?? false else { return }
        for request in pair!.takeVoteRequests() { outputs.append(.arbiter(request)) }
    }

    mutating func voteAnswered(_ answer: ArbiterAnswer, at now: Instant, into outputs: inout [ControllerOutput]) {
        if let settled = pair!.voteAnswered(answer, watch: watch, at: now) {
            master(at: now, into: &outputs) { $0.answered(settled.answer, to: settled.request, at: now, into: &$1) }
        }
        askVote(into: &outputs)
        noteCopy(into: &outputs)
        // A longer lease, or none any more: what waits for it leaves now.
        checkLease(at: now, into: &outputs)
    }

    /// Without a twin there is nobody to ask.
    private func answerAlone(_ request: ArbiterRequest) -> ArbiterAnswer {
        switch request {
        case .acquire(let least, _): .granted(least.next, leaseUntil: .distantFuture, mayResume: true)
        case .renew(let epoch): .renewed(epoch, leaseUntil: .distantFuture)
        case .release(let epoch): .released(epoch)
        case .setTwinEligible(let epoch, let isEligible): .twinEligibility(epoch, isEligible)
        }
    }

    // MARK: taking over

    /// Mastership is ours (FIG. 13; 1210 of FIG. 12). The way from here to the first frame is: what is stored and not yet
    /// applied, one image, the line card. None of it grows with the tables.
    private mutating func becomeRouter(
        _ epoch: Epoch, mayResume: Bool, reason: String, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        role.standby?.gaspUntil = nil
        if role.isActive {
            reclaim(epoch, at: now, into: &outputs)
            return
        }
        guard !engine.isRestoring else {
            // The engine's state is changing under us: wait for it, then there is something to stand on.
            role.standby?.deferredGrant = (epoch, mayResume, reason)
            return
        }
        let isGraceful = switchovers.fromStandby?.isTaking ?? false
        let isWhole = receiver.isFollowing
        let isFirst = engine.issued == .zero && !isWhole
        let isFresh = !(mayResume && isWhole)
        if !isGraceful {
            switchovers.history.begin(isFirst ? .first : .nonGraceful, reason: reason, at: now)
            step("1302 the other does not own mastership", at: now, into: &outputs)
        }
        clock.saw(receiver.recordTime)
        clock.takeOver(at: now, margin: isFirst ? .zero : configuration.heartbeatInterval, isFresh: isFresh)

        var rest: [Record] = []
        var last = engine.issued
        if isWhole {
            let stored = receiver.stored
            let fatal = role.standby?.fatal
            let takeOver = receiver.takeOver(fatal: fatal?.index, message: fatal?.message ?? 0)
            rest = takeOver.rest
            last = stored
            // Acknowledged or not: from here on they are in force.
            announceConfigurations(in: rest, into: &outputs)
            if let poisoned = takeOver.quarantined { reportQuarantine(poisoned, into: &outputs) }
        }
        receiver.invalidate()
        let sender =
            isGraceful
            ? ReplicationSender(adoptingAfter: last, digest: engine.digest, epoch: epoch, limits: senderLimits, at: now)
            : ReplicationSender(after: last, applied: engine.applied, epoch: epoch, limits: senderLimits)
        log = ActiveLog(sender, time: isWhole ? receiver.recordTime : .zero)
        role = .takingOver
        if !isGraceful { step("1304 all tasks active", at: now, into: &outputs) }
        if !rest.isEmpty {
            engine.issued = last
            issue(.apply(rest), .apply(upTo: last), into: &outputs)
        }
        if isFresh {
            // The sessions start anew before anything speaks.
            append(.mastership(configuration.id, epoch, isFresh: true), at: now, into: &outputs)
            if last == .zero, let first = configuration.initialConfiguration {
                append(.configure(revision: first.revision, first.bytes), at: now, into: &outputs)
            }
            dispatchApply(isForced: true, into: &outputs)
            issue(.image, .image(isTakeOver: true), into: &outputs)
            if !isFirst { note(.alarm, "srm", "our copy is stale: all sessions start anew", into: &outputs) }
        } else {
            // The image first: all that is in it is committed, so that nothing this record causes passes the gate early.
            issue(.image, .image(isTakeOver: true), into: &outputs)
            append(.mastership(configuration.id, epoch, isFresh: false), at: now, into: &outputs)
            dispatchApply(isForced: true, into: &outputs)
        }
    }

    mutating func resumeDeferredGrant(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let grant = role.standby?.deferredGrant, mastership.isHolding else { return }
        role.standby?.deferredGrant = nil
        becomeRouter(grant.epoch, mayResume: grant.mayResume, reason: grant.reason, at: now, into: &outputs)
    }

    /// The engine's image is here: speak.
    mutating func speak(_ image: LineCardImage, at now: Instant, into outputs: inout [ControllerOutput]) {
        // An image that an earlier, lost mastership asked for is not this one's.
        guard role.isTakingOver, !engine.works.contains(.image(isTakeOver: true)) else { return }
        role = .active(.init(since: now))
        ports.judge.roleChanged(isActive: true, at: now)
        announceConfigurations(into: &outputs)
        learnInterfaces(image.interfaces, into: &outputs)
        let time = clock.routerTime(at: now)
        for i in linksUp.indices {
            lineCard.handle(.link(InterfaceID(UInt16(i)), isUp: linksUp[i]), at: time, into: &lineCardEffects)
        }
        // The next packet of the session that killed the twin's line card may be there already.
        var image = image
        if let session = death.session { image.bfdSessions.removeAll { $0.discriminator == session } }
        lineCard.handle(.takeOver(image), at: time, into: &lineCardEffects)
        drainLineCard(at: now, into: &outputs)
        // What the engine knows of carriers is the old active's view; an equal state changes nothing.
        for i in linksUp.indices {
            append(.interfaceState(InterfaceID(UInt16(i)), isUp: linksUp[i]), at: now, into: &outputs)
        }
        quarantineSession(at: now, into: &outputs)
        lineCard.handle(.committed(log!.sender.committed), at: time, into: &lineCardEffects)
        lineCard.handle(.applied(image.index), at: time, into: &lineCardEffects)
        drainLineCard(at: now, into: &outputs)
        feedPassedFrames(at: now, into: &outputs)
        if switchovers.fromStandby != nil {
            let last = image.index
            switchover(at: now, into: &outputs) { controller, actions in
                let epoch = controller.epoch
                controller.switchovers.fromStandby?.tookOver(epoch, last: last, at: now, into: &actions)
            }
        } else {
            step("1306 line card speaks", at: now, into: &outputs)
            step("1308 the other is not active", at: now, into: &outputs)
            step("1310 announced", at: now, into: &outputs)
            switchovers.history.end("done")
        }
    }

    /// What the old active passed on, or what we ourselves put off.
    mutating func feedPassedFrames(at now: Instant, into outputs: inout [ControllerOutput]) {
        let frames = passedFrames
        passedFrames = []
        for frame in frames {
            lineCard.receive(
                frame.octets.span.bytes, on: frame.interface, at: clock.routerTime(at: now), into: &lineCardEffects)
        }
        drainLineCard(at: now, into: &outputs)
    }

    /// A graceful switchover failed after mastership was released: it is ours again, and nothing else has changed.
    private mutating func reclaim(_ epoch: Epoch, at now: Instant, into outputs: inout [ControllerOutput]) {
        log!.sender.continues(in: epoch)
        append(.mastership(configuration.id, epoch, isFresh: false), at: now, into: &outputs)
        switchover(at: now, into: &outputs) { controller, actions in controller.switchovers.fromActive?.reclaimed(into: &actions)
        }
        // How far the twin got is not known, so its copy does not count any more.
        replicate(at: now, into: &outputs) {
            $0.resumeLeaving(into: &$1)
            $0.leave("the standby did not take over", closesChannel: false, into: &$1)
        }
    }

    /// The twin remembers a greater epoch than ours, and would follow nobody below it.
    private mutating func goOn(in epoch: Epoch, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard log != nil else { return }
        note(.notice, "srm", "epoch \(epoch) from here on: the twin remembers a greater one than ours was", into: &outputs)
        log!.sender.continues(in: epoch)
        append(.mastership(configuration.id, epoch, isFresh: false), at: now, into: &outputs)
    }

    /// Tells the engine of the BFD session whose packet killed the twin's line card: it holds that session.
    mutating func quarantineSession(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let session = death.session else { return }
        death.session = nil
        append(.quarantined(.session(session)), at: now, into: &outputs)
    }

    private mutating func reportQuarantine(_ record: Record, into outputs: inout [ControllerOutput]) {
        if quarantined.count == 64 { quarantined.removeFirst() }
        quarantined.append(record.index)
        var text = "record \(record.index) killed the twin and is quarantined"
        switch record.poison {
        case .connection(let connection, _, _): text += "; connection \(connection) suffers a fault in its place"
        case .packet(let packet, _):
            text +=
                "; \(packet.source) suffers a fault in its place. \(packet.packetProtocol.name) packet on "
                + "\(packet.interface): " + Self.hexadecimal(packet.bytes)
        case .session(let discriminator): text += "; BFD session \(discriminator) is held in its place"
        case .timers(let number, _): text += "; the interior gateway protocol \(number) is stopped in its place"
        case .other: break
        }
        if case .tcpReceived(_, let octets, _) = record.body { text += ". Octets: " + Self.hexadecimal(octets) }
        if case .configure(let revision, _) = record.body { text += ". It was configuration revision \(revision)" }
        note(.alarm, "srm", text, into: &outputs)
    }

    /// For the post-mortem; a longer one is cut.
    static func hexadecimal(_ octets: [UInt8], maximum: Int = 8192) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(2 * min(octets.count, maximum))
        for octet in octets.prefix(maximum) {
            text.append(digits[Int(octet >> 4)])
            text.append(digits[Int(octet & 15)])
        }
        let dump = String(decoding: text, as: UTF8.self)
        return octets.count > maximum ? dump + "… (\(octets.count) octets)" : dump
    }

    var senderLimits: ReplicationSender.Limits {
        var limits = ReplicationSender.Limits()
        limits.stallMaximum = configuration.standbyStallMaximum
        limits.queueOctetsMaximum = configuration.queueOctetsMaximum
        limits.rejoinWait = configuration.rejoinWait
        return limits
    }

    // MARK: stepping down

    /// Not the router any more, and not by a hand-over in order: what this controller holds is stale.
    mutating func stepDown(_ reason: String, at now: Instant, into outputs: inout [ControllerOutput]) {
        let wasRouter = !role.isStandby
        becomeSilent(at: now)
        receiver.invalidate()
        pair?.renounce()
        role.standby?.deferredGrant = nil
        switchovers.answer(.refused(reason), into: &outputs)
        switchovers.fromActive = nil
        switchovers.fromStandby = nil
        switchovers.history.end("lost: \(reason)")
        if wasRouter { note(.alarm, "srm", "stepping down: \(reason)", into: &outputs) }
    }

    /// The line card forgets everything and nothing waits to leave.
    mutating func becomeSilent(at now: Instant) {
        // One who was not the router keeps what it knows.
        if !role.isStandby { role = .standby(.init()) }
        log = nil
        lineCard.handle(.standDown, at: .zero, into: &lineCardEffects)
        lineCardEffects = []
        passedFrames = []
        ports.judge.roleChanged(isActive: false, at: now)
    }

    /// The arbiter took mastership back at our request.
    private mutating func mastershipReleased(at now: Instant, into outputs: inout [ControllerOutput]) {
        if availability.exitBy != nil { return finishExit(into: &outputs) }
        if role.active?.isForced ?? false {
            channel.send(.goodbye(reason: "forced switchover", fatal: .zero))
            channel.flush(into: &outputs)
            becomeSilent(at: now)
            receiver.invalidate()
            pair?.renounce()
            step("1118 relinquish mastership", at: now, into: &outputs)
            switchovers.history.end("done")
            switchovers.answer(.done("mastership is given up"), into: &outputs)
            mastership.follow(epoch: epoch)
            closeChannel("forced switchover", at: now, into: &outputs)
            return
        }
        let facts = self.facts
        switchover(at: now, into: &outputs) { controller, actions in
            controller.switchovers.fromActive?.released(facts, at: now, into: &actions)
        }
    }

    // MARK: the end of the process

    mutating func engineStuck(_ index: LogIndex, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard availability.exitBy == nil else { return }
        let reason = index == .zero ? "the engine is stuck" : "the engine is stuck in record \(index)"
        note(.alarm, "srm", reason, into: &outputs)
        availability.failure = reason
        availability.exitBy = (now + .milliseconds(100), reason, index)
        let wasHolding = mastership.isHolding
        if channel.twin != nil {
            let gasp = DyingGasp(
                controller: configuration.id, epoch: epoch, index: index, bootNonce: configuration.bootNonce,
                token: configuration.gaspToken!)
            // Nobody asks for it again, so it goes three times.
            for _ in 0..<3 { outputs.append(.datagram(gasp.encoded())) }
        }
        becomeSilent(at: now)
        if wasHolding {
            // The twin may take over the moment the arbiter knows; nothing leaves from here since the line above.
            master(at: now, into: &outputs) { $0.release(into: &$1) }
        } else {
            finishExit(into: &outputs)
        }
    }

    mutating func finishExit(into outputs: inout [ControllerOutput]) {
        guard let exit = availability.exitBy else { return }
        availability.exitBy = nil
        channel.send(.goodbye(reason: exit.reason, fatal: exit.fatal))
        channel.flush(into: &outputs)
        outputs.append(.exit(reason: exit.reason))
    }
}
