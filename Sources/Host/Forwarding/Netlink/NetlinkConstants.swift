// The numbers of the kernel's headers that this folder uses, so that nothing depends on how new the headers of the
// machine are that built it: <linux/netlink.h>, <linux/rtnetlink.h>, <linux/nexthop.h>, <linux/fib_rules.h>,
// <linux/if_link.h>, <linux/netfilter/nf_tables.h>. They are the kernel's promise to programs and never change.

/// Flags of a message's header.
enum NetlinkFlag {
    static let request: UInt16 = 0x1, multi: UInt16 = 0x2, acknowledge: UInt16 = 0x4, dumpInterrupted: UInt16 = 0x10
    static let dump: UInt16 = 0x300
    static let replace: UInt16 = 0x100, exclusive: UInt16 = 0x200, create: UInt16 = 0x400, append: UInt16 = 0x800
    /// Within an error: the extended acknowledgement follows; the message it is about is only its header.
    static let capped: UInt16 = 0x100, extended: UInt16 = 0x200
}

enum NetlinkType {
    static let noop: UInt16 = 1, error: UInt16 = 2, done: UInt16 = 3, overrun: UInt16 = 4
    /// Bits of an attribute's type that are not its number: nested, network byte order.
    static let attributeMask: UInt16 = 0x3fff, nested: UInt16 = 0x8000
}

enum NetlinkProtocol {
    static let route: Int32 = 0, netfilter: Int32 = 12
}

enum RouteMessage {
    static let newLink: UInt16 = 16, deleteLink: UInt16 = 17, getLink: UInt16 = 18
    static let newAddress: UInt16 = 20, deleteAddress: UInt16 = 21, getAddress: UInt16 = 22
    static let newRoute: UInt16 = 24, deleteRoute: UInt16 = 25, getRoute: UInt16 = 26
    static let newRule: UInt16 = 32, deleteRule: UInt16 = 33, getRule: UInt16 = 34
    static let newNextHop: UInt16 = 104, deleteNextHop: UInt16 = 105, getNextHop: UInt16 = 106
}

/// Multicast groups of NETLINK_ROUTE.
enum RouteGroup {
    static let link: Int32 = 1, ipv4Route: Int32 = 7, ipv6Route: Int32 = 11, nextHop: Int32 = 32
}

enum RouteAttribute {
    static let destination: UInt16 = 1, priority: UInt16 = 6, table: UInt16 = 15, nextHopID: UInt16 = 30
}
enum RouteType {
    static let unicast: UInt8 = 1
}

enum NextHopAttribute {
    static let id: UInt16 = 1, group: UInt16 = 2, groupType: UInt16 = 3, blackhole: UInt16 = 4, device: UInt16 = 5
    static let gateway: UInt16 = 6
    static let onLink: UInt32 = 4
}

enum LinkAttribute {
    static let address: UInt16 = 1, name: UInt16 = 3, mtu: UInt16 = 4, link: UInt16 = 5, info: UInt16 = 18
    static let alias: UInt16 = 20, addressFamilies: UInt16 = 26
    static let kind: UInt16 = 1, data: UInt16 = 2
    static let macvlanMode: UInt16 = 1
    /// Macvlans of one device do not speak to each other.
    static let macvlanPrivate: UInt32 = 1
    static let vlanID: UInt16 = 1
    /// Within IFLA_AF_SPEC, AF_INET6: no link-local address of the kernel's own making.
    static let inet6GeneratorMode: UInt16 = 8, generatorNone: UInt8 = 1
    static let isUp: UInt32 = 0x1, isRunning: UInt32 = 0x40
}

enum AddressAttribute {
    static let address: UInt16 = 1, local: UInt16 = 2, flags: UInt16 = 8
    static let noDuplicateDetection: UInt32 = 0x02, noPrefixRoute: UInt32 = 0x200
}

enum RuleAttribute {
    static let source: UInt16 = 2, inputInterface: UInt16 = 3, priority: UInt16 = 6, table: UInt16 = 15
    static let `protocol`: UInt16 = 21
    static let toTable: UInt8 = 1
}

enum KernelFamily {
    static let unspecified: UInt8 = 0, ipv4: UInt8 = 2, ipv6: UInt8 = 10
}
