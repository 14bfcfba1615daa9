import Machine
import Records
import Routing
import Wire

/// One section of a view of the caches.
public struct CacheView: Hashable, Sendable, Codable {
    public var address: IPAddress
    public var port: UInt16
    public var preference: UInt16
    public var description: String
    @AsText public var state: CacheState
    /// Its data are those that are in use.
    public var isInUse: Bool
    /// RFC 8210 §7; `nil` before the cache has answered.
    public var version: UInt8?
    /// Of the data that are in force.
    public var session: UInt16?
    public var serial: UInt32?
    public var payloads: Int
    public var routerKeys: Int
    /// Since its data were complete, and until they expire.
    public var age: TimeSpan?
    public var expiresIn: TimeSpan?
    /// RFC 8210 §6, in seconds.
    public var refresh: UInt32
    public var retry: UInt32
    public var expire: UInt32
    public var counters: CacheCounters
    /// Empty if no session ended yet.
    public var lastFailure: String
}

extension RTRInstance {
    /// The most preferred first.
    public func cacheViews(at now: Instant) -> [CacheView] {
        order.compactMap { number in
            guard let cache = cache(number) else { return nil }
            let count = table.count(of: number)
            return CacheView(
                address: cache.configuration.address, port: cache.configuration.port,
                preference: cache.configuration.preference, description: cache.configuration.description, state: cache.state,
                isInUse: cache.isInSync, version: cache.isNegotiated ? cache.version : nil,
                session: cache.canResume ? cache.session : nil, serial: cache.canResume ? cache.serial : nil, payloads: count,
                routerKeys: cache.routerKeys,
                age: cache.synchronizedAt.map { TimeSpan(atLeastZero: now - $0) },
                expiresIn: cache.expiresAt.map { TimeSpan(atLeastZero: $0 - now) }, refresh: cache.timing.refresh,
                retry: cache.timing.retry,
                expire: cache.timing.expire, counters: cache.counters, lastFailure: cache.lastFailure)
        }
    }
}
