import Machine
import Records
import Routing
import Wire

/// A neighbour has two places for connections: the one that we open and the one that it opens. Each runs a machine of
/// its own until one of them is chosen (RFC 4271 §6.8).
enum SessionSlot: UInt8, Hashable, Sendable {
    case own = 0
    case incoming = 1
    var other: SessionSlot { self == .own ? .incoming : .own }
}

/// One connection with a neighbour, and its machine.
struct Session: Sendable {
    var machine: SessionStateMachine
    /// `nil`: none, or the engine has not yet said the number of the one we asked for.
    var connection: ConnectionID?
    /// A connect was asked for and neither succeeded nor failed.
    var isConnecting = false
    /// The handshake is complete.
    var isOpen = false
    var tuple: ConnectionTuple?
    var addresses = SessionAddresses()
    /// The beginning of a message whose end has not come: less than one message.
    var partial: [UInt8] = []
    /// Octets written to the stream, and those of them that the neighbour acknowledged.
    var sentOffset: UInt64 = 0
    var acknowledgedOffset: UInt64 = 0
    var localOpen: OpenMessage?
    var remoteOpen: OpenMessage?
    var negotiated: NegotiatedSession?
    /// RFC 4760 §7: disabled since the session came up.
    var disabledFamilies: RouteFamilySet = []
    /// RFC 4724 §2: End-of-RIB was seen.
    var completeFamilies: RouteFamilySet = []
    /// RFC 2918: asked for and not yet served; see `BGPInstance.refreshInterval`.
    var pendingRefresh: RouteFamilySet = []
    /// RFC 7313: the neighbour began to say all again.
    var refreshing: RouteFamilySet = []
    var refreshedAt: Instant?
    /// The HoldTimer; the entry of the timer table may be earlier and is then only moved. So a message costs one store.
    var holdDeadline: Instant?
    /// When a message was last written: the KeepaliveTimer counts from here.
    var lastSent = Instant.zero
    /// RFC 9687: when the neighbour last read something, or had nothing to read.
    var lastProgress = Instant.zero
    var establishedAt: Instant?

    init(machine: SessionStateMachine) { self.machine = machine }

    var unacknowledged: Int { Int(clamping: sentOffset - min(acknowledgedOffset, sentOffset)) }
    var isEstablished: Bool { machine.state == .established }

    /// Forgets what belonged to the connection; the connection's own number stays.
    mutating func forgetNegotiation() {
        partial = []
        localOpen = nil
        remoteOpen = nil
        negotiated = nil
        disabledFamilies = []
        completeFamilies = []
        pendingRefresh = []
        refreshing = []
        refreshedAt = nil
        holdDeadline = nil
        establishedAt = nil
    }

    mutating func forgetConnection() {
        connection = nil
        isConnecting = false
        isOpen = false
        tuple = nil
        sentOffset = 0
        acknowledgedOffset = 0
        partial = []
    }
}

/// A further connection that a neighbour opened while its session is up; see `BGPInstance+Challenger.swift`.
struct Challenger: Sendable {
    var connection: ConnectionID
    var tuple: ConnectionTuple
    var addresses: SessionAddresses
    /// What came on it: the beginning of an OPEN, or a whole one that is acceptable.
    var octets: [UInt8] = []
    /// How many octets of the session's own stream the neighbour has when it has our question; `nil` while its OPEN is not
    /// whole.
    var question: UInt64?
}

/// A configured neighbour.
struct Neighbor: Sendable {
    var configuration: NeighborConfiguration
    var own: Session
    var incoming: Session?
    var challenger: Challenger?
    /// What is kept of its former sessions.
    var retention: Retention?
    /// RFC 4271 §8.1.1 DampPeerOscillations: failures since a session last stayed up.
    var failures: UInt8 = 0
    /// Too many prefixes, or let go of for want of memory; stays down until this is cleared.
    var isBlocked = false
    /// Held down because its input was fatal; see `BGPInstance.fault`.
    var isQuarantined = false
    /// `LocalASConfiguration.dualAS`: the neighbour refused the AS that is configured for it, so it gets the usual one, and the
    /// other way round.
    var answersAsRouter = false
    /// Families whose prefix count was warned about.
    var warnedFamilies: RouteFamilySet = []
    /// The same for all its paths.
    var isWarnedOfPaths = false
    /// When the session that is up brought its last UPDATE, or came up.
    var lastUpdate = Instant.zero
    /// The session that is up was quiet for a while after it came up: see `BGPInstance.firstRoutes`.
    var hasBeenQuiet = false
    var establishedCount: UInt32 = 0
    var lastNotificationSent: NotificationMessage?
    var lastNotificationReceived: NotificationMessage?
    var lastDownReason = ""
    var lastDownAt: Instant?
    /// For display; not part of the snapshot.
    var counters = NeighborCounters()

