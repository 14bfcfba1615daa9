import Machine
import Records
import Routing
import Wire

/// Where the exchange with a cache stands.
public enum CacheState: UInt8, Hashable, Sendable, CaseIterable, LosslessStringConvertible {
    /// A more preferred one is in use, or it is its turn next.
    case idle = 0
    /// Something failed; it is tried again in its time.
    case waiting = 1
    case connecting = 2
    /// A query is out.
    case asking = 3
    /// Its answer comes in.
    case loading = 4
    /// All is known, until the next poll.
    case synchronized = 5

    public var description: String {
        switch self {
        case .idle: "idle"
        case .waiting: "waiting"
        case .connecting: "connecting"
        case .asking: "asking"
        case .loading: "loading"
        case .synchronized: "synchronized"
        }
    }
}

/// What was counted of a cache.
public struct CacheCounters: Hashable, Sendable, Codable {
    public var octetsReceived: UInt64 = 0
    public var messagesReceived: UInt64 = 0
    public var payloadsReceived: UInt64 = 0
    public var routerKeysReceived: UInt64 = 0
    public var notifiesReceived: UInt64 = 0
    public var errorsReceived: UInt64 = 0
    public var errorsSent: UInt64 = 0
    public var queriesSent: UInt64 = 0
    /// Messages that were not looked into, because they were fatal before.
    public var quarantined: UInt64 = 0
    public init() {}
}

/// One cache and the session with it.
struct Cache: Sendable {
    /// RFC 8210 §8: what was asked.
    enum Query: UInt8 {
        case serial = 0
        case reset = 1
    }

    var configuration: CacheConfiguration
    var state = CacheState.idle
    var connection: ConnectionID?
    /// The handshake is complete.
    var isOpen = false
    /// RFC 8210 §7: what we speak; what the cache speaks is known once it has answered.
    var version: UInt8 = 1
    var isNegotiated = false
    /// On this connection the cache has given all that it has.
    var isInSync = false
    /// The beginning of a PDU whose end has not come.
    var partial: [UInt8] = []
    var query = Query.reset
    /// Of the Cache Response whose data come in.
    var responseSession: UInt16 = 0
    /// A Serial Notify came while a query was out.
    var isNotified = false

    /// What a Serial Query may name: RFC 8210 §5.1, session and serial of one version.
    var canResume = false
    var session: UInt16 = 0
    var serial: UInt32 = 0
    var dataVersion: UInt8 = 1
    /// RFC 8210 §5.10: how many router keys the cache has told, and after the step that is under way.
    var routerKeys = 0
    var stagedKeys = 0
    var timing = CacheTiming()

    /// Failures in a row.
    var failures: UInt32 = 0
    var lastQuery = Instant.zero
    var lastHeard = Instant.zero
    var synchronizedAt: Instant?
    var expiresAt: Instant?
    var counters = CacheCounters()
    /// Why the last session ended; empty if none did.
    var lastFailure = ""

    init(configuration: CacheConfiguration) { self.configuration = configuration }

    /// Nothing of the connection any more.
    mutating func forgetConnection() {
        connection = nil
        isOpen = false
        isNegotiated = false
        isInSync = false
        partial = []
        isNotified = false
    }
}

extension CacheTiming: Fielded {
    static var blank: Self { .init() }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&refresh)
        try visitor.field(&retry)
        try visitor.field(&expire)
    }
}

extension Cache: Fielded {
    static var blank: Self { .init(configuration: CacheConfiguration(address: .blank)) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.cold(&configuration)
        try visitor.field(&state, "state of a cache")
        try visitor.field(&connection, \.value, ConnectionID.init)
        try visitor.field(&isOpen)
        try visitor.field(&version)
        try visitor.field(&isNegotiated)
        try visitor.field(&isInSync)
        try visitor.block(&partial)
        try visitor.field(&query, "query to a cache")
        try visitor.field(&responseSession)
        try visitor.field(&isNotified)
        try visitor.field(&canResume)
        try visitor.field(&session)
        try visitor.field(&serial)
        try visitor.field(&dataVersion)
        try visitor.require(
            version <= 1 && dataVersion <= 1 && partial.count < PDUHeader.reportMaximum, "session with a cache")
        try visitor.field(size: &routerKeys)
        try visitor.field(size: &stagedKeys)
        try visitor.field(&timing)
        try visitor.field(&failures)
        try visitor.field(&lastQuery)
        try visitor.field(&lastHeard)
        try visitor.field(&synchronizedAt)
        try visitor.field(&expiresAt)
        try visitor.cold(&counters)
        try visitor.field(&lastFailure)
    }
}
