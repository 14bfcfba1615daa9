import Machine
import Records

/// The graceful switchover as two state machines that talk over the channel: the old active's (FIG. 11A/11B) and the
/// standby's (FIG. 12A/12B). Each is told facts at the end of every burst and says what to do next; each step has a
/// deadline, and an abort at any of them leaves the old active in charge.
///
/// ```
///  old active                                   standby
///  1102 not blocked, 1104 not offline
///  1106 announce ────────────────────────────►  1202 state and self-test, 1204 follow the log
///  1108 block configuration
///  1110 finish replication   ◄───────────────   1206 digests
///  1112 digests equal (else once more, else abort)
///  1114 be ready ────────────────────────────►  1208 ready
///  1116 stop reading, finish what is under way
///  1118 relinquish ──────────────────────────►  1210 gain mastership, 1212, 1214 line card
///  1120 line card to standby ◄─ took over ───   1218 active
///  1124 follow ──────────────────────────────►  1222, 1224 digests equal
///  1126 unblock, 1128 standby                   1226 unblock
/// ```
///
/// 1216 (the new active blocks network updates) has no counterpart: the log takes them from the first moment. Frames that
/// reach the old active after 1116 go to the new one over the channel, so no packet of a peer is lost in between.
public enum GracefulSwitchover {
    public enum Action: Sendable, Equatable {
        case send(SwitchoverMessage)
        /// A step began: its patent number and name.
        case step(String)
        case block(Bool)
        /// Frames that come in are not read any more; they are passed on when mastership is.
        case stopReading
        case readAgain
        /// Ask the arbiter; told back as `released`.
        case release
        /// The twin was given mastership and did not take it: ask the arbiter for it again.
        case reclaim
        /// The twin speaks: become silent, and follow it from where the log ends.
        case standDown(Epoch, last: LogIndex)
        /// Ask the arbiter for mastership, under which the line card is rebuilt.
        case takeMastership
        case done
        case aborted(String)
    }

    /// What the controller knows at the end of a burst.
    public struct Facts: Sendable {
        public var last: LogIndex
        public var stored: LogIndex
        public var applied: LogIndex
        public var verified: LogIndex
        public var difference: UInt16
        public var committed: LogIndex
        /// All that the gate holds has left.
        public var isGateEmpty: Bool
        /// Of our own engine, at `applied`.
        public var digest: ReplicaDigest
        /// Why the twin, or we as the standby, cannot take over; `nil` when it can be done.
        public var reasonNotReady: String?
        /// Interfaces with a carrier, here.
        public var portsUp: UInt16

        public init(
            last: LogIndex, stored: LogIndex, applied: LogIndex, verified: LogIndex, difference: UInt16,
            committed: LogIndex, isGateEmpty: Bool, digest: ReplicaDigest, reasonNotReady: String?, portsUp: UInt16 = 0
        ) {
            self.last = last
            self.stored = stored
            self.applied = applied
            self.verified = verified
            self.difference = difference
            self.committed = committed
            self.isGateEmpty = isGateEmpty
            self.digest = digest
            self.reasonNotReady = reasonNotReady
            self.portsUp = portsUp
        }
    }

    /// The old active's side.
    public struct FromActive: Sendable {
        enum Step: Sendable {
            case replicating(upTo: LogIndex, isSecondTry: Bool)
            case awaitingReady
            case finishing
            case releasing
            case relinquished
            case reclaiming
            case over
        }
        public let number: UInt32
        public let reason: String
        private var step: Step = .over
        private var deadline: Instant
        private let stepMaximum: Duration
        private var epoch: Epoch

        /// 1102–1110. The caller has checked that the twin is ready.
        public init(
            number: UInt32, reason: String, epoch: Epoch, stepMaximum: Duration, facts: Facts, at now: Instant,
            into actions: inout [Action]
        ) {
            self.number = number
            self.reason = reason
            self.epoch = epoch
            self.stepMaximum = stepMaximum
            deadline = now + stepMaximum
            actions.append(.step("1102 switchover is not blocked"))
            actions.append(.step("1104 standby is not offline"))
            actions.append(.step("1106 announce"))
            actions.append(.send(.announce(number: number, upTo: facts.last, reason: reason)))
            actions.append(.step("1108 block configuration changes"))
            actions.append(.block(true))
            actions.append(.step("1110 finish replication"))
            step = .replicating(upTo: facts.last, isSecondTry: false)
        }

