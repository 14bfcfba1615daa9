import Foundation
import Wire

/// What a family of a neighbour carries.
public struct BGPFamilyView: Hashable, Sendable, Codable {
    /// `ipv4-unicast`, `ipv6-unicast`
    public var family: String
    /// Negotiated on the session as it stands.
    public var isNegotiated: Bool
    /// Prefixes received, before policy.
    public var received: UInt64
    /// Of these, prefixes that policy let through; absent if they were not counted.
    public var accepted: UInt64?
    /// Of these, the best of their prefix; absent if they were not counted.
    public var best: UInt64?
    /// Prefixes sent.
    public var advertised: UInt64
    /// 0 is no limit.
    public var maximumPrefixes: UInt32
    /// RFC 7911, negotiated: the neighbor sends several paths of a prefix. Absent: one.
    public var addPathReceive: Bool?
    /// RFC 7911, negotiated: how many paths of a prefix the neighbor gets at most. Absent: one.
    public var addPathSend: UInt8?
    /// RFC 8950, negotiated: IPv4 routes may have IPv6 next hops. Absent: no.
    public var extendedNextHop: Bool?

    public init(
        family: String, isNegotiated: Bool, received: UInt64 = 0, accepted: UInt64? = nil, best: UInt64? = nil,
        advertised: UInt64 = 0, maximumPrefixes: UInt32 = 0
    ) {
        self.family = family
        self.isNegotiated = isNegotiated
        self.received = received
        self.accepted = accepted
        self.best = best
        self.advertised = advertised
        self.maximumPrefixes = maximumPrefixes
    }
}

/// `show bgp summary`
public struct BGPSummaryView: Hashable, Sendable, Codable {
    public struct Neighbor: Hashable, Sendable, Codable {
        public var address: String
        public var remoteAS: UInt32
        public var description: String
        /// RFC 4271 §8.2.2: `Idle`, `Connect`, `Active`, `OpenSent`, `OpenConfirm`, `Established`
        public var state: String
        /// Why it is not up, if that is known: `shutdown`, `max-prefix`, the last error.
        public var reason: String?
        /// How long the session is up, or how long ago it went down; absent if it never was up. Router time: it goes on
        /// through a switchover.
        public var stateAge: TimeSpan?
        public var messagesReceived: UInt64
        public var messagesSent: UInt64
        /// Messages that wait to be sent.
        public var queued: UInt64
        public var families: [BGPFamilyView]

        public init(
            address: String, remoteAS: UInt32, description: String = "", state: String, reason: String? = nil,
            stateAge: TimeSpan?, messagesReceived: UInt64 = 0, messagesSent: UInt64 = 0, queued: UInt64 = 0,
            families: [BGPFamilyView] = []
        ) {
            self.address = address
            self.remoteAS = remoteAS
            self.description = description
            self.state = state
            self.reason = reason
            self.stateAge = stateAge
            self.messagesReceived = messagesReceived
            self.messagesSent = messagesSent
            self.queued = queued
            self.families = families
        }
    }
    public struct Table: Hashable, Sendable, Codable {
        public var family: String
        public var prefixes: UInt64
        public var paths: UInt64
        public init(family: String, prefixes: UInt64, paths: UInt64) {
            self.family = family
            self.prefixes = prefixes
            self.paths = paths
        }
    }
    public var routerID: String
    public var routerAS: UInt32
    public var tables: [Table]
    /// Distinct sets of path attributes.
    public var attributeSets: UInt64
    /// Octets of the tables.
    public var memory: UInt64
    public var neighbors: [Neighbor]

    public init(
        routerID: String, routerAS: UInt32, tables: [Table] = [], attributeSets: UInt64 = 0, memory: UInt64 = 0,
        neighbors: [Neighbor]
    ) {
        self.routerID = routerID
        self.routerAS = routerAS
        self.tables = tables
        self.attributeSets = attributeSets
        self.memory = memory
        self.neighbors = neighbors
    }
}

/// `show bgp neighbors`
public struct BGPNeighborsView: Hashable, Sendable, Codable {
    public var neighbors: [BGPNeighborView]
    public init(neighbors: [BGPNeighborView]) { self.neighbors = neighbors }
}

