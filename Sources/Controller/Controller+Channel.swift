import Engine
import Machine
import Records
import Redundancy
import Wire

// The twin: hello, gasps, and who gets which message.

extension Controller {
    // MARK: opening and closing

    mutating func channelOpened(at now: Instant, into outputs: inout [ControllerOutput]) {
        if !channel.isClosed { twinLost("a new channel replaces the old", isProcessDead: false, at: now, into: &outputs) }
        // This process is about to end, and the twin has been told: nobody should follow it any more.
        guard availability.exitBy == nil else { return outputs.append(.channelClose(reason: "this controller ends")) }
        channel.beginGreeting(at: now)
        channel.send(.hello(hello))
    }

    var hello: Hello {
        Hello(
            routerName: configuration.routerName, pairID: configuration.pairID, controller: configuration.id,
            // Whoever holds mastership is the router, though it may not speak yet.
            state: mastership.isHolding && !state.isActive ? .activeAlone : state, epoch: epoch,
            wasActive: configuration.wasActive, isPreferred: configuration.isPreferred,
            bootNonce: configuration.bootNonce,
            configuration: inForce, hasLostConfiguration: mastership.isWithheld,
            gaspToken: configuration.gaspToken!, identity: configuration.identity,
            keyFingerprint: keys.first?.fingerprint ?? 0, keyShare: keyShare, arbiter: configuration.arbiter,
            detectionTime: watch.detectionTime, schemas: configuration.schemas)
    }
    /// What passes between the two, and in which forms this release reads and writes it. What the host sends along has a part
    /// that the host adds (`ControllerConfiguration.schemas`).
    public static let schemas = SchemaMap(
        [
            ChannelSchema.part, RecordSchema.part, .init("configuration", RouterConfiguration.schemas),
            .init("snapshot", SnapshotFormat.layout...SnapshotFormat.layout),
        ] + EngineSnapshot.sections.map { .init(sectionName($0), $0.schemas) })

    private static func sectionName(_ section: SnapshotSection) -> String { "snapshot/\(section.name)" }

    /// What the two controller files should agree on, and do not.
    var detectionDifference: String? {
        guard let twin = channel.twin, twin.detectionTime != watch.detectionTime else { return nil }
        return "the twin's detection time is \(twin.detectionTime.inMilliseconds) ms, ours "
            + "\(watch.detectionTime.inMilliseconds) ms: make 'heartbeat' of both controller files equal"
    }

    /// The key of the beats: the one that both have kept, or a new one from what each has drawn.
    private mutating func agreeOnKey(with twin: Hello, _ ours: Hello, into outputs: inout [ControllerOutput]) {
        if ours.keyFingerprint != 0, ours.keyFingerprint == twin.keyFingerprint { return }
        let shares = configuration.id == .a ? (keyShare, twin.keyShare) : (twin.keyShare, keyShare)
        let key = PairKey(a: shares.0, b: shares.1, pairID: configuration.pairID)
        keys = [key] + keys.prefix(1)
        outputs.append(.pairKey(key))
    }

    /// Characters of what the twin says when it leaves.
    private static let farewellMaximum = 200

    mutating func closeChannel(_ reason: String, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard !channel.isClosed else { return }
        channel.flush(into: &outputs)
        outputs.append(.channelClose(reason: reason))
        twinLost(reason, isProcessDead: false, at: now, into: &outputs)
    }

