import Machine
import Routing
import SPF
import Wire

/// What one LSA says about one destination: the raw material of routes. A source lies in three lists: that of its
/// destination, that of what it depends on, and that of its LSA; links are numbers plus one, 0 is the end.
struct PathSource: Sendable {
    enum Kind: UInt8, Sendable {
        /// A stub link, a network, a prefix of either (RFC 2328 §16.1).
        case intraArea
        /// A summary of a network (§16.2).
        case interArea
        /// A summary of an AS boundary router (§16.2).
        case interAreaRouter
        /// Type 5 (§16.4).
        case external
        /// Type 7 (RFC 3101 §2.5).
        case nssa
        /// The number is free.
        case none
    }
    var kind: Kind
    /// A number of a prefix; of a router for `interAreaRouter`.
    var destination: UInt32
    /// Position of the area; of no concern to `external`.
    var area: UInt32
    /// A number of a vertex of the area; of a router for `external`.
    var owner: UInt32
    var metric: UInt32
    var isType2 = false
    /// RFC 3101: the P-bit of a type-7 LSA.
    var isPropagated = false
    var tag: UInt32 = 0
    var advertisingRouter: UInt32
    var forwardingAddress: IPAddress?
    var options: OSPFOptions = []

    var nextOfDestination: UInt32 = 0
    var previousOfDestination: UInt32 = 0
    var nextOfOwner: UInt32 = 0
    var previousOfOwner: UInt32 = 0
    var nextOfLSA: UInt32 = 0
}

/// A prefix that LSAs speak of, and its route.
struct PrefixRecord: Sendable {
    var prefix: IPPrefix
    var firstSource: UInt32 = 0
    /// The path within the AS, whether or not an external one exists.
    var internalRoute: CalculatedRoute?
    /// The entry of the routing table.
    var route: CalculatedRoute?
    /// What the routing table manager knows.
    var offered: RouteOffer?
    var isDirty = false
    var isInternalDirty = false
    var isUsed = true
}

/// A router that AS external LSAs come from or summaries speak of.
struct RouterRecord: Sendable {
    var routerID: UInt32
    /// Externals of type 5 that it originates.
    var firstDependent: UInt32 = 0
    /// Summaries of type 4.
    var firstSource: UInt32 = 0
    var route: CalculatedRouter?
    var isDirty = false
    var isUsed = true
}

/// A vertex of an area as far as destinations depend on it. It may have sources before its own LSA is there.
struct VertexRecord: Sendable {
    var key: LinkStateGraph.Key
    var firstSource: UInt32 = 0
    /// LSAs that describe it, ascending: more than one for an OSPFv3 router that needs several.
    var parts: [LSAKey] = []
    var flags: RouterLSABody.Flags = []
    var options: OSPFOptions = []
    var isDirty = false
    var isUsed = true
}
