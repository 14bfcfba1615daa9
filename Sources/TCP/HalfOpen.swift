import Machine
import Records
import Wire

/// A passive connection in SYN-RECEIVED (RFC 9293 §3.3.2): all that a SYN costs us. No buffers, no record. The twin does not
/// know of it: a peer that asks again is answered again, and one that has our SYN-ACK brings the rest back by its ISS.
struct HalfOpen: Sendable, BitwiseCopyable {
    var tuple: ConnectionTuple
    /// Position in the list of listeners.
    var listener: Int32
    var initialSendSequence: UInt32
    var initialReceiveSequence: UInt32
    var peerMaximumSegmentSize: UInt16
    var peerWindowShift: UInt8?
    var selectiveAcknowledgment: Bool
    var timestamps: Bool
    var timestampOffset: UInt32
    var timestampRecent: UInt32
    var window: UInt16
    /// SYN-ACKs sent again; -1 when it was the twin that sent them.
    var retries: Int32
    var sentAt: Instant
    /// Orders entries of a listener by age.
    var serial: UInt64
}
