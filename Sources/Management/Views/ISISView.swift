/// What of IS-IS to show.
public struct ISISQuery: Hashable, Sendable, Codable {
    public enum Part: String, Hashable, Sendable, Codable, CaseIterable {
        case summary, neighbors, interfaces, database, routes, spf, hostnames
    }
    public var part: Part
    /// 1 or 2; `nil` is both.
    public var level: Int?
    /// With `database`: only this LSP; with `routes`: only this prefix.
    public var only: String?
    /// With `database`: what the LSPs say; with `neighbors`: everything.
    public var detail: Bool
    /// Where a page of the database or of routes begins: `next` of the page before.
    public var after: String?
    /// Most LSPs or routes of a page, 1…10000.
    public var limit: Int

    public init(
        _ part: Part, level: Int? = nil, only: String? = nil, detail: Bool = false, after: String? = nil, limit: Int = 1000
    ) {
        self.part = part
        self.level = level
        self.only = only
        self.detail = detail
        self.after = after
        self.limit = limit
    }
}

/// `show isis`: the part that was asked for.
public struct ISISView: Hashable, Sendable, Codable {
    public struct Summary: Hashable, Sendable, Codable {
        public struct Level: Hashable, Sendable, Codable {
            public var level: Int
            public var lsps: Int
            public var ownLSPs: Int
            public init(level: Int, lsps: Int, ownLSPs: Int) {
                self.level = level
                self.lsps = lsps
                self.ownLSPs = ownLSPs
            }
        }
        public struct Run: Hashable, Sendable, Codable {
            public var age: TimeSpan
            /// Levels whose paths were calculated; none when only prefixes were looked at.
            public var levels: [Int]
            public var updates: Int
            public init(age: TimeSpan, levels: [Int], updates: Int) {
                self.age = age
                self.levels = levels
                self.updates = updates
            }
        }
        public struct Count: Hashable, Sendable, Codable {
            public var name: String
            public var count: UInt64
            public init(name: String, count: UInt64) {
                self.name = name
                self.count = count
            }
        }
        public var system: String
        public var hostname: String
        public var areas: [String]
        /// `L1`, `L2`, `L1L2`
        public var levels: String
        public var isOverloaded = false
        public var isAttached = false
        public var adjacenciesUp = 0
        public var databases: [Level] = []
        public var ipv4Routes = 0
        public var ipv6Routes = 0
        /// RFC 8405: `quiet`, `short wait`, `long wait`
        public var backoff = "quiet"
        /// The newest last.
        public var runs: [Run] = []
        public var counters: [Count] = []
        /// Why PDUs were not taken; only reasons that occurred.
        public var dropped: [Count] = []

        public init(system: String, hostname: String, areas: [String], levels: String) {
            self.system = system
            self.hostname = hostname
            self.areas = areas
            self.levels = levels
        }
    }

    public struct Neighbor: Hashable, Sendable, Codable {
        public var system: String
        public var hostname: String?
        public var interface: String
        /// `L1`, `L2`, `L1L2`
        public var levels: String
        public var state: String
        /// Until it ends without another hello.
        public var holdTimeLeft: TimeSpan
        public var holdingTime: UInt16
        public var priority: Int
        public var station: String
        public var areas: [String] = []
        public var addresses: [String] = []
        public var isMultiTopology = false
        public var isRestarting = false
        /// `up`, `down`; `nil` without BFD.
        public var bfd: String?
        public var upFor: TimeSpan?

        public init(
            system: String, hostname: String?, interface: String, levels: String, state: String, holdTimeLeft: TimeSpan,
            holdingTime: UInt16, priority: Int, station: String
        ) {
            self.system = system
            self.hostname = hostname
            self.interface = interface
            self.levels = levels
            self.state = state
            self.holdTimeLeft = holdTimeLeft
            self.holdingTime = holdingTime
            self.priority = priority
            self.station = station
        }
    }

    public struct Interface: Hashable, Sendable, Codable {
        public struct Level: Hashable, Sendable, Codable {
            public var level: Int
            public var metric: UInt32
            public var priority: Int
            public var helloInterval: TimeSpan
            public var adjacencies: Int
            /// The LAN by its designated IS; `nil` where there is none.
            public var lan: String?
            public var isDesignated: Bool
            /// LSPs still to be sent or acknowledged.
            public var waiting: Int

