import Records
import Wire

/// What the RPKI client does, as plain values: the router configuration's section after every name was checked.
///
/// The order of the properties is the order of the engine's encoding; new ones are appended and optional.
public struct RTRConfiguration: Hashable, Sendable, Codable {
    /// At most `cachesMaximum`; no two with equal address and port.
    public var caches: [CacheConfiguration]
    /// Instead of what a cache says in End of Data (RFC 8210 §6), and of the defaults for one that says nothing; in seconds:
    /// 1…86,400, 1…7,200 and 600…172,800.
    public var refresh: UInt32?
    public var retry: UInt32?
    public var expire: UInt32?
    /// Payloads of all caches together; a cache that has more ends its session. `nil`: `payloadsDefault`.
    public var maximumPayloads: UInt32?

    public static let cachesMaximum = 8
    /// Three times what the RPKI holds in 2026.
    public static let payloadsDefault: UInt32 = 2_000_000

    public init(caches: [CacheConfiguration]) { self.caches = caches }

    var payloadLimit: Int { Int(maximumPayloads ?? Self.payloadsDefault) }
}

/// RFC 8210 §10: one of the caches that the router may use.
public struct CacheConfiguration: Hashable, Sendable, Codable {
    public var address: IPAddress
    /// RFC 8210 §9: rpki-rtr.
    public var port: UInt16 = 323
    /// The lower, the more preferred; of equal ones the first.
    public var preference: UInt16 = 100
    /// Our end. `nil`: the engine takes the address of the interface that reaches the cache.
    public var localAddress: IPAddress?
    /// RFC 2385; empty for none, at most 80 octets.
    public var md5Key = ""
    public var description = ""

    public init(address: IPAddress) { self.address = address }

    /// Caches may be anywhere.
    var transportOptions: TransportOptions {
        var options = TransportOptions()
        options.md5Key = Array(md5Key.utf8)
        options.hopLimit = 64
        return options
    }
}
