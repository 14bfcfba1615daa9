import BGP
import Records

/// A BGP process beside the router's own, with a table and sessions of its own: a route server, say, or what carries
/// something else than the router's routes. It offers the routing table nothing and announces nothing of other protocols.
public struct BGPProcessConfiguration: Hashable, Sendable, Codable {
    /// One of `numbers`, and no other process's: the log and the snapshot name it so, and it stays the same process as long
    /// as the number does.
    public var number: UInt8
    /// For whoever reads events and views.
    public var name: String
    /// No neighbour of it has both the address and our own address of a neighbour of another process. BFD watches none.
    public var bgp: BGPConfiguration

    public static let numbers: ClosedRange<UInt8> = 2...7

    public init(number: UInt8, name: String, bgp: BGPConfiguration) {
        self.number = number
        self.name = name
        self.bgp = bgp
    }
}
