import Machine
import Wire

/// Whom BFD watches: the key under which protocols ask for a session and hear of it.
public struct BFDPeer: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// `nil` for a multihop session (RFC 5883).
    public var interface: InterfaceID?
    public var local: IPAddress
    public var remote: IPAddress

    public init(interface: InterfaceID?, local: IPAddress, remote: IPAddress) {
        self.interface = interface
        self.local = local
        self.remote = remote
    }
    public static func < (a: Self, b: Self) -> Bool {
        (a.place, a.remote, a.local) < (b.place, b.remote, b.local)
    }
    /// Sessions over several hops come first.
    private var place: Int { interface.map { Int($0.value) } ?? -1 }
    public var description: String { interface.map { "\(remote)%\($0)" } ?? "\(remote) from \(local)" }
}

/// RFC 5880 §4.1: Sta, the state of a session as either end says it.
public enum BFDState: UInt8, Hashable, Sendable, Codable, CaseIterable, LosslessStringConvertible {
    case adminDown = 0
    case down = 1
    /// The RFC's Init.
    case initializing = 2
    case up = 3

    public var description: String {
        switch self {
        case .adminDown: "AdminDown"
        case .down: "Down"
        case .initializing: "Init"
        case .up: "Up"
        }
    }
}

/// RFC 5880 §4.1: why a session left Up the last time. A neighbour may say what is not defined yet.
public struct BFDDiagnostic: RawRepresentable, Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// 0…31.
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue & 31 }

    public static let none = BFDDiagnostic(rawValue: 0)
    public static let detectionTimeExpired = BFDDiagnostic(rawValue: 1)
    public static let echoFailed = BFDDiagnostic(rawValue: 2)
    public static let neighborSignaledDown = BFDDiagnostic(rawValue: 3)
    public static let forwardingPlaneReset = BFDDiagnostic(rawValue: 4)
    public static let pathDown = BFDDiagnostic(rawValue: 5)
    public static let concatenatedPathDown = BFDDiagnostic(rawValue: 6)
    public static let administrativelyDown = BFDDiagnostic(rawValue: 7)
    public static let reverseConcatenatedPathDown = BFDDiagnostic(rawValue: 8)

    public var description: String {
        switch rawValue {
        case 0: "none"
        case 1: "detection time expired"
        case 2: "echo function failed"
        case 3: "neighbor signaled session down"
        case 4: "forwarding plane reset"
        case 5: "path down"
        case 6: "concatenated path down"
        case 7: "administratively down"
        case 8: "reverse concatenated path down"
        default: "diagnostic \(rawValue)"
        }
    }
}

/// RFC 5880 §4.2–4.4: how control packets are authenticated.
public enum BFDAuthenticationType: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case simplePassword = 1
    case keyedMD5 = 2
    case meticulousKeyedMD5 = 3
    case keyedSHA1 = 4
    case meticulousKeyedSHA1 = 5

    /// RFC 5880 §6.7.3, §6.7.4: the sequence number grows with every packet, so that none can be played again.
    public var isMeticulous: Bool { self == .meticulousKeyedMD5 || self == .meticulousKeyedSHA1 }
    /// What keys of the type sign with.
    public var algorithm: KeyChain.Algorithm {
        switch self {
        case .simplePassword: .clearText
        case .keyedMD5, .meticulousKeyedMD5: .md5
        case .keyedSHA1, .meticulousKeyedSHA1: .sha1
        }
    }
    /// Octets of a secret: 1 up to this many.
    public var secretOctetsMaximum: Int {
        switch self {
        case .simplePassword, .keyedMD5, .meticulousKeyedMD5: 16
        case .keyedSHA1, .meticulousKeyedSHA1: 20
        }
    }

    public var description: String {
        switch self {
        case .simplePassword: "simple password"
        case .keyedMD5: "keyed MD5"
        case .meticulousKeyedMD5: "meticulous keyed MD5"
        case .keyedSHA1: "keyed SHA1"
        case .meticulousKeyedSHA1: "meticulous keyed SHA1"
        }
    }
}

/// Authentication of a session (RFC 5880 §6.7).
public struct BFDAuthentication: Hashable, Sendable, Codable {
    /// How packets are signed, with whichever key: what a key's algorithm says of that is `type.algorithm`.
    public var type: BFDAuthenticationType
    /// Identifiers of 8 bits, all different; secrets of at most `type.secretOctetsMaximum` octets.
    public var chain: KeyChain

    public init(type: BFDAuthenticationType, chain: KeyChain) {
        self.type = type
        self.chain = chain
    }
}