    init(configuration: NeighborConfiguration) {
        self.configuration = configuration
        own = Session(machine: Self.machine(configuration, isPassive: configuration.passive))
    }

    static func machine(_ configuration: NeighborConfiguration, isPassive: Bool) -> SessionStateMachine {
        SessionStateMachine(delayOpen: configuration.timers.delayOpen > 0, isPassive: isPassive)
    }

    /// The slot that routes flow over.
    var establishedSlot: SessionSlot? {
        if own.isEstablished { return .own }
        return incoming?.isEstablished == true ? .incoming : nil
    }

    subscript(slot: SessionSlot) -> Session? {
        get { slot == .own ? own : incoming }
        set {
            if slot == .own { own = newValue ?? own } else { incoming = newValue }
        }
    }

    /// The furthest that either machine has come: what people call the neighbour's state.
    var state: SessionState {
        guard let incoming, incoming.machine.state.rawValue > own.machine.state.rawValue else { return own.machine.state }
        return incoming.machine.state
    }
}

/// Messages by type, since this controller runs. Not replicated: a twin counts from when it began.
public struct NeighborCounters: Hashable, Sendable, Codable {
    public struct Direction: Hashable, Sendable, Codable {
        public var messages: UInt64 = 0
        public var updates: UInt64 = 0
        public var keepalives: UInt64 = 0
        public var notifications: UInt64 = 0
        public var routeRefreshes: UInt64 = 0
        public var octets: UInt64 = 0
        /// OPENs: what is left.
        public var opens: UInt64 { messages &- updates &- keepalives &- notifications &- routeRefreshes }
    }
    public var received = Direction()
    public var sent = Direction()
    /// UPDATEs that RFC 7606 had something to say about.
    public var malformedUpdates: UInt64 = 0
    /// Announcements and other messages that were fatal to a controller before, and were not looked at again.
    public var quarantined: UInt64 = 0
    /// Announcements of what nobody can have a way to: groups, loopback, the router's own addresses. Ignored.
    public var martians: UInt64 = 0
    /// Announcements of more prefixes than the neighbour may have, where these are to be ignored.
    public var beyondLimit: UInt64 = 0
    /// RFC 9234 §5: announcements that were route leaks. They are kept, and never chosen.
    public var routeLeaks: UInt64 = 0
    /// RFC 4456 §8: announcements that came back to us by reflection. Likewise.
    public var reflectionLoops: UInt64 = 0
    /// RFC 4724: sessions that ended and whose routes were kept.
    public var restarts: UInt64 = 0
    /// Routes that were stale and did not come again: RFC 4724 §4.2, RFC 7313 §4, RFC 9494 §4.2.
    public var staleRoutesRemoved: UInt64 = 0
}

/// Names a timer of the instance.
struct SessionTimer: Hashable, Sendable {
    enum Kind: UInt8, Sendable {
        case connectRetry = 0
        case hold = 1
        case keepalive = 2
        case delayOpen = 3
        /// RFC 4271 §8.1.1 IdleHoldTimer
        case idleHold = 4
        /// RFC 9687
        case sendHold = 5
        /// A connection that we finished and the neighbour does not: aborted in the end. `number` is the connection.
        case linger = 6
        /// Looks for next hops that nobody uses any more.
        case housekeeping = 7
        /// Serves a ROUTE-REFRESH that came too soon after another.
        case refresh = 8
        /// A neighbour whose input was fatal may come back.
        case quarantine = 9
        /// A second connection beside a session: its OPEN does not come, or the session's connection does not answer.
        case challenge = 10
        /// RFC 4724 §4.2: the neighbour's Restart Time is over.
        case restart = 11
        /// RFC 4724 §4.2: the neighbour is back, and has not said all.
        case stale = 12
        /// RFC 9494 §4.2: the Long-Lived Stale Time of a family.
        case longLivedStale = 13
        /// RFC 7313 §4: a refresh of a family does not end.
        case refreshStale = 14
        /// RFC 4724 §4.1 Selection_Deferral_Timer
        case selectionDeferral = 15
        /// A neighbour that came by itself, and is gone.
        case forget = 16
    }
    var kind: Kind
    var slot = SessionSlot.own
    /// The neighbour's index, with a family above it where the timer is of one; or a connection.
    var number: UInt32

