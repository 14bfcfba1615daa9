import Routing
import Wire

/// The forwarding table without a kernel: for route servers, which forward nothing, and for tests.
final class MemoryFIB {
    private(set) var groups: [UInt32: [FIBNextHop]] = [:]
    private(set) var ipv4: RouteBook<IPv4Prefix>
    private(set) var ipv6: RouteBook<IPv6Prefix>
    private(set) var updates: UInt64 = 0

    init(seed: UInt64 = UInt64.random(in: 1 ... .max)) {
        ipv4 = RouteBook(seed: seed)
        ipv6 = RouteBook(seed: seed)
    }

    func take(_ update: FIBUpdate) {
        guard !update.isEmpty else { return }
        updates += 1
        if update.isComplete {
            groups = [:]
            ipv4 = RouteBook(seed: ipv4.prefixes.seed)
            ipv6 = RouteBook(seed: ipv6.prefixes.seed)
        }
        for group in update.groups { groups[group.id] = group.nextHops }
        Self.take(update.ipv4, &ipv4)
        Self.take(update.ipv6, &ipv6)
        for number in update.removedGroups { groups[number] = nil }
    }

    private static func take<Key>(_ routes: [FIBUpdate.Route<Key>], _ book: inout RouteBook<Key>) {
        for route in routes {
            if route.group != 0 {
                book.setWanted(book.number(of: route.prefix), route.group)
            } else if let number = book.find(route.prefix) {
                book.setWanted(number, GroupBook.none)
                book.forgetIfUnused(number)
            }
        }
    }

    func nextHops<Key>(_ prefix: Key, _ book: RouteBook<Key>) -> [FIBNextHop]? {
        book.find(prefix).flatMap { groups[book.wanted[Int($0)]] }
    }
}
