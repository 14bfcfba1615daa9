import Machine
import Wire

// Adj-RIB-Out with update groups.
//
// Neighbours for which export would give the same octets share an *update group*: what is advertised is worked out,
// stored and encoded once (`AdjRIBOut`). Which of a prefix's paths these are is the group's *view* (`ExportView`).
//
// Members of a group need not be equally far. Those that are together form a *cohort* with one queue of messages and one
// set of pending prefixes:
//
// - The first cohort drives the group: its pending prefixes are those whose best route changed. Working them off runs
//   export rules and policy, compares with `out`, stores, and encodes what differs. That happens only while some member
//   of it has sent everything it was given: when all are slow, changes gather in the set and coalesce there.
// - A member that comes later, asks for a refresh, or falls too far behind, goes to a cohort of its own (or one that
//   began at the same time). Its pending prefixes are those that its neighbour may know wrongly; it is worked off
//   straight from `out`. When nothing is left the member joins the first cohort.
//
// So no queue grows without bound whatever a neighbour does: a queue is bounded in octets, and a set of prefixes is a
// bitmap. Nothing here depends on how far the *line card* has come: takeOutput is driven by records.

/// A source as a receiver, in one family. 24 octets, no padding.
struct Member: BitwiseCopyable, Sendable {
    /// 0: not a receiver.
    var group: UInt32 = 0
    var cohort: UInt32 = 0
    /// Sequence number in the cohort's queue of the next segment to take.
    var position: UInt64 = 0
    var owes: Debts = []
    var reserved: UInt32 = 0

    /// What is still to be sent besides routes.
    struct Debts: OptionSet, BitwiseCopyable, Sendable {
        var rawValue: UInt32
        /// RFC 4724 §2
        static let endOfRIB = Debts(rawValue: 1)
        /// RFC 7313 §4: BoRR, and EoRR.
        static let beginning = Debts(rawValue: 2)
        static let ending = Debts(rawValue: 4)
    }
}

/// Everything on which the octets depend that a neighbour gets.
struct ExportParameters: Hashable, Sendable {
    var isExternal: Bool
    var localAS: UInt32
    var defaultLocalPreference: UInt32
    var fourOctetAS: Bool
    var extendedMessages: Bool
    var nextHopSelf: Bool
    var removePrivateAS: Bool
    var sendCommunities: Bool
    /// A default route of our own in place of whatever the Loc-RIB has, past export policy.
    var defaultOriginate: Bool
    var nextHopIPv4: IPv4Address?
    var nextHopIPv6: IPv6Address?
    var linkLocal: IPv6Address?
    /// Which paths.
    var view = ExportView.best
    /// RFC 7911: a path identifier stands before each prefix.
    var sendsPathIDs = false
    /// RFC 8950: an IPv6 next hop may stand where the family alone allows none.
    var takesIPv6NextHops = false
    /// RFC 9234: what we are to the neighbour, where the family has roles.
    var role: PeeringRole?
    /// Whose routes these neighbours get: RFC 4271 §9.2, RFC 4456 §6.
    var takes = SourceClass.all
    /// RFC 4456 §7: our cluster, towards internal neighbours; 0 towards external ones, to whom nothing is reflected.
    var clusterID: UInt32 = 0
    /// `nextHopSelf` for what is reflected.
    var nextHopSelfReflected = false
    /// With `removePrivateAS`: ours stands in the place of each.
    var replacesPrivateAS = false
    /// The neighbour's AS where ours takes its place in the path; 0 elsewhere.
    var overriddenAS: UInt32 = 0
    /// RFC 9494 §4.3, §4.6
    var longLivedStale = LongLivedStaleExport.none
    /// Compiled policy, or one of `PolicyTable`'s special values.
    var chain: Int32
    /// RFC 7705: what stands behind `localAS` in the path; 0 for nothing.
    var secondAS: UInt32 = 0
    /// With `removePrivateAS`: what stays all the same, since the neighbour knows a loop by it; 0 for none.
    var keptAS: UInt32 = 0
    /// RFC 5065: these neighbours are of other members of our confederation; `isExternal` is false.
    var isOtherMember = false
    /// Towards the world outside: all members of our confederation, which is not to see them (RFC 9234 §5).
    var members: [UInt32] = []
    /// What is asked about the default route of our own, and the prefix that must have a best path for it.
    var defaultChain: Int32 = PolicyTable.acceptAll
    var defaultCondition: IPPrefix?
    /// Seconds between two rounds of changes.
    var interval: UInt16 = 0

    /// RFC 4271 §4.1, RFC 8654 §3.
    var messageMaximum: Int { extendedMessages ? 65535 : 4096 }

    /// The identifier of the path in place `k` of the Adj-RIB-Out. But for `several` a neighbour has one path at most.
    func pathID(_ k: Int) -> UInt32 {
        if case .several = view { return UInt32(k) + 1 }
        return 1
    }
}

/// What becomes of long-lived stale routes towards a neighbour.
enum LongLivedStaleExport: UInt8, Hashable, Sendable {
    /// RFC 9494 §4.3: it does not speak of them, so it gets none.
    case none = 0
    case all = 1
    /// RFC 9494 §4.6: an internal neighbour that does not, but is to have them with NO_EXPORT and the least preference.
    case restricted = 2
}

struct Cohort: Sendable {
    var id: UInt32
    /// Sources, ascending.
    var members: [UInt16] = []
    var queue = SegmentQueue()
    var pending = BitSet()
    /// Where the walk over `pending` goes on.
    var cursor: UInt32 = 0
    /// The members know nothing yet of prefixes at and after the cursor, so nothing there needs a withdraw.
    var isFirstPass: Bool

    init(id: UInt32, isFirstPass: Bool) {
        self.id = id
        self.isFirstPass = isFirstPass
    }
}

struct UpdateGroup: Sendable {
    let id: UInt32
    let parameters: ExportParameters
    var out: AdjRIBOut
    /// The first one drives the group.
    var cohorts: [Cohort]
    /// When the first cohort was last worked off.
    var lastFlush = Instant(nanoseconds: .min)

    init(id: UInt32, parameters: ExportParameters, hasLabels: Bool, first: UInt32) {
        self.id = id
        self.parameters = parameters
        out = AdjRIBOut(width: parameters.view.width, hasLabels: hasLabels)
        cohorts = [Cohort(id: first, isFirstPass: true)]
    }

    /// One path for each prefix, the best one, as nearly every neighbour has it: there is a shorter way for these.
    var isPlain: Bool { parameters.view == .best && !parameters.sendsPathIDs && !out.hasLabels }
    func cohortIndex(_ id: UInt32) -> Int? { cohorts.firstIndex { $0.id == id } }
    var hasMembers: Bool { cohorts.contains { !$0.members.isEmpty } }
    /// Whether anybody here may still have to hear of the prefix.
    func knows(_ number: UInt32) -> Bool {
        out.advertises(number) || cohorts.contains { $0.pending.contains(number) }
    }
}
