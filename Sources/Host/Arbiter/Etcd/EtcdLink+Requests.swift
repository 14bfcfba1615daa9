import Foundation
import Machine
import NIOCore
import Records
import Redundancy
import Witness

/// What requests do to the pair's keys. Everything here runs on the link's event loop.
extension EtcdLink {
    private var id: ControllerID { settings.controller }

    // MARK: the lease

    /// Prolongs our lease in etcd, or begins one. `lease` says afterwards until when it runs at least.
    func keepLease() -> EventLoopFuture<Void> {
        let sent = monotonicNow()
        // A lease that is about to run out may do so while it is being prolonged.
        guard let known = lease, known.until > sent else { return beginLease() }
        let question = EtcdMessages.LeaseName(ID: .init(known.id))
        return gateway.call("/v3/lease/keepalive", question, as: EtcdMessages.LeaseStreamAnswer.self) { $0.result?.header }
            .flatMap { [self] answer in
                guard let left = answer.result?.TTL?.value, left > 0 else {
                    lease = nil
                    return beginLease()
                }
                lease = (known.id, sent + .seconds(left))
                return loop.makeSucceededVoidFuture()
            }
    }

    private func beginLease() -> EventLoopFuture<Void> {
        let sent = monotonicNow()
        return grantLease().map { [self] id, ttl in lease = (id, sent + ttl) }
    }

    private func grantLease() -> EventLoopFuture<(id: Int64, ttl: Duration)> {
        let question = EtcdMessages.LeaseGrant(TTL: .init(settings.ttl))
        return gateway.call("/v3/lease/grant", question, as: EtcdMessages.LeaseAnswer.self) { $0.header }
            .flatMapThrowing { [self] answer in
                guard let id = answer.ID?.value, let ttl = answer.TTL?.value, id != 0, ttl > 0 else {
                    throw EtcdError(description: "\(gateway.endpoint): \(answer.error ?? "it grants no lease")")
                }
                return (id, .seconds(ttl))
            }
    }

    // MARK: the keys

    @discardableResult
    func look() -> EventLoopFuture<EtcdView> {
        gateway.call("/v3/kv/range", keys.all, as: EtcdMessages.RangeAnswer.self) { $0.header }
            .flatMapThrowing { [self] answer in
                let seen = try EtcdView(answer, keys)
                view = seen
                return seen
            }
    }

    /// Changes the word if it still is what `before` says, together with other keys. Returns whether it did; if not, `view`
    /// is what it is instead.
    private func change(
        _ before: EtcdView, to record: WitnessRecord, absent: [Data] = [], and operations: [EtcdMessages.Operation] = []
    ) -> EventLoopFuture<Bool> {
        var compare = [EtcdMessages.Comparison(key: keys.word, target: "MOD", mod_revision: .init(before.modRevision))]
        compare += absent.map { .init(key: $0, target: "CREATE", create_revision: .init(0)) }
        let octets = Data(record.encoded(name: settings.pair, sequence: 0))
        let question = EtcdMessages.Transaction(
            compare: compare, success: [.init(request_put: .init(key: keys.word, value: octets))] + operations,
            failure: [.init(request_range: keys.all)])
        return gateway.call("/v3/kv/txn", question, as: EtcdMessages.TransactionAnswer.self) { $0.header }
            .flatMapThrowing { [self] answer in
                guard answer.succeeded ?? false else {
                    view = try answer.responses?.first?.response_range.map { try EtcdView($0, keys) }
                    return false
                }
                // The word's new revision is that of the transaction.
                var after = before
                after.record = record
                after.modRevision = answer.header?.revision?.value ?? 0
                for operation in operations {
                    if let put = operation.request_put {
                        after.set(put.key, true, keys)
                        if put.key == keys.holder(id) { boundLease = put.lease?.value }
                    }
                    if let key = operation.request_delete_range?.key { after.set(key, false, keys) }
                }
                view = after.modRevision == 0 ? nil : after
                return true
            }
    }

    private func seen() -> EventLoopFuture<EtcdView> { view.map { loop.makeSucceededFuture($0) } ?? look() }

    /// How often somebody else may come first before we give up for now.
    private static let triesMaximum = 8

    private func tooBusy<Value>() -> EventLoopFuture<Value> {
        loop.makeFailedFuture(
            EtcdError(
                description: "the pair's word changes all the time; do more than two controllers use the pair name "
                    + "\(settings.pair)?", isEndpointBad: false))
    }

