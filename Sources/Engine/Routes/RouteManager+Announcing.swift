import Machine
import Policy
import Records
import Routing
import Wire

// Aggregates, and what protocols announce of each other. Both look at the prefixes whose route in force changed, and at
// no others; nobody collects those while neither is configured.

extension RouteManager {
    mutating func configureAnnouncing(_ configuration: RouterConfiguration) {
        let rules = configuration.redistribution ?? [], aggregates = configuration.aggregates ?? []
        let new = configuration.announcingDefinitions
        if rules == redistribution, aggregates == aggregation, new == definitions { return }
        definitions = new
        let gone = aggregation.filter { old in !aggregates.contains { $0.prefix == old.prefix } }
        redistribution = rules
        aggregation = aggregates
        rebuildAnnouncing()
        let updates = gone.map { RouteUpdate($0.prefix, nil) } + aggregates4.offers + aggregates6.offers
        ipv4.apply(updates, from: .aggregate)
        ipv6.apply(updates, from: .aggregate)
        // Rules changed, so every prefix may be announced otherwise. This walks the tables.
        announceAgain()
    }

    /// Counts the routes that aggregates stand for. This walks the tables.
    mutating func rebuildAnnouncing() {
        aggregates4.configure(aggregation, definitions, seed: 0)
        aggregates6.configure(aggregation, definitions, seed: 0)
        redistributor4.configure(redistribution, definitions, seed: 0)
        redistributor6.configure(redistribution, definitions, seed: 0)
        ipv4.isObserved = !aggregates4.isEmpty || !redistributor4.isEmpty
        ipv6.isObserved = !aggregates6.isEmpty || !redistributor6.isEmpty
        var offers: [RouteUpdate] = []
        if !aggregates4.isEmpty { Self.count(ipv4, &aggregates4, &offers) }
        if !aggregates6.isEmpty { Self.count(ipv6, &aggregates6, &offers) }
    }

    /// After a restore: as everything was when the snapshot was taken, and told.
    mutating func resumeAnnouncing() {
        rebuildAnnouncing()
        announceAgain()
        _ = takeRedistribution()
    }

    private static func count<Key>(
        _ table: RoutingTable<Key>, _ aggregates: inout Aggregates<Key>, _ offers: inout [RouteUpdate]
    ) {
        var prefixes: [Key] = []
        table.forEachPrefix { prefixes.append($0) }
        var revealed: [Key] = []
        for prefix in prefixes { aggregates.note(prefix, table.active(prefix), offers: &offers, revealed: &revealed) }
    }

    private mutating func announceAgain() {
        if !redistributor4.isEmpty { Self.renew(ipv4, aggregates4, &redistributor4, forwarding) }
        if !redistributor6.isEmpty { Self.renew(ipv6, aggregates6, &redistributor6, forwarding) }
        ipv4.isObserved = !aggregates4.isEmpty || !redistributor4.isEmpty
        ipv6.isObserved = !aggregates6.isEmpty || !redistributor6.isEmpty
    }

    private static func renew<Key>(
        _ table: RoutingTable<Key>, _ aggregates: Aggregates<Key>, _ redistributor: inout Redistributor<Key>,
        _ forwarding: (NextHop) -> IPAddress?
    ) {
        var prefixes: [Key] = []
        table.forEachPrefix { prefixes.append($0) }
        for prefix in prefixes.sorted() {
            redistributor.note(prefix, aggregates.suppresses(prefix) ? nil : table.active(prefix), forwarding: forwarding)
        }
    }

    /// Draws the consequences of changed routes for aggregates and for what is announced.
    mutating func announce() {
        if ipv4.isObserved { Self.announce(&ipv4, &aggregates4, &redistributor4, forwarding) }
        if ipv6.isObserved { Self.announce(&ipv6, &aggregates6, &redistributor6, forwarding) }
    }

    private static func announce<Key>(
        _ table: inout RoutingTable<Key>, _ aggregates: inout Aggregates<Key>, _ redistributor: inout Redistributor<Key>,
        _ forwarding: (NextHop) -> IPAddress?
    ) {
        var changed: [Key] = []
        // An aggregate can make a less specific one begin; each round goes up by at least one bit.
        while true {
            let round = table.takeObserved()
            if round.isEmpty { break }
            changed += round
            if aggregates.isEmpty { continue }
            var offers: [RouteUpdate] = []
            for prefix in round { aggregates.note(prefix, table.active(prefix), offers: &offers, revealed: &changed) }
            if !offers.isEmpty { table.apply(offers, from: .aggregate) }
        }
        if redistributor.isEmpty { return }
        changed.sort()
        var last: Key? = nil
        for prefix in changed where prefix != last {
            last = prefix
            redistributor.note(prefix, aggregates.suppresses(prefix) ? nil : table.active(prefix), forwarding: forwarding)
        }
    }

    /// The forwarding address that a protocol may announce: a router on a connected network.
    private var forwarding: (NextHop) -> IPAddress? {
        let interfaces = interfaces, isUp = isUp
        return { nextHop in
            switch nextHop {
            case .via(let address, _), .gateway(let address):
                Self.interface(reaching: address, interfaces, isUp) == nil ? nil : address
            case .connected, .blackhole: nil
            }
        }
    }

    /// What protocols are to announce for others and have not been told yet, ascending by protocol.
    mutating func takeRedistribution() -> [(target: RouteProtocol, updates: [RedistributionUpdate])] {
        if redistributor4.isEmpty, redistributor6.isEmpty { return [] }
        var result = redistributor4.takeNews()
        for (target, updates) in redistributor6.takeNews() {
            if let place = result.firstIndex(where: { $0.target == target }) {
                result[place].updates += updates
            } else {
                result.append((target, updates))
            }
        }
        return result.sorted { $0.target.rawValue < $1.target.rawValue }
    }

    /// Everything that a protocol is to announce for others, for one that has to be told from the beginning.
    func redistributed(into target: RouteProtocol) -> [RedistributionUpdate] {
        redistributor4.announced(by: target) + redistributor6.announced(by: target)
    }
}
