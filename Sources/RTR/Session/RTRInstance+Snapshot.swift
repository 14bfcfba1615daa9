import Machine
import Records
import Routing
import Wire

extension RTRInstance {
    /// The form of what follows. A change of it is a number more here.
    public static let section = SnapshotSection(7, "rtr", schemas: 1...1)

    public func write(to writer: inout SnapshotWriter) {
        writer.write(configuration != nil)
        if let configuration { writer.writeCold(configuration) }
        writer.writeList(caches) { cache, w in
            w.write(cache != nil)
            cache?.write(to: &w)
        }
        writer.writeBlock(lingering.map(\.value))
        timers.write(to: &writer) { $0.write(to: &$1) }
        fatal.write(to: &writer)
        table.write(to: &writer)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let configuration = try reader.readBool() ? try reader.readCold(RTRConfiguration.self) : nil
        let caches = try reader.readList { r throws(DecodeError) -> Cache? in try r.readBool() ? try Cache(from: &r) : nil }
        guard caches.count == RTRConfiguration.cachesMaximum else { throw DecodeError("caches", at: reader.position, .badLength) }
        let lingering = try reader.readBlock(of: UInt32.self).map { ConnectionID($0) }
        let timers = try TimerTable<CacheTimer>(from: &reader) { r throws(DecodeError) in try CacheTimer(from: &r) }
        let fatal = try FatalMemory(from: &reader)
        self.init(table: try VRPTable(from: &reader))
        self.configuration = configuration
        self.caches = caches
        self.lingering = lingering
        self.timers = timers
        self.fatal = fatal
        putInOrder()
    }

    /// Equal on two controllers at equal log indices. A few words per cache; the table keeps its own current.
    public var digest: StateDigest {
        var digest = table.digest
        for (number, cache) in caches.enumerated() {
            guard let cache else { continue }
            digest.mix(UInt64(number) << 32 | UInt64(cache.connection?.value ?? 0))
            var flags = UInt64(cache.state.rawValue) << 16 | UInt64(cache.query.rawValue) << 8 | UInt64(cache.version) << 7
            for (bit, flag) in [cache.isOpen, cache.isNegotiated, cache.isInSync, cache.isNotified, cache.canResume].enumerated()
            where flag { flags |= 1 << UInt64(bit) }
            digest.mix(flags)
            digest.mix(UInt64(cache.serial) << 32 | UInt64(cache.session) << 16 | UInt64(cache.responseSession))
            digest.mix(UInt64(cache.routerKeys) << 32 ^ UInt64(cache.stagedKeys) ^ UInt64(cache.failures) << 16)
            digest.mix(UInt64(cache.timing.refresh) << 32 | UInt64(cache.timing.retry))
            digest.mix(UInt64(bitPattern: cache.lastQuery.nanoseconds ^ cache.lastHeard.nanoseconds << 1))
            digest.mix(UInt64(bitPattern: cache.expiresAt?.nanoseconds ?? -1))
            digest.mix(cache.partial.span.bytes)
        }
        digest.mix(fatal.digest)
        digest.mix(UInt64(lingering.count))
        digest.mix(UInt64(bitPattern: timers.next?.nanoseconds ?? -1))
        return digest
    }
}

extension CacheTimer {
    func write(to writer: inout SnapshotWriter) {
        let (kind, number): (UInt8, UInt32) =
            switch self {
            case .retry(let number): (0, UInt32(number))
            case .refresh(let number): (1, UInt32(number))
            case .response(let number): (2, UInt32(number))
            case .expire(let number): (3, UInt32(number))
            case .linger(let connection): (4, connection.value)
            }
        writer.write(kind)
        writer.write(number)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let kind: UInt8 = try reader.read(), number: UInt32 = try reader.read()
        guard kind == 4 || number < RTRConfiguration.cachesMaximum else {
            throw DecodeError("cache timer", at: reader.position, .badValue)
        }
        switch kind {
        case 0: self = .retry(Int(number))
        case 1: self = .refresh(Int(number))
        case 2: self = .response(Int(number))
        case 3: self = .expire(Int(number))
        case 4: self = .linger(ConnectionID(number))
        default: throw DecodeError("cache timer", at: reader.position, .badValue)
        }
    }
}

extension SnapshotWriter {
    /// Values that are few: as the configuration's encoding.
    mutating func writeCold(_ value: some Encodable) {
        // Plain values of ours can always be encoded.
        guard let bytes = try? BinaryEncoder().encode(value) else { preconditionFailure("a plain value can be encoded") }
        writeBlock(bytes)
    }
}

extension SnapshotReader {
    mutating func readCold<T: Decodable>(_: T.Type = T.self) throws(DecodeError) -> T {
        let bytes = try readBlock(of: UInt8.self)
        guard let value = try? BinaryDecoder().decode(T.self, from: bytes) else {
            throw DecodeError("snapshot value", at: position, .badValue)
        }
        return value
    }
}
