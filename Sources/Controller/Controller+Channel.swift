import Engine
import Machine
import Records
import Redundancy
import Wire

// The twin: hello, heartbeats, advertisements, gasps, and who gets which message.

extension Controller {
    // MARK: opening and closing

    mutating func channelOpened(at now: Instant, into outputs: inout [ControllerOutput]) {
        if channel != .closed { twinLost("a new channel replaces the old", isProcessDead: false, at: now, into: &outputs) }
        channel = .greeting(until: now + .seconds(2))
        channelReceiver = ChannelReceiver()
        channelBuffer = ByteWriter()
        send(.hello(hello))
    }

    var hello: Hello {
        Hello(
            routerName: configuration.routerName, pairID: configuration.pairID, controller: configuration.id,
            state: state, epoch: epoch, wasActive: configuration.wasActive, isPreferred: configuration.isPreferred,
            bootNonce: configuration.bootNonce,
            configuration: inForce, hasLostConfiguration: mastership.isWithheld,
            gaspToken: configuration.gaspToken!)
    }

    mutating func closeChannel(_ reason: String, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard channel != .closed else { return }
        flushChannel(into: &outputs)
        outputs.append(.channelClose(reason: reason))
        twinLost(reason, isProcessDead: false, at: now, into: &outputs)
    }

    /// The channel is gone, for whatever reason.
    mutating func twinLost(
        _ reason: String, isProcessDead: Bool, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        if isProcessDead {
            isTwinDead = true
            mastership.retryMaximum = .milliseconds(2)
            link?.twinDied(at: now)
        }
        guard channel != .closed else {
            // Heartbeats had told us already; now the arbiter may see it too.
            if isProcessDead { master(at: now, into: &outputs) { $0.retry(into: &$1) } }
            return
        }
        let wasOpen = channel == .open
        channel = .closed
        gaspUntil = nil
        channelBuffer = ByteWriter()
        monitor.stop()
        mirrorsUnderWay = []
        guard wasOpen else { return }
        note(.warning, "srm", "the twin is lost: \(reason)", into: &outputs)
        switch role {
        case .active, .takingOver:
            switchoverTwinLost(reason, at: now, into: &outputs)
            replicate(at: now, into: &outputs) { $0.twinLost(reason, into: &$1) }
        case .standby:
            receiver.suspend()
            switchoverTwinLost(reason, at: now, into: &outputs)
            if isProcessDead, receiver.isFollowing, receiver.hasUnapplied, fatal == nil, configuration.gaspWait > .zero {
                // One of these records may be what killed it.
                gaspUntil = (now + configuration.gaspWait, reason)
            } else if receiver.isFollowing || works.contains(.restore) {
                master(at: now, into: &outputs) { $0.twinLost(reason, into: &$1) }
            } else {
                // With nothing to resume there is no hurry, and the other may only have lost the channel.
                master(at: now, into: &outputs) { mastership, _ in mastership.waitForTwin(at: now) }
            }
        }
    }

    // MARK: messages

