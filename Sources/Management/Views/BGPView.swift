import BGP

/// `show bgp neighbors`
public struct BGPNeighborsView: Hashable, Sendable, Codable {
    public var neighbors: [BGPNeighborView]
    public init(neighbors: [BGPNeighborView]) { self.neighbors = neighbors }
}