        public var isOver: Bool { if case .over = step { true } else { false } }
        /// Past the point where the twin may hold mastership.
        public var isRelinquished: Bool {
            switch step {
            case .releasing, .relinquished, .reclaiming: true
            case .replicating, .awaitingReady, .finishing, .over: false
            }
        }
        /// Mastership is asked for again.
        public var isReclaiming: Bool { if case .reclaiming = step { true } else { false } }
        public var nextDeadline: Instant? { isOver ? nil : deadline }

        public mutating func advance(_ facts: Facts, at now: Instant, into actions: inout [Action]) {
            if deadline <= now, !isOver { return timeOut(into: &actions, at: now) }
            switch step {
            case .replicating, .awaitingReady, .finishing:
                if let why = facts.reasonNotReady { return abort("the standby is not ready: \(why)", into: &actions) }
            case .releasing, .relinquished, .reclaiming, .over: break
            }
            switch step {
            case .replicating: break  // waits for `replicated`
            case .finishing:
                guard facts.stored == facts.last, facts.applied == facts.last, facts.verified == facts.last,
                    facts.committed == facts.last, facts.isGateEmpty
                else { return }
                guard facts.difference == 0 else { return abort("digests differ at the end", into: &actions) }
                step = .releasing
                deadline = now + stepMaximum
                actions.append(.step("1118 relinquish mastership"))
                actions.append(.release)
            case .awaitingReady, .releasing, .relinquished, .reclaiming, .over: break
            }
        }

        public mutating func receive(_ message: SwitchoverMessage, _ facts: Facts, at now: Instant, into actions: inout [Action])
        {
            switch (message, step) {
            case (.replicated(number, let verified, let difference), .replicating(let upTo, let isSecondTry)):
                guard verified >= upTo || difference != 0 else { return }
                if difference != 0 {
                    if isSecondTry { return abort("digests differ twice (parts \(difference))", into: &actions) }
                    actions.append(.step("1112 digests differ: once more"))
                    step = .replicating(upTo: facts.last, isSecondTry: true)
                    deadline = now + stepMaximum
                    actions.append(.send(.announce(number: number, upTo: facts.last, reason: reason)))
                    return
                }
                actions.append(.step("1112 digests are equal"))
                actions.append(.step("1114 be ready"))
                actions.append(.send(.beReady(number: number)))
                step = .awaitingReady
                deadline = now + stepMaximum
            case (.ready(number), .awaitingReady):
                actions.append(.step("1116 stop reading"))
                actions.append(.stopReading)
                step = .finishing
                deadline = now + stepMaximum
                advance(facts, at: now, into: &actions)
            case (.notReady(number, let why), .awaitingReady), (.notReady(number, let why), .replicating):
                abort("the standby is not ready: \(why)", into: &actions)
            case (.tookOver(number, let newEpoch, let last), .relinquished),
                (.tookOver(number, let newEpoch, let last), .reclaiming):
                actions.append(.step("1120 line card to standby"))
                actions.append(.standDown(newEpoch, last: last))
                actions.append(.step("1124 follow the new active"))
                actions.append(.send(.following(number: number)))
                actions.append(.step("1126 unblock"))
                actions.append(.block(false))
                actions.append(.step("1128 standby"))
                step = .over
                actions.append(.done)
            case (.abort(number, let why), .relinquished):
                reclaim("the standby gave up: \(why)", at: now, into: &actions)
            case (.abort(number, let why), .replicating), (.abort(number, let why), .awaitingReady),
                (.abort(number, let why), .finishing):
                abort("the standby gave up: \(why)", into: &actions)
            default: break  // late, or of another attempt
            }
        }

