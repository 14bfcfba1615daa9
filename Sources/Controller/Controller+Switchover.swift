import LineCard
import Machine
import Records
import Redundancy

// The graceful switchover (FIG. 11, 12) and what calls for one.

extension Controller {
    /// Lets one of the two switchover machines act, and carries out what it wants.
    mutating func switchover(
        at now: Instant, into outputs: inout [ControllerOutput],
        _ body: (inout Controller, inout [GracefulSwitchover.Action]) -> Void
    ) {
        var actions: [GracefulSwitchover.Action] = []
        body(&self, &actions)
        for action in actions {
            switch action {
            case .send(let message):
                if case .ready = message { pair?.saidReady(watch: watch) }
                channel.send(.switchover(message))
            case .step(let name): step(name, at: now, into: &outputs)
            case .block(let isBlocked): role.active?.isBlocked = isBlocked
            case .stopReading: role.active?.isReadingStopped = true
            case .readAgain:
                role.active?.isReadingStopped = false
                if role.isActive { feedPassedFrames(at: now, into: &outputs) }
            case .release: master(at: now, into: &outputs) { $0.release(into: &$1) }
            case .reclaim:
                master(at: now, into: &outputs) { $0.acquire("the standby did not take over", isResuming: true, into: &$1) }
            case .standDown(let epoch, let last): handOver(epoch, last: last, at: now)
            case .takeMastership:
                let inForce = epoch
                pair?.toldReleased(epoch: inForce, watch: watch)
                master(at: now, into: &outputs) { $0.acquire("graceful switchover", isResuming: true, into: &$1) }
            case .done:
                switchovers.history.end("done")
                note(.notice, "srm", "the switchover is done", into: &outputs)
                switchovers.answer(.done("controller \(mastership.holder.map { "\($0)" } ?? "?") is active"), into: &outputs)
                switchovers.fromActive = nil
                switchovers.fromStandby = nil
            case .aborted(let reason):
                switchovers.history.end("aborted: \(reason)")
                note(.warning, "srm", "the switchover is aborted: \(reason)", into: &outputs)
                switchovers.answer(.refused(reason), into: &outputs)
                switchovers.fromActive = nil
                if switchovers.fromStandby != nil {
                    switchovers.fromStandby = nil
                    pair?.forgetRelease()
                    // Back to following; should mastership still be granted, it is returned.
                    if mastership.stage == .acquiring, channel.isOpen { mastership.follow(epoch: epoch) }
                }
            }
        }
    }

    /// Notes a step with its time since the switchover began.
    mutating func step(_ name: String, at now: Instant, into outputs: inout [ControllerOutput]) {
        let microseconds = switchovers.history.step(name, at: now)
        note(.notice, "srm", "step \(name) (+\(microseconds) us)", into: &outputs)
    }

    var facts: GracefulSwitchover.Facts {
        if let log {
            let sender = log.sender
            return .init(
                last: sender.last, stored: sender.stored, applied: engine.applied, verified: sender.verified,
                difference: sender.difference, committed: sender.committed,
                isGateEmpty: log.isIdle, digest: engine.digest,
                reasonNotReady: sender.reasonNotReady ?? voteTrouble)
        }
        return .init(
            last: receiver.stored, stored: receiver.stored, applied: receiver.applied, verified: receiver.verified,
            difference: receiver.difference, committed: receiver.stored, isGateEmpty: true, digest: receiver.digest,
            reasonNotReady: availability.failure ?? receiver.reasonNotReady ?? voteTrouble, portsUp: health.linksUp)
    }
    /// A hand-over that stops half-way because nobody can say who may speak would leave the router silent.
    private var voteTrouble: String? {
        pair?.isVoteSilent ?? false
            ? "controller \(configuration.id) gets no answer from the \(configuration.arbiter.rawValue)" : nil
    }

    mutating func advanceSwitchover(at now: Instant, into outputs: inout [ControllerOutput]) {
        if switchovers.fromActive != nil {
            let facts = self.facts
            switchover(at: now, into: &outputs) { $0.switchovers.fromActive?.advance(facts, at: now, into: &$1) }
            // The twin is the router, and the channel on which it would have said so was another one.
            if let fromActive = switchovers.fromActive, fromActive.isRelinquished, !channel.isOpen || fromActive.isReclaiming,
                mastership.holder == configuration.id.other,
                case .following = mastership.stage
            {
                stepDown("the twin took over by itself", at: now, into: &outputs)
            }
        }
        if switchovers.fromStandby != nil {
            let facts = self.facts
            switchover(at: now, into: &outputs) { $0.switchovers.fromStandby?.advance(facts, at: now, into: &$1) }
        }
    }

    mutating func receiveSwitchover(
        _ message: SwitchoverMessage, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        let facts = self.facts
        if case .announce(let number, let upTo, let reason) = message, role.isStandby, switchovers.fromStandby?.number != number {
            switchovers.history.begin(.graceful, reason: reason, at: now)
            switchover(at: now, into: &outputs) { controller, actions in
                controller.switchovers.fromStandby = GracefulSwitchover.FromStandby(
                    number: number, upTo: upTo, reason: reason, stepMaximum: controller.configuration.switchoverStepMaximum,
                    facts: facts, at: now, into: &actions)
            }
            return
        }
        if switchovers.fromActive != nil {
            switchover(at: now, into: &outputs) { $0.switchovers.fromActive?.receive(message, facts, at: now, into: &$1) }
        } else if switchovers.fromStandby != nil {
            switchover(at: now, into: &outputs) { $0.switchovers.fromStandby?.receive(message, facts, at: now, into: &$1) }
        }
    }

