import Machine
import Wire

/// The two ends of a TCP connection.
public struct ConnectionTuple: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var interface: InterfaceID
    public var local: IPAddress
    public var localPort: UInt16
    public var remote: IPAddress
    public var remotePort: UInt16

    public init(interface: InterfaceID, local: IPAddress, localPort: UInt16, remote: IPAddress, remotePort: UInt16) {
        self.interface = interface
        self.local = local
        self.localPort = localPort
        self.remote = remote
        self.remotePort = remotePort
    }
    public var description: String { "\(local):\(localPort)-\(remote):\(remotePort)" }
}

/// What a connection to or from one remote address must look like; configuration decides it before any segment.
public struct TransportOptions: Hashable, Sendable, Codable {
    /// RFC 2385; empty for none. At most 80 octets.
    public var md5Key: [UInt8] = []
    /// IPv4 TTL or IPv6 hop limit of what we send. RFC 5082 asks for 255.
    public var hopLimit: UInt8 = 1
    /// RFC 5082: the least TTL accepted from the peer; 0 accepts any.
    public var minimumHopLimit: UInt8 = 0
    /// DSCP of what we send; CS6 by default (RFC 4594 §3.1).
    public var dscp: UInt8 = 48
    /// 0 derives the MSS from the interface's MTU.
    public var maximumSegmentSize: UInt16 = 0

    public init() {}
}

/// All that a controller must know of a handshake to go on with the connection: fixed when it is established.
public struct ConnectionIdentity: Hashable, Sendable {
    public var tuple: ConnectionTuple
    /// RFC 9293 §3.3.1 ISS: our SYN's sequence number. Stream offset 0 has the sequence number ISS + 1.
    public var initialSendSequence: UInt32
    /// RFC 9293 §3.3.1 IRS.
    public var initialReceiveSequence: UInt32
    /// The MSS that the peer announced, or the default of RFC 9293 §3.7.1.
    public var peerMaximumSegmentSize: UInt16
    /// RFC 7323 §2: the shift that the peer applies to its windows; `nil` when scaling is off.
    public var peerWindowShift: UInt8?
    /// The shift that we apply to ours.
    public var windowShift: UInt8
    /// RFC 2018
    public var selectiveAcknowledgment: Bool
    /// RFC 7323 §3: both sent the option.
    public var timestamps: Bool
    /// Our TSval is router time in milliseconds plus this.
    public var timestampOffset: UInt32
    public var options: TransportOptions

    public init(
        tuple: ConnectionTuple, initialSendSequence: UInt32, initialReceiveSequence: UInt32,
        peerMaximumSegmentSize: UInt16, peerWindowShift: UInt8?, windowShift: UInt8,
        selectiveAcknowledgment: Bool, timestamps: Bool, timestampOffset: UInt32, options: TransportOptions
    ) {
        self.tuple = tuple
        self.initialSendSequence = initialSendSequence
        self.initialReceiveSequence = initialReceiveSequence
        self.peerMaximumSegmentSize = peerMaximumSegmentSize
        self.peerWindowShift = peerWindowShift
        self.windowShift = windowShift
        self.selectiveAcknowledgment = selectiveAcknowledgment
        self.timestamps = timestamps
        self.timestampOffset = timestampOffset
        self.options = options
    }
}

/// A connection that the engine wants. The ISS is chosen by the engine (RFC 6528 with router time), so that a twin that
/// takes over repeats the same SYN.
public struct ConnectRequest: Hashable, Sendable {
    public var connection: ConnectionID
    public var owner: ConnectionOwner
    public var tuple: ConnectionTuple
    public var initialSendSequence: UInt32
    public var timestampOffset: UInt32
    public var options: TransportOptions

    public init(
        connection: ConnectionID, owner: ConnectionOwner = ConnectionOwner(), tuple: ConnectionTuple,
        initialSendSequence: UInt32, timestampOffset: UInt32, options: TransportOptions
    ) {
        self.connection = connection
        self.owner = owner
        self.tuple = tuple
        self.initialSendSequence = initialSendSequence
        self.timestampOffset = timestampOffset
        self.options = options
    }
}

/// From whom the line card accepts connections: from one address, or from any of a range that no other listener of the same
/// local end has by a longer prefix. Anybody else's SYN is answered with RST.
public struct Listener: Hashable, Sendable {
    public var owner: ConnectionOwner
    public var local: IPAddress
    public var localPort: UInt16
    public var remote: IPAddress
    /// `remote` is the first address of a range with a prefix of this length.
    public var remoteLength: UInt8?
    public var options: TransportOptions

