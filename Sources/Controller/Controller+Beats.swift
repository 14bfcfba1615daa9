import Engine
import LineCard
import Machine
import Records
import Redundancy
import Wire

// What this controller says of itself on every path, what it hears of the twin, and who else is about
// (Docs/mastership.md).

extension Controller {
    mutating func complain(
        _ kind: Complaints.Kind, _ severity: Event.Severity, _ text: @autoclosure () -> String, at now: Instant,
        into outputs: inout [ControllerOutput]
    ) {
        guard complaints.admits(kind, at: now) else { return }
        note(severity, "srm", text(), into: &outputs)
    }

    // MARK: our own time

    /// Every input proves that we run. What happened while we did not is not the twin's fault.
    mutating func attend(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let pause = watch.ran(at: now) else { return }
        slept(pause, at: now, into: &outputs)
        complain(
            .pause, .warning, "this controller did not run for \(pause.inMilliseconds) ms: silence is counted from now",
            at: now, into: &outputs)
    }

    private mutating func slept(_ pause: Duration, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard pair?.slept(pause, watch: watch) ?? false else { return }
        closeChannel("this controller did not run for \(pause.inMilliseconds) ms", at: now, into: &outputs)
        receiver.invalidate()
    }

    /// A hypervisor stopped this machine and its clock together: only the twin's clock shows it.
    private mutating func noteStandstill(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let pause = watch.takeStandstill() else { return }
        slept(pause, at: now, into: &outputs)
        guard pause >= watch.detectionTime else { return }
        complain(
            .standstill, .alarm,
            "this machine's clock stood still for \(pause.inMilliseconds) ms while the twin's went on: a "
                + "virtual machine that is paused without its clock may speak for a moment after its lease has ended. Let the "
                + "hypervisor advance its boot clock, or do not pause it", at: now, into: &outputs)
    }

    /// How long the twin may be silent. Who would take over waits longer than who would fall silent.
    var silenceMaximum: Duration { role.isStandby ? watch.patience + watch.margin : watch.patience }

    private static let joinAnswerMaximum: Duration = .seconds(20)

    /// Any path counts; but a redundancy link that says nothing is of no use to the log either.
    mutating func judgeSilence(at now: Instant, into outputs: inout [ControllerOutput]) {
        if channel.isOpen {
            if watch.isSilent(for: silenceMaximum, at: now) {
                closeChannel("no beat on any path for \(silenceMaximum.inMilliseconds) ms", at: now, into: &outputs)
            } else if let heard = watch.linkHeardAt, now >= max(heard, watch.wokeAt ?? heard) + configuration.standbyStallMaximum
            {
                complain(
                    .noDatagrams, .alarm,
                    "the twin is heard on the segments, but no datagram comes over the redundancy link: is it cut, or its UDP "
                        + "port filtered?", at: now, into: &outputs)
                closeChannel(
                    "no beat over the redundancy link for \(configuration.standbyStallMaximum.inMilliseconds) ms", at: now,
                    into: &outputs)
            }
        }
        if receiver.phase != .asked {
            role.standby?.askedAt = nil
        } else if let asked = role.standby?.askedAt, now >= asked + Self.joinAnswerMaximum {
            role.standby?.askedAt = nil
            note(
                .alarm, "rcm",
                "the active has not answered for \(Self.joinAnswerMaximum.inMilliseconds / 1000) s that we want to "
                    + "join: the channel is opened anew", into: &outputs)
            closeChannel("no answer to the join", at: now, into: &outputs)
        } else if role.standby?.askedAt == nil {
            role.standby?.askedAt = now
        }
        guard channel.isClosed, role.isStandby, availability.isServing, case .following(nil) = mastership.stage else {
            return
        }
        if receiver.isFollowing, pair?.isCurrent ?? true {
            if watch.isSilent(for: silenceMaximum, at: now) {
                master(at: now, into: &outputs) { $0.twinLost("the twin is not heard on any path", into: &$1) }
            }
        } else if watch.isSilent(for: configuration.staleWait, at: now) {
            master(at: now, into: &outputs) { $0.twinSilent(into: &$1) }
        }
    }

