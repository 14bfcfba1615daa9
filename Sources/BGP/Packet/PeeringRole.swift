import Wire

/// RFC 9234 §4: what the router's own AS is to the neighbour's. The values are those of the BGP Role capability (§4.1).
///
/// What follows from it for routes (§5) is asked here, so that the two procedures read as the RFC has them.
public enum PeeringRole: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// We give the neighbour transit.
    case provider = 0
    /// We are a route server, the neighbour is its client.
    case rs = 1
    /// We are a client of the neighbour, a route server.
    case rsClient = 2
    /// The neighbour gives us transit.
    case customer = 3
    /// Neither gives the other transit.
    case peer = 4

    /// RFC 9234 §4.2, table 2: what the other end must be.
    public var counterpart: PeeringRole {
        switch self {
        case .provider: .customer
        case .customer: .provider
        case .rs: .rsClient
        case .rsClient: .rs
        case .peer: .peer
        }
    }

    /// As the configuration writes it.
    public var description: String {
        switch self {
        case .provider: "provider"
        case .rs: "rs"
        case .rsClient: "rs-client"
        case .customer: "customer"
        case .peer: "peer"
        }
    }

    /// The neighbour is a provider, a peer or a route server: what it tells us goes to customers only (RFC 9234 §5, ingress
    /// 3), and what is marked so does not go to it (egress 2).
    @inline(__always) var isBelowOrBeside: Bool { self == .customer || self == .peer || self == .rsClient }
    /// The neighbour is a customer, a peer or a client of our route server: what we tell it goes to customers only (RFC 9234
    /// §5, egress 1).
    @inline(__always) var isAboveOrBeside: Bool { self == .provider || self == .peer || self == .rs }

    /// What a neighbour says it is: the values of its Role capabilities, ascending, without repetition.
    public static func words(_ values: [UInt8]) -> String {
        if values.isEmpty { return "no role" }
        return values.map { PeeringRole(rawValue: $0)?.description ?? "the unknown role \($0)" }.joined(separator: " and ")
    }
}

extension FamilyCode {
    /// RFC 9234 §5: the procedures are for unicast of IPv4 and IPv6, and must not be applied to others.
    var hasRoles: Bool { safi == 1 && (afi == 1 || afi == 2) }
}

/// RFC 9234 §5, the ingress procedure: what becomes of a route because of the role.
enum OnlyToCustomer {
    case unchanged
    /// Step 3: marked with the neighbour's AS.
    case marked
    /// Steps 1 and 2: a route leak, ineligible.
    case leak

    /// - Parameters:
    ///   - value: of the route's OTC attribute; `nil`: it has none.
    ///   - remoteAS: the neighbour's.
    static func ingress(_ role: PeeringRole, _ value: UInt32?, remoteAS: UInt32) -> OnlyToCustomer {
        guard let value else { return role.isBelowOrBeside ? .marked : .unchanged }
        switch role {
        case .provider, .rs: return .leak
        case .peer: return value == remoteAS ? .unchanged : .leak
        case .customer, .rsClient: return .unchanged
        }
    }
}
