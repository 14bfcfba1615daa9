import Records
import Routing
import Wire

/// Prefixes under one, with lengths between bounds.
public struct PrefixRange: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    public var minimumLength: UInt8
    public var maximumLength: UInt8

    /// Exactly this prefix.
    public init(_ prefix: IPPrefix) { self.init(prefix, minimumLength: prefix.length, maximumLength: prefix.length) }
    public init(_ prefix: IPPrefix, minimumLength: UInt8, maximumLength: UInt8) {
        self.prefix = prefix
        self.minimumLength = minimumLength
        self.maximumLength = maximumLength
    }
    /// The prefix and everything under it.
    public static func orLonger(_ prefix: IPPrefix) -> PrefixRange {
        PrefixRange(prefix, minimumLength: prefix.length, maximumLength: prefix.family == .ipv4 ? 32 : 128)
    }

    func contains(_ other: IPPrefix) -> Bool {
        prefix.covers(other) && other.length >= minimumLength && other.length <= maximumLength
    }
}

/// One step of a `RoutePolicyConfiguration`. What is `nil` or empty is no condition, or leaves things as they are.
public struct RoutePolicyTerm: Hashable, Sendable, Codable {
    // Conditions: all must hold.
    /// The prefix is in one of these.
    public var prefixes: [PrefixRange]?
    /// The tag is one of these.
    public var tags: [UInt32]?
    /// The kind is one of these, as the protocol that offers the route numbers them.
    public var kinds: [UInt8]?
    public var metricMinimum: UInt32?
    public var metricMaximum: UInt32?

    /// A route that meets the conditions is taken, with these changes, or refused.
    public var isAccepted: Bool
    public var metric: UInt32?
    /// OSPF and IS-IS: whether the metric is of another kind than the protocol's own (type 2, external).
    public var isExternalMetric: Bool?
    public var tag: UInt32?
    /// IS-IS: a set of bits (1: level 1, 2: level 2).
    public var levels: UInt8?

    public init(isAccepted: Bool = true) { self.isAccepted = isAccepted }

    func matches(_ prefix: IPPrefix, metric: UInt32, tag: UInt32, kind: UInt8) -> Bool {
        if let prefixes, !prefixes.contains(where: { $0.contains(prefix) }) { return false }
        if let tags, !tags.contains(tag) { return false }
        if let kinds, !kinds.contains(kind) { return false }
        return metric >= metricMinimum ?? 0 && metric <= metricMaximum ?? .max
    }
}

/// Terms tried in order; the first whose conditions all hold decides.
public struct RoutePolicyConfiguration: Hashable, Sendable, Codable {
    /// At most 1,024.
    public var terms: [RoutePolicyTerm]
    /// Whether a route that no term decided is taken.
    public var acceptsOthers: Bool

    public init(_ terms: [RoutePolicyTerm] = [], acceptsOthers: Bool = false) {
        self.terms = terms
        self.acceptsOthers = acceptsOthers
    }

    /// What decides about a route; `nil` refuses it.
    func decide(_ prefix: IPPrefix, metric: UInt32, tag: UInt32, kind: UInt8) -> RoutePolicyTerm? {
        for term in terms where term.matches(prefix, metric: metric, tag: tag, kind: kind) { return term.isAccepted ? term : nil }
        return acceptsOthers ? RoutePolicyTerm() : nil
    }
}

/// One protocol announces routes of another. Only routes in force are announced, and the default route as any other.
public struct RedistributionConfiguration: Hashable, Sendable, Codable {
    /// Who announces; not `connected`, `static` or `aggregate`.
    public var target: RouteProtocol
    /// Whose routes; another than `target`.
    public var source: RouteProtocol
    /// `nil` takes all of them as they are.
    public var policy: RoutePolicyConfiguration?
    // What holds where no term says otherwise; `nil` is the target's own default.
    public var metric: UInt32?
    public var isExternalMetric: Bool?
    public var tag: UInt32?
    public var levels: UInt8?

    public init(from source: RouteProtocol, into target: RouteProtocol, policy: RoutePolicyConfiguration? = nil) {
        self.source = source
        self.target = target
        self.policy = policy
    }
}

/// A prefix that stands for more specific routes: it is offered, leading nowhere, while at least one of them is in force.
public struct AggregateConfiguration: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// Administrative distance, 1…255.
    public var distance: UInt8
    public var tag: UInt32
    /// Which more specific routes count; `nil` is all of them.
    public var contributors: RoutePolicyConfiguration?
    /// Routes that count are not announced to other protocols while the aggregate stands for them.
    public var suppressesContributors: Bool

    public init(
        prefix: IPPrefix, distance: UInt8 = 200, tag: UInt32 = 0, contributors: RoutePolicyConfiguration? = nil,
        suppressesContributors: Bool = false
    ) {
        self.prefix = prefix
        self.distance = distance
        self.tag = tag
        self.contributors = contributors
        self.suppressesContributors = suppressesContributors
    }
}