    mutating func switchoverTwinLost(_ reason: String, at now: Instant, into outputs: inout [ControllerOutput]) {
        if switchovers.fromActive != nil {
            switchover(at: now, into: &outputs) { $0.switchovers.fromActive?.twinLost(reason, at: now, into: &$1) }
        }
        if switchovers.fromStandby != nil {
            switchover(at: now, into: &outputs) { $0.switchovers.fromStandby?.failed(reason, into: &$1) }
        }
    }

    /// 1120–1124: silent, and a standby that has everything up to where the log changed hands.
    private mutating func handOver(_ epoch: Epoch, last: LogIndex, at now: Instant) {
        let frames = passedFrames
        let digest = engine.digest
        let applied = engine.applied
        becomeSilent(at: now)
        for start in stride(from: 0, to: frames.count, by: ChannelLimit.forwardedFrames) {
            let end = min(start + ChannelLimit.forwardedFrames, frames.count)
            channel.send(.frames(Array(frames[start..<end])))
        }
        mastership.follow(epoch: epoch)
        if applied == last {
            receiver.adopt(last: last, digest: digest)
            pair?.told(inSync: true, epoch: epoch, from: 0, watch: watch)
        } else {
            receiver.invalidate()
            pair?.renounce()
        }
    }

    // MARK: what calls for a switchover

    /// Begins a graceful switchover; the reason why not, if it cannot.
    mutating func beginSwitchover(_ reason: String, at now: Instant, into outputs: inout [ControllerOutput]) -> String? {
        guard role.isActive else { return "this controller is not active" }
        guard !switchovers.isUnderWay else { return "a switchover is under way" }
        guard channel.isOpen else { return "no twin is connected" }
        if let state = watch.newest?.state, state == .offline || state == .failed { return "the twin is \(state)" }
        if let why = log?.sender.reasonNotReady { return "the standby is not ready: \(why)" }
        switchovers.history.begin(.graceful, reason: reason, at: now)
        note(.notice, "srm", "a graceful switchover begins: \(reason)", into: &outputs)
        switchovers.number &+= 1
        let number = switchovers.number, facts = self.facts
        switchover(at: now, into: &outputs) { controller, actions in
            controller.switchovers.fromActive = GracefulSwitchover.FromActive(
                number: number, reason: reason, epoch: controller.epoch,
                stepMaximum: controller.configuration.switchoverStepMaximum, facts: facts, at: now, into: &actions)
        }
        return nil
    }

    mutating func linkChanged(
        _ interface: InterfaceID, _ isUp: Bool, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        let i = Int(interface.value)
        // Bounded by what an interface can be, and a host has few of them.
        guard i < 4096 else { return }
        while linksUp.count <= i { linksUp.append(true) }
        linksUp[i] = isUp
        health.links = UInt16(linksUp.count)
        health.linksUp = UInt16(linksUp.reduce(0) { $0 + ($1 ? 1 : 0) })
        if isUp, health.linksUp == 1 { watch.listensAnew(at: now) }
        pair?.setCarrier(health.linksUp > 0, at: now, watch: watch)
        ports.judge.carrier(interface, isUp: isUp, at: now)
        log?.forgetLinkLoss(interface)
        if role.isReading {
            if !isUp, log?.sender.phase == .redundant {
                // The twin may well reach that network: handing over to it is better than telling the engine that the
                // router has lost an interface (DESIGN §7). If nothing comes of it, the engine hears of it after all.
                log!.hold(linkLoss: interface, until: now + configuration.linkLossHold)
            } else {
                append(.interfaceState(interface, isUp: isUp), at: now, into: &outputs)
            }
        }
        lineCard.handle(.link(interface, isUp: isUp), at: clock.routerTime(at: now), into: &lineCardEffects)
        drainLineCard(at: now, into: &outputs)
        if !isUp { note(.warning, "linecard", "\(interface) lost its carrier", into: &outputs) }
        beat(at: now, isDue: true, into: &outputs)
    }

    /// Losses of carrier that no switchover has answered in time become the engine's business.
    mutating func releaseLinkLosses(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard role.isReading, switchovers.fromActive == nil else { return }
        for interface in log?.takeLinkLosses(at: now) ?? [] {
            append(.interfaceState(interface, isUp: false), at: now, into: &outputs)
        }
    }

    mutating func memoryChanged(_ pressure: MemoryPressure, at now: Instant, into outputs: inout [ControllerOutput]) {
        health.memoryPressure = pressure.rawValue
        switch pressure {
        case .none: break
        case .warning: note(.alarm, "host", "memory use has reached the warning level", into: &outputs)
        case .critical:
            // The twin holds the same tables: handing over to it would help for as long as its host has more memory, and
            // then both would be at their end. What takes the room must become less, on both at the same record.
            if role.isReading {
                note(.alarm, "host", "memory use has reached the limit: one neighbor is let go of", into: &outputs)
                append(.memoryExhausted, at: now, into: &outputs)
            } else {
                note(.alarm, "host", "memory use has reached the limit on this host, which is not the router now", into: &outputs)
            }
        }
    }
}
