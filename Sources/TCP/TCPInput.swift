import Machine
import Records
import Wire

/// What the stack is told, besides segments (`TCPStack.receive`).
///
/// None of these is answered by frames at once: frames and records that can wait are made at `.endOfBatch`, so that many
/// inputs of one turn of the loop cost one record and full segments. Give `.endOfBatch` once after a burst of segments
/// (records come out), and again after the answers to those records (`.logged`, `.committed`) and all other inputs of the
/// turn (frames come out). It costs next to nothing when there is nothing to do.
public enum TCPInput: Sendable {
    /// The complete list of interfaces; `InterfaceID` is the position. Only the MTU is used here.
    case interfaces([InterfaceConfiguration])
    /// The complete list of listeners; replaces the one before. Connections that were accepted already stay.
    case listeners([Listener])
    /// Active open.
    case connect(ConnectRequest)
    /// Appends octets to the connection's stream. A connection that is gone is ignored: its end is in the log already.
    case send(ConnectionID, ArraySlice<UInt8>)
    /// FIN after what was sent.
    case finish(ConnectionID)
    /// RST now. No record follows: whoever asked knows.
    case abort(ConnectionID)
    /// The oldest record effect that has no index yet was appended to the log as this record. Once per `.record`, in order.
    case logged(LogIndex)
    /// All records up to this one are stored on both controllers, so what they contain may be acknowledged.
    case committed(LogIndex)
    /// The engine has applied all records up to this one. Once this was given, a peer's window also follows the engine:
    /// a slow engine throttles its peers instead of growing the log. Never given: the window follows the commit alone.
    case applied(LogIndex)
    /// The end of a burst of inputs.
    case endOfBatch
    /// Time passed; timers that are due fire.
    case time
    /// Forgets everything and becomes the stack of this image: what taking over is, and also the first start.
    case restore(LineCardImage)
    /// An ICMP or ICMPv6 error about a segment of ours.
    case unreachable(ICMPError)
    /// ARP or ND has no answer for the next hop of this address. Ends connects, never established connections.
    case neighborUnreachable(InterfaceID, IPAddress)
    /// There is a way again to the peers of these connections: carrier has come back, a neighbour is found, a route is there.
    /// What waits for a timer that backed off meanwhile is sent once more now, a few connections at a time. See
    /// `TCPStack.stalledConnections`.
    case pathIsBack([ConnectionID])
}

/// What an ICMP error says about a segment that we sent; addresses and ports as in the quoted segment.
public struct ICMPError: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// A soft error of RFC 9293 §3.9.2.2: no way to the peer just now, for whatever reason. It ends nothing.
        case unreachable
        /// A hard error: the peer's host has no such protocol or port. It ends a connect, and never a connection (RFC 5927
        /// §5.2).
        case refused
        /// Fragmentation needed, or Packet Too Big, with the MTU of the next hop in octets.
        case packetTooBig(mtu: Int)
    }
    public var interface: InterfaceID
    public var local: IPAddress
    public var localPort: UInt16
    public var remote: IPAddress
    public var remotePort: UInt16
    /// The sequence number in the quoted segment, which must be in flight (RFC 5927 §4.1).
    public var sequence: UInt32
    public var kind: Kind

    public init(
        interface: InterfaceID, local: IPAddress, localPort: UInt16, remote: IPAddress, remotePort: UInt16,
        sequence: UInt32, kind: Kind
    ) {
        self.interface = interface
        self.local = local
        self.localPort = localPort
        self.remote = remote
        self.remotePort = remotePort
        self.sequence = sequence
        self.kind = kind
    }
}

/// What the stack asks for, in this order.
public enum TCPEffect: Sendable {
    /// A segment to wrap and send.
    case transmit(TCPTransmission)
    /// An input of the engine; answer it with `.logged`.
    case record(RecordBody)
    case event(Event)
}

/// A segment on its way out. `bytes` begins with `TCPConfiguration.headroom` octets of zero for the headers of IP and
/// Ethernet, then comes the TCP header with its checksum filled in.
public struct TCPTransmission: Sendable, Equatable {
    public var interface: InterfaceID
    public var local: IPAddress
    public var remote: IPAddress
    public var hopLimit: UInt8
    /// 0…63
    public var dscp: UInt8
    public var bytes: [UInt8]

    public init(
        interface: InterfaceID, local: IPAddress, remote: IPAddress, hopLimit: UInt8, dscp: UInt8, bytes: [UInt8]
    ) {
        self.interface = interface
        self.local = local
        self.remote = remote
        self.hopLimit = hopLimit
        self.dscp = dscp
        self.bytes = bytes
    }
}

/// What is known of a received segment's checksum before the stack looks.
public enum TCPChecksumState: Sendable {
    /// Nothing: it must be right, or be the bare pseudo-header sum that an offloading sender leaves (DESIGN §10).
    case verify
    /// Somebody checked it.
    case trusted
    /// The capture said that it is unfinished.
    case partial
}
