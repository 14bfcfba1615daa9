/// Who offers a route to the routing table manager. The raw value breaks ties between equal distances.
public enum RouteProtocol: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case connected = 0
    case `static` = 1
    case bgp = 2

    public var description: String {
        switch self {
        case .connected: "connected"
        case .static: "static"
        case .bgp: "bgp"
        }
    }
}