    /// The channel is gone, for whatever reason.
    mutating func twinLost(
        _ reason: String, isProcessDead: Bool, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        if isProcessDead {
            death.isKnown = true
            death.at = now
            mastership.retryMaximum = .milliseconds(2)
            pair?.twinDied(isStreamWhole: true, at: now)
            pollPair(at: now, into: &outputs)
        }
        guard !channel.isClosed else {
            // Heartbeats had told us already; now the arbiter may see it too.
            if isProcessDead { actOnDeath(at: now, into: &outputs) }
            return
        }
        let wasOpen = channel.isOpen
        channel.close()
        role.standby?.gaspUntil = nil
        pair?.channelClosed()
        guard wasOpen else { return }
        if let farewell = channel.farewell {
            note(.notice, "srm", "the twin leaves, \(farewell)", into: &outputs)
        } else {
            note(.warning, "srm", "the twin is lost: \(reason)", into: &outputs)
        }
        switch role {
        case .active, .takingOver:
            switchoverTwinLost(reason, at: now, into: &outputs)
            replicate(at: now, into: &outputs) { $0.twinLost(reason, at: now, into: &$1) }
        case .standby:
            receiver.suspend()
            switchoverTwinLost(reason, at: now, into: &outputs)
            if isProcessDead || death.suspectedAt == now, receiver.isFollowing, receiver.hasUnapplied, fatal == nil,
                configuration.gaspWait > .zero
            {
                // One of these records may be what killed it.
                role.standby?.gaspUntil = (now + configuration.gaspWait, reason)
            } else if receiver.isFollowing || engine.isRestoring {
                master(at: now, into: &outputs) { $0.twinLost(reason, into: &$1) }
            } else if death.isKnown {
                // There is nothing to resume anywhere, and nobody to wait for.
                master(at: now, into: &outputs) { $0.begin(reason, into: &$1) }
            } else {
                // With nothing to resume there is no hurry, and the other may only have lost the channel.
                master(at: now, into: &outputs) { mastership, _ in mastership.waitForTwin(at: now) }
            }
        }
    }

    // MARK: messages

    mutating func channelReceived(_ octets: [UInt8], at now: Instant, into outputs: inout [ControllerOutput]) {
        guard !channel.isClosed else { return }
        channel.receiver.append(octets)
        do {
            while !channel.isClosed, let message = try channel.receiver.next() {
                if channel.isOpen {
                    receive(message, at: now, into: &outputs)
                } else {
                    greet(message, at: now, into: &outputs)
                }
            }
        } catch {
            note(.alarm, "rcm", "the channel's peer sent something else than our protocol: \(error)", into: &outputs)
            closeChannel("protocol error: \(error)", at: now, into: &outputs)
        }
    }

    private mutating func refuse(_ reason: String, at now: Instant, into outputs: inout [ControllerOutput]) {
        let words = "the channel's peer is refused: \(reason)"
        channel.refusal = words
        complain(.refusal(reason), .alarm, words, at: now, into: &outputs)
        channel.send(.refuse(reason: reason))
        closeChannel("refused: \(reason)", at: now, into: &outputs)
    }

