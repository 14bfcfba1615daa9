import ISIS

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
    /// The router speaks IS-IS.
    public var isConfigured: Bool
    public var summary: ISISSummaryView?
    public var neighbors: [ISISAdjacencyView]?
    public var interfaces: [ISISInterfaceView]?
    public var lsps: [ISISDatabaseView]?
    public var routes: [ISISRouteView]?
    public var paths: [ISISPathView]?
    public var hostnames: [ISISHostnameView]?
    /// Where the next page begins; `nil` when this was the last.
    public var next: String?

    public init(isConfigured: Bool) { self.isConfigured = isConfigured }
}
