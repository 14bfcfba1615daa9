import Machine
import Records
import Wire

/// Rolling digests of the engine's parts at one index, as the channel carries them. What the parts are called is the
/// engine's business; their order is fixed.
public struct ReplicaDigest: Hashable, Sendable {
    /// At most 16.
    public var values: [UInt64]
    public init(_ values: [UInt64]) { self.values = values }

    /// Bit *i* is set where part *i* differs. Different numbers of parts differ everywhere.
    public func difference(from other: ReplicaDigest) -> UInt16 {
        guard values.count == other.values.count else { return .max }
        var bits: UInt16 = 0
        for i in 0..<min(values.count, 16) where values[i] != other.values[i] { bits |= 1 << UInt16(i) }
        return bits
    }
}

/// How a controller is doing, in every heartbeat.
public struct Health: Hashable, Sendable, CustomStringConvertible {
    /// Interfaces with carrier.
    public var linksUp: UInt16 = 0
    public var links: UInt16 = 0
    /// 0 none, 1 warning, 2 critical.
    public var memoryPressure: UInt8 = 0
    public init() {}
    public var description: String {
        "\(linksUp) of \(links) links up" + (memoryPressure == 0 ? "" : ", memory pressure \(memoryPressure)")
    }
}

/// A frame that came in on the old active after it had stopped reading, for the new one.
public struct ForwardedFrame: Hashable, Sendable {
    public var interface: InterfaceID
    public var octets: [UInt8]
    public init(interface: InterfaceID, octets: [UInt8]) {
        self.interface = interface
        self.octets = octets
    }
}

/// The dialogue of FIG. 11 and 12. `number` tells one attempt from another.
public enum SwitchoverMessage: Hashable, Sendable {
    /// 1106: a switchover begins; records up to here must be stored and applied.
    case announce(number: UInt32, upTo: LogIndex, reason: String)
    /// 1206: applied up to there; digests compared at `verified`, and which parts differ.
    case replicated(number: UInt32, verified: LogIndex, difference: UInt16)
    /// 1114
    case beReady(number: UInt32)
    case ready(number: UInt32)
    case notReady(number: UInt32, reason: String)
    /// 1118: mastership is free for you. The log ends here, and this is its digest.
    case relinquish(number: UInt32, epoch: Epoch, last: LogIndex, digest: ReplicaDigest)
    /// 1218: the other side speaks as the router now.
    case tookOver(number: UInt32, epoch: Epoch, last: LogIndex)
    /// 1124/1128: the old active follows.
    case following(number: UInt32)
    case abort(number: UInt32, reason: String)
}

/// What the two controllers say to each other.
public enum ChannelMessage: Sendable, Equatable {
    case hello(Hello)
    case refuse(reason: String)
    /// Nothing new. Sent behind something that waits for an acknowledgement, so that a lost segment is noticed by what
    /// comes after it (RFC 6675) and not by the clock.
    case nudge
    /// The sender gives up its role at once: its process ends, or its operator forces a switchover. `fatal` is the record
    /// that its engine hangs in, 0 for none: the same as a dying gasp, from a process that can still speak.
    case goodbye(reason: String, fatal: LogIndex)
    /// The sender leaves the pair in good order, by an operator's will: no alarm is due. What happens is told by the
    /// channel's end, which follows.
    case leaving(reason: String)

    // MARK: delta updates (FIG. 15)

    /// A run of records without gaps; not empty.
    case records(Epoch, [Record])
    /// The standby holds all records up to this one.
    case stored(LogIndex)
    /// The active has applied up to here, with this digest; the standby may follow, and stops exactly here.
    case applied(LogIndex, ReplicaDigest)
    /// The standby has applied up to here; which parts differ from the active's digest.
    case verified(LogIndex, difference: UInt16)
    /// The active says whether the standby counts as in sync; `from`: since which of its beats they say the same.
    case inSync(Bool, from: UInt64)

    // MARK: bulk update (FIG. 10B)

    /// A standby without a current copy asks for one.
    case join
    case bulkBegin(number: UInt32, index: LogIndex, octets: UInt64, ReplicaDigest)
    case bulkChunk(number: UInt32, offset: UInt64, [UInt8])
    /// Flow control: the standby has this many octets.
    case bulkReceived(number: UInt32, octets: UInt64)
    case bulkEnd(number: UInt32, hash: UInt64)
    /// The standby could not use the snapshot.
    case bulkRefused(number: UInt32, reason: String)

    // MARK: switchover, frames, persistent data

    case switchover(SwitchoverMessage)
    case frames([ForwardedFrame])
    case mirror(transaction: UInt64, [UInt8])
    /// Empty: done.
    case mirrorAnswer(transaction: UInt64, refusal: String)
}