    // MARK: requests

    /// This process begins: whatever its predecessor had, it knows nothing.
    func introduce() -> EventLoopFuture<Void> { keepLease().flatMap { [self] in introduce(tries: Self.triesMaximum) } }

    private func introduce(tries: Int) -> EventLoopFuture<Void> {
        guard tries > 0 else { return tooBusy() }
        return seen().flatMap { [self] before in
            var record = before.record ?? WitnessRecord()
            guard record[id].session != settings.session else { return loop.makeSucceededVoidFuture() }
            record[id] = .init(session: settings.session, lease: ttl)
            record.word.begin(id)
            return change(before, to: record).flatMap { [self] isDone in
                isDone ? loop.makeSucceededVoidFuture() : introduce(tries: tries - 1)
            }
        }
    }

    func carryOut(_ attempt: VoteQueue.Attempt, at now: Instant) -> EventLoopFuture<VoteAnswer> {
        switch attempt.request {
        case .renew(let epoch):
            return keepLease().and(look()).flatMap { [self] _, seen in
                renew(epoch, attempt, seen, tries: Self.triesMaximum)
            }
        case .acquire:
            // The lease is a third old at most, unless etcd was not there for a while.
            let isFresh = lease.map { $0.until - monotonicNow() > ttl / 2 } ?? false
            return (isFresh ? loop.makeSucceededVoidFuture() : keepLease()).flatMap { [self] in
                change(for: attempt, tries: Self.triesMaximum)
            }
        case .release:
            return grantLease().flatMap { [self] reservation, _ in
                change(for: attempt, reservation: reservation, tries: Self.triesMaximum)
            }
        case .setTwinEligible: return change(for: attempt, tries: Self.triesMaximum)
        }
    }

    /// - Parameter isFresh: what is in `view` was seen since the attempt began.
    private func change(
        for attempt: VoteQueue.Attempt, reservation: Int64? = nil, isFresh: Bool = false, tries: Int
    ) -> EventLoopFuture<VoteAnswer> {
        guard tries > 0 else { return tooBusy() }
        let isFresh = isFresh || view == nil
        return seen().flatMap { [self] before in
            let now = monotonicNow()
            var record = before.record ?? WitnessRecord()
            if record[id].session != settings.session {
                // Another process of our name was here; or the word is a new one, whose maker knows that we had begun.
                if record[id].session != 0 { record.word.begin(id) }
                record[id] = .init(session: settings.session, lease: ttl)
            }
            if let repeated = record.repeated(attempt.request, attempt.number, from: id, twinUntil: now + poll) {
                return loop.makeSucceededFuture(answer(repeated, attempt, at: now))
            }
            var request = attempt.request
            if case .acquire(let least, let isResuming) = request {
                request = .acquire(
                    atLeast: max(least, Epoch(UInt64(max(0, gateway.revision)))), isResuming: isResuming)
                if record.word.epoch == .zero, before.isAlive(id.other) {
                    // Its word is gone but its lease runs: it puts it back when it renews.
                    return isFresh
                        ? loop.makeSucceededFuture(.denied(holder: id.other, .zero, retryAfter: poll))
                        : again(attempt, reservation, tries)
                }
            }
            switch request {
            case .release(let epoch), .setTwinEligible(let epoch, _):
                // Somebody deleted the word; who speaks as its holder puts it back.
                if before.isLost, !before.isAlive(id.other), epoch <= LeaseWord.epochMaximum { adopt(epoch, attempt, &record) }
            case .acquire, .renew: break
            }
            let evidence = before.evidence(for: id, record.word, at: now, poll: poll)
            let isInTheWay = record.word.isTwinInTheWay(of: id)
            let outcome = record.carryOut(request, attempt.number, from: id, policy: .pair) { _ in evidence }
            var absent: [Data] = []
            var operations: [EtcdMessages.Operation] = []
            switch outcome {
            case .granted:
                if before.isLost { absent = [keys.holder(id.other)] }
                // What was proven by an absent key must still be so.
                if isInTheWay, evidence == .over {
                    absent = [before.record?.word.holder == nil ? keys.reserved : keys.holder(id.other)]
                }
                operations = [
                    .init(
                        request_put: .init(
                            key: keys.holder(id), value: Data("\(record.word.epoch)".utf8), lease: .init(lease?.id ?? 0)))
                ]
                // Its right has ended with this, however long its process keeps its lease.
                if !absent.contains(keys.holder(id.other)) {
                    operations.append(.init(request_delete_range: .init(key: keys.holder(id.other))))
                }
            case .released:
                operations = [
                    .init(request_put: .init(key: keys.reserved, value: Data(), lease: .init(reservation ?? 0))),
                    .init(request_delete_range: .init(key: keys.holder(id))),
                ]
            case .twinEligibility: break
            case .denied, .notCurrent, .lost, .refused, .renewed:
                // Only what was seen since it was asked may refuse it.
                return isFresh
                    ? loop.makeSucceededFuture(answer(outcome, attempt, at: now)) : again(attempt, reservation, tries)
            }
            return change(before, to: record, absent: absent, and: operations).flatMap { [self] isDone in
                isDone
                    ? loop.makeSucceededFuture(answer(outcome, attempt, at: monotonicNow()))
                    : change(for: attempt, reservation: reservation, isFresh: view != nil, tries: tries - 1)
            }
        }
    }

