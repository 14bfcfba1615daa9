import Wire

/// What kind of frame a third party sent, as far as the judge of ports tells them apart.
///
/// Frames to one station are one kind: a switch delivers them to one port, so the twins cannot compare them. Frames to a
/// group reach both twins and are compared family by family.
public enum FrameKind: UInt8, Hashable, Sendable, CaseIterable {
    /// To the router's MAC address, or to any other single station.
    case unicast = 0
    /// Broadcast or multicast with IPv4 in it.
    case groupIPv4 = 1
    /// Broadcast or multicast with IPv6 in it.
    case groupIPv6 = 2
    /// Broadcast or multicast with anything else: ARP, LLC (IS-IS, spanning tree), LLDP.
    case groupOther = 3

    /// - Parameter etherType: that of the content, inside any 802.1Q tag; a length (below 0x0600) is LLC.
    @inlinable
    public init(destination: MACAddress, etherType: UInt16) {
        guard destination.isGroup else {
            self = .unicast
            return
        }
        switch etherType {
        case 0x0800: self = .groupIPv4
        case 0x86dd: self = .groupIPv6
        default: self = .groupOther
        }
    }
}

/// How many frames of each kind: of one burst, or of a port since it began. Plain words: counting allocates nothing.
public struct FrameCounts: Hashable, Sendable, BitwiseCopyable {
    public var unicast: UInt64 = 0
    public var groupIPv4: UInt64 = 0
    public var groupIPv6: UInt64 = 0
    public var groupOther: UInt64 = 0

    @inlinable public init() {}

    /// Counts one frame.
    @inlinable
    public mutating func add(_ kind: FrameKind) {
        switch kind {
        case .unicast: unicast &+= 1
        case .groupIPv4: groupIPv4 &+= 1
        case .groupIPv6: groupIPv6 &+= 1
        case .groupOther: groupOther &+= 1
        }
    }

    public mutating func add(_ other: FrameCounts) {
        unicast &+= other.unicast
        groupIPv4 &+= other.groupIPv4
        groupIPv6 &+= other.groupIPv6
        groupOther &+= other.groupOther
    }

    /// Frames to groups, of all families.
    public var groups: UInt64 { groupIPv4 &+ groupIPv6 &+ groupOther }
    public var total: UInt64 { unicast &+ groups }
}

/// The three families in which twins compare frames to groups, in the order of `FrameCounts`.
enum GroupFamily: Int, CaseIterable {
    case ipv4 = 0
    case ipv6 = 1
    case other = 2

    static let count = 3

    var words: String {
        switch self {
        case .ipv4: "IPv4"
        case .ipv6: "IPv6"
        case .other: "neither IPv4 nor IPv6"
        }
    }
}

extension FrameCounts {
    subscript(family: Int) -> UInt64 {
        switch family {
        case 0: groupIPv4
        case 1: groupIPv6
        default: groupOther
        }
    }
}
