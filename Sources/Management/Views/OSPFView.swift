/// What of OSPF to show.
public struct OSPFQuery: Hashable, Sendable, Codable {
    /// The keys of the configuration.
    public enum Instance: String, Hashable, Sendable, Codable, CaseIterable {
        case ospf
        case ospfv3
        /// OSPFv3 for IPv4.
        case ospfv3ipv4 = "ospfv3-ipv4"
    }
    public enum Part: String, Hashable, Sendable, Codable, CaseIterable {
        case summary, neighbors, interfaces, database, routes, spf
    }
    public var instance: Instance
    public var part: Part
    /// With `neighbors`: only the one with this Router ID or address; with `interfaces`: this name; with `database`: only
    /// LSAs of this originator or type; with `routes`: this prefix.
    public var only: String?
    /// With `database`: what the LSAs say; with `neighbors` and `interfaces`: everything.
    public var detail: Bool
    /// Where a page of the database or of routes begins: `next` of the page before.
    public var after: String?
    /// Most LSAs or routes of a page, 1…10000.
    public var limit: Int

    public init(
        _ instance: Instance, _ part: Part, only: String? = nil, detail: Bool = false, after: String? = nil,
        limit: Int = 1000
    ) {
        self.instance = instance
        self.part = part
        self.only = only
        self.detail = detail
        self.after = after
        self.limit = limit
    }
}

/// Ends adjacencies of an interior protocol, or BFD sessions; they form anew.
public struct ClearAdjacencies: Hashable, Sendable, Codable {
    /// `ospf`, `ospfv3`, `isis`, `rip`, `ripng` or `bfd`.
    public var routing: String
    /// A neighbour's address or identifier, or `*` for all.
    public var neighbor: String

    public init(routing: String, neighbor: String) {
        self.routing = routing
        self.neighbor = neighbor
    }
}

