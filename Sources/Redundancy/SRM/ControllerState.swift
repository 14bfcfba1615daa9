/// The state of one controller (the patent's card state; DESIGN §2).
///
/// ```
///  booting ──► syncing ──► standby ──► active ◄──► activeAlone
///     │           ▲           │           │             │
///     └───────────┼───────────┴───────────┴─────────────┘  becomes active where mastership is granted,
///                 └─── demoted, or a new bulk update        and syncing where it was lost
///  any ──► offline (operator) ──► syncing;   any ──► failed (self-test, engine stuck): the process ends
/// ```
public enum ControllerState: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// Self-test and election; who will be active is not settled.
    case booting = 0
    /// Standby without a complete copy. It may take over only afresh: its sessions cannot be resumed.
    case syncing = 1
    /// Standby in lock step, able to take over at any moment.
    case standby = 2
    /// Speaks as the router; every output waits for the standby's acknowledgement.
    case active = 3
    /// Speaks as the router with no copy elsewhere: nothing waits.
    case activeAlone = 4
    /// Taken out of redundancy by the operator.
    case offline = 5
    /// Not able to serve; the process is about to end.
    case failed = 6

    public var isActive: Bool { self == .active || self == .activeAlone }

    public var description: String {
        switch self {
        case .booting: "booting"
        case .syncing: "syncing"
        case .standby: "standby"
        case .active: "active"
        case .activeAlone: "active alone"
        case .offline: "offline"
        case .failed: "failed"
        }
    }
}
