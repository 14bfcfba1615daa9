import Machine
import Policy
import Routing
import Wire

/// A family as a type: what the rest of BGP has to ask it.
///
/// A new family is a type like those beside this file, a number in `RouteFamily`, and a line in `FamilyTables`. Codec,
/// tables, decision, export, snapshot and views are generic over this protocol, and compiled for each family: nothing
/// here is looked up per route.
///
/// What a family does *not* say is what its next hops are: these are attributes, kept in one table for all families
/// (`NextHopTable`). It says only which of their forms may stand in its MP_REACH_NLRI.
protocol RoutedFamily: Sendable {
    /// Under which routes are stored. Two families may share one (a prefix with and without label).
    associatedtype Key: TableKey
    /// News of a best route for the routing table manager.
    associatedtype Change: BitwiseCopyable & Sendable = NoForwarding

    static var family: RouteFamily { get }
    static var code: FamilyCode { get }
    /// As configuration and views spell it.
    static var name: String { get }

    // MARK: on the wire

    /// Whether UPDATE has fields of its own for it, besides the multiprotocol attributes: RFC 4271 §4.3 knows IPv4 unicast
    /// alone.
    static var hasOwnFields: Bool { get }
    /// Whether each NLRI carries a label (RFC 8277 §2.2).
    static var hasLabels: Bool { get }
    /// Forms of the next hop in MP_REACH_NLRI that need no capability.
    static var nextHops: NextHopForms { get }
    /// Most bits that the length octet of an NLRI may say.
    static var bitsMaximum: UInt8 { get }
    /// Most octets that `write` touches.
    static var sizeMaximum: Int { get }

    /// The NLRI at `offset`, which is within the field, its label as it stands there (24 bits), and its size in octets;
    /// `nil` if it is malformed. What lies beyond the length is cleared (RFC 4271 §4.3).
    static func read(_ nlri: RawSpan, at offset: Int) -> (key: Key.Packed, label: UInt32, size: Int)?
    /// Writes an NLRI and returns its size. `label` is the 24 bits of the field, of no meaning without labels.
    static func write(_ key: Key.Packed, label: UInt32, to target: UnsafeMutablePointer<UInt8>) -> Int
    /// What `write` returns.
    static func size(_ key: Key.Packed) -> Int

    // MARK: in tables

    /// RFC 4271 §6.3: semantically incorrect, such as a multicast address, and what is like it (RFC 6890): no neighbour
    /// can have a way to it. The route is ignored.
    static func isUnusable(_ key: Key.Packed) -> Bool
    /// The route to this address alone, when it is one of the family.
    static func host(_ address: IPAddress) -> Key.Packed?
    /// What prefix sets of policies look at; `nil` when there is no prefix for them.
    static func prefix(_ key: Key.Packed) -> IPPrefix?
    static func key(_ prefix: IPPrefix) -> Key?
    /// From what an operator writes.
    static func key(_ text: String) -> Key?
    /// RFC 4271 §6.7, towards external neighbours, when the operator said nothing.
    static var prefixLimit: UInt32 { get }

    // MARK: towards the routing table manager

    /// Whether packets follow these routes.
    static var isForwarded: Bool { get }
    /// The news; no `source`: there is no best route any more.
    static func change(_ key: Key.Packed, _ source: RouteSource?, nextHop: NextHopTable.Entry, backup: NextHopTable.Entry)
        -> Change
    static func write(_ change: Change, to writer: inout SnapshotWriter)
    static func readChange(_ reader: inout SnapshotReader) throws(DecodeError) -> Change
}

/// A family by whose routes no packet is forwarded has no news for the routing table manager.
enum NoForwarding: BitwiseCopyable, Sendable {}

extension RoutedFamily {
    static var hasOwnFields: Bool { false }
    static var hasLabels: Bool { false }
    static var isForwarded: Bool { false }

    /// RFC 7606 §5.3: every NLRI of the field is sound, and the last one ends with it. With path identifiers (RFC 7911 §3)
    /// four octets stand before each.
    static func isSound(_ nlri: RawSpan, hasPathIDs: Bool) -> Bool {
        let count = nlri.byteCount
        var i = 0
        while i < count {
            if hasPathIDs { i &+= 4 }
            guard i < count, let (_, _, size) = read(nlri, at: i) else { return false }
            i &+= size
        }
        return i == count
    }

    /// The next hop that stands for the router itself, until a session says which address that is.
    static var ownNextHop: IPAddress { nextHops.contains(.ipv4) ? .v4(.any) : .v6(.any) }
    /// Whether routes of the family may have this next hop without a capability.
    static func takes(_ nextHop: IPAddress) -> Bool { nextHops.contains(nextHop.family == .ipv4 ? .ipv4 : .ipv6) }
}

extension RoutedFamily where Change == NoForwarding {
    static func change(
        _ key: Key.Packed, _ source: RouteSource?, nextHop: NextHopTable.Entry, backup: NextHopTable.Entry
    ) -> NoForwarding {
        preconditionFailure("\(name) is not forwarded")
    }
    static func write(_ change: NoForwarding, to writer: inout SnapshotWriter) {}
    static func readChange(_ reader: inout SnapshotReader) throws(DecodeError) -> NoForwarding {
        throw DecodeError("route change", at: reader.position, .badValue)
    }
}

/// Forms of a next hop in MP_REACH_NLRI, told apart by their length (RFC 4760 §3, RFC 2545 §3, RFC 8950 §3).
struct NextHopForms: OptionSet, Hashable, Sendable {
    var rawValue: UInt8
    /// Four octets.
    static let ipv4 = NextHopForms(rawValue: 1)
    /// Sixteen octets.
    static let ipv6 = NextHopForms(rawValue: 2)
    /// Thirty-two: a link-local address follows the global one.
    static let ipv6Pair = NextHopForms(rawValue: 4)

    /// Of that many octets; empty when no form has them.
    init(octets: Int) {
        switch octets {
        case 4: self = .ipv4
        case 16: self = .ipv6
        case 32: self = .ipv6Pair
        default: self = []
        }
    }
    init(rawValue: UInt8) { self.rawValue = rawValue }
}

/// The label field of an NLRI, RFC 8277 §2.2: 20 bits of label, three of traffic class, one that ends the stack.
enum LabelField {
    /// RFC 3032 §2.1: the sender of packets takes the label off and sends none.
    static let implicitNull: UInt32 = 3
    /// RFC 8277 §2.4: what a withdrawal has in its place.
    static let withdrawn: UInt32 = 0x80_0000

    static func octets(_ label: UInt32) -> UInt32 { label << 4 | 1 }
    static func label(_ octets: UInt32) -> UInt32 { octets >> 4 }
}
