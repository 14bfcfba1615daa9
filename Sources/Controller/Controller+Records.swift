import Engine
import LineCard
import Machine
import Records
import Redundancy
import Wire

// The log, the gate and the engine: DESIGN §3.

extension Controller {
    // MARK: line card

    /// Carries out what the line card asks for.
    mutating func drainLineCard(at now: Instant, into outputs: inout [ControllerOutput]) {
        // Answering a record may bring more effects; they are taken in the next round.
        while !lineCardEffects.isEmpty {
            var effects: [LineCardEffect] = []
            swap(&effects, &lineCardEffects)
            for effect in effects {
                switch effect {
                case .transmit(let interface, let frame): transmit(frame, on: interface, at: now, into: &outputs)
                case .record(let body):
                    let index = append(body, at: now, into: &outputs)
                    lineCard.handle(.logged(index), at: clock.routerTime(at: now), into: &lineCardEffects)
                case .event(let event): outputs.append(.event(event))
                case .addressConflict(let interface, let address, let mac):
                    note(
                        .alarm, "linecard", "\(mac) on \(interface) claims our address \(address)", into: &outputs)
                case .probeResult: break
                }
            }
        }
    }

    private mutating func transmit(
        _ frame: [UInt8], on interface: InterfaceID, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        guard mastership.isHolding else { return }
        if mastership.isLeaseOver(at: now) {
            log?.hold(frame, on: interface)
        } else {
            outputs.append(.transmit(interface, frame))
        }
    }

    /// A process that was frozen, or could not renew in time, finds its lease over: nothing leaves until the arbiter has
    /// been asked (DESIGN §8).
    mutating func checkLease(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard mastership.isLeaseOver(at: now) else { return }
        master(at: now, into: &outputs) { $0.renew(into: &$1) }
    }

    // MARK: the log

    /// Appends a record to the log of the active.
    @discardableResult
    mutating func append(_ body: RecordBody, at now: Instant, into outputs: inout [ControllerOutput]) -> LogIndex {
        let index = log!.append(body, at: clock.routerTime(at: now))
        if case .configure(let revision, let octets) = body {
            let position = ConfigurationPosition(epoch: epoch, index: index, revision: revision)
            log!.configure(octets, at: position)
            // No operator is heard before this controller speaks: it is what it began with.
            if role.isTakingOver { began = position }
        }
        return index
    }

    /// When a record of time is due, in router time.
    var timeRecordDue: Instant? { role.isActive ? log?.timeDue(applied: engine.applied) : nil }

    mutating func replicate(
        at now: Instant, into outputs: inout [ControllerOutput],
        _ body: (inout ReplicationSender, inout [ReplicationSender.Action]) -> Void
    ) {
        guard log != nil else { return }
        var actions: [ReplicationSender.Action] = []
        body(&log!.sender, &actions)
        for action in actions {
            // An action may have ended this activity.
            guard log != nil else { return }
            switch action {
            case .send(let message): channel.send(message)
            case .tellInSync(let isInSync): channel.send(.inSync(isInSync, from: watch.sequence + 1))
            case .takeSnapshot:
                dispatchApply(isForced: true, into: &outputs)
                issue(.snapshot(as: channel.snapshotFormat), .snapshot, into: &outputs)
            case .setTwinEligible(let isEligible):
                master(at: now, into: &outputs) { $0.setTwinEligible(isEligible, into: &$1) }
            case .committed(let index): committed(index, at: now, into: &outputs)
            case .redundant:
                log!.becameRedundant(at: now)
                note(.notice, "rcm", "redundant: the standby is in lock step at index \(log!.sender.verified)", into: &outputs)
            case .alone(let reason):
                log!.goesAlone()
                if let farewell = channel.farewell {
                    note(.notice, "rcm", "redundancy ends, going on alone: the twin leaves, \(farewell)", into: &outputs)
                } else {
                    note(.alarm, "rcm", "redundancy lost, going on alone: \(reason)", into: &outputs)
                }
                switchoverTwinLost(reason, at: now, into: &outputs)
            case .closeChannel(let reason): closeChannel(reason, at: now, into: &outputs)
            case .event(let event): outputs.append(.event(event))
            }
        }
    }

    // MARK: the gate

