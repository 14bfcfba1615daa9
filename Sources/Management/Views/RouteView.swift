import Records
import Wire

/// `show route`: a page of prefixes.
public struct RoutesView: Hashable, Sendable, Codable {
    public struct Route: Hashable, Sendable, Codable {
        public var prefix: String
        /// The best path first.
        public var paths: [Path]
        public init(prefix: String, paths: [Path]) {
            self.prefix = prefix
            self.paths = paths
        }
    }
    public struct Path: Hashable, Sendable, Codable {
        /// The one that is used.
        public var isBest: Bool
        /// It is in the FIB.
        public var isInstalled: Bool
        /// `connected`, `static`, `bgp`, `ospf`, `ospfv3`, `isis`, `rip`, `ripng`, `aggregate`
        public var `protocol`: String
        public var distance: UInt8
        /// `nil` for a connected network or a blackhole.
        public var nextHop: String?
        public var interface: String?
        /// `blackhole`, `next hop unreachable`, `rejected by policy`: why it is not an ordinary usable path.
        public var note: String?
        public var age: TimeSpan?
        /// Of an interior route.
        public var metric: UInt32?
        /// What the protocol tells apart: `external`, `intra-area`, `level-2`.
        public var kind: String?
        public var tag: UInt32?
        /// All next hops where there are several: `192.0.2.1 on lan`.
        public var nextHops: [String]?
        /// Takes over when the next hops lead nowhere any more.
        public var backup: [String]?
        /// The group of the forwarding table, and where its packets go now; no ways: they are dropped.
        public var group: UInt32?
        public var ways: [String]?
        /// With BGP.
        public var bgp: BGP?

        public init(
            isBest: Bool, isInstalled: Bool, `protocol`: String, distance: UInt8, nextHop: String? = nil,
            interface: String? = nil, note: String? = nil, age: TimeSpan? = nil, bgp: BGP? = nil
        ) {
            self.isBest = isBest
            self.isInstalled = isInstalled
            self.protocol = `protocol`
            self.distance = distance
            self.nextHop = nextHop
            self.interface = interface
            self.note = note
            self.age = age
            self.bgp = bgp
        }
    }
    public struct BGP: Hashable, Sendable, Codable {
        /// The neighbour that sent it, `nil` for our own.
        public var neighbor: String?
        public var neighborID: String?
        /// RFC 7911: the identifier that the neighbor gave the path, or gets it with; absent without one.
        public var pathID: UInt32?
        /// RFC 4271 §5.1.2 as people write it: `65001 65002 {65003,65004}`.
        public var asPath: String
        /// `igp`, `egp`, `incomplete`
        public var origin: String
        public var localPreference: UInt32?
        public var med: UInt32?
        /// What policy gave it in this router; absent without any.
        public var weight: UInt16?
        public var communities: [String]
        public var largeCommunities: [String]
        /// RFC 4360: `rt:65000:1`, `0x030c000000000008`; absent without any.
        public var extendedCommunities: [String]?
        public var atomicAggregate: Bool
        /// `AS address`
        public var aggregator: String?
        /// Attributes that this release passes on without knowing them: type and length.
        public var unknown: [String]
        /// RFC 4456 §8, of a route that was reflected.
        public var originatorID: String?
        public var clusterList: [String]?
        /// RFC 9234: the AS that said that the route goes to customers only.
        public var onlyToCustomer: UInt32?
        /// What the RPKI says of its origin (RFC 6811): `valid`, `invalid`, `not found`; absent without payloads.
        public var rpki: String?
        /// The neighbor restarted, or says all again, and has not announced this yet: `yes`, or `for long` (RFC 9494).
        public var stale: String?
        /// The step of RFC 4271 §9.1.2.2 that decided against this path.
        public var lostBy: String?

        public init(
            neighbor: String? = nil, neighborID: String? = nil, asPath: String, origin: String,
            localPreference: UInt32? = nil, med: UInt32? = nil, communities: [String] = [],
            largeCommunities: [String] = [], atomicAggregate: Bool = false, aggregator: String? = nil,
            unknown: [String] = [], lostBy: String? = nil
        ) {
            self.neighbor = neighbor
            self.neighborID = neighborID
            self.asPath = asPath
            self.origin = origin
            self.localPreference = localPreference
            self.med = med
            self.communities = communities
            self.largeCommunities = largeCommunities
            self.atomicAggregate = atomicAggregate
            self.aggregator = aggregator
            self.unknown = unknown
            self.lostBy = lostBy
        }
    }
    /// In order of prefix.
    public var routes: [Route]
    /// For `RouteQuery.after` if there are more.
    public var next: String?
    /// Prefixes in the table that was asked, whatever the page.
    public var total: UInt64

