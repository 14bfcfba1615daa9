/// Who offers a route to the routing table manager. The raw value breaks ties between equal distances.
public enum RouteProtocol: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case connected = 0
    case `static` = 1
    case bgp = 2
    case ospf = 3
    case ospfv3 = 4
    case isis = 5
    case rip = 6
    case ripng = 7
    /// Made by the router from more specific routes.
    case aggregate = 8

    public var description: String {
        switch self {
        case .connected: "connected"
        case .static: "static"
        case .bgp: "bgp"
        case .ospf: "ospf"
        case .ospfv3: "ospfv3"
        case .isis: "isis"
        case .rip: "rip"
        case .ripng: "ripng"
        case .aggregate: "aggregate"
        }
    }
}
