import Machine
import Records
import Routing
import Wire

// What others do to our routes and next hops. What we do ourselves is not notified (chost_netlink_ignore).

extension KernelFIB {
    /// What was taken away comes back after so long: soon, but somebody who takes it away for ever gets ten rounds a
    /// second and not all of the processor.
    private static let putBackDelay = Duration.milliseconds(100)

    func notice(_ message: borrowing NetlinkMessage, at now: Instant) {
        switch message.type {
        case RouteMessage.deleteRoute:
            let route = RouteObject(message)
            if route.routeProtocol == settings.routeProtocol { taken(route, at: now) }
        case RouteMessage.newRoute:
            // Somebody else's with our prefix and our metric replaces ours.
            let route = RouteObject(message)
            if message.flags & NetlinkFlag.replace != 0 { taken(route, at: now) }
        case RouteMessage.newNextHop, RouteMessage.deleteNextHop:
            let object = NextHopObject(message)
            guard object.id >= settings.firstObject, object.id - settings.firstObject < Self.rangeSize else { return }
            status.foreignChanges += 1
            needsStock = needsStock ?? "somebody else changed next hops of ours"
        default: break
        }
    }

    /// Notifications were lost.
    func noticesLost() { needsStock = needsStock ?? "notifications were lost" }

    private func taken(_ route: RouteObject, at now: Instant) {
        guard route.table == settings.table, route.metric == settings.metric else { return }
        if route.family == KernelFamily.ipv4 {
            if let prefix: IPv4Prefix = route.prefix() { taken(prefix, &ipv4, at: now) }
        } else if route.family == KernelFamily.ipv6 {
            if let prefix: IPv6Prefix = route.prefix() { taken(prefix, &ipv6, at: now) }
        }
    }

    private func taken<Key: PrefixKey>(_ prefix: Key, _ book: inout RouteBook<Key>, at now: Instant) {
        guard let number = book.find(prefix), book.installed[Int(number)] != GroupBook.none else { return }
        status.foreignChanges += 1
        setInstalled(number, GroupBook.none, in: &book)
        if book.wanted[Int(number)] == GroupBook.none {
            book.forgetIfUnused(number)
        } else {
            book.park(number)
            retry(after: Self.putBackDelay, at: now)
        }
    }
}
