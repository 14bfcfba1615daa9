import RIP

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
    public var neighbors: [RIPNeighborView]?
    public var interfaces: [RIPInterfaceView]?
    public var routes: RIPRoutesView?

    public init(name: String, isConfigured: Bool) {
        self.name = name
        self.isConfigured = isConfigured
    }
}

/// A page of routes.
public struct RIPRoutesView: Hashable, Sendable, Codable {
    /// Destinations in the table.
    public var total: UInt64
    public var routes: [RIPRouteView]
    /// Where the next page begins.
    public var next: String?

    public init(total: UInt64, routes: [RIPRouteView], next: String? = nil) {
        self.total = total
        self.routes = routes
        self.next = next
    }
}