    private mutating func committed(_ index: LogIndex, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard role.isActive else { return }
        lineCard.handle(.committed(index), at: clock.routerTime(at: now), into: &lineCardEffects)
        openGate(at: now, into: &outputs)
        drainLineCard(at: now, into: &outputs)
    }

    /// Lets the effects of committed records pass.
    mutating func openGate(at now: Instant, into outputs: inout [ControllerOutput]) {
        let time = clock.routerTime(at: now)
        while let effect = log?.takeCommitted() {
            if case .event(let event) = effect {
                outputs.append(.event(event))
            } else {
                learn(effect, into: &outputs)
                lineCard.handle(.engine(effect), at: time, into: &lineCardEffects)
            }
        }
    }

    mutating func learnInterfaces(_ list: [InterfaceConfiguration], into outputs: inout [ControllerOutput]) {
        guard list != interfaces.list else { return }
        interfaces = RouterInterfaces(list, quietNames: configuration.quietInterfaces)
        ports.judge.names = list.map(\.name)
        outputs.append(.interfaces(list))
    }

    // MARK: the engine

    mutating func issue(_ work: EngineWork, _ kind: EngineProgress.Work, into outputs: inout [ControllerOutput]) {
        // What is for the twin goes first: should this work be our last, it has the record.
        channel.flush(into: &outputs)
        engine.works.append(kind)
        outputs.append(.engine(work))
    }

    /// Gives the engine what was appended since.
    mutating func dispatchApply(isForced: Bool = false, into outputs: inout [ControllerOutput]) {
        guard log?.hasPending ?? false, isForced || engine.isReady else { return }
        // A record that kills the engine must be with the twin before it does, or the peer sends the same octets to the
        // twin next. Output waits for the commit anyway, so this costs no round trip that was not paid.
        let records = log!.takePending(isStoredOnly: !isForced && configuration.storesBeforeApplying)
        guard let last = records.last?.index else { return }
        engine.issued = last
        issue(.apply(records), .apply(upTo: last), into: &outputs)
    }

    mutating func engineReported(_ report: EngineReport, at now: Instant, into outputs: inout [ControllerOutput]) {
        let isSnapshot = if case .snapshot = report { true } else { false }
        guard let work = engine.finish(isSnapshot: isSnapshot) else { return }
        switch (report, work) {
        case (.applied(let index, let effects, _, let digest, let deadline), .apply):
            applied(index, effects, ReplicaDigest(digest.parts.map(\.value)), deadline, at: now, into: &outputs)
        case (.restored(let index, _, let digest, _), .restore):
            engine.applied = index
            engine.issued = index
            let replica = ReplicaDigest(digest.parts.map(\.value))
            engine.digest = replica
            follow(into: &outputs, at: now) { $0.restored(index, replica, into: &$1) }
            gotConfiguration(at: now, into: &outputs)
            // The interfaces of a router that this controller has not configured itself are in its state only.
            issue(.image, .image(isTakeOver: false), into: &outputs)
            resumeDeferredGrant(at: now, into: &outputs)
        case (.restoreFailed(let error), .restore):
            follow(into: &outputs, at: now) { $0.restoreFailed("\(error)", into: &$1) }
            resumeDeferredGrant(at: now, into: &outputs)
        case (.image(let image), .image(let isTakeOver)):
            borneSilence.replace(image.bfdSessions)
            boundPatience()
            if isTakeOver { speak(image, at: now, into: &outputs) } else { learnInterfaces(image.interfaces, into: &outputs) }
        case (.snapshot, _), (_, _): break
        }
    }

    private mutating func applied(
        _ index: LogIndex, _ effects: [IndexedEffect], _ digest: ReplicaDigest, _ deadline: Instant?, at now: Instant,
        into outputs: inout [ControllerOutput]
    ) {
        engine.applied = index
        engine.digest = digest
        log?.engineDeadline = deadline
        switch role {
        case .active:
            log!.hold(effects)
            replicate(at: now, into: &outputs) { sender, _ in sender.applied(index, digest) }
            openGate(at: now, into: &outputs)
            lineCard.handle(.applied(index), at: clock.routerTime(at: now), into: &lineCardEffects)
            drainLineCard(at: now, into: &outputs)
        case .takingOver:
            // Contained in the image that is asked for; what an operator should know is said nevertheless.
            for effect in effects {
                if case .event(let event) = effect.effect { outputs.append(.event(event)) }
            }
            replicate(at: now, into: &outputs) { sender, _ in sender.applied(index, digest) }
            for effect in effects { learn(effect.effect, into: &outputs) }
        case .standby:
            for effect in effects { learn(effect.effect, into: &outputs) }
            follow(into: &outputs, at: now) { $0.applied(index, digest, into: &$1) }
        }
    }

