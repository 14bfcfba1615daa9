/// `show fib groups`: the forwarding table as the engine has it, equal on both controllers. Routes name a group, so that a
/// next hop that changes is one change whatever the number of routes.
public struct FIBView: Hashable, Sendable, Codable {
    public struct Group: Hashable, Sendable, Codable {
        public var id: UInt32
        /// `ipv4` or `ipv6`
        public var family: String
        /// Where packets go now, `192.0.2.1 on lan`; none: they are dropped.
        public var ways: [String]
        /// What routes say: next hops before they are resolved, and what takes their place.
        public var nextHops: [String]
        public var backup: [String]
        /// Offers of protocols that name the group, in force or not.
        public var offers: UInt64

        public init(id: UInt32, family: String, ways: [String], nextHops: [String], backup: [String], offers: UInt64) {
            self.id = id
            self.family = family
            self.ways = ways
            self.nextHops = nextHops
            self.backup = backup
            self.offers = offers
        }
    }
    public var groups: [Group]
    /// Prefixes of each family.
    public var ipv4Routes: UInt64
    public var ipv6Routes: UInt64

    public init(groups: [Group], ipv4Routes: UInt64, ipv6Routes: UInt64) {
        self.groups = groups
        self.ipv4Routes = ipv4Routes
        self.ipv6Routes = ipv6Routes
    }
}