    /// Answers of the pair's own arbitration that became due.
    mutating func pollPair(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard pair != nil else { return }
        if let answer = pair!.poll(watch, at: now) { arbiterAnswered(answer, at: now, into: &outputs) }
        askVote(into: &outputs)
        noteCopy(into: &outputs)
        if pair!.isUnanswered(for: configuration.standbyStallMaximum, watch, at: now) {
            replicate(at: now, into: &outputs) {
                $0.leave("the standby is heard and answers no beat", closesChannel: false, into: &$1)
            }
        }
        if pair!.isTwinWithoutCopy(watch, at: now) {
            replicate(at: now, into: &outputs) {
                $0.leave("the standby says that its copy does not count", closesChannel: false, into: &$1)
            }
        }
    }

    /// The pair's arbitration may find that our copy is stale before the channel says so.
    mutating func noteCopy(into outputs: inout [ControllerOutput]) {
        if role.isStandby, receiver.isInSync, let pair, !pair.isCurrent, switchovers.fromStandby == nil {
            receiver.lostSync()
            note(.warning, "rcm", "our copy is stale: the active went on without us, or may have", into: &outputs)
        }
    }

    // MARK: speaking

    /// Sends a beat when one is due, or now.
    mutating func beat(at now: Instant, isDue: Bool = false, into outputs: inout [ControllerOutput]) {
        guard let key = keys.first else { return }
        watch.isUrgent = (pair?.isUrgent ?? false) || isAnyPortSuspicious(at: now)
        guard let due = watch.takeDue(at: now, isForced: isDue) else { return }
        // While the vote decides whether we take over, the holder must take none of our beats for consent.
        let echo = pair?.isClaiming ?? false ? 0 : watch.newest?.sequence ?? 0
        let report = portReport(at: now)
        let beat = Beat(
            pairID: configuration.pairID, controller: configuration.id, bootNonce: configuration.bootNonce,
            sequence: due.sequence, echoNonce: watch.twinNonce, echo: echo, state: state, epoch: epoch,
            greatest: max(epoch, pair?.greatest ?? epoch), flags: beatFlags,
            routerTime: clock.routerTime(at: now), clock: now, health: health, ports: report)
        if due.onLink {
            outputs.append(.datagram(beat.datagram(key: key)))
            channel.nudge(isWaiting: log?.sender.isWaiting ?? false)
        }
        guard due.onSegments else { return }
        for i in 0..<max(configuration.segmentCount, interfaces.count) {
            guard interfaces.advertises(on: i) else { continue }
            let interface = InterfaceID(UInt16(truncatingIfNeeded: i)), vlan = interfaces.vlan(of: i)
            outputs.append(.advertise(interface, beat.frame(key: key, vlan: vlan)))
            // Before the interfaces are known there may be no such one.
            if i < interfaces.count { ports.judge.sentAdvertisement(interface, at: now) }
        }
    }

    private var beatFlags: Beat.Flags {
        if let pair { return pair.flags(watch) }
        if mastership.isHolding { return log?.sender.phase == .redundant ? [.holds, .countsTwin] : .holds }
        return role.isStandby && receiver.isInSync ? .holdsCopy : []
    }

    // MARK: hearing

    mutating func receiveDatagram(_ octets: [UInt8], at now: Instant, into outputs: inout [ControllerOutput]) {
        guard Beat.isDatagram(octets.span.bytes) else { return receiveGasp(octets, at: now, into: &outputs) }
        do throws(DecodeError) {
            let beat = try Beat(decoding: octets.span.bytes, keys: keys)
            hear(beat, report: Self.report(of: beat), on: .link, at: now, into: &outputs)
        } catch {
            hearForeign(on: nil, at: now, into: &outputs)
        }
    }

    mutating func receiveBeat(
        frame: RawSpan, on interface: InterfaceID, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        guard !configuration.isSingle else { return }
        do throws(DecodeError) {
            let beat = try Beat(frame: frame, keys: keys)
            let report = Self.report(of: beat)
            heardOnSegment(beat, report, on: interface, at: now)
            hear(beat, report: report, on: .segment, at: now, into: &outputs)
        } catch {
            hearForeign(on: .segment, at: now, into: &outputs)
        }
        channel.flush(into: &outputs)
        publish(at: now, into: &outputs)
    }

    /// Another pair's, a twin's with another key, or a forgery.
    private mutating func hearForeign(
        on path: TwinWatch.Path?, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        // Two pairs on one LAN are no trouble; on the redundancy link nobody else should speak.
        guard path == nil, !keys.isEmpty, channel.isOpen else { return }
        complain(
            .foreignBeat, .warning,
            "beats come over the redundancy link that are not the twin's, or have another key: they are "
                + "ignored", at: now, into: &outputs)
    }

