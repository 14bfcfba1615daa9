import Engine
import Machine
import Records
import Redundancy

// What the operator asks.

extension Controller {
    mutating func operatorAsks(
        _ id: OperatorRequestID, _ request: OperatorRequest, at now: Instant, into outputs: inout [ControllerOutput]
    ) {
        if let answer = perform(id, request, at: now, into: &outputs) { outputs.append(.answer(id, answer)) }
    }

    /// The answer, or `nil` when it comes later.
    private mutating func perform(
        _ id: OperatorRequestID, _ request: OperatorRequest, at now: Instant, into outputs: inout [ControllerOutput]
    ) -> OperatorAnswer? {
        switch request {
        case .switchover(let reason):
            guard switchovers.request == nil else { return .refused("a switchover is under way") }
            switchovers.request = id
            if let why = beginSwitchover(reason, at: now, into: &outputs) {
                switchovers.request = nil
                return .refused(why)
            }
            return nil
        case .forcedSwitchover(let reason):
            guard role.isActive else { return .refused(notActive) }
            guard !switchovers.isUnderWay, switchovers.request == nil else {
                return .refused("a switchover is under way")
            }
            if let why = log?.sender.reasonNotReady { return .refused("the standby is not ready: \(why)") }
            switchovers.history.begin(.forced, reason: reason, at: now)
            switchovers.request = id
            role.active?.isForced = true
            // Silent from here on; the log holds what the twin has not stored, and the peers will send it again.
            role.active?.isReadingStopped = true
            master(at: now, into: &outputs) { $0.release(into: &$1) }
            return nil
        case .goOffline(let reason):
            guard role.isStandby else { return .refused("this controller is active: switch over first") }
            guard !availability.isOffline else { return .done("offline already") }
            availability.isOffline = true
            mastership.goOffline()
            receiver.invalidate()
            pair?.renounce()
            note(.warning, "srm", "taken offline\(reason.isEmpty ? "" : ": \(reason)")", into: &outputs)
            // The active must not wait for us: its side ends redundancy when the channel closes.
            channel.send(.leaving(reason: "offline\(reason.isEmpty ? "" : ": \(reason)")"))
            closeChannel("offline: \(reason)", at: now, into: &outputs)
            return .done("offline")
        case .leave(let reason):
            channel.send(.leaving(reason: reason))
            return .done("told")
        case .goOnline:
            guard availability.isOffline else { return .done("online already") }
            availability.isOffline = false
            mastership.comeOnline(at: now)
            note(.notice, "srm", "back online", into: &outputs)
            closeChannel("back online", at: now, into: &outputs)
            return .done("online")
        case .commit(let revision, let octets):
            let beginsWithIt = canBeginWithOperatorsConfiguration
            guard role.isActive || beginsWithIt else { return .refused(notActive) }
            guard !(role.active?.isSwitching ?? false) else { return .refused("a switchover is under way") }
            guard octets.count <= RecordSchema.configurationOctetsMaximum else {
                return .refused("the configuration is longer than \(RecordSchema.configurationOctetsMaximum) octets")
            }
            guard revision > newestRevision else {
                return .refused("number \(revision) is taken: the newest revision is \(newestRevision)")
            }
            if beginsWithIt { return begin(with: revision, octets, at: now, into: &outputs) }
            let index = append(.configure(revision: revision, octets), at: now, into: &outputs)
            return .done("revision \(revision) is record \(index)")
        case .command(let command):
            guard role.isActive else { return .refused(notActive) }
            guard !(role.active?.isSwitching ?? false) else { return .refused("a switchover is under way") }
            if command == .testHang || command == .testTrap, !configuration.testing {
                return .refused("failure injection is not enabled in this controller's configuration")
            }
            let index = append(.command(command), at: now, into: &outputs)
            return .done("record \(index)")
        }
    }

    var notActive: String {
        if let holder = mastership.holder, holder != configuration.id { return "controller \(holder) is active" }
        return "this controller is \(state)"
    }
}
