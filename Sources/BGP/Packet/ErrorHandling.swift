import Wire

/// RFC 7606 §2: the four approaches, weakest first.
public enum ErrorHandling: Hashable, Sendable {
    case attributeDiscard
    case treatAsWithdraw
    /// RFC 4760 §7: what the peer said of this family goes, and what it says later is ignored until the session ends.
    case disableAddressFamily(RouteFamily)
    case sessionReset(NotificationMessage)

    var strength: Int {
        switch self {
        case .attributeDiscard: 0
        case .treatAsWithdraw: 1
        case .disableAddressFamily: 2
        case .sessionReset: 3
        }
    }
}

/// A malformed attribute, or attribute list, and what it costs.
public struct AttributeFault: Hashable, Sendable, CustomStringConvertible {
    /// `nil`: the list itself.
    public var type: AttributeType?
    public var handling: ErrorHandling
    public var reason: StaticString
    /// What RFC 4271 §6.3 sends when the fault has to end the session after all (RFC 7606 §5.2).
    public var notification: NotificationMessage

    public static func == (a: Self, b: Self) -> Bool {
        a.type == b.type && a.handling == b.handling && a.notification == b.notification
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(handling)
        hasher.combine(notification)
    }
    public var description: String {
        let name = type.map { "\($0)" } ?? "attribute list"
        let what =
            switch handling {
            case .attributeDiscard: "attribute discarded"
            case .treatAsWithdraw: "treated as withdraw"
            case .disableAddressFamily(let family): "\(family) disabled"
            case .sessionReset: "session reset"
            }
        return "\(name): \(reason); \(what)"
    }
}

/// Path attribute type codes (IANA), those that this release knows by name and any other.
@frozen
public struct AttributeType: RawRepresentable, Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let origin = AttributeType(rawValue: 1)
    public static let asPath = AttributeType(rawValue: 2)
    public static let nextHop = AttributeType(rawValue: 3)
    public static let multiExitDisc = AttributeType(rawValue: 4)
    public static let localPref = AttributeType(rawValue: 5)
    public static let atomicAggregate = AttributeType(rawValue: 6)
    public static let aggregator = AttributeType(rawValue: 7)
    public static let communities = AttributeType(rawValue: 8)
    public static let originatorID = AttributeType(rawValue: 9)
    public static let clusterList = AttributeType(rawValue: 10)
    public static let mpReachNLRI = AttributeType(rawValue: 14)
    public static let mpUnreachNLRI = AttributeType(rawValue: 15)
    public static let extendedCommunities = AttributeType(rawValue: 16)
    public static let as4Path = AttributeType(rawValue: 17)
    public static let as4Aggregator = AttributeType(rawValue: 18)
    public static let ipv6ExtendedCommunities = AttributeType(rawValue: 25)
    public static let largeCommunities = AttributeType(rawValue: 32)
    /// RFC 9234 §5
    public static let onlyToCustomer = AttributeType(rawValue: 35)

    /// The Optional and Transitive bits that the attribute's specification asks for; `nil` for one we do not know.
    var specifiedFlags: UInt8? {
        switch rawValue {
        case 1, 2, 3, 5, 6: AttributeFlags.transitive
        case 4, 9, 10, 14, 15: AttributeFlags.optional
        case 7, 8, 16, 17, 18, 25, 32, 35: AttributeFlags.optional | AttributeFlags.transitive
        default: nil
        }
    }

    public var description: String {
        switch rawValue {
        case 1: "ORIGIN"
        case 2: "AS_PATH"
        case 3: "NEXT_HOP"
        case 4: "MULTI_EXIT_DISC"
        case 5: "LOCAL_PREF"
        case 6: "ATOMIC_AGGREGATE"
        case 7: "AGGREGATOR"
        case 8: "COMMUNITIES"
        case 9: "ORIGINATOR_ID"
        case 10: "CLUSTER_LIST"
        case 14: "MP_REACH_NLRI"
        case 15: "MP_UNREACH_NLRI"
        case 16: "EXTENDED_COMMUNITIES"
        case 17: "AS4_PATH"
        case 18: "AS4_AGGREGATOR"
        case 25: "IPV6_EXTENDED_COMMUNITIES"
        case 32: "LARGE_COMMUNITIES"
        case 35: "ONLY_TO_CUSTOMER"
        default: "attribute \(rawValue)"
        }
    }
}

/// RFC 4271 §4.3: the flags octet of an attribute.
enum AttributeFlags {
    static let optional: UInt8 = 0x80
    static let transitive: UInt8 = 0x40
    static let partial: UInt8 = 0x20
    static let extendedLength: UInt8 = 0x10
}