    private mutating func hear(
        _ beat: Beat, report: PortReport?, on path: TwinWatch.Path, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        guard beat.pairID == configuration.pairID, beat.controller != configuration.id else {
            return
        }
        if death.isKnown, beat.bootNonce == watch.twinNonce {
            guard now >= death.at + TwinDeath.lateBeats else { return }
            // It lives after all, or again: whatever said otherwise was wrong.
            death.isKnown = false
            mastership.retryMaximum = nil
        }
        switch watch.hear(beat, on: path, at: now) {
        case .old: return
        case .unproven:
            // An honest twin that has just started answers our next beat, and is believed then.
            beatSoon()
            return
        case .newStart:
            note(.warning, "srm", "the twin was started anew: what its process held is gone", into: &outputs)
            ports.judge.forgetTwin(at: now)
            closeChannel("the twin was started anew", at: now, into: &outputs)
            declareDead(isStreamWhole: false, at: now, into: &outputs)
        case .new: break
        }
        noteStandstill(at: now, into: &outputs)
        pair?.heard(beat, watch: watch, at: now)
        if role.isStandby {
            if beat.isHolder { clock.follow(beat.routerTime, at: now) } else { clock.heardClaim(of: beat.routerTime) }
        }
        pollPair(at: now, into: &outputs)
        guard availability.isServing else { return }
        // In a switchover the old active ceases to be active before we are told to take over: that is no reason to hurry.
        // While the vote decides, its word counts and not the twin's.
        if switchovers.fromStandby == nil || beat.isHolder, !(pair?.isClaiming ?? false) {
            master(at: now, into: &outputs) { $0.twinSays(isHolder: beat.isHolder, epoch: beat.epoch, at: now, into: &$1) }
        }
        if switchovers.fromStandby == nil, role.isStandby, case .following = mastership.stage, receiver.isFollowing,
            pair?.isHeir(watch) ?? false
        {
            master(at: now, into: &outputs) { $0.twinLost("the twin is not the router any more, and holds no copy", into: &$1) }
        }
        if role.isActive, !beat.isHolder, !beat.doubts, beat.greatest > epoch, switchovers.fromActive == nil {
            master(at: now, into: &outputs) { $0.raise(above: beat.greatest, into: &$1) }
        }
        considerJoining(beat, at: now, into: &outputs)
        if let report {
            ports.judge.twinReport(report, at: now)
            if let station = report.station, !role.isActive { ports.learn(station) }
        }
        considerPorts(at: now, into: &outputs)
        checkLease(at: now, into: &outputs)
        if watch.nextDeadline.map({ $0 <= now }) ?? false { self.beat(at: now, into: &outputs) }
    }

    private mutating func beatSoon() { watch.isUrgent = true }

    private mutating func considerJoining(_ beat: Beat, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard channel.isOpen, role.isStandby, beat.state.isActive, beat.epoch >= epoch,
            case .following = mastership.stage, !engine.isRestoring
        else { return }
        if receiver.isFollowing, receiver.isSuspended, switchovers.fromStandby == nil {
            // It became the router on this channel, without us: what we hold ends with an earlier one.
            receiver.invalidate()
            role.standby?.fatal = nil
            death.session = nil
            pair?.renounce()
        }
        guard receiver.phase == .idle else { return }
        note(.notice, "rcm", "asking the active for a bulk update", into: &outputs)
        clock.forget()
        clock.follow(beat.routerTime, at: now)
        follow(into: &outputs, at: now) { $0.begin(into: &$1) }
    }

    // MARK: the end of the twin

    /// The channel ended by itself. When it ended as with a process, the twin's host is asked by a datagram: if nobody
    /// listens on that port any more, the process is gone, and the kernel of its host has said so.
    /// - Parameter isStreamWhole: all that it had sent was read.
    mutating func channelEnded(
        _ reason: String, isProcessDead: Bool, isStreamWhole: Bool, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        guard isProcessDead, pair != nil else {
            return twinLost(reason, isProcessDead: isProcessDead, at: now, into: &outputs)
        }
        let isProven = death.refusedAt.map { now < $0 + .milliseconds(100) } ?? false
        death.suspectedAt = now
        death.isStreamWhole = isStreamWhole
        twinLost(reason, isProcessDead: false, at: now, into: &outputs)
        if isProven {
            declareDead(isStreamWhole: isStreamWhole, at: now, into: &outputs)
        } else {
            beat(at: now, isDue: true, into: &outputs)
        }
    }

