import Machine
import Records
import Redundancy

extension Controller {
    public func status(at now: Instant) -> ControllerStatus {
        var status = ControllerStatus(
            id: configuration.id, routerName: configuration.routerName, state: state, epoch: epoch.value,
            isRedundant: state == .active || state == .standby)
        status.active = role.isActive ? configuration.id : mastership.holder
        let reason: String?
        if configuration.isSingle {
            reason = "no twin is configured"
        } else if let failure = availability.failure {
            reason = failure
        } else if availability.isOffline {
            reason = "offline"
        } else if mastership.isWithheld {
            reason = "this controller has lost its configuration and waits for its twin's, or for 'lockstepctl config apply'"
        } else {
            reason = log?.sender.reasonNotReady ?? (role.isStandby ? receiver.reasonNotReady : nil)
        }
        let difference = log?.sender.difference ?? receiver.difference
        for (i, name) in engine.parts.enumerated() {
            let differs = i < 16 && difference & (1 << UInt16(i)) != 0
            let why = differs ? "its digest differs" : reason ?? ""
            status.parts.append(.init(name: name, isReady: why.isEmpty, reason: why))
        }
        status.lastIndex = (log?.sender.last ?? receiver.stored).value
        status.storedIndex = (log?.sender.stored ?? receiver.stored).value
        status.appliedIndex = engine.applied.value
        status.committedIndex = (log?.sender.committed ?? .zero).value
        status.digestIndex = (log?.sender.verified ?? receiver.verified).value
        for (i, name) in engine.parts.enumerated() where i < engine.digest.values.count {
            let text = String(engine.digest.values[i], radix: 16)
            status.digests[name] = String(repeating: "0", count: 16 - text.count) + text
        }
        status.digestMismatches = (log?.sender.mismatches ?? 0) + receiver.mismatches
        status.bulkUpdates = (log?.sender.bulkUpdates ?? 0) + receiver.bulkUpdates
        status.twin.isConnected = channel.isOpen
        status.twin.state = watch.newest?.state
        status.twin.epoch = watch.newest?.epoch.value ?? 0
        status.twin.lagRecords = log?.sender.lagRecords ?? 0
        status.twin.lagOctets = log?.sender.lagOctets ?? 0
        status.twin.heartbeatsReceived = watch.received
        if let heard = watch.heardAt { status.twin.silenceMicroseconds = (now - heard).inNanoseconds / 1000 }
        status.twin.health = watch.newest.map { "\($0.health)" } ?? ""
        status.twin.farewell = channel.farewell
        for record in switchovers.history.records {
            status.switchovers.append(
                .init(
                    kind: record.kind.rawValue, reason: record.reason,
                    outcome: record.outcome.isEmpty ? "under way" : record.outcome,
                    began: clock.routerTime(at: record.began).nanoseconds,
                    steps: record.steps.map {
                        .init(name: $0.name, microseconds: ($0.at - record.began).inNanoseconds / 1000)
                    }))
        }
        status.warnings = warnings(at: now)
        status.quarantined = quarantined.map(\.value)
        status.routerTime = clock.routerTime(at: now).nanoseconds
        return status
    }

    private func warnings(at now: Instant) -> [String] {
        var warnings: [String] = []
        if let refusal = channel.refusal { warnings.append(refusal) }
        if channel.isOpen, let difference = detectionDifference { warnings.append(difference) }
        if watch.patience > watch.detectionTime {
            warnings.append(
                "the twin's beats are often late: this controller waits \(watch.patience.inMilliseconds) ms for them instead of "
                    + "\(watch.detectionTime.inMilliseconds). Give both edges real-time rights and a link of their own, or set 'heartbeat' longer"
            )
        }
        if let interface = strangers.interface(at: now) {
            warnings.append(
                "another host speaks as this router on \(interfaces.name(of: interface)): a third controller, or a twin with another key, "
                    + "pair, router or letter")
        }
        if strangers.frames > 0 {
            warnings.append("\(strangers.frames) frames from the router's own address came from neither controller")
        }
        if pair?.isVoteSilent ?? false {
            warnings.append("the \(configuration.arbiter.rawValue) does not answer this controller")
        }
        return warnings + ports.trouble(at: now)
    }
}
