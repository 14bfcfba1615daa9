import Policy
import Records
import Routing
import Wire

/// One protocol announces routes of another. Only routes in force are announced, and the default route as any other.
public struct RedistributionConfiguration: Hashable, Sendable, Codable {
    /// Who announces; not `connected`, `static` or `aggregate`.
    public var target: RouteProtocol
    /// Whose routes; another than `target`.
    public var source: RouteProtocol
    /// `nil` takes all of them as they are.
    public var policy: PolicyUse?
    // What holds where no policy says otherwise; `nil` is the target's own default.
    public var metric: UInt32?
    public var isExternalMetric: Bool?
    public var tag: UInt32?
    public var levels: UInt8?

    public init(from source: RouteProtocol, into target: RouteProtocol, policy: PolicyUse? = nil) {
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
    public var contributors: PolicyUse?
    /// Routes that count are not announced to other protocols while the aggregate stands for them.
    public var suppressesContributors: Bool

    public init(
        prefix: IPPrefix, distance: UInt8 = 200, tag: UInt32 = 0, contributors: PolicyUse? = nil,
        suppressesContributors: Bool = false
    ) {
        self.prefix = prefix
        self.distance = distance
        self.tag = tag
        self.contributors = contributors
        self.suppressesContributors = suppressesContributors
    }
}
