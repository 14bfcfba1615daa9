import Machine
import Records
import Redundancy

/// What `show redundancy` shows: a copy of the facts, nothing to compute.
public struct ControllerStatus: Sendable, Hashable, Codable {
    public struct Part: Sendable, Hashable, Codable {
        public var name: String
        public var isReady: Bool
        /// Why not; empty when ready.
        public var reason: String
    }
    public struct Step: Sendable, Hashable, Codable {
        /// The patent's step number and what it is: `1118 relinquish mastership`.
        public var name: String
        /// Since the switchover began, in microseconds.
        public var microseconds: Int64
    }
    public struct Switchover: Sendable, Hashable, Codable {
        public var kind: String
        public var reason: String
        /// `done`, or why it was aborted.
        public var outcome: String
        /// Router time of its beginning, in nanoseconds.
        public var began: Int64
        public var steps: [Step]
    }
    public struct Twin: Sendable, Hashable, Codable {
        public var isConnected = false
        public var state: ControllerState?
        public var epoch: UInt64 = 0
        /// Octets and records that it has not acknowledged.
        public var lagRecords: UInt64 = 0
        public var lagOctets = 0
        public var heartbeatsReceived: UInt64 = 0
        /// Since the newest heartbeat, in microseconds.
        public var silenceMicroseconds: Int64 = 0
        public var health = ""
        /// Why it left by its operator's will, until it is back.
        public var farewell: String?
    }

    public var id: ControllerID
    public var routerName: String
    public var state: ControllerState
    public var epoch: UInt64
    /// Who is active as far as this controller knows.
    public var active: ControllerID?
    public var isRedundant: Bool
    public var parts: [Part] = []
    public var lastIndex: UInt64 = 0
    public var storedIndex: UInt64 = 0
    public var appliedIndex: UInt64 = 0
    public var committedIndex: UInt64 = 0
    public var digestIndex: UInt64 = 0
    public var digests: [String: String] = [:]
    public var digestMismatches = 0
    public var bulkUpdates = 0
    public var twin = Twin()
    /// The newest sixteen, newest last.
    public var switchovers: [Switchover] = []
    public var quarantined: [UInt64] = []
    /// What is not as it should be around this controller, in words: a refused handshake, strangers, ports, the vote.
    public var warnings: [String] = []
    /// Router time in nanoseconds.
    public var routerTime: Int64 = 0

    init(id: ControllerID, routerName: String, state: ControllerState, epoch: UInt64, isRedundant: Bool) {
        self.id = id
        self.routerName = routerName
        self.state = state
        self.epoch = epoch
        self.isRedundant = isRedundant
    }
}
