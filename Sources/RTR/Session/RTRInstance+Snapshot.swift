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
            digest.mix(UInt64(number))
            cache.mix(into: &digest)
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