/// What one session is to do, after profiles were looked up.
public struct BFDSessionParameters: Hashable, Sendable {
    /// RFC 5880 §6.8.1 bfd.DesiredMinTxInterval once the session is up, in microseconds.
    public var desiredMinTx: UInt32
    /// bfd.RequiredMinRxInterval, in microseconds.
    public var requiredMinRx: UInt32
    /// bfd.DetectMult, 1…255.
    public var multiplier: UInt8
    /// RFC 5880 §6.1: says nothing before the neighbour has spoken.
    public var isPassive: Bool
    /// Held in AdminDown by the operator.
    public var isShutdown: Bool
    /// A multihop packet with a smaller TTL is dropped; a single-hop packet always needs 255 (RFC 5881 §5).
    public var minimumHopLimit: UInt8
    public var authentication: BFDAuthentication?

    public init(
        desiredMinTx: UInt32 = 300_000, requiredMinRx: UInt32 = 300_000, multiplier: UInt8 = 3, isPassive: Bool = false,
        isShutdown: Bool = false, minimumHopLimit: UInt8 = 254, authentication: BFDAuthentication? = nil
    ) {
        self.desiredMinTx = desiredMinTx
        self.requiredMinRx = requiredMinRx
        self.multiplier = multiplier
        self.isPassive = isPassive
        self.isShutdown = isShutdown
        self.minimumHopLimit = minimumHopLimit
        self.authentication = authentication
    }
}

/// Where the sequence numbers of our authenticated packets stand, as a function of the router's time, so that the twin
/// knows them without being told of packets: `base` at `since`, and one more for every `quantum` that passed.
public struct BFDSequenceClock: Hashable, Sendable, BitwiseCopyable {
    public var base: UInt32
    public var since: Instant
    /// Nanoseconds; not more than the shortest gap between two packets.
    public var quantum: Int64

    public init(base: UInt32, since: Instant, quantum: Int64) {
        self.base = base
        self.since = since
        self.quantum = quantum
    }
}

/// What the twin needs to go on with a session: replicated with every change, never with single packets.
/// Names follow RFC 5880 §6.8.1.
public struct BFDStatus: Hashable, Sendable {
    public var state = BFDState.down
    /// bfd.LocalDiag
    public var diagnostic = BFDDiagnostic.none
    /// bfd.RemoteDiscr; 0 while unknown.
    public var remoteDiscriminator: UInt32 = 0
    /// bfd.RemoteSessionState
    public var remoteState = BFDState.down
    public var remoteDiagnostic = BFDDiagnostic.none
    /// bfd.RemoteMinRxInterval, in microseconds.
    public var remoteMinRx: UInt32 = 1
    /// The neighbour's Desired Min TX Interval, in microseconds.
    public var remoteDesiredMinTx: UInt32 = 0
    public var remoteMultiplier: UInt8 = 0
    /// bfd.RemoteDemandMode
    public var remoteDemand = false
    /// RFC 5880 §4.1, the C bit: the neighbour's BFD does not share fate with its control plane.
    public var remoteIsIndependent = false
    /// bfd.DesiredMinTxInterval as it governs what we send now, in microseconds: not that of the parameters before the
    /// session is up, nor before a Poll Sequence has told the neighbour of an increase (RFC 5880 §6.8.3).
    public var transmitInUse: UInt32 = 1_000_000
    /// bfd.RequiredMinRxInterval as it governs detection now, in microseconds.
    public var receiveInUse: UInt32 = 1_000_000
    /// The neighbour has heard of the intervals of the parameters: no Poll Sequence is due.
    public var isPolled = true
    public var sequence = BFDSequenceClock(base: 0, since: .zero, quantum: 750_000_000)
    /// bfd.RcvAuthSeq, some packets ago; `nil` while bfd.AuthSeqKnown is 0.
    public var receivedSequence: UInt32?

    public init() {}
}

/// A session as the engine wants it on the line card, with its status when that is to go on from there.
public struct BFDSession: Hashable, Sendable {
    public var peer: BFDPeer
    /// bfd.LocalDiscr: not 0, unique in the router, the name of the session between engine and line card.
    public var discriminator: UInt32
    /// RFC 5881 §4: 49152…65535, the same for all packets of the session, so the same on both controllers.
    public var sourcePort: UInt16
    public var parameters: BFDSessionParameters
    public var status: BFDStatus

    public init(
        peer: BFDPeer, discriminator: UInt32, sourcePort: UInt16, parameters: BFDSessionParameters,
        status: BFDStatus = BFDStatus()
    ) {
        self.peer = peer
        self.discriminator = discriminator
        self.sourcePort = sourcePort
        self.parameters = parameters
        self.status = status
    }
}

/// What the engine asks of the line card's BFD.
public enum BFDSessionChange: Hashable, Sendable {
    /// A new session, or new parameters of one that exists (its status is the line card's own then).
    case set(BFDSession)
    /// By its discriminator.
    case remove(UInt32)
}

/// What the line card tells the engine of a session: every transition, every negotiated change.
public struct BFDReport: Hashable, Sendable {
    public var discriminator: UInt32
    public var status: BFDStatus
    public init(discriminator: UInt32, status: BFDStatus) {
        self.discriminator = discriminator
        self.status = status
    }
}