            public init(
                level: Int, metric: UInt32, priority: Int, helloInterval: TimeSpan, adjacencies: Int, lan: String?,
                isDesignated: Bool, waiting: Int
            ) {
                self.level = level
                self.metric = metric
                self.priority = priority
                self.helloInterval = helloInterval
                self.adjacencies = adjacencies
                self.lan = lan
                self.isDesignated = isDesignated
                self.waiting = waiting
            }
        }
        public var name: String
        public var isUp: Bool
        public var isPassive: Bool
        /// `broadcast`, `point-to-point`
        public var network: String
        public var circuitID: Int
        public var adjacencyLosses: UInt64
        public var levels: [Level]

        public init(
            name: String, isUp: Bool, isPassive: Bool, network: String, circuitID: Int, adjacencyLosses: UInt64,
            levels: [Level]
        ) {
            self.name = name
            self.isUp = isUp
            self.isPassive = isPassive
            self.network = network
            self.circuitID = circuitID
            self.adjacencyLosses = adjacencyLosses
            self.levels = levels
        }
    }

    public struct LSP: Hashable, Sendable, Codable {
        public var level: Int
        public var id: String
        public var hostname: String?
        public var sequence: UInt32
        public var checksum: UInt16
        public var remainingLifetime: UInt16
        public var isPurged: Bool
        public var isOwn: Bool
        public var octets: Int
        public var isAttached: Bool
        public var isOverloaded: Bool
        /// With detail: a line for each thing it says.
        public var contents: [String]?

        public init(
            level: Int, id: String, hostname: String?, sequence: UInt32, checksum: UInt16, remainingLifetime: UInt16,
            isPurged: Bool, isOwn: Bool, octets: Int, isAttached: Bool, isOverloaded: Bool, contents: [String]? = nil
        ) {
            self.level = level
            self.id = id
            self.hostname = hostname
            self.sequence = sequence
            self.checksum = checksum
            self.remainingLifetime = remainingLifetime
            self.isPurged = isPurged
            self.isOwn = isOwn
            self.octets = octets
            self.isAttached = isAttached
            self.isOverloaded = isOverloaded
            self.contents = contents
        }
    }

    public struct Route: Hashable, Sendable, Codable {
        public var prefix: String
        /// `L1`, `L2`, `L1 inter-area`, …
        public var kind: String
        public var metric: UInt32
        public var distance: Int
        public var tag: UInt32
        public var isExternal: Bool
        public var nextHops: [String]

        public init(
            prefix: String, kind: String, metric: UInt32, distance: Int, tag: UInt32, isExternal: Bool, nextHops: [String]
        ) {
            self.prefix = prefix
            self.kind = kind
            self.metric = metric
            self.distance = distance
            self.tag = tag
            self.isExternal = isExternal
            self.nextHops = nextHops
        }
    }

    public struct Path: Hashable, Sendable, Codable {
        public var level: Int
        /// `standard`, `ipv6-unicast`
        public var topology: String
        public var node: String
        public var hostname: String?
        public var metric: UInt32
        public var firstHops: [String]
        public var isOverloaded: Bool
        public var isAttached: Bool

        public init(
            level: Int, topology: String, node: String, hostname: String?, metric: UInt32, firstHops: [String],
            isOverloaded: Bool, isAttached: Bool
        ) {
            self.level = level
            self.topology = topology
            self.node = node
            self.hostname = hostname
            self.metric = metric
            self.firstHops = firstHops
            self.isOverloaded = isOverloaded
            self.isAttached = isAttached
        }
    }

    public struct Hostname: Hashable, Sendable, Codable {
        public var level: Int
        public var system: String
        public var hostname: String
        public init(level: Int, system: String, hostname: String) {
            self.level = level
            self.system = system
            self.hostname = hostname
        }
    }

    /// The router speaks IS-IS.
    public var isConfigured: Bool
    public var summary: Summary?
    public var neighbors: [Neighbor]?
    public var interfaces: [Interface]?
    public var lsps: [LSP]?
    public var routes: [Route]?
    public var paths: [Path]?
    public var hostnames: [Hostname]?
    /// Where the next page begins; `nil` when this was the last.
    public var next: String?

    public init(isConfigured: Bool) { self.isConfigured = isConfigured }
}
