import RTR
import Routing
import Wire

/// What `show rpki` asks for besides the caches.
public struct RPKIQuery: Hashable, Sendable, Codable {
    /// A prefix or an address: the payloads that cover it.
    public var prefix: String?
    /// With a prefix: whether this AS may originate it.
    public var origin: UInt32?

    public init(prefix: String? = nil, origin: UInt32? = nil) {
        self.prefix = prefix
        self.origin = origin
    }
}

/// `show rpki`
public struct RPKIView: Hashable, Sendable, Codable {
    /// The most preferred first.
    public var caches: [CacheView]
    /// In force, of all caches.
    public var ipv4Payloads: Int
    public var ipv6Payloads: Int
    /// What was asked about.
    public var prefix: IPPrefix?
    /// Those that cover it, the most specific first.
    public var covering: [VRP]?
    public var origin: UInt32?
    /// `valid`, `invalid`, `not found`
    public var validity: String?

    public init(caches: [CacheView], ipv4Payloads: Int, ipv6Payloads: Int) {
        self.caches = caches
        self.ipv4Payloads = ipv4Payloads
        self.ipv6Payloads = ipv6Payloads
    }
}