    public init(
        owner: ConnectionOwner = ConnectionOwner(), local: IPAddress, localPort: UInt16, remote: IPAddress,
        remoteLength: UInt8? = nil, options: TransportOptions
    ) {
        self.remoteLength = remoteLength
        self.owner = owner
        self.local = local
        self.localPort = localPort
        self.remote = remote
        self.options = options
    }
}

/// Why a connection ended without our asking, or why it never began.
public enum ConnectionEnd: UInt8, Sendable, Codable, CaseIterable {
    /// Both sides finished in order.
    case finished = 0
    case resetByPeer = 1
    /// Retransmissions or probes went unanswered (RFC 9293 §3.8.3).
    case timedOut = 2
    /// A connect was refused with RST.
    case refused = 3
    /// ICMP unreachable, or ARP/ND without an answer.
    case unreachable = 4
    /// We aborted it.
    case aborted = 5
}

/// Octets generated but not yet acknowledged by the peer, as shared slices: writing the same block to a hundred
/// connections copies no octet. Offsets count from the first octet after our SYN.
public struct TransmitStream: Sendable {
    /// Offset of the oldest octet held: everything before it was acknowledged.
    public private(set) var start: UInt64
    /// Offset after the newest octet.
    public private(set) var end: UInt64
    private var slices: [ArraySlice<UInt8>] = []
    /// Offset of the first octet of each of `slices`.
    private var offsets: [UInt64] = []
    /// Slices before this one are spent; they go when they are the greater part.
    private var first = 0
    /// Whether FIN follows the last octet.
    public private(set) var isFinished = false

    public init(start: UInt64 = 0) {
        self.start = start
        self.end = start
    }

    public var count: Int { Int(end - start) }

    /// Appends octets after the newest. Not after `finish`.
    public mutating func append(_ slice: ArraySlice<UInt8>) {
        precondition(!isFinished, "nothing follows FIN")
        guard !slice.isEmpty else { return }
        slices.append(slice)
        offsets.append(end)
        end += UInt64(slice.count)
    }

    public mutating func finish() { isFinished = true }

    /// Forgets octets before `offset`. Values out of `start...end` are clamped.
    public mutating func acknowledge(upTo offset: UInt64) {
        let offset = min(max(offset, start), end)
        start = offset
        while first < slices.count, offsets[first] + UInt64(slices[first].count) <= offset {
            slices[first] = []
            first += 1
        }
        if first == slices.count {
            slices.removeAll(keepingCapacity: true)
            offsets.removeAll(keepingCapacity: true)
            first = 0
        } else if first > 32, first * 2 > slices.count {
            slices.removeFirst(first)
            offsets.removeFirst(first)
            first = 0
        }
    }

    /// Appends up to `count` octets from `offset` on to `writer`; returns how many there were.
    @discardableResult
    public func copy(from offset: UInt64, count: Int, into writer: inout ByteWriter) -> Int {
        guard offset >= start, offset < end, count > 0 else { return 0 }
        // The last slice that begins at or before `offset`.
        let low = offsets[first..<slices.count].sortedIndex { $0 <= offset } - 1
        var left = min(count, Int(end - offset))
        let total = left
        var position = offset
        var i = low
        while left > 0 {
            let slice = slices[i]
            let skip = Int(position - offsets[i])
            let take = min(left, slice.count - skip)
            writer.append(slice[(slice.startIndex + skip)..<(slice.startIndex + skip + take)])
            left -= take
            position += UInt64(take)
            i += 1
        }
        return total
    }
}

extension TransmitStream: SnapshotPart {
    /// Its owner tells a digest of what was put into it, as it is put.
    public func mix(into digest: inout StateDigest) {
        digest.mix(start)
        digest.mix(UInt64(count) << 1 | (isFinished ? 1 : 0))
    }
    public func write(to writer: inout SnapshotWriter) {
        writer.write(start)
        writer.write(isFinished)
        var out = ByteWriter(capacity: count)
        copy(from: start, count: count, into: &out)
        writer.writeBlock(out.bytes)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(start: try reader.read())
        let finished = try reader.readBool()
        append(try reader.readBlock(of: UInt8.self)[...])
        if finished { finish() }
    }
}
