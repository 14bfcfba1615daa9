import Machine
import Records
import Wire

/// RFC 9293 §3.3.2. LISTEN is a `Listener`, and a passive SYN-RECEIVED is a half-open entry of it; CLOSED is no entry.
public enum TCPState: UInt8, Sendable, Hashable, Codable, CaseIterable, CustomStringConvertible {
    case synSent, synReceived, established, finWait1, finWait2, closeWait, closing, lastAck, timeWait

    public var description: String {
        switch self {
        case .synSent: "SYN-SENT"
        case .synReceived: "SYN-RECEIVED"
        case .established: "ESTABLISHED"
        case .finWait1: "FIN-WAIT-1"
        case .finWait2: "FIN-WAIT-2"
        case .closeWait: "CLOSE-WAIT"
        case .closing: "CLOSING"
        case .lastAck: "LAST-ACK"
        case .timeWait: "TIME-WAIT"
        }
    }
}

/// One line of `lockstepctl show tcp`. Offsets count octets of the stream; octet 0 follows the SYN.
public struct TCPConnectionStatus: Sendable, Equatable {
    public var connection: ConnectionID
    public var tuple: ConnectionTuple
    public var state: TCPState
    /// SND.UNA
    public var sendUnacknowledged: UInt64
    /// SND.NXT
    public var sendNext: UInt64
    /// Octets written, sent or not.
    public var sendEnd: UInt64
    /// SND.WND in octets.
    public var sendWindow: Int
    /// RCV.NXT
    public var receiveNext: UInt64
    /// Octets received but not acknowledged because their record is not stored on both controllers.
    public var heldBack: Int
    /// RCV.WND in octets, from what we acknowledge on.
    public var receiveWindow: Int
    public var outOfOrderOctets: Int
    public var congestionWindow: Int
    /// `nil` while there is no reduction yet.
    public var slowStartThreshold: Int?
    public var maximumSegmentSize: Int
    public var smoothedRoundTripTime: Duration?
    public var retransmissionTimeout: Duration
    /// Timeouts since a round trip was last measured: how often RTO is doubled.
    public var backoffs: Int
    public var retransmittedSegments: UInt64
    public var inRecovery: Bool
    public var selectiveAcknowledgment: Bool
    public var timestamps: Bool
    public var authenticated: Bool
    /// ICMP errors that were heard and not believed (RFC 5927).
    public var softErrors: UInt64
    public var octetsIn: UInt64
    public var octetsOut: UInt64
    public var segmentsIn: UInt64
    public var segmentsOut: UInt64
}

/// What the stack counted since it was made. Not replicated.
public struct TCPCounters: Sendable, Equatable {
    public var segmentsIn: UInt64 = 0
    public var segmentsOut: UInt64 = 0
    public var octetsIn: UInt64 = 0
    public var octetsOut: UInt64 = 0
    public var retransmittedSegments: UInt64 = 0
    public var retransmissionTimeouts: UInt64 = 0
    public var fastRetransmits: UInt64 = 0
    /// RFC 8985 §7
    public var tailLossProbes: UInt64 = 0
    /// Recoveries and timeouts taken back because all that they sent again had arrived before.
    public var spuriousRecoveries: UInt64 = 0
    public var zeroWindowProbes: UInt64 = 0
    public var accepted: UInt64 = 0
    public var connected: UInt64 = 0
    public var resetsOut: UInt64 = 0
    public var challengesOut: UInt64 = 0
    public var duplicateSegmentsIn: UInt64 = 0
    public var outOfOrderSegmentsIn: UInt64 = 0
    public var unfinishedChecksums: UInt64 = 0
    public var softErrors: UInt64 = 0
    /// Inputs for connections that are gone.
    public var staleInputs: UInt64 = 0

    // Segments that were dropped, by reason.
    public var droppedMalformed: UInt64 = 0
    public var droppedChecksum: UInt64 = 0
    public var droppedSignature: UInt64 = 0
    public var droppedHopLimit: UInt64 = 0
    public var droppedNoConnection: UInt64 = 0
    public var droppedOutOfWindow: UInt64 = 0
    public var droppedOldTimestamp: UInt64 = 0
    public var droppedBadAcknowledgment: UInt64 = 0
    public var droppedReset: UInt64 = 0
    public var droppedSYN: UInt64 = 0
    public var droppedReassembly: UInt64 = 0
    public var droppedICMP: UInt64 = 0
    /// Half-open connections that gave way to newer ones.
    public var backlogEvictions: UInt64 = 0
    /// Half-open connections that were never completed.
    public var backlogTimeouts: UInt64 = 0

    public init() {}
}
