import Machine
import Policy
import Records
import Wire

/// What every interior gateway protocol is to the engine: a machine with these inputs and effects, a digest and a
/// snapshot. The engine wires them all in one place; none of them knows another.
///
/// Rules for whoever writes one:
/// - Only input brings change. `now` is the record's time; timers that are due at `now` fire before the input is looked
///   at, in order of (deadline, creation), and `.time` is the input that does nothing else.
/// - `digest` changes with everything that the twin must have too, in O(1) per change where the state is large.
/// - A copy of the machine is its snapshot; `write` and `init(from:)` take it across the channel. One that was restored
///   behaves octet for octet as the one that grew up: timers, random numbers, sequence numbers and lists of work are in it.
/// - What a peer sends can cost it its adjacency and nothing else; counters say why.
public protocol InteriorGateway: Machine, Snapshotting, Sendable
where Input == InteriorGatewayInput<Configuration>, Effect == InteriorGatewayEffect {
    associatedtype Configuration: Hashable, Sendable, Codable

    /// - Parameter seed: random per pair: hash seeds, jitter.
    init(seed: UInt64)
    var digest: StateDigest { get }
    /// No part of the state.
    var watch: PacketWatch { get set }
    /// Whether news is on its way that neighbours had already when they were found: an adjacency forms, or a calculation
    /// is due.
    var isConverging: Bool { get }
}

/// What the engine tells an interior gateway protocol.
public enum InteriorGatewayInput<Configuration: Sendable>: Sendable {
    /// The whole configuration; it replaces the one before, and what did not change is not disturbed. `nil` ends the
    /// protocol in good order (goodbyes, flushed LSAs, withdrawn routes). The position in the list of interfaces is the
    /// `InterfaceID`; an interface that the protocol was not configured on is of no concern to it.
    case configure(Configuration?, [InterfaceConfiguration])
    /// Interfaces are up until this says otherwise.
    case interface(InterfaceID, isUp: Bool)
    case packet(ReceivedPacket)
    /// News of the routes that this protocol announces for others, after policy.
    case redistribute([RedistributionUpdate])
    /// What BFD says of a neighbour for which a session was asked. Only a change from up to down ends an adjacency
    /// (RFC 5882 §4.2); a session that was never up says nothing.
    case bfd(BFDPeer, isUp: Bool)
    /// This packet killed the other controller. It is not to be looked into; its sender's adjacency ends, and what it said
    /// is known when it comes again. `message`: which LSA or entry in it, from 1; 0 if that is not known.
    case fault(ReceivedPacket, message: Int)
    /// The pair has a standby in lock step, or has none any more: somebody could survive what is fatal, or nobody could.
    case redundancy(Bool)
    /// The operator ends the adjacency with a neighbour, named by address or identifier, or with all (empty). What was
    /// remembered of it as fatal is forgotten. `nil`: the router begins anew with all of them, and forgets nothing.
    case clear(neighbor: String?)
    /// Nothing but the time.
    case time
}

/// What an interior gateway protocol asks of the engine.
public enum InteriorGatewayEffect: Sendable {
    case send(OutgoingPacket)
    /// Complete: replaces what the protocol wanted before. Ascending.
    case subscriptions([PacketSubscription])
    /// News of the protocol's own routes.
    case routes([RouteUpdate])
    /// The protocol wants this neighbour watched, or no longer.
    case bfd(BFDPeer, isWanted: Bool)
    case event(Event)
}

/// A route as a protocol offers it to the routing table manager.
public struct RouteOffer: Hashable, Sendable {
    /// At least one; ascending, without duplicates, at most `nextHopsMaximum`. More than one share the load.
    public var nextHops: [NextHop]
    public var metric: UInt32
    /// What the protocol itself tells apart (intra-area, external type 2, level 1, …); for policy and display.
    public var kind: UInt8
    /// Administrative distance, 1…255; 255 keeps the route out of the table.
    public var distance: UInt8
    /// For policies; 0 is none.
    public var tag: UInt32

    public static let nextHopsMaximum = 64

    public init(nextHops: [NextHop], metric: UInt32, kind: UInt8 = 0, distance: UInt8, tag: UInt32 = 0) {
        self.nextHops = nextHops
        self.metric = metric
        self.kind = kind
        self.distance = distance
        self.tag = tag
    }
}

extension RouteOffer: Fielded {
    public static var blank: Self { .init(nextHops: [], metric: 0, distance: 0) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.list(&nextHops, maximum: Self.nextHopsMaximum)
        try visitor.field(&metric)
        try visitor.field(&kind)
        try visitor.field(&distance)
        try visitor.field(&tag)
    }
}

/// A protocol's news about one prefix. `nil` withdraws.
public struct RouteUpdate: Hashable, Sendable {
    public var prefix: IPPrefix
    public var offer: RouteOffer?

    public init(_ prefix: IPPrefix, _ offer: RouteOffer?) {
        self.prefix = prefix
        self.offer = offer
    }
}

/// A route of another protocol that a protocol is to announce.
public struct RedistributedRoute: Hashable, Sendable {
    public var source: RouteProtocol
    /// As policy set it, else the default of the protocol that announces it applies (`nil`).
    public var metric: UInt32?
    /// OSPF and IS-IS: comparable with internal metrics (type 1, internal) or greater than any of them (type 2, external).
    public var isExternalMetric: Bool
    public var tag: UInt32
    /// IS-IS: which levels announce it, as a set of bits (1: level 1, 2: level 2).
    public var levels: UInt8
    /// What policy said of BGP's attributes; for BGP alone.
    public var attributes: [PolicyAction]
    /// Where packets for it go, for protocols with a forwarding address. Only an address on a connected network.
    public var nextHop: IPAddress?

    public init(
        source: RouteProtocol, metric: UInt32? = nil, isExternalMetric: Bool = true, tag: UInt32 = 0, levels: UInt8 = 2,
        nextHop: IPAddress? = nil, attributes: [PolicyAction] = []
    ) {
        self.source = source
        self.attributes = attributes
        self.metric = metric
        self.isExternalMetric = isExternalMetric
        self.tag = tag
        self.levels = levels
        self.nextHop = nextHop
    }
}

extension RedistributedRoute: Fielded {
    public static var blank: Self { .init(source: .connected) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&source, "route protocol")
        try visitor.field(&metric)
        try visitor.field(&isExternalMetric)
        try visitor.field(&tag)
        try visitor.field(&levels)
        // For BGP, which makes attributes of them and keeps those.
        visitor.derived(attributes)
        try visitor.field(&nextHop)
    }
}

/// News about one prefix to announce. `nil`: announce it no longer.
public struct RedistributionUpdate: Hashable, Sendable {
    public var prefix: IPPrefix
    public var route: RedistributedRoute?

    public init(_ prefix: IPPrefix, _ route: RedistributedRoute?) {
        self.prefix = prefix
        self.route = route
    }
}
