import Policy
import Routing
import Wire

/// Where paths come from: one session from establishment to the removal of its last route, or the router itself: number
/// 0 its networks, number 1 what it announces for other protocols. A neighbour whose session comes back gets a new source while
/// the old one is still being swept; after a restart whose routes were kept the source is the same.
///
/// 64 octets, no padding.
struct Source: BitwiseCopyable, Sendable {
    static let networks = 0
    static let redistribution = 1
    static let firstSession = 2

    /// The neighbour's address, as RFC 4271 §9.1.2.2 (g) compares it; IPv4 in `addressLow`.
    var addressHigh: UInt64 = 0
    var addressLow: UInt64 = 0
    /// The neighbour's BGP Identifier.
    var identifier: UInt32 = 0
    var remoteAS: UInt32 = 0
    /// `PeerIndex`
    var peer: UInt16 = .max
    private var rawState: UInt8 = 0
    private var rawKind: UInt8 = 0
    /// How often our own AS may stand in a path.
    var allowASIn: UInt8 = 0
    var isIPv6: UInt8 = 0
    /// What we are to the neighbour, + 1; 0 for nothing.
    private var rawRole: UInt8 = 0
    private var rawClass: UInt8 = SourceClass.outside.rawValue
    /// Index of the compiled import policy, or one of `PolicyTable`'s special values.
    var importChain: Int32 = PolicyTable.rejectAll
    var exportChain: Int32 = PolicyTable.rejectAll
    /// Families in which its prefixes come with path identifiers.
    var receivesPathIDs: RouteFamilySet = []
    /// Families that its session carries.
    var families: RouteFamilySet = []
    /// RFC 9494 §4.2: families whose stale routes are in the long-lived period.
    var longLived: RouteFamilySet = []
    /// RFC 7705: another AS than the router's, that we are to the neighbour; 0 for none.
    var localAS: UInt32 = 0
    private var rawPrependsLocalAS: UInt8 = 0
    private var rawAllowsOwnOrigin: UInt8 = 0
    var reserved: UInt16 = 0

    // Kept as plain octets: a block of a snapshot could hold any value.
    var state: State {
        get { State(rawValue: rawState) ?? .sweeping }
        set { rawState = newValue.rawValue }
    }
    var kind: RouteSource {
        get { RouteSource(rawValue: rawKind) ?? .internal }
        set { rawKind = newValue.rawValue }
    }

    var sourceClass: SourceClass {
        get { SourceClass(rawValue: rawClass) }
        set { rawClass = newValue.rawValue }
    }
    /// `localAS` is put in front of what the neighbour sends.
    var prependsLocalAS: Bool {
        get { rawPrependsLocalAS != 0 }
        set { rawPrependsLocalAS = newValue ? 1 : 0 }
    }
    /// Our own AS may stand in a path any number of times if the route began there.
    var allowsOwnOrigin: Bool {
        get { rawAllowsOwnOrigin != 0 }
        set { rawAllowsOwnOrigin = newValue ? 1 : 0 }
    }
    /// RFC 9234 §4
    var role: PeeringRole? {
        get { rawRole == 0 ? nil : PeeringRole(rawValue: rawRole - 1) }
        set { rawRole = newValue.map { $0.rawValue + 1 } ?? 0 }
    }

    enum State: UInt8, BitwiseCopyable, Sendable {
        case free = 0
        case up = 1
        /// The session is down; routes count no more and are being removed.
        case sweeping = 2
        /// The session is down; routes are kept as stale, and count as before (RFC 4724 §4.2).
        case retained = 3
    }
    /// Whether its routes count.
    @inline(__always) var isLive: Bool { rawState & 1 == 1 }

    var address: IPAddress {
        isIPv6 != 0
            ? .v6(IPv6Address(high: addressHigh, low: addressLow))
            : .v4(IPv4Address(raw: UInt32(truncatingIfNeeded: addressLow)))
    }
    mutating func set(address: IPAddress) {
        switch address {
        case .v4(let a):
            addressHigh = 0
            addressLow = UInt64(a.raw)
            isIPv6 = 0
        case .v6(let a):
            addressHigh = a.high
            addressLow = a.low
            isIPv6 = 1
        }
    }
}

/// RFC 4456 §6: among internal neighbours it matters from which of these a route came. A source is of one, a group takes
/// routes of some.
struct SourceClass: OptionSet, Hashable, BitwiseCopyable, Sendable {
    var rawValue: UInt8
    /// External neighbours, those of other members of our confederation (RFC 5065 §5.2), and the router itself: to everybody
    /// (RFC 4271 §9.2).
    static let outside = SourceClass(rawValue: 1)
    /// Internal neighbours that are no clients of ours: to clients.
    static let nonClient = SourceClass(rawValue: 2)
    /// Clients: to everybody, unless clients tell each other.
    static let client = SourceClass(rawValue: 4)
    static let all: SourceClass = [.outside, .nonClient, .client]
}

/// What all families work with.
struct RIBShared: Sendable {
    var attributes: AttributeTable
    /// By source number; the first two are the router itself.
    var sources: [Source]
    /// RFC 4724 §4.1: families of which no route is selected yet, since the router came up a moment ago.
    var deferred: RouteFamilySet = []
    var policies: PolicyTable
    /// What the RPKI says. No part of the state, which is that of whoever asks the caches; `nil` means that nobody is asked.
    var payloads: VRPTable?
    /// `testing.trapOnPrefix`
    var trapOnPrefix: IPPrefix?
    /// `testing.notesTrap`, and whether there was anything to note.
    var notesTrap = false
    var hasMetTrap = false
    /// Announcements that were ignored because no neighbour can have a way there. No part of the state.
    var martians = 0
    /// RFC 9234 §5: announcements that were route leaks. Likewise.
    var leaks = 0
    /// RFC 4456 §8: announcements that came back to us. Likewise.
    var reflectionLoops = 0
    /// Announcements that were ignored because their source has as many as it may have. Likewise.
    var extras = 0
    /// By family: attributes of the default route that is made for neighbours; 0 while none asked for one.
    var defaultRoutes = [UInt32](repeating: 0, count: Int(RouteFamily.count))

    /// Once made they stay: there is nothing to be gained from letting go of two sets
    /// (families with the same next hop share one).
    mutating func makeDefaultRoutes() {
        for family in RouteFamily.allCases where defaultRoutes[family.index] == 0 {
            var route = RouteAttributes()
            route.origin = .igp
            route.nextHop = family.type.ownNextHop
            let octets = route.encoded()
            let handle = attributes.intern(octets.span.bytes, marks: .medIsOurs)
            attributes.retain(handle)
            defaultRoutes[family.index] = handle
        }
    }
}
