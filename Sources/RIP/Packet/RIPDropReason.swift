/// Why a packet or an entry of one was not used. Raw values index the counters.
public enum RIPDropReason: UInt8, CaseIterable, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The interface is down, not configured, or told to hear nothing.
    case notEnabled
    /// Our own packet came back.
    case ownPacket
    /// RFC 2453 §3.9.2: the sender is on no connected network; RFC 2080 §2.4.2: it has no link-local address.
    case badSource
    /// RFC 2453 §3.9.2, RFC 2080 §2.4.2: a response that came from another port than the protocol's.
    case badPort
    /// RFC 2080 §2.4.2, RFC 5082: the hop limit was not 255.
    case badHopLimit
    /// Not a header and whole entries, or more of them than the RFC allows.
    case badLength
    /// Neither a request nor a response.
    case badCommand
    /// Version 0, or one that the interface is told not to hear.
    case badVersion
    /// RFC 1058 §3.1: version 1 with something in a field that must be zero.
    case mustBeZero
    /// RFC 2453 §5.2: authentication is configured and absent, or the other way round.
    case authenticationMissing
    case authenticationUnexpected
    /// Another type of authentication, an unknown key, or a wrong length.
    case authenticationUnknownKey
    /// A wrong password or digest.
    case authenticationFailed
    /// RFC 4822 §2.2: a sequence number less than one seen before.
    case authenticationReplayed
    /// More neighbours than the limit.
    case tooManyNeighbors
    /// BFD holds that the neighbour is down.
    case bfdDown
    /// More requests than the limit.
    case tooManyRequests
    /// A request without entries or from a router that a passive interface does not answer.
    case requestIgnored
    /// This packet killed the other controller.
    case fault
    /// Entries: address family that is not IP.
    case entryFamily
    /// Entries: no unicast destination, a mask with holes, an address of our own.
    case entryDestination
    /// Entries: a metric that is not 1…16.
    case entryMetric
    /// Entries: we ourselves are named as the next hop.
    case entryNextHop
    /// Entries: more routes than the limits.
    case tooManyRoutes

    public var description: String {
        switch self {
        case .notEnabled: "interface not enabled"
        case .ownPacket: "own packet"
        case .badSource: "source not on the link"
        case .badPort: "response from a wrong port"
        case .badHopLimit: "hop limit not 255"
        case .badLength: "bad length"
        case .badCommand: "unknown command"
        case .badVersion: "version not accepted"
        case .mustBeZero: "nonzero reserved field in version 1"
        case .authenticationMissing: "authentication missing"
        case .authenticationUnexpected: "authentication not expected"
        case .authenticationUnknownKey: "unknown authentication key or type"
        case .authenticationFailed: "authentication failed"
        case .authenticationReplayed: "sequence number went back"
        case .tooManyNeighbors: "too many neighbors"
        case .bfdDown: "neighbor down by BFD"
        case .tooManyRequests: "too many requests"
        case .requestIgnored: "request not answered"
        case .fault: "fatal packet"
        case .entryFamily: "entry of another address family"
        case .entryDestination: "entry with a bad destination"
        case .entryMetric: "entry with a bad metric"
        case .entryNextHop: "entry with our address as next hop"
        case .tooManyRoutes: "too many routes"
        }
    }
}

/// What was counted on an interface. Not part of the state: the twin counts for itself.
public struct RIPCounters: Hashable, Sendable {
    public var requestsReceived: UInt64 = 0
    public var responsesReceived: UInt64 = 0
    public var packetsSent: UInt64 = 0
    public var triggeredUpdates: UInt64 = 0
    public var regularUpdates: UInt64 = 0
    private var dropped = [UInt64](repeating: 0, count: RIPDropReason.allCases.count)

    public init() {}

    public subscript(reason: RIPDropReason) -> UInt64 { dropped[Int(reason.rawValue)] }

    mutating func count(_ reason: RIPDropReason) { dropped[Int(reason.rawValue)] &+= 1 }
}
