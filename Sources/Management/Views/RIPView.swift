/// Which part of RIP or RIPng to show.
public struct RIPQuery: Hashable, Sendable, Codable {
    public enum Part: String, Hashable, Sendable, Codable, CaseIterable {
        case neighbors
        case interfaces
        case routes
    }
    /// `rip` or `ripng`.
    public var name: String
    public var part: Part
    /// Routes: only this prefix.
    public var prefix: String?
    /// Routes: those after this prefix, `RIPRoutesView.next` of the page before.
    public var after: String?
    /// Most routes of a page, 1…10000.
    public var limit: Int

    public init(name: String, part: Part, prefix: String? = nil, after: String? = nil, limit: Int = 1000) {
        self.name = name
        self.part = part
        self.prefix = prefix
        self.after = after
        self.limit = limit
    }
}

/// `show rip …`, `show ripng …`: the part that was asked for.
public struct RIPView: Hashable, Sendable, Codable {
    /// `rip` or `ripng`.
    public var name: String
    /// `false`: the router does not speak it.
    public var isConfigured: Bool
    public var neighbors: [RIPNeighborEntry]?
    public var interfaces: [RIPInterfaceEntry]?
    public var routes: RIPRoutesView?

    public init(name: String, isConfigured: Bool) {
        self.name = name
        self.isConfigured = isConfigured
    }
}

public struct RIPNeighborEntry: Hashable, Sendable, Codable {
    public var address: String
    public var interface: String
    /// Of its messages.
    public var version: Int
    /// How long it is known, and since it was heard last.
    public var age: TimeSpan
    public var silence: TimeSpan
    public var routes: UInt64
    public var responses: UInt64
    public var badPackets: UInt64
    public var badRoutes: UInt64
    /// `up`, `down`, or absent when BFD does not watch it.
    public var bfd: String?

    public init(
        address: String, interface: String, version: Int, age: TimeSpan, silence: TimeSpan, routes: UInt64,
        responses: UInt64 = 0, badPackets: UInt64 = 0, badRoutes: UInt64 = 0, bfd: String? = nil
    ) {
        self.address = address
        self.interface = interface
        self.version = version
        self.age = age
        self.silence = silence
        self.routes = routes
        self.responses = responses
        self.badPackets = badPackets
        self.badRoutes = badRoutes
        self.bfd = bfd
    }
}

public struct RIPInterfaceEntry: Hashable, Sendable, Codable {
    public struct Drop: Hashable, Sendable, Codable {
        public var reason: String
        public var count: UInt64
        public init(reason: String, count: UInt64) {
            self.reason = reason
            self.count = count
        }
    }
    public var name: String
    public var isUp: Bool
    public var isPassive: Bool
    public var splitHorizon: String
    public var metric: Int
    public var metricOffset: Int
    /// Versions sent and heard; empty for RIPng.
    public var send: String
    public var receive: String
    public var authentication: String
    public var neighbors: UInt64
    /// Until the next regular update.
    public var nextUpdate: TimeSpan?
    public var requestsReceived: UInt64
    public var responsesReceived: UInt64
    public var packetsSent: UInt64
    public var regularUpdates: UInt64
    public var triggeredUpdates: UInt64
    public var dropped: [Drop]

    public init(
        name: String, isUp: Bool, isPassive: Bool = false, splitHorizon: String, metric: Int, metricOffset: Int = 0,
        send: String = "", receive: String = "", authentication: String = "none", neighbors: UInt64 = 0,
        nextUpdate: TimeSpan? = nil, requestsReceived: UInt64 = 0, responsesReceived: UInt64 = 0, packetsSent: UInt64 = 0,
        regularUpdates: UInt64 = 0, triggeredUpdates: UInt64 = 0, dropped: [Drop] = []
    ) {
        self.name = name
        self.isUp = isUp
        self.isPassive = isPassive
        self.splitHorizon = splitHorizon
        self.metric = metric
        self.metricOffset = metricOffset
        self.send = send
        self.receive = receive
        self.authentication = authentication
        self.neighbors = neighbors
        self.nextUpdate = nextUpdate
        self.requestsReceived = requestsReceived
        self.responsesReceived = responsesReceived
        self.packetsSent = packetsSent
        self.regularUpdates = regularUpdates
        self.triggeredUpdates = triggeredUpdates
        self.dropped = dropped
    }
}

public struct RIPRoutesView: Hashable, Sendable, Codable {
    public struct Gateway: Hashable, Sendable, Codable {
        public var address: String
        public var interface: String
        /// Who announced it.
        public var neighbor: String
        /// Until it times out.
        public var timeout: TimeSpan
        public init(address: String, interface: String, neighbor: String, timeout: TimeSpan) {
            self.address = address
            self.interface = interface
            self.neighbor = neighbor
            self.timeout = timeout
        }
    }
    public struct Route: Hashable, Sendable, Codable {
        public var prefix: String
        /// `connected`, `redistributed`, `learned` or `garbage`.
        public var kind: String
        public var metric: Int
        public var tag: Int
        public var gateways: [Gateway]
        /// Until it is forgotten.
        public var garbage: TimeSpan?
        public init(
            prefix: String, kind: String, metric: Int, tag: Int = 0, gateways: [Gateway] = [], garbage: TimeSpan? = nil
        ) {
            self.prefix = prefix
            self.kind = kind
            self.metric = metric
            self.tag = tag
            self.gateways = gateways
            self.garbage = garbage
        }
    }
    /// Destinations in the table.
    public var total: UInt64
    public var routes: [Route]
    /// Where the next page begins.
    public var next: String?

    public init(total: UInt64, routes: [Route], next: String? = nil) {
        self.total = total
        self.routes = routes
        self.next = next
    }
}