/// `show ospf`, `show ospfv3`: the part that was asked for.
public struct OSPFView: Hashable, Sendable, Codable {
    public struct Counter: Hashable, Sendable, Codable {
        public var name: String
        public var count: UInt64
        public init(name: String, count: UInt64) {
            self.name = name
            self.count = count
        }
    }
    public struct Area: Hashable, Sendable, Codable {
        public var id: String
        public var kind: String
        public var interfaces: Int
        public var fullNeighbors: Int
        public var lsas: Int
        public init(id: String, kind: String, interfaces: Int, fullNeighbors: Int, lsas: Int) {
            self.id = id
            self.kind = kind
            self.interfaces = interfaces
            self.fullNeighbors = fullNeighbors
            self.lsas = lsas
        }
    }
    public struct Summary: Hashable, Sendable, Codable {
        public var version: Int
        public var family: String
        public var routerID: String
        public var isBorderRouter: Bool
        public var isStubRouter: Bool
        public var areas: [Area]
        public var externalLSAs: Int
        public var routes: Int
        /// Calculations of routes since this controller began.
        public var calculations: UInt64
        public init(
            version: Int, family: String, routerID: String, isBorderRouter: Bool, isStubRouter: Bool = false,
            areas: [Area] = [], externalLSAs: Int = 0, routes: Int = 0, calculations: UInt64 = 0
        ) {
            self.version = version
            self.family = family
            self.routerID = routerID
            self.isBorderRouter = isBorderRouter
            self.isStubRouter = isStubRouter
            self.areas = areas
            self.externalLSAs = externalLSAs
            self.routes = routes
            self.calculations = calculations
        }
    }
    public struct Neighbor: Hashable, Sendable, Codable {
        public var routerID: String
        public var address: String
        public var interface: String
        public var area: String
        /// RFC 2328 §10.1
        public var state: String
        /// `DR`, `Backup`, `DROther` or, on point-to-point links, `-`.
        public var role: String
        public var priority: Int
        /// How long it is in that state.
        public var stateAge: TimeSpan
        public var deadTime: TimeSpan
        public var graceTime: TimeSpan?
        /// `up` or `down`; absent without BFD.
        public var bfd: String?
        public var retransmissions: Int
        public var requests: Int
        public var stateChanges: UInt64
        public var lastReason: String
        public init(
            routerID: String, address: String, interface: String, area: String, state: String, role: String,
            priority: Int, stateAge: TimeSpan, deadTime: TimeSpan, graceTime: TimeSpan? = nil, bfd: String? = nil,
            retransmissions: Int = 0, requests: Int = 0, stateChanges: UInt64 = 0, lastReason: String = ""
        ) {
            self.routerID = routerID
            self.address = address
            self.interface = interface
            self.area = area
            self.state = state
            self.role = role
            self.priority = priority
            self.stateAge = stateAge
            self.deadTime = deadTime
            self.graceTime = graceTime
            self.bfd = bfd
            self.retransmissions = retransmissions
            self.requests = requests
            self.stateChanges = stateChanges
            self.lastReason = lastReason
        }
    }
    public struct Interface: Hashable, Sendable, Codable {
        public var name: String
        public var area: String
        public var network: String
        /// RFC 2328 §9.1
        public var state: String
        public var isPassive: Bool
        public var address: String?
        public var cost: Int
        public var priority: Int
        public var designatedRouter: String?
        public var backupDesignatedRouter: String?
        public var helloDue: TimeSpan?
        public var neighbors: Int
        public var fullNeighbors: Int
        public var received: [Counter]
        public var sent: [Counter]
        public var dropped: [Counter]
        public init(
            name: String, area: String, network: String, state: String, isPassive: Bool = false, address: String? = nil,
            cost: Int, priority: Int, designatedRouter: String? = nil, backupDesignatedRouter: String? = nil,
            helloDue: TimeSpan? = nil, neighbors: Int = 0, fullNeighbors: Int = 0, received: [Counter] = [],
            sent: [Counter] = [], dropped: [Counter] = []
        ) {
            self.name = name
            self.area = area
            self.network = network
            self.state = state
            self.isPassive = isPassive
            self.address = address
            self.cost = cost
            self.priority = priority
            self.designatedRouter = designatedRouter
            self.backupDesignatedRouter = backupDesignatedRouter
            self.helloDue = helloDue
            self.neighbors = neighbors
            self.fullNeighbors = fullNeighbors
            self.received = received
            self.sent = sent
            self.dropped = dropped
        }
    }
    public struct LSA: Hashable, Sendable, Codable {
        /// `area 0.0.0.0`, `AS`, `link eth0`
        public var database: String
        public var type: String
        public var linkStateID: String
        public var advertisingRouter: String
        /// Seconds.
        public var age: Int
        /// In hexadecimal, as other routers show it.
        public var sequence: String
        public var checksum: String
        public var length: Int
        public var isOwn: Bool
        public var contents: [String]?
        public init(
            database: String, type: String, linkStateID: String, advertisingRouter: String, age: Int, sequence: String,
            checksum: String, length: Int, isOwn: Bool, contents: [String]? = nil
        ) {
            self.database = database
            self.type = type
            self.linkStateID = linkStateID
            self.advertisingRouter = advertisingRouter
            self.age = age
            self.sequence = sequence
            self.checksum = checksum
            self.length = length
            self.isOwn = isOwn
            self.contents = contents
        }
    }
    public struct Route: Hashable, Sendable, Codable {
        public var prefix: String
        public var kind: String
        public var area: String
        public var cost: UInt32
        public var type2Cost: UInt32?
        public var tag: UInt32
        public var advertisingRouter: String
        public var nextHops: [String]
        public init(
            prefix: String, kind: String, area: String, cost: UInt32, type2Cost: UInt32? = nil, tag: UInt32 = 0,
            advertisingRouter: String, nextHops: [String]
        ) {
            self.prefix = prefix
            self.kind = kind
            self.area = area
            self.cost = cost
            self.type2Cost = type2Cost
            self.tag = tag
            self.advertisingRouter = advertisingRouter
            self.nextHops = nextHops
        }
    }
    public struct SPF: Hashable, Sendable, Codable {
        public struct Run: Hashable, Sendable, Codable {
            public var age: TimeSpan
            /// From the first change that it answers.
            public var delay: TimeSpan
            public var changes: Int
            public var routes: Int
            public init(age: TimeSpan, delay: TimeSpan, changes: Int, routes: Int) {
                self.age = age
                self.delay = delay
                self.changes = changes
                self.routes = routes
            }
        }
        public struct Router: Hashable, Sendable, Codable {
            public var area: String
            public var routerID: String
            public var distance: UInt32
            public var isBorderRouter: Bool
            public var isBoundaryRouter: Bool
            public init(area: String, routerID: String, distance: UInt32, isBorderRouter: Bool, isBoundaryRouter: Bool) {
                self.area = area
                self.routerID = routerID
                self.distance = distance
                self.isBorderRouter = isBorderRouter
                self.isBoundaryRouter = isBoundaryRouter
            }
        }
        public var runs: [Run]
        public var routers: [Router]
        public init(runs: [Run], routers: [Router]) {
            self.runs = runs
            self.routers = routers
        }
    }

    public var isConfigured: Bool
    public var summary: Summary?
    public var neighbors: [Neighbor]?
    public var interfaces: [Interface]?
    public var lsas: [LSA]?
    public var routes: [Route]?
    public var spf: SPF?
    /// `after` of the next page; absent on the last.
    public var next: String?

    public init(isConfigured: Bool) { self.isConfigured = isConfigured }
}