    mutating func datagramRefused(at now: Instant, into outputs: inout [ControllerOutput]) {
        death.refusedAt = now
        guard channel.isClosed, let suspected = death.suspectedAt, now < suspected + .seconds(1), !death.isKnown else { return }
        declareDead(isStreamWhole: death.isStreamWhole, at: now, into: &outputs)
    }

    /// The twin's process does not run any more: nothing that it held can be resumed, and it cannot speak.
    mutating func declareDead(isStreamWhole: Bool, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard !death.isKnown else { return }
        death.isKnown = true
        death.at = now
        mastership.retryMaximum = .milliseconds(2)
        pair?.twinDied(isStreamWhole: isStreamWhole, at: now)
        pollPair(at: now, into: &outputs)
        actOnDeath(at: now, into: &outputs)
    }

    /// Nobody needs to wait any longer. A gasp that is still awaited comes first.
    mutating func actOnDeath(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard role.standby?.gaspUntil == nil else { return }
        master(at: now, into: &outputs) { $0.retry(into: &$1) }
        guard channel.isClosed, role.isStandby, availability.isServing, !engine.isRestoring else { return }
        let isWhole = receiver.isFollowing
        master(at: now, into: &outputs) {
            isWhole ? $0.twinLost("the twin died", into: &$1) : $0.begin("the twin died", into: &$1)
        }
    }

    // MARK: somebody else

    /// While we follow an active twin that is its voice. Otherwise somebody is the router whom we do not know: a third
    /// controller, a twin with another key, name or letter.
    mutating func heardOurAddress(on interface: InterfaceID, at now: Instant, into outputs: inout [ControllerOutput]) {
        let name = interfaces.name(of: interface)
        switch role {
        case .active(let active):
            // What the old active had sent may still be on its way, and in a healing cut both speak until one has heard.
            guard now >= active.since + .seconds(1), !(watch.newest?.isHolder ?? false),
                !watch.wasHolder(within: .seconds(1), at: now)
            else { return }
            strangers.frames += 1
            complain(
                .stranger(interface), .alarm,
                "another host speaks as this router: a frame from our address came in on \(name) that neither controller sent. "
                    + "Is a third controller running, or the twin with another key, pair, router or letter? This one stays "
                    + "active", at: now, into: &outputs)
        case .takingOver: return
        case .standby:
            let isTwin = watch.newest?.isHolder ?? false
            if isTwin, !watch.isSilent(for: Strangers.memory, at: now) { return }
            // It may have let go in the moment before, in a hand-over say, and these are the last frames of its time.
            if watch.wasHolder(within: .seconds(1), at: now) { return }
            // Said only where it matters: a twin that is only starting to be heard is no stranger for long.
            strangers.newest = (interface, now)
        }
    }

    /// Who would begin the router anew asks first whether somebody is it already, and goes on asking.
    var isProbing: Bool {
        guard role.isStandby, availability.isServing, !configuration.isSingle, !interfaces.isEmpty else { return false }
        switch mastership.stage {
        case .waiting, .acquiring: return true
        case .following(let patience): return patience != nil
        case .holding, .released, .offline: return false
        }
    }

    mutating func probe(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard isProbing, strangers.probeAt <= now else { return }
        strangers.probeAt = now + Strangers.probeInterval
        for (i, interface) in interfaces.list.enumerated() where !interface.isLoopback {
            guard let question = SegmentQuestion.frame(for: interface) else { continue }
            outputs.append(.ask(InterfaceID(UInt16(truncatingIfNeeded: i)), question))
        }
    }

    /// Somebody is the router whom we do not know: why nothing is begun here.
    mutating func refuseForStranger(at now: Instant, into outputs: inout [ControllerOutput]) -> ArbiterAnswer? {
        guard let interface = strangers.interface(at: now) else { return nil }
        let name = interfaces.name(of: interface)
        complain(
            .stranger(interface), .alarm,
            "another host speaks as this router on \(name), and it is not the twin as configured here: compare key, pair and "
                + "letter of both controller files. This controller stays silent", at: now, into: &outputs)
        return .denied(holder: nil, epoch, retryAt: now + .seconds(1))
    }
}
