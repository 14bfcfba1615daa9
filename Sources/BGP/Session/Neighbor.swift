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
    /// RFC 4271 §8.1.1 DampPeerOscillations: failures since a session last stayed up.
    var failures: UInt8 = 0
    /// Too many prefixes, or let go of for want of memory; stays down until this is cleared.
    var isBlocked = false
    /// Held down because its input was fatal; see `BGPInstance.fault`.
    var isQuarantined = false
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
    }
    public var received = Direction()
    public var sent = Direction()
    /// UPDATEs that RFC 7606 had something to say about.
    public var malformedUpdates: UInt64 = 0
    /// Announcements and other messages that were fatal to a controller before, and were not looked at again.
    public var quarantined: UInt64 = 0
    /// Announcements of what nobody can have a way to: groups, loopback, the router's own addresses. Ignored.
    public var martians: UInt64 = 0
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
    }
    var kind: Kind
    var slot = SessionSlot.own
    /// The neighbour's index, or a connection.
    var number: UInt32
}

// MARK: snapshot

extension Optional where Wrapped == NotificationMessage {
    func write(to writer: inout SnapshotWriter) {
        writer.write(self != nil)
        guard let self else { return }
        writer.write(self.code)
        writer.write(self.subcode)
        writer.writeBlock(self.data)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard try reader.readBool() else {
            self = nil
            return
        }
        let code: UInt8 = try reader.read()
        let subcode: UInt8 = try reader.read()
        self = NotificationMessage(code: code, subcode: subcode, data: try reader.readBlock(of: UInt8.self))
    }
}

extension SnapshotWriter {
    /// A small value by its Codable form.
    mutating func writeCold(_ value: some Encodable) {
        // Only a value that cannot be coded at all throws here: lists beyond the coder's bounds, which configuration
        // and messages never reach.
        guard let bytes = try? BinaryEncoder().encode(value) else { preconditionFailure("a cold value encodes") }
        writeBlock(bytes)
    }
}
extension SnapshotReader {
    mutating func readCold<T: Decodable>(_: T.Type = T.self) throws(DecodeError) -> T {
        let at = position
        let bytes = try readBlock(of: UInt8.self)
        guard let value = try? BinaryDecoder().decode(T.self, from: bytes) else {
            throw DecodeError("snapshot value", at: at, .badValue)
        }
        return value
    }
}

extension SessionStateMachine: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(state.rawValue)
        writer.write(connectRetryCounter)
        writer.write(delayOpen)
        writer.write(isPassive)
        writer.write(isDelayOpenTimerRunning)
        writer.write(holdTime)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let state = SessionState(rawValue: try reader.read()) else {
            throw DecodeError("session state", at: reader.position, .badValue)
        }
        let counter: UInt32 = try reader.read()
        let delayOpen = try reader.readBool()
        let isPassive = try reader.readBool()
        let isDelayed = try reader.readBool()
        self.init(
            state: state, connectRetryCounter: counter, delayOpen: delayOpen, isPassive: isPassive,
            isDelayOpenTimerRunning: isDelayed, holdTime: try reader.read())
    }
}

extension IPAddress {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .v4(let address):
            writer.write(UInt8(4))
            writer.write(address.raw)
        case .v6(let address):
            writer.write(UInt8(6))
            writer.write(address.high)
            writer.write(address.low)
        }
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 4: self = .v4(IPv4Address(raw: try reader.read()))
        case 6:
            let high: UInt64 = try reader.read()
            self = .v6(IPv6Address(high: high, low: try reader.read()))
        default: throw DecodeError("address family", at: reader.position - 1, .badValue)
        }
    }
}

extension Session: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        machine.write(to: &writer)
        writer.write(connection?.value ?? 0)
        writer.write(isConnecting)
        writer.write(isOpen)
        writer.write(tuple != nil)
        tuple?.write(to: &writer)
        addresses.write(to: &writer)
        writer.writeBlock(partial)
        writer.write(sentOffset)
        writer.write(acknowledgedOffset)
        writer.writeCold(localOpen)
        writer.writeCold(remoteOpen)
        writer.writeCold(negotiated)
        writer.write(disabledFamilies.rawValue)
        writer.write(completeFamilies.rawValue)
        writer.write(pendingRefresh.rawValue)
        writer.write(refreshedAt)
        writer.write(holdDeadline)
        writer.write(lastSent)
        writer.write(lastProgress)
        writer.write(establishedAt)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        machine = try SessionStateMachine(from: &reader)
        let number: UInt32 = try reader.read()
        connection = number == 0 ? nil : ConnectionID(number)
        isConnecting = try reader.readBool()
        isOpen = try reader.readBool()
        if try reader.readBool() { tuple = try ConnectionTuple(from: &reader) }
        addresses = try SessionAddresses(from: &reader)
        partial = try reader.readBlock(of: UInt8.self)
        sentOffset = try reader.read()
        acknowledgedOffset = try reader.read()
        localOpen = try reader.readCold()
        remoteOpen = try reader.readCold()
        negotiated = try reader.readCold()
        disabledFamilies = RouteFamilySet(rawValue: try reader.read())
        completeFamilies = RouteFamilySet(rawValue: try reader.read())
        pendingRefresh = RouteFamilySet(rawValue: try reader.read())
        refreshedAt = try reader.readOptionalInstant()
        holdDeadline = try reader.readOptionalInstant()
        lastSent = try reader.readInstant()
        lastProgress = try reader.readInstant()
        establishedAt = try reader.readOptionalInstant()
    }
}

extension Challenger: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(connection.value)
        tuple.write(to: &writer)
        addresses.write(to: &writer)
        writer.writeBlock(octets)
        writer.write(question != nil)
        writer.write(question ?? 0)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        connection = ConnectionID(try reader.read())
        tuple = try ConnectionTuple(from: &reader)
        addresses = try SessionAddresses(from: &reader)
        octets = try reader.readBlock(of: UInt8.self)
        let isAsked = try reader.readBool()
        let offset: UInt64 = try reader.read()
        question = isAsked ? offset : nil
    }
}

extension Neighbor: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeCold(configuration)
        own.write(to: &writer)
        writer.write(incoming != nil)
        incoming?.write(to: &writer)
        writer.write(challenger != nil)
        challenger?.write(to: &writer)
        writer.write(failures)
        writer.write(isBlocked)
        writer.write(isQuarantined)
        writer.write(warnedFamilies.rawValue)
        writer.write(isWarnedOfPaths)
        writer.write(lastUpdate)
        writer.write(hasBeenQuiet)
        writer.write(establishedCount)
        lastNotificationSent.write(to: &writer)
        lastNotificationReceived.write(to: &writer)
        writer.write(lastDownReason)
        writer.write(lastDownAt)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        configuration = try reader.readCold()
        own = try Session(from: &reader)
        if try reader.readBool() { incoming = try Session(from: &reader) }
        if try reader.readBool() { challenger = try Challenger(from: &reader) }
        failures = try reader.read()
        isBlocked = try reader.readBool()
        isQuarantined = try reader.readBool()
        warnedFamilies = RouteFamilySet(rawValue: try reader.read())
        isWarnedOfPaths = try reader.readBool()
        lastUpdate = try reader.readInstant()
        hasBeenQuiet = try reader.readBool()
        establishedCount = try reader.read()
        lastNotificationSent = try Optional<NotificationMessage>(from: &reader)
        lastNotificationReceived = try Optional<NotificationMessage>(from: &reader)
        lastDownReason = try reader.readString()
        lastDownAt = try reader.readOptionalInstant()
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