    /// What this controller itself must know of what its engine says, whoever speaks as the router.
    private mutating func learn(_ effect: EngineEffect, into outputs: inout [ControllerOutput]) {
        switch effect {
        case .interfaces(let list): learnInterfaces(list, into: &outputs)
        case .bfdSessions(let changes):
            borneSilence.apply(changes)
            boundPatience()
        default: break
        }
    }

    /// Two thirds of the time go by with waiting at most; the rest is for the take-over itself.
    private mutating func boundPatience() {
        watch.patienceMaximum = borneSilence.shortest.map { .nanoseconds($0.inNanoseconds / 3 * 2) }
    }

    /// Lets the standby's RCM act.
    mutating func follow(
        into outputs: inout [ControllerOutput], at now: Instant,
        _ body: (inout ReplicationReceiver, inout [ReplicationReceiver.Action]) -> Void
    ) {
        var actions: [ReplicationReceiver.Action] = []
        body(&receiver, &actions)
        for action in actions {
            switch action {
            case .send(let message): channel.send(message)
            case .restore(let octets): issue(.restore(octets, as: channel.snapshotFormat), .restore, into: &outputs)
            case .apply(let records):
                guard let last = records.last else { break }
                announceConfigurations(in: records, into: &outputs)
                engine.issued = last.index
                issue(.apply(records), .apply(upTo: last.index), into: &outputs)
            case .inSync(let isInSync):
                let inForce = epoch
                pair?.told(inSync: isInSync, epoch: inForce, from: role.standby?.inSyncFrom ?? 0, watch: watch)
                let what = isInSync ? "in lock step with the active" : "the active no longer counts us as in sync"
                note(isInSync ? .notice : .warning, "rcm", what, into: &outputs)
            case .closeChannel(let reason):
                note(.warning, "rcm", "the twin breaks the protocol: \(reason)", into: &outputs)
                closeChannel(reason, at: now, into: &outputs)
            case .event(let event): outputs.append(.event(event))
            }
        }
    }

    // MARK: the end of a burst

    mutating func endBatch(at now: Instant, into outputs: inout [ControllerOutput]) {
        ports.noteFrames(at: now)
        switch role {
        case .active(let active):
            // Mastership is given up: the log has its last record.
            guard !(switchovers.fromActive?.isRelinquished ?? false), !active.isForced else { break }
            if !active.isReadingStopped, let news = log!.takeRedundancyNews() {
                append(.redundancy(news), at: now, into: &outputs)
            }
            if !active.isReadingStopped, let due = timeRecordDue, clock.routerTime(at: now) >= due {
                append(.time, at: now, into: &outputs)
            }
            endLineCardBatch(at: now, into: &outputs)
            // What the line card had to say to the commit may be records again (an acknowledgement that a full window
            // waited for): one more round, what comes then waits for the next burst.
            if log?.hasPending ?? false { endLineCardBatch(at: now, into: &outputs) }
            dispatchApply(into: &outputs)
            announceConfigurations(into: &outputs)
        case .takingOver:
            // The log is shipped when we speak: until then the old active of a graceful switchover does not listen.
            dispatchApply(isForced: true, into: &outputs)
        case .standby:
            follow(into: &outputs, at: now) { $0.flush(into: &$1) }
        }
        advanceSwitchover(at: now, into: &outputs)
        beat(at: now, into: &outputs)
    }

    private mutating func endLineCardBatch(at now: Instant, into outputs: inout [ControllerOutput]) {
        lineCard.handle(.endOfBatch, at: clock.routerTime(at: now), into: &lineCardEffects)
        drainLineCard(at: now, into: &outputs)
        replicate(at: now, into: &outputs) { $0.flush(at: now, into: &$1) }
        dispatchApply(into: &outputs)
        guard role.isActive else { return }
        lineCard.handle(.endOfBatch, at: clock.routerTime(at: now), into: &lineCardEffects)
        drainLineCard(at: now, into: &outputs)
    }
}