    mutating func channelReceived(_ octets: [UInt8], at now: Instant, into outputs: inout [ControllerOutput]) {
        guard channel != .closed else { return }
        channelReceiver.append(octets)
        do {
            while channel != .closed, let message = try channelReceiver.next() {
                if channel == .open {
                    monitor.heardAnything(at: now)
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

    private mutating func greet(_ message: ChannelMessage, at now: Instant, into outputs: inout [ControllerOutput]) {
        switch message {
        case .hello(let twin):
            let ours = hello
            if let refusal = ours.refusal(of: twin) {
                note(.alarm, "rcm", "the channel's peer is refused: \(refusal)", into: &outputs)
                send(.refuse(reason: "\(refusal)"))
                closeChannel("refused: \(refusal)", at: now, into: &outputs)
                return
            }
            channel = .open
            channelReceiver.frameMaximum = ChannelLimit.frame
            self.twin = twin
            isTwinDead = false
            mastership.retryMaximum = nil
            fatal = nil
            gaspUntil = nil
            monitor.start(at: now)
            link?.channelOpened(twin, at: now)
            note(.notice, "srm", "the twin \(twin.controller) is connected, \(twin.state)", into: &outputs)
            // What is held from an earlier channel has a gap after it.
            if role == .standby, twin.state.isActive { receiver.invalidate() }
            judgeConfiguration(of: twin, into: &outputs)
            if isOffline || failure != nil { return }
            let goesFirst = ours.goesFirst(before: twin)
            master(at: now, into: &outputs) { $0.twinAppeared(twin, goesFirst: goesFirst, at: now, into: &$1) }
            // The gasp can be prepared from now on.
            publishedState = nil
        case .refuse(let reason):
            note(.alarm, "rcm", "the channel's peer refuses us: \(reason)", into: &outputs)
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
        case .heartbeat(let heartbeat): receive(heartbeat, at: now, into: &outputs)
        case .goodbye(let reason, let fatal):
            if fatal != .zero { self.fatal = fatal }
            outputs.append(.channelClose(reason: "the twin said goodbye"))
            twinLost(reason, isProcessDead: true, at: now, into: &outputs)

        case .records(let epoch, let records):
            guard role == .standby, epoch >= self.epoch else { return }
            recordEpoch = epoch
            follow(into: &outputs, at: now) { $0.receivedRecords(records, into: &$1) }
        case .applied(let index, let digest):
            guard role == .standby else { return }
            follow(into: &outputs, at: now) { $0.receivedApplied(index, digest, into: &$1) }
        case .inSync(let isInSync):
            guard role == .standby else { return }
            follow(into: &outputs, at: now) { $0.receivedInSync(isInSync, into: &$1) }
        case .bulkBegin(let number, let index, let octets, let digest):
            guard role == .standby else { return }
            note(.notice, "rcm", "bulk update: \(octets) octets at index \(index)", into: &outputs)
            follow(into: &outputs, at: now) {
                $0.receivedBulkBegin(number: number, index: index, octets: octets, digest: digest, into: &$1)
            }
        case .bulkChunk(let number, let offset, let octets):
            guard role == .standby else { return }
            follow(into: &outputs, at: now) {
                $0.receivedBulkChunk(number: number, offset: offset, octets, into: &$1)
            }
        case .bulkEnd(let number, let hash):
            guard role == .standby else { return }
            follow(into: &outputs, at: now) { $0.receivedBulkEnd(number: number, hash: hash, into: &$1) }

        // To the active; to anybody else there is no sender.
        case .stored(let index): replicate(at: now, into: &outputs) { $0.receivedStored(index, at: now, into: &$1) }
        case .verified(let index, let difference):
            replicate(at: now, into: &outputs) {
                $0.receivedVerified(index, difference: difference, at: now, into: &$1)
            }
        case .join:
            guard role == .active else { return }
            outputs.append(.mirrorEverything)
            replicate(at: now, into: &outputs) { $0.receivedJoin(at: now, into: &$1) }
        case .bulkReceived(let number, let octets):
            replicate(at: now, into: &outputs) { $0.receivedBulkReceived(number, octets: octets, at: now, into: &$1) }
        case .bulkRefused(let number, let reason):
            replicate(at: now, into: &outputs) { $0.receivedBulkRefused(number, reason: reason, at: now, into: &$1) }

        case .switchover(let message): receiveSwitchover(message, at: now, into: &outputs)
        case .frames(let frames):
            for frame in frames where passedFrames.count < Self.framesHeldMaximum { passedFrames.append(frame) }
            if role == .active, !isReadingStopped { feedPassedFrames(at: now, into: &outputs) }
        case .mirror(let transaction, let octets): outputs.append(.mirror(transaction: transaction, octets))
        case .mirrorAnswer(let transaction, let refusal):
            if !mirrorsUnderWay.isEmpty { mirrorsUnderWay.removeFirst() }
            if !refusal.isEmpty {
                note(.alarm, "datastore", "the twin could not keep transaction \(transaction): \(refusal)", into: &outputs)
            }
            outputs.append(.mirrorAnswered(transaction: transaction, refusal: refusal.isEmpty ? nil : refusal))
        }
    }

    // MARK: heartbeats

    /// Sends a heartbeat when one is due, or now.
    mutating func beat(at now: Instant, isDue: Bool = false, into outputs: inout [ControllerOutput]) {
        guard channel == .open, let due = monitor.takeDue(at: now, isForced: isDue) else { return }
        send(
            .heartbeat(Heartbeat(
                sequence: due.sequence, echo: due.echo, routerTime: clock.routerTime(at: now), epoch: epoch,
                state: state, health: health)))
    }

    private mutating func receive(_ heartbeat: Heartbeat, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard monitor.hear(heartbeat, at: now) else { return }
        link?.heard(heartbeat, answeredAt: monitor.answeredAt, at: now)
        if heartbeat.state.isActive, role == .standby { clock.follow(heartbeat.routerTime, at: now) }
        if let answer = link?.poll(at: now) { arbiterAnswered(answer, at: now, into: &outputs) }
        guard !isOffline, failure == nil else { return }
        // In a switchover the old active ceases to be active before we are told to take over: that is no reason to hurry.
        if fromStandby == nil || heartbeat.state.isActive {
            master(at: now, into: &outputs) { $0.twinSays(heartbeat.state, epoch: heartbeat.epoch, at: now, into: &$1) }
        }
        if role == .standby, heartbeat.state.isActive, heartbeat.epoch >= epoch, receiver.phase == .idle,
            case .following = mastership.stage, !works.contains(.restore)
        {
            note(.notice, "rcm", "asking the active for a bulk update", into: &outputs)
            follow(into: &outputs, at: now) { $0.begin(into: &$1) }
        }
        considerHealth(heartbeat.health, at: now, into: &outputs)
    }

    // MARK: advertisements

    mutating func advertise(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let link, let due = advertiseAt, due <= now else { return }
        advertiseAt = max(due + configuration.advertisementInterval, now + configuration.advertisementInterval / 2)
        // A standby that the channel shows alive need not shout on the segments.
        guard role == .active || channel != .open else { return }
        advertisementSequence += 1
        let frame = Advertisement(
            pairID: configuration.pairID, controller: configuration.id, state: state,
            isTwinEligible: link.countsTwinAsEligible, epoch: epoch, bootNonce: configuration.bootNonce,
            sequence: advertisementSequence
        ).frame(key: configuration.advertisementKey)
        for i in 0..<max(configuration.segmentCount, interfaces.count) {
            outputs.append(.advertise(InterfaceID(UInt16(truncatingIfNeeded: i)), frame))
        }
    }

    mutating func receiveAdvertisement(_ frame: RawSpan, at now: Instant, into outputs: inout [ControllerOutput]) {
        guard link != nil else { return }
        let advertisement: Advertisement
        do throws(DecodeError) {
            advertisement = try Advertisement(decoding: frame, key: configuration.advertisementKey)
        } catch {
            // Another pair's, or a forgery.
            foreignAdvertisements += 1
            return
        }
        guard advertisement.pairID == configuration.pairID, advertisement.controller != configuration.id,
            link!.heard(advertisement, twinNonce: channel == .open ? twin?.bootNonce : nil, at: now)
        else {
            foreignAdvertisements += 1
            return
        }
        if role == .standby, receiver.isInSync, !link!.isSelfEligible { receiver.lostSync() }
        if let answer = link!.poll(at: now) { arbiterAnswered(answer, at: now, into: &outputs) }
        if !isOffline, failure == nil {
            master(at: now, into: &outputs) {
                $0.twinSays(advertisement.state, epoch: advertisement.epoch, at: now, into: &$1)
            }
        }
        flushChannel(into: &outputs)
        publish(at: now, into: &outputs)
    }

    // MARK: gasps

    mutating func receiveGasp(_ octets: [UInt8], at now: Instant, into outputs: inout [ControllerOutput]) {
        guard let gasp = try? DyingGasp(decoding: octets.span.bytes), let twin, gasp.controller == twin.controller,
            gasp.bootNonce == twin.bootNonce, gasp.token == twin.gaspToken
        else {
            note(.warning, "srm", "a dying gasp that is not the twin's was ignored", into: &outputs)
            return
        }
        let what = gasp.index == .zero ? "" : " in record \(gasp.index)"
        note(.alarm, "srm", "the twin died\(what)", into: &outputs)
        if gasp.index != .zero { fatal = gasp.index }
        if let wait = gaspUntil {
            gaspUntil = nil
            master(at: now, into: &outputs) { $0.twinLost(wait.reason, into: &$1) }
        } else if channel == .open, role == .standby, receiver.isFollowing, gasp.index > receiver.stored {
            // The gasp came by a path of its own and overtook the record that it names. What the dead process had sent
            // still comes, and after it the end of the channel: taking over without that record would let the peer send
            // the same octets again, to kill this copy as well.
            gaspUntil = (now + configuration.gaspWait, "dying gasp\(what)")
        } else if channel != .closed {
            outputs.append(.channelClose(reason: "the twin died"))
            twinLost("dying gasp\(what)", isProcessDead: true, at: now, into: &outputs)
        }
    }
}