    private mutating func greet(_ message: ChannelMessage, at now: Instant, into outputs: inout [ControllerOutput]) {
        switch message {
        case .hello(let twin):
            let ours = hello
            if let refusal = ours.refusal(of: twin) { return refuse("\(refusal)", at: now, into: &outputs) }
            // What is agreed on is taken by the engine before anything is sent in it.
            let agreed = ours.schemas.agreed(with: twin.schemas)
            let format: SnapshotFormat
            do throws(SnapshotError) {
                format = try SnapshotFormat(EngineSnapshot.sections) { agreed[Self.sectionName($0)] }
            } catch {
                return refuse("\(error)", at: now, into: &outputs)
            }
            // Somebody made a third controller from the twin's files: the twin is heard, so this is not the twin.
            if twin.bootNonce != watch.twinNonce, !death.isKnown, watch.isKnownStartHeard(at: now),
                !configuration.mistakes.contains(.believesEveryStart)
            {
                let reason =
                    "another process that is controller \(twin.controller) of this pair is heard at this moment: is a third "
                    + "controller running from a copy of its files?"
                return refuse(reason, at: now, into: &outputs)
            }
            // The vote may say that our copy is the router's: it is kept as it is until then.
            if pair?.isClaiming ?? false {
                return closeChannel("mastership is being asked for", at: now, into: &outputs)
            }
            channel.stage = .open
            channel.refusal = nil
            channel.farewell = nil
            if twin.bootNonce != channel.twin?.bootNonce { log?.sender.forgetJoinFailures() }
            channel.receiver.frameMaximum = ChannelLimit.frame
            channel.receiver.records = agreed[RecordSchema.part.name]
            channel.agreement = agreed
            channel.snapshotFormat = format
            channel.twin = twin
            death.disprove()
            mastership.retryMaximum = nil
            role.standby?.gaspUntil = nil
            agreeOnKey(with: twin, ours, into: &outputs)
            if twin.bootNonce != watch.twinNonce { ports.judge.forgetTwin(at: now) }
            watch.vouched(twin.bootNonce, at: now)
            pair?.channelOpened(twin, at: now)
            if let difference = detectionDifference { note(.alarm, "srm", difference, into: &outputs) }
            note(.notice, "srm", "the twin \(twin.controller) is connected, \(twin.state)", into: &outputs)
            if ours.schemas != twin.schemas {
                let words = agreed.parts.map { "\($0.name) \($0.schema)" }.joined(separator: ", ")
                note(
                    .notice, "rcm", "the twin is of another release: the two speak \(words)",
                    into: &outputs)
            }
            // What is held from an earlier channel has a gap after it.
            if role.isStandby, twin.state.isActive {
                receiver.invalidate()
                // What killed the twin's process is in that copy, and stays known as long as it may be resumed.
                role.standby?.fatal = nil
                death.session = nil
                if mastership.stage != .released { pair?.renounce() }
            }
            judgeConfiguration(of: twin, into: &outputs)
            guard availability.isServing else { return }
            let goesFirst = ours.goesFirst(before: twin)
            master(at: now, into: &outputs) { $0.twinAppeared(twin, goesFirst: goesFirst, at: now, into: &$1) }
            // The gasp can be prepared from now on.
            publishedState = nil
        case .refuse(let reason):
            channel.refusal = "the channel's peer refuses us: \(reason)"
            complain(.refusal(reason), .alarm, "the channel's peer refuses us: \(reason)", at: now, into: &outputs)
            closeChannel("refused by the peer", at: now, into: &outputs)
        default:
            note(.alarm, "rcm", "the channel's peer did not introduce itself", into: &outputs)
            closeChannel("no introduction", at: now, into: &outputs)
        }
    }

    private mutating func receive(_ message: ChannelMessage, at now: Instant, into outputs: inout [ControllerOutput]) {
        switch message {
        case .hello, .refuse:
            closeChannel("introduced twice", at: now, into: &outputs)
        case .nudge: break
        case .leaving(let reason): channel.farewell = String(reason.prefix(Self.farewellMaximum))
        case .goodbye(let reason, let fatal):
            learnFatal(fatal, message: 0)
            outputs.append(.channelClose(reason: "the twin said goodbye"))
            twinLost(reason, isProcessDead: true, at: now, into: &outputs)

        case .records(let epoch, let records):
            guard role.isStandby, epoch >= self.epoch else { return }
            role.standby?.recordEpoch = epoch
            follow(into: &outputs, at: now) { $0.receivedRecords(records, into: &$1) }
        case .applied(let index, let digest):
            guard role.isStandby else { return }
            follow(into: &outputs, at: now) { $0.receivedApplied(index, digest, into: &$1) }
        case .inSync(let isInSync, let from):
            guard role.isStandby else { return }
            role.standby?.inSyncFrom = from
            follow(into: &outputs, at: now) { $0.receivedInSync(isInSync, into: &$1) }
        case .bulkBegin(let number, let index, let octets, let digest):
            guard role.isStandby else { return }
            note(.notice, "rcm", "bulk update: \(octets) octets at index \(index)", into: &outputs)
            follow(into: &outputs, at: now) {
                $0.receivedBulkBegin(number: number, index: index, octets: octets, digest: digest, into: &$1)
            }
        case .bulkChunk(let number, let offset, let octets):
            guard role.isStandby else { return }
            follow(into: &outputs, at: now) {
                $0.receivedBulkChunk(number: number, offset: offset, octets, into: &$1)
            }
        case .bulkEnd(let number, let hash):
            guard role.isStandby else { return }
            follow(into: &outputs, at: now) { $0.receivedBulkEnd(number: number, hash: hash, into: &$1) }

        // To the active; to anybody else there is no sender.
        case .stored(let index): replicate(at: now, into: &outputs) { $0.receivedStored(index, at: now, into: &$1) }
        case .verified(let index, let difference):
            replicate(at: now, into: &outputs) {
                $0.receivedVerified(index, difference: difference, at: now, into: &$1)
            }
        case .join:
            guard role.isActive else { return }
            outputs.append(.mirrorEverything)
            replicate(at: now, into: &outputs) { $0.receivedJoin(at: now, into: &$1) }
        case .bulkReceived(let number, let octets):
            replicate(at: now, into: &outputs) { $0.receivedBulkReceived(number, octets: octets, at: now, into: &$1) }
        case .bulkRefused(let number, let reason):
            replicate(at: now, into: &outputs) { $0.receivedBulkRefused(number, reason: reason, at: now, into: &$1) }

        case .switchover(let message): receiveSwitchover(message, at: now, into: &outputs)
        case .frames(let frames):
            for frame in frames where passedFrames.count < Self.framesHeldMaximum { passedFrames.append(frame) }
            if role.isReading { feedPassedFrames(at: now, into: &outputs) }
        case .mirror(let transaction, let octets): outputs.append(.mirror(transaction: transaction, octets))
        case .mirrorAnswer(let transaction, let refusal):
            if !channel.mirrorsUnderWay.isEmpty { channel.mirrorsUnderWay.removeFirst() }
            if !refusal.isEmpty {
                note(.alarm, "datastore", "the twin could not keep transaction \(transaction): \(refusal)", into: &outputs)
            }
            outputs.append(.mirrorAnswered(transaction: transaction, refusal: refusal.isEmpty ? nil : refusal))
        }
    }

