import Machine
import Wire

/// The Loc-RIB of a family (RFC 4271 §3.2): for each destination the path that the decision process chose, and what others
/// are still to hear of it.
struct LocRIB<Family: RoutedFamily>: Sendable {
    /// What belongs to a destination besides its key. 8 octets.
    struct Entry: BitwiseCopyable, Sendable {
        /// First path, 0 for none. The chain has no meaning in its order.
        var head: UInt32
        /// The best path, 0 for none.
        var best: UInt32
    }

    /// By number in the prefix table.
    var entries: [Entry] = []
    /// Destinations with a best path.
    var count = 0
    /// Of the best paths.
    var digest = StateDigest()
    /// Destinations whose best path changed since update groups were last told.
    var changed = BitSet()
    /// Those of which another path changed. Kept while some group's view looks at more than the best one.
    var altered = BitSet()
    var keepsAltered = false
    /// For the routing table manager.
    var changes: [Family.Change] = []
    /// Destinations of which it has heard nothing yet, because route selection was deferred (RFC 4724 §4.1).
    var untold = BitSet()
    var untoldCursor: UInt32 = 0

    /// Some path of the destination changed that is not its best one, before or after.
    @inline(__always)
    mutating func noteAltered(_ number: UInt32) {
        if keepsAltered { altered.insert(number) }
    }

    /// Makes room for a destination whose number is new.
    @inline(__always)
    mutating func admit(_ number: UInt32) {
        if Int(number) >= entries.count { entries.append(Entry(head: 0, best: 0)) }
    }
}

/// A best path as it was before something changed: what it has to be compared with afterwards.
struct ChosenPath: Equatable, Sendable {
    /// 0: none.
    var path: UInt32
    var accepted: UInt32
    var owner: UInt16
    var identity: PathIdentity
    static let none = ChosenPath(path: 0, accepted: 0, owner: 0, identity: .none)
}
