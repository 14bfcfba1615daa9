import Foundation

/// `show bfd`
public struct BFDView: Hashable, Sendable, Codable {
    public struct Session: Hashable, Sendable, Codable {
        public var remote: String
        public var local: String
        /// Absent for a session over several hops.
        public var interface: String?
        /// RFC 5880 §4.1: `AdminDown`, `Down`, `Init`, `Up`
        public var state: String
        public var remoteState: String
        /// Why it left Up the last time, in our words and in the neighbour's.
        public var diagnostic: String
        public var remoteDiagnostic: String
        /// Who asked for it: `BGP`, `static`, `OSPF`, …
        public var clients: [String]
        public var localDiscriminator: UInt32
        /// 0 while unknown.
        public var remoteDiscriminator: UInt32
        /// What we announce, as configured; microseconds.
        public var desiredTransmit: UInt32
        public var requiredReceive: UInt32
        public var multiplier: UInt8
        /// What the neighbour announces; microseconds.
        public var remoteDesiredTransmit: UInt32
        public var remoteRequiredReceive: UInt32
        public var remoteMultiplier: UInt8
        /// What is in use, in microseconds: between our packets, and until silence is a failure. 0: none.
        public var transmitInterval: UInt64
        public var detectionTime: UInt64
        public var authentication: String?
        /// The neighbour does not know our newest intervals yet.
        public var isPolling: Bool
        /// Only where the sessions run, on the active, and since it became that.
        public var counters: Counters?

        public init(remote: String, local: String, interface: String?, state: String) {
            self.remote = remote
            self.local = local
            self.interface = interface
            self.state = state
            remoteState = ""
            diagnostic = ""
            remoteDiagnostic = ""
            clients = []
            localDiscriminator = 0
            remoteDiscriminator = 0
            desiredTransmit = 0
            requiredReceive = 0
            multiplier = 0
            remoteDesiredTransmit = 0
            remoteRequiredReceive = 0
            remoteMultiplier = 0
            transmitInterval = 0
            detectionTime = 0
            isPolling = false
        }
    }
    public struct Counters: Hashable, Sendable, Codable {
        public var packetsReceived: UInt64
        public var packetsSent: UInt64
        public var packetsDropped: UInt64
        public var timesUp: UInt64
        public var timesDown: UInt64
        public init(
            packetsReceived: UInt64, packetsSent: UInt64, packetsDropped: UInt64, timesUp: UInt64, timesDown: UInt64
        ) {
            self.packetsReceived = packetsReceived
            self.packetsSent = packetsSent
            self.packetsDropped = packetsDropped
            self.timesUp = timesUp
            self.timesDown = timesDown
        }
    }
    /// In order of interface and address.
    public var sessions: [Session]
    /// Of all sessions, with packets that belong to none; empty on a standby.
    public var counters: [Counter]

    public init(sessions: [Session], counters: [Counter] = []) {
        self.sessions = sessions
        self.counters = counters
    }
}