        /// The arbiter has taken mastership back from us.
        public mutating func released(_ facts: Facts, at now: Instant, into actions: inout [Action]) {
            guard case .releasing = step else { return }
            actions.append(.send(.relinquish(number: number, epoch: epoch, last: facts.last, digest: facts.digest)))
            step = .relinquished
            deadline = now + stepMaximum
        }

        /// The arbiter gave mastership to us again: the switchover is aborted, we are in charge.
        public mutating func reclaimed(into actions: inout [Action]) {
            guard case .reclaiming = step else { return }
            step = .over
            actions.append(.readAgain)
            actions.append(.block(false))
            actions.append(.aborted("the standby did not take over"))
        }

        public mutating func twinLost(_ reason: String, at now: Instant, into actions: inout [Action]) {
            switch step {
            case .replicating, .awaitingReady, .finishing: abort(reason, into: &actions)
            case .relinquished: reclaim(reason, at: now, into: &actions)
            case .releasing, .reclaiming, .over: break
            }
        }

        private mutating func timeOut(into actions: inout [Action], at now: Instant) {
            switch step {
            case .replicating: abort("replication did not finish in time", into: &actions)
            case .awaitingReady: abort("the standby did not say that it is ready", into: &actions)
            case .finishing: abort("what was under way did not finish in time", into: &actions)
            case .releasing:
                // The arbiter does not answer; mastership is still ours until it does.
                deadline = now + stepMaximum
            case .relinquished: reclaim("the standby did not take over in time", at: now, into: &actions)
            case .reclaiming: deadline = now + stepMaximum
            case .over: break
            }
        }

        private mutating func reclaim(_ reason: String, at now: Instant, into actions: inout [Action]) {
            actions.append(.step("1118 take mastership back: \(reason)"))
            actions.append(.send(.abort(number: number, reason: reason)))
            step = .reclaiming
            deadline = now + stepMaximum
            actions.append(.reclaim)
        }

        public mutating func abort(_ reason: String, into actions: inout [Action]) {
            guard !isOver, !isRelinquished else { return }
            step = .over
            actions.append(.send(.abort(number: number, reason: reason)))
            actions.append(.readAgain)
            actions.append(.block(false))
            actions.append(.aborted(reason))
        }
    }

    /// The standby's side.
    public struct FromStandby: Sendable {
        enum Step: Sendable {
            case replicating(upTo: LogIndex)
            case awaitingBeReady
            case awaitingRelinquish
            case applying(last: LogIndex, digest: ReplicaDigest)
            case taking
            case awaitingFollower
            case verifying
            case over
        }
        public let number: UInt32
        public let reason: String
        private var step: Step
        private var deadline: Instant
        private let stepMaximum: Duration
        /// When we said that we are ready.
        private var portsAtReady: UInt16 = 0

        public init(
            number: UInt32, upTo: LogIndex, reason: String, stepMaximum: Duration, facts: Facts, at now: Instant,
            into actions: inout [Action]
        ) {
            self.number = number
            self.reason = reason
            self.stepMaximum = stepMaximum
            deadline = now + stepMaximum * 2
            step = .replicating(upTo: upTo)
            if let why = facts.reasonNotReady {
                step = .over
                actions.append(.send(.notReady(number: number, reason: why)))
                actions.append(.aborted(why))
                return
            }
            actions.append(.step("1202 state and self-test: ready"))
            actions.append(.step("1204 follow the log to \(upTo)"))
        }

        public var isOver: Bool { if case .over = step { true } else { false } }
        public var isTaking: Bool {
            switch step {
            case .taking, .awaitingFollower, .verifying: true
            default: false
            }
        }
        public var nextDeadline: Instant? { isOver ? nil : deadline }