    public init(routes: [Route], next: String? = nil, total: UInt64) {
        self.routes = routes
        self.next = next
        self.total = total
    }
}

/// `show tcp`
public struct TCPView: Hashable, Sendable, Codable {
    public struct Connection: Hashable, Sendable, Codable {
        public var id: UInt32
        public var local: String
        public var remote: String
        /// RFC 9293 §3.3.2
        public var state: String
        /// Octets: sent by us and not acknowledged, generated and not sent, received and not committed.
        public var inFlight: UInt64
        public var unsent: UInt64
        public var uncommitted: UInt64
        public var received: UInt64
        public var acknowledged: UInt64
        public var congestionWindow: UInt64?
        public var peerWindow: UInt64?
        public var smoothedRoundTrip: TimeSpan?
        public var retransmissionTimeout: TimeSpan?
        public var retransmissions: UInt64?
        /// `mss 1448`, `sack`, `timestamps`, `wscale 7/9`, `md5`, `ttl 255`
        public var options: [String]

        public init(
            id: UInt32, local: String, remote: String, state: String, inFlight: UInt64 = 0, unsent: UInt64 = 0,
            uncommitted: UInt64 = 0, received: UInt64 = 0, acknowledged: UInt64 = 0, congestionWindow: UInt64? = nil,
            peerWindow: UInt64? = nil, smoothedRoundTrip: TimeSpan? = nil, retransmissionTimeout: TimeSpan? = nil,
            retransmissions: UInt64? = nil, options: [String] = []
        ) {
            self.id = id
            self.local = local
            self.remote = remote
            self.state = state
            self.inFlight = inFlight
            self.unsent = unsent
            self.uncommitted = uncommitted
            self.received = received
            self.acknowledged = acknowledged
            self.congestionWindow = congestionWindow
            self.peerWindow = peerWindow
            self.smoothedRoundTrip = smoothedRoundTrip
            self.retransmissionTimeout = retransmissionTimeout
            self.retransmissions = retransmissions
            self.options = options
        }
    }
    public var connections: [Connection]
    public var listeners: [String]
    /// Segments dropped, by reason, in a fixed order.
    public var dropped: [Counter]

    public init(connections: [Connection], listeners: [String] = [], dropped: [Counter] = []) {
        self.connections = connections
        self.listeners = listeners
        self.dropped = dropped
    }
}

/// `show interfaces`
public struct InterfacesView: Hashable, Sendable, Codable {
    public struct Interface: Hashable, Sendable, Codable {
        public var name: String
        public var device: String?
        public var isUp: Bool
        public var mac: String
        public var vlan: UInt16
        public var mtu: UInt16
        public var addresses: [String]
        public var framesReceived: UInt64
        public var octetsReceived: UInt64
        public var framesSent: UInt64
        public var octetsSent: UInt64
        /// By reason, in a fixed order.
        public var dropped: [Counter]
        /// ARP and ND: `198.18.0.11 02:00:00:00:00:11 reachable`
        public var adjacencies: [String]

        public init(
            name: String, device: String? = nil, isUp: Bool, mac: String, vlan: UInt16 = 0, mtu: UInt16,
            addresses: [String], framesReceived: UInt64 = 0, octetsReceived: UInt64 = 0, framesSent: UInt64 = 0,
            octetsSent: UInt64 = 0, dropped: [Counter] = [], adjacencies: [String] = []
        ) {
            self.name = name
            self.device = device
            self.isUp = isUp
            self.mac = mac
            self.vlan = vlan
            self.mtu = mtu
            self.addresses = addresses
            self.framesReceived = framesReceived
            self.octetsReceived = octetsReceived
            self.framesSent = framesSent
            self.octetsSent = octetsSent
            self.dropped = dropped
            self.adjacencies = adjacencies
        }
    }
    public var interfaces: [Interface]
    public init(interfaces: [Interface]) { self.interfaces = interfaces }
}
