import Policy
import Wire

/// What the database must know of an established session, beyond the neighbour's configuration.
public struct RIBSession: Hashable, Sendable, Codable {
    /// The neighbour's BGP Identifier, from its OPEN.
    public var identifier: RouterID
    /// Families that both ends offered.
    public var families: RouteFamilySet
    /// RFC 6793: both ends speak four-octet AS numbers.
    public var fourOctetAS: Bool
    /// RFC 8654: the neighbour takes messages above 4,096 octets.
    public var extendedMessages: Bool
    /// Our addresses that this neighbour can reach; they stand in NEXT_HOP wherever we name ourselves. `nil` where the
    /// interface has none: routes of that family then are not sent unless their next hop is left alone.
    public var nextHopIPv4: IPv4Address?
    public var nextHopIPv6: IPv6Address?
    /// RFC 2545 §3: sent beside the global address when the neighbour shares the link.
    public var linkLocal: IPv6Address?
    /// RFC 7911: families in which the neighbour's prefixes come with path identifiers, and those in which it takes them.
    public var receivesPathIDs: RouteFamilySet = []
    public var sendsPathIDs: RouteFamilySet = []
    /// RFC 8950 §4: families of which the neighbour takes routes with an IPv6 next hop, though their own are IPv4.
    public var takesIPv6NextHops: RouteFamilySet = []
    /// RFC 9494 §4.3: the neighbour speaks of long-lived stale routes.
    public var takesLongLivedStale = false
    /// Which of a prefix's paths the neighbour gets.
    public var view = ExportView.best
    /// Families with another view than that.
    public var views: [FamilyView] = []

    /// `LocalASConfiguration.dualAS`: the neighbour knows us by the usual AS.
    public var answersAsRouter: Bool {
        get { isAnswered ?? false }
        set { isAnswered = newValue ? true : nil }
    }
    private var isAnswered: Bool?

    /// The view of one family.
    public struct FamilyView: Hashable, Sendable, Codable {
        public var family: RouteFamily
        public var view: ExportView
        public init(family: RouteFamily, view: ExportView) {
            self.family = family
            self.view = view
        }
    }

    func view(_ family: RouteFamily) -> ExportView { views.first { $0.family == family }?.view ?? view }

    public init(
        identifier: RouterID, families: RouteFamilySet, fourOctetAS: Bool, extendedMessages: Bool,
        nextHopIPv4: IPv4Address? = nil, nextHopIPv6: IPv6Address? = nil, linkLocal: IPv6Address? = nil
    ) {
        self.identifier = identifier
        self.families = families
        self.fourOctetAS = fourOctetAS
        self.extendedMessages = extendedMessages
        self.nextHopIPv4 = nextHopIPv4
        self.nextHopIPv6 = nextHopIPv6
        self.linkLocal = linkLocal
    }
}

/// Which of the paths to a destination a neighbour gets; those that it sent itself are never among them.
public enum ExportView: Hashable, Sendable, Codable {
    /// The best one, if export policy lets it pass.
    case best
    /// The best of those that pass export policy, so that policy hides no path behind a better one (RFC 7947 §2.3): as if
    /// the neighbour had a Loc-RIB of its own. The source of that one gets the best of the others.
    case bestAccepted
    /// The best ones of those that pass export policy, at most so many, 1…16, to a neighbour that takes path identifiers
    /// (RFC 7911); to another one this is `bestAccepted`.
    case several(UInt8)

    /// Places in the Adj-RIB-Out.
    var width: Int {
        switch self {
        case .best: 1
        case .bestAccepted: 2
        case .several(let count): min(max(Int(count), 1), AdjRIBOut.widthMaximum)
        }
    }
}

/// A set of path attributes in the database. It is a plain number: who keeps one across records must know that a route
/// holds it, or it may mean another set by then.
@frozen
public struct AttributeHandle: Hashable, Sendable, BitwiseCopyable {
    public var value: UInt32
    @inlinable public init(_ value: UInt32) { self.value = value }
    public static let none = AttributeHandle(0)
}

/// How the octets of an attribute block are to be read. Equal octets under equal contexts mean the same attributes, so
/// that a block seen before need not be parsed again.
@frozen
public struct AttributeContext: Hashable, Sendable, BitwiseCopyable {
    public var value: UInt32
    /// Whatever the codec's result depends on: AS number width, kind of session, the neighbour's AS where it is checked.
    @inlinable public init(_ value: UInt32) { self.value = value }
}

/// A change of the best route to a prefix, for the routing table manager.
public struct BestRouteChange<Address: Hashable & Sendable & BitwiseCopyable>: Hashable, Sendable, BitwiseCopyable {
    public var address: Address
    public var length: UInt8
    /// Where the best route came from; `nil`: there is none any more.
    public var source: RouteSource?
    public var nextHop: Address
    /// The next hop of the second-best route that has another one; equal to `nextHop` for none.
    public var backup: Address

    public init(address: Address, length: UInt8, source: RouteSource?, nextHop: Address, backup: Address) {
        self.address = address
        self.length = length
        self.source = source
        self.nextHop = nextHop
        self.backup = backup
    }
}
