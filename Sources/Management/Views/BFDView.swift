import BFD
import Records

/// `show bfd`
public struct BFDView: Hashable, Sendable, Codable {
    /// In order of interface and address.
    public var sessions: [BFDSessionView]
    /// Of all sessions, with packets that belong to none; empty on a standby.
    public var counters: [Counter]

    public init(sessions: [BFDSessionView], counters: [Counter] = []) {
        self.sessions = sessions
        self.counters = counters
    }
}
