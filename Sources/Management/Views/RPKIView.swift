import Foundation

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
    public struct Cache: Hashable, Sendable, Codable {
        public var address: String
        public var port: UInt16
        public var preference: UInt16
        public var description: String
        /// `idle`, `waiting`, `connecting`, `asking`, `loading`, `synchronized`
        public var state: String
        public var isInUse: Bool
        /// RFC 8210 §7; absent before the cache has answered.
        public var version: UInt8?
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
        public var counters: [Counter]
        /// Empty if no session ended yet.
        public var lastFailure: String

        public init(address: String, port: UInt16, preference: UInt16, state: String) {
            self.address = address
            self.port = port
            self.preference = preference
            self.state = state
            description = ""
            isInUse = false
            payloads = 0
            routerKeys = 0
            refresh = 0
            retry = 0
            expire = 0
            counters = []
            lastFailure = ""
        }
    }
    /// RFC 6811 §2: a validated payload.
    public struct Payload: Hashable, Sendable, Codable {
        public var prefix: String
        public var maximumLength: UInt8
        /// 0: nobody may originate it.
        public var origin: UInt32

        public init(prefix: String, maximumLength: UInt8, origin: UInt32) {
            self.prefix = prefix
            self.maximumLength = maximumLength
            self.origin = origin
        }
    }
    /// The most preferred first.
    public var caches: [Cache]
    /// In force, of all caches.
    public var ipv4Payloads: Int
    public var ipv6Payloads: Int
    /// What was asked about.
    public var prefix: String?
    /// Those that cover it, the most specific first.
    public var covering: [Payload]?
    public var origin: UInt32?
    /// `valid`, `invalid`, `not found`
    public var validity: String?

    public init(caches: [Cache], ipv4Payloads: Int, ipv6Payloads: Int) {
        self.caches = caches
        self.ipv4Payloads = ipv4Payloads
        self.ipv6Payloads = ipv6Payloads
    }
}
