import OSPF

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
    public var isConfigured: Bool
    public var summary: OSPFSummaryView?
    public var neighbors: [OSPFNeighborView]?
    public var interfaces: [OSPFInterfaceView]?
    public var lsas: [OSPFLSAView]?
    public var routes: [OSPFRouteView]?
    public var spf: OSPFCalculationView?
    /// `after` of the next page; absent on the last.
    public var next: String?

    public init(isConfigured: Bool) { self.isConfigured = isConfigured }
}
