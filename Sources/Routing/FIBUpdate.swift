import Records
import Wire

/// One way that packets of a group of routes take.
public struct FIBNextHop: Hashable, Comparable, Sendable {
    public var interface: InterfaceID
    /// `nil`: the destination itself is on the interface's network.
    public var gateway: IPAddress?
    /// Share of the load, 1…255.
    public var weight: UInt8

    public init(interface: InterfaceID, gateway: IPAddress?, weight: UInt8 = 1) {
        self.interface = interface
        self.gateway = gateway
        self.weight = weight
    }
    public static func < (a: Self, b: Self) -> Bool {
        if a.interface != b.interface { return a.interface < b.interface }
        switch (a.gateway, b.gateway) {
        case (nil, nil): return a.weight < b.weight
        case (nil, _): return true
        case (_, nil): return false
        case (let x?, let y?): return x != y ? x < y : a.weight < b.weight
        }
    }
}

/// What changed in the forwarding table, for whoever programs a kernel with it. Routes name groups of next hops by
/// number, so that a next hop that changes is one change whatever the number of prefixes behind it.
///
/// Both controllers' engines give the same updates at the same records. In this order: groups, routes, removed groups.
public struct FIBUpdate: Sendable, Equatable {
    /// Next hops of a group. Empty: packets are dropped (blackhole).
    public struct Group: Sendable, Equatable {
        /// 1 or more; given again after its removal.
        public var id: UInt32
        public var nextHops: [FIBNextHop]
        public init(id: UInt32, nextHops: [FIBNextHop]) {
            self.id = id
            self.nextHops = nextHops
        }
    }
    /// A route's new group, or 0 when there is no route for the prefix any more.
    public struct Route<Key: PrefixKey>: Sendable, Equatable {
        public var prefix: Key
        public var group: UInt32
        @inlinable public init(_ prefix: Key, group: UInt32) {
            self.prefix = prefix
            self.group = group
        }
    }
    /// What was before is void: these are all groups and all routes there are.
    public var isComplete = false
    /// After a cold start: with this update the table holds all that neighbours had to say when they came up, and what a
    /// kernel has from a life before and nobody named so far is not coming. Said once while it runs, and with every
    /// complete update from then on.
    public var hasFirstRoutes = false
    /// New groups and groups whose next hops changed, in place.
    public var groups: [Group] = []
    public var ipv4: [Route<IPv4Prefix>] = []
    public var ipv6: [Route<IPv6Prefix>] = []
    /// Groups that no route uses any more.
    public var removedGroups: [UInt32] = []

    public init() {}
    public var isEmpty: Bool {
        !isComplete && !hasFirstRoutes && groups.isEmpty && ipv4.isEmpty && ipv6.isEmpty && removedGroups.isEmpty
    }
}
