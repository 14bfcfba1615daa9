import Redundancy

/// The graceful switchover that is under way, on either side, and what became of those before. It lives through the change of
/// role that it brings.
struct Switchovers {
    var fromActive: GracefulSwitchover.FromActive?
    var fromStandby: GracefulSwitchover.FromStandby?
    var history = SwitchoverHistory()
    /// Of the newest that began here.
    var number: UInt32 = 0
    /// The operator who waits for the end of it, or of a forced one.
    var request: OperatorRequestID?

    var isUnderWay: Bool { fromActive != nil || fromStandby != nil }

    /// Tells the operator who waits, if one does.
    mutating func answer(_ answer: OperatorAnswer, into outputs: inout [ControllerOutput]) {
        if let request { outputs.append(.answer(request, answer)) }
        request = nil
    }
}