public struct BGPNeighborView: Hashable, Sendable, Codable {
    /// Messages by type.
    public struct Messages: Hashable, Sendable, Codable {
        public var open: UInt64 = 0
        public var update: UInt64 = 0
        public var notification: UInt64 = 0
        public var keepalive: UInt64 = 0
        public var routeRefresh: UInt64 = 0
        public init() {}
        public var total: UInt64 { open + update + notification + keepalive + routeRefresh }
    }
    public var summary: BGPSummaryView.Neighbor
    /// From its OPEN.
    public var routerID: String?
    /// `external` or `internal`
    public var kind: String
    public var localAddress: String?
    public var localPort: UInt16?
    public var remotePort: UInt16?
    public var isShutdown: Bool
    public var passive: Bool
    /// Seconds, as negotiated; 0 for no keepalives. `nil` before that.
    public var holdTime: UInt16?
    public var keepaliveInterval: UInt16?
    public var configuredHoldTime: UInt16
    /// What is left of it, or since when nothing came.
    public var lastReceived: TimeSpan?
    public var lastSent: TimeSpan?
    public var received: Messages
    public var sent: Messages
    /// As text, `route-refresh`, `four-octet-as`, `multiprotocol ipv4-unicast`.
    public var capabilitiesSent: [String]
    public var capabilitiesReceived: [String]
    public var hasPassword: Bool
    public var minimumHopLimit: UInt8
    public var multihop: UInt8
    /// RFC 9234: what we are to the neighbor, and what it says of itself; `nil`: nothing.
    public var role: String?
    public var remoteRole: String?
    /// RFC 4456: a client of our cluster. `nil`: it is none.
    public var isReflectorClient: Bool?
    /// Announcements that came back to us by reflection. `nil`: none.
    public var reflectionLoops: UInt64?
    /// Announcements that were route leaks. `nil`: none.
    public var routeLeaks: UInt64?
    public var importPolicies: [String]
    public var exportPolicies: [String]
    /// RFC 8212 keeps routes in or out because a policy is missing.
    public var importIsMissing: Bool
    public var exportIsMissing: Bool
    public var establishedCount: UInt64
    public var droppedCount: UInt64
    /// The end of the session before, in words, and how long ago.
    public var lastError: String?
    public var lastErrorAge: TimeSpan?
    /// UPDATEs that RFC 7606 let us treat as withdrawals, and attributes discarded.
    public var treatedAsWithdraw: UInt64
    /// Announcements of what nobody can have a way to, and those that were fatal to a controller before. `nil`: none.
    public var unusable: UInt64?
    public var quarantined: UInt64?
    public var attributesDiscarded: UInt64

    public init(
        summary: BGPSummaryView.Neighbor, routerID: String? = nil, kind: String, localAddress: String? = nil,
        localPort: UInt16? = nil, remotePort: UInt16? = nil, isShutdown: Bool = false, passive: Bool = false,
        holdTime: UInt16? = nil, keepaliveInterval: UInt16? = nil, configuredHoldTime: UInt16,
        lastReceived: TimeSpan? = nil, lastSent: TimeSpan? = nil, received: Messages = Messages(),
        sent: Messages = Messages(), capabilitiesSent: [String] = [], capabilitiesReceived: [String] = [],
        hasPassword: Bool = false, minimumHopLimit: UInt8 = 0, multihop: UInt8 = 0, importPolicies: [String] = [],
        exportPolicies: [String] = [], importIsMissing: Bool = false, exportIsMissing: Bool = false,
        establishedCount: UInt64 = 0, droppedCount: UInt64 = 0, lastError: String? = nil, lastErrorAge: TimeSpan? = nil,
        treatedAsWithdraw: UInt64 = 0, attributesDiscarded: UInt64 = 0
    ) {
        self.summary = summary
        self.routerID = routerID
        self.kind = kind
        self.localAddress = localAddress
        self.localPort = localPort
        self.remotePort = remotePort
        self.isShutdown = isShutdown
        self.passive = passive
        self.holdTime = holdTime
        self.keepaliveInterval = keepaliveInterval
        self.configuredHoldTime = configuredHoldTime
        self.lastReceived = lastReceived
        self.lastSent = lastSent
        self.received = received
        self.sent = sent
        self.capabilitiesSent = capabilitiesSent
        self.capabilitiesReceived = capabilitiesReceived
        self.hasPassword = hasPassword
        self.minimumHopLimit = minimumHopLimit
        self.multihop = multihop
        self.importPolicies = importPolicies
        self.exportPolicies = exportPolicies
        self.importIsMissing = importIsMissing
        self.exportIsMissing = exportIsMissing
        self.establishedCount = establishedCount
        self.droppedCount = droppedCount
        self.lastError = lastError
        self.lastErrorAge = lastErrorAge
        self.treatedAsWithdraw = treatedAsWithdraw
        self.attributesDiscarded = attributesDiscarded
    }
}
