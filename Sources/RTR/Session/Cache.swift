import Machine
import Records
import Routing
import Wire

/// Where the exchange with a cache stands.
public enum CacheState: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
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

extension Cache: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeCold(configuration)
        writer.write(state.rawValue)
        writer.write(connection != nil)
        writer.write(connection?.value ?? 0)
        for flag in [isOpen, isNegotiated, isInSync, isNotified, canResume] { writer.write(flag) }
        writer.write(version)
        writer.writeBlock(partial)
        writer.write(query.rawValue)
        writer.write(responseSession)
        writer.write(session)
        writer.write(serial)
        writer.write(dataVersion)
        writer.write(UInt64(routerKeys))
        writer.write(UInt64(stagedKeys))
        writer.write(timing.refresh)
        writer.write(timing.retry)
        writer.write(timing.expire)
        writer.write(failures)
        writer.write(lastQuery)
        writer.write(lastHeard)
        writer.write(synchronizedAt)
        writer.write(expiresAt)
        writer.writeCold(counters)
        writer.write(lastFailure)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(configuration: try reader.readCold(CacheConfiguration.self))
        let refused = DecodeError("cache", at: reader.position, .badValue)
        guard let state = CacheState(rawValue: try reader.read()) else { throw refused }
        self.state = state
        let hasConnection = try reader.readBool()
        let number = ConnectionID(try reader.read())
        connection = hasConnection ? number : nil
        isOpen = try reader.readBool()
        isNegotiated = try reader.readBool()
        isInSync = try reader.readBool()
        isNotified = try reader.readBool()
        canResume = try reader.readBool()
        version = try reader.read()
        partial = try reader.readBlock(of: UInt8.self)
        guard let query = Query(rawValue: try reader.read()) else { throw refused }
        self.query = query
        responseSession = try reader.read()
        session = try reader.read()
        serial = try reader.read()
        dataVersion = try reader.read()
        let keys: UInt64 = try reader.read(), staged: UInt64 = try reader.read()
        guard keys <= 1 << 40, staged <= 1 << 40, version <= 1, dataVersion <= 1, partial.count < PDUHeader.reportMaximum else {
            throw refused
        }
        routerKeys = Int(keys)
        stagedKeys = Int(staged)
        timing.refresh = try reader.read()
        timing.retry = try reader.read()
        timing.expire = try reader.read()
        failures = try reader.read()
        lastQuery = try reader.readInstant()
        lastHeard = try reader.readInstant()
        synchronizedAt = try reader.readOptionalInstant()
        expiresAt = try reader.readOptionalInstant()
        counters = try reader.readCold(CacheCounters.self)
        lastFailure = try reader.readString()
    }
}