    private func adopt(_ epoch: Epoch, _ attempt: VoteQueue.Attempt, _ record: inout WitnessRecord) {
        record.word = LeaseWord()
        record.word.epoch = epoch
        record.word.holder = id
        record.word[isCurrent: id] = true
        record.word[isCurrent: id.other] = attempt.isTwinEligible
        record[id] = .init(session: settings.session, lease: ttl)
    }

    private func again(_ attempt: VoteQueue.Attempt, _ reservation: Int64?, _ tries: Int) -> EventLoopFuture<VoteAnswer> {
        view = nil
        return change(for: attempt, reservation: reservation, tries: tries - 1)
    }

    private func renew(
        _ epoch: Epoch, _ attempt: VoteQueue.Attempt, _ seen: EtcdView, tries: Int
    ) -> EventLoopFuture<VoteAnswer> {
        guard tries > 0 else { return tooBusy() }
        var record = seen.record ?? WitnessRecord()
        if !seen.isLost {
            guard record.word.isHeld(by: id, epoch) else { return loop.makeSucceededFuture(.lost(record.word.epoch)) }
            // A twin that began after its copy was called current is the one that the holder means.
            let isCountedAnew = attempt.isTwinEligible && !record.word[isCurrent: id.other]
            if isCountedAnew { record.word[isCurrent: id.other] = true }
            if seen.isAlive(id), boundLease == lease?.id, !isCountedAnew {
                return loop.makeSucceededFuture(.renewed(epoch, lease: leaseFor(attempt)))
            }
            // The key went with a lease that ran out, and nobody took the epoch.
        } else {
            // Somebody deleted the word. Ours is the greatest epoch as long as the twin holds none.
            guard !seen.isAlive(id.other), epoch > .zero, epoch <= LeaseWord.epochMaximum else {
                return loop.makeSucceededFuture(.lost(record.word.epoch))
            }
            adopt(epoch, attempt, &record)
        }
        let operations = [
            EtcdMessages.Operation(
                request_put: .init(
                    key: keys.holder(id), value: Data("\(epoch)".utf8), lease: .init(lease?.id ?? 0)))
        ]
        let word = record.word
        return change(seen, to: record, absent: seen.isLost ? [keys.holder(id.other)] : [], and: operations)
            .flatMap { [self] isDone in
                if isDone {
                    if seen.isLost {
                        note(
                            .alarm,
                            "the key \(String(decoding: keys.word, as: UTF8.self)) was gone; it is put back: "
                                + "\(word)")
                    }
                    return loop.makeSucceededFuture(.renewed(epoch, lease: leaseFor(attempt)))
                }
                return self.seen().flatMap { [self] seen in renew(epoch, attempt, seen, tries: tries - 1) }
            }
    }

    private func answer(_ outcome: LeaseWord.Outcome, _ attempt: VoteQueue.Attempt, at now: Instant) -> VoteAnswer {
        VoteAnswer(outcome, lease: leaseFor(attempt), at: now)
    }

    /// What is left of our lease for an attempt, counted from its sending: `VoteQueue` adds that.
    private func leaseFor(_ attempt: VoteQueue.Attempt) -> Duration {
        lease.map { max(.zero, $0.until - attempt.sent) } ?? .zero
    }
}

extension EtcdView {
    mutating func set(_ key: Data, _ isThere: Bool, _ keys: EtcdKeys) {
        if key == keys.reserved { isReserved = isThere }
        if let place = keys.holders.firstIndex(of: key) { isHolderAlive[place] = isThere }
    }
}
