import Foundation

/// What `policy test` asks: a route that the operator makes up, and policies that are tried on it.
public struct PolicyTestQuery: Hashable, Sendable, Codable {
    /// Tried in order.
    public var policies: [String]
    public var prefix: String
    /// Numbers with spaces between them, the neighbour's first; empty for none.
    public var asPath = ""
    /// `igp`, `egp`, `incomplete`
    public var origin = "igp"
    public var nextHop: String?
    public var med: UInt32?
    public var localPreference: UInt32?
    /// Of all kinds.
    public var communities: [String] = []
    /// `local`, `external`, `internal`: how it came into this router.
    public var source = "external"
    /// The neighbour that sends it, or would get it.
    public var neighbor: String?
    public var isExport = false

    public init(policies: [String], prefix: String) {
        self.policies = policies
        self.prefix = prefix
    }
}

/// What `policy explain` asks: what policy does with a route that is there.
public struct PolicyExplainQuery: Hashable, Sendable, Codable {
    public var prefix: String
    /// As this neighbour sent it, on import.
    public var from: String?
    /// The best path, on export to this neighbour.
    public var to: String?

    public init(prefix: String, from: String? = nil, to: String? = nil) {
        self.prefix = prefix
        self.from = from
        self.to = to
    }
}

/// `policy test`, `policy explain`
public struct PolicyView: Hashable, Sendable, Codable {
    /// A statement that did not concern the route.
    public struct Miss: Hashable, Sendable, Codable {
        public var policy: String
        /// From 1; `2.1` within another one.
        public var statement: String
        /// The first that did not hold, as the configuration has it.
        public var condition: String

        public init(policy: String, statement: String, condition: String) {
            self.policy = policy
            self.statement = statement
            self.condition = condition
        }
    }
    public struct Trial: Hashable, Sendable, Codable {
        public var prefix: String
        /// RFC 7911, where there are identifiers.
        public var pathID: UInt32?
        public var policies: [String]
        public var isAccepted: Bool
        /// Which policy decided, and which of its statements, from 1.
        public var policy: String?
        public var statement: Int?
        public var reason: String
        /// In the order in which the route met them.
        public var misses: [Miss]?
        public var before: RoutesView.BGP
        public var nextHopBefore: String?
        /// Absent for a route that is rejected.
        public var after: RoutesView.BGP?
        public var nextHopAfter: String?

        public init(prefix: String, policies: [String], isAccepted: Bool, reason: String, before: RoutesView.BGP) {
            self.prefix = prefix
            self.policies = policies
            self.isAccepted = isAccepted
            self.reason = reason
            self.before = before
        }
    }
    public var trials: [Trial]
    public init(trials: [Trial]) { self.trials = trials }
}