    // MARK: gasps

    /// The record that killed the twin, by its gasp, as long as a copy of it may be resumed here.
    var fatal: LogIndex? { role.standby?.fatal?.index }

    /// Which record killed the twin. Of use to the copy that it was shipped to, and to no other: who is the router already has
    /// applied it, or has it behind, and what it remembered would be taken for news in the copy after the next one.
    private mutating func learnFatal(_ index: LogIndex, message: UInt16) {
        guard index != .zero else { return }
        role.standby?.fatal = (index, message)
    }

    mutating func receiveGasp(_ octets: [UInt8], at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let gasp = try? DyingGasp(decoding: octets.span.bytes), let twin = channel.twin, gasp.controller == twin.controller,
            gasp.bootNonce == twin.bootNonce, gasp.token == twin.gaspToken
        else {
            note(.warning, "srm", "a dying gasp that is not the twin's was ignored", into: &outputs)
            return
        }
        // It is sent more than once. The second must not end a wait that the first has begun.
        guard death.gaspHeard != gasp.bootNonce else { return }
        death.gaspHeard = gasp.bootNonce
        var what = gasp.index == .zero ? "" : " in record \(gasp.index)"
        if let session = gasp.session { what = " of a packet of BFD session \(session)" }
        note(.alarm, "srm", "the twin died\(what)", into: &outputs)
        if gasp.session == nil, let frame = gasp.frame { suspect(frame, at: now, into: &outputs) }
        learnFatal(gasp.index, message: gasp.message)
        death.session = gasp.session ?? death.session
        if role.isActive { quarantineSession(at: now, into: &outputs) }
        if let wait = role.standby?.gaspUntil {
            role.standby?.gaspUntil = nil
            master(at: now, into: &outputs) { $0.twinLost(wait.reason, into: &$1) }
        } else if channel.isOpen, role.isStandby, receiver.isFollowing, gasp.index > receiver.stored {
            // The gasp came by a path of its own and overtook the record that it names. What the dead process had sent
            // still comes, and after it the end of the channel: taking over without that record would let the peer send
            // the same octets again, to kill this copy as well.
            role.standby?.gaspUntil = (now + configuration.gaspWait, "dying gasp\(what)")
        } else if !channel.isClosed {
            outputs.append(.channelClose(reason: "the twin died"))
            twinLost("dying gasp\(what)", isProcessDead: true, at: now, into: &outputs)
        } else {
            declareDead(isStreamWhole: false, at: now, into: &outputs)
        }
    }
}