    /// Of a neighbour's family.
    init(_ kind: Kind, _ peer: PeerIndex, _ family: RouteFamily) {
        self.kind = kind
        number = UInt32(family.rawValue) << 16 | UInt32(peer.value)
    }
    init(kind: Kind, slot: SessionSlot = .own, number: UInt32) {
        self.kind = kind
        self.slot = slot
        self.number = number
    }
    var family: RouteFamily? { UInt8(exactly: number >> 16).flatMap(RouteFamily.init(rawValue:)) }
}

// MARK: snapshot

extension NotificationMessage: Fielded {
    public static var blank: Self { .init(code: 0, subcode: 0) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&code)
        try visitor.field(&subcode)
        try visitor.block(&data)
    }
}

extension Session: Fielded {
    static var blank: Self { .init(machine: .blank) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&machine)
        try visitor.field(&connection, \.value, ConnectionID.init)
        try visitor.field(&isConnecting)
        try visitor.field(&isOpen)
        try visitor.field(&tuple)
        try visitor.field(&addresses)
        try visitor.block(&partial)
        try visitor.field(&sentOffset)
        try visitor.field(&acknowledgedOffset)
        try visitor.cold(&localOpen)
        try visitor.cold(&remoteOpen)
        try visitor.cold(&negotiated)
        try visitor.field(&disabledFamilies, "families")
        try visitor.field(&completeFamilies, "families")
        try visitor.field(&pendingRefresh, "families")
        try visitor.field(&refreshing, "families")
        try visitor.field(&refreshedAt)
        try visitor.field(&holdDeadline)
        try visitor.field(&lastSent)
        try visitor.field(&lastProgress)
        try visitor.field(&establishedAt)
    }
}

extension Challenger: Fielded {
    static var blank: Self { .init(connection: ConnectionID(0), tuple: .blank, addresses: .blank) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&connection, \.value, ConnectionID.init)
        try visitor.field(&tuple)
        try visitor.field(&addresses)
        try visitor.block(&octets)
        try visitor.field(&question)
    }
}

extension Neighbor: Fielded {
    static var blank: Self {
        .init(configuration: NeighborConfiguration(address: .blank, remoteAS: ASNumber(0)))
    }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.cold(&configuration)
        try visitor.field(&own)
        try visitor.field(&incoming)
        try visitor.field(&challenger)
        try visitor.field(&retention)
        try visitor.field(&failures)
        try visitor.field(&isBlocked)
        try visitor.field(&isQuarantined)
        try visitor.field(&warnedFamilies, "families")
        try visitor.field(&isWarnedOfPaths)
        try visitor.field(&lastUpdate)
        try visitor.field(&hasBeenQuiet)
        try visitor.field(&establishedCount)
        try visitor.field(&lastNotificationSent)
        try visitor.field(&lastNotificationReceived)
        try visitor.field(&lastDownReason)
        try visitor.field(&lastDownAt)
        try visitor.field(&answersAsRouter)
        visitor.derived(counters)
    }
}

extension SessionTimer {
    func write(to writer: inout SnapshotWriter) {
        writer.write(kind.rawValue)
        writer.write(slot.rawValue)
        writer.write(number)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let kind = Kind(rawValue: try reader.read()), let slot = SessionSlot(rawValue: try reader.read()) else {
            throw DecodeError("timer", at: reader.position, .badValue)
        }
        self.init(kind: kind, slot: slot, number: try reader.read())
    }
}