        public mutating func advance(_ facts: Facts, at now: Instant, into actions: inout [Action]) {
            if deadline <= now, !isOver { return timeOut(into: &actions) }
            switch step {
            case .replicating(let upTo):
                guard facts.verified >= upTo || facts.difference != 0 else { return }
                actions.append(.step("1206 digests at \(facts.verified)"))
                actions.append(
                    .send(.replicated(number: number, verified: facts.verified, difference: facts.difference)))
                step = .awaitingBeReady
                deadline = now + stepMaximum * 2
            case .applying(let last, let digest):
                guard facts.applied >= last else { return }
                guard facts.applied == last, digest.difference(from: facts.digest) == 0 else {
                    return abort("digests differ at \(last)", into: &actions)
                }
                // The vote may be slow, and a cable pulled meanwhile: the old active has its ports still, and takes the router back.
                guard facts.portsUp >= portsAtReady else {
                    return abort(
                        "\(facts.portsUp) ports have a carrier, and \(portsAtReady) had when we were ready", into: &actions)
                }
                step = .taking
                deadline = now + stepMaximum
                actions.append(.step("1210 gain mastership"))
                actions.append(.takeMastership)
            case .verifying:
                guard facts.reasonNotReady == nil else { return }
                actions.append(.step("1224 digests are equal"))
                finish(into: &actions)
            case .awaitingBeReady, .awaitingRelinquish, .taking, .awaitingFollower, .over: break
            }
        }

        public mutating func receive(_ message: SwitchoverMessage, _ facts: Facts, at now: Instant, into actions: inout [Action])
        {
            switch (message, step) {
            case (.announce(number, let upTo, _), .awaitingBeReady), (.announce(number, let upTo, _), .replicating):
                step = .replicating(upTo: upTo)
                deadline = now + stepMaximum * 2
            case (.beReady(number), .awaitingBeReady):
                if let why = facts.reasonNotReady {
                    step = .over
                    actions.append(.send(.notReady(number: number, reason: why)))
                    actions.append(.aborted(why))
                    return
                }
                portsAtReady = facts.portsUp
                actions.append(.step("1208 ready"))
                actions.append(.send(.ready(number: number)))
                step = .awaitingRelinquish
                deadline = now + stepMaximum * 3
            case (.relinquish(number, _, let last, let digest), .awaitingRelinquish):
                step = .applying(last: last, digest: digest)
                deadline = now + stepMaximum
                advance(facts, at: now, into: &actions)
            case (.following(number), .awaitingFollower):
                actions.append(.step("1222 the other is standby"))
                step = .verifying
                deadline = now + stepMaximum * 2
                advance(facts, at: now, into: &actions)
            case (.abort(number, let why), .replicating), (.abort(number, let why), .awaitingBeReady),
                (.abort(number, let why), .awaitingRelinquish), (.abort(number, let why), .applying):
                step = .over
                actions.append(.aborted("the active gave up: \(why)"))
            default: break
            }
        }

        /// We speak as the router: 1212 to 1220.
        public mutating func tookOver(_ epoch: Epoch, last: LogIndex, at now: Instant, into actions: inout [Action]) {
            guard case .taking = step else { return }
            actions.append(.step("1212 all tasks active"))
            actions.append(.step("1214 line card speaks"))
            actions.append(.step("1218 active"))
            actions.append(.send(.tookOver(number: number, epoch: epoch, last: last)))
            actions.append(.step("1220 announced"))
            step = .awaitingFollower
            deadline = now + stepMaximum * 2
        }

        /// The arbiter did not give us mastership, or the channel is gone.
        public mutating func failed(_ reason: String, into actions: inout [Action]) {
            switch step {
            case .awaitingFollower, .verifying:
                // We are the router; only the other half of the pair is missing.
                finish(into: &actions)
            case .over: break
            default: abort(reason, into: &actions)
            }
        }

        private mutating func finish(into actions: inout [Action]) {
            step = .over
            actions.append(.step("1226 unblock"))
            actions.append(.block(false))
            actions.append(.done)
        }

        private mutating func timeOut(into actions: inout [Action]) {
            switch step {
            case .awaitingFollower, .verifying: finish(into: &actions)
            default: abort("it took too long", into: &actions)
            }
        }

        private mutating func abort(_ reason: String, into actions: inout [Action]) {
            step = .over
            actions.append(.send(.abort(number: number, reason: reason)))
            actions.append(.aborted(reason))
        }
    }
}
