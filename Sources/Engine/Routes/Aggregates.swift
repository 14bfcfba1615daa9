import Machine
import Policy
import Records
import Routing
import Wire

/// The aggregates of one address family, and which routes each of them stands for. A function of the routes in force, so
/// that it is no part of a snapshot.
struct Aggregates<Key: PrefixKey>: Sendable {
    private struct Aggregate: Sendable {
        var prefix: Key
        var configuration: AggregateConfiguration
        /// Which routes count; `nil`: all.
        var program: PolicyProgram?
        /// More specific routes in force that count.
        var members: PrefixTable<Key>
        var isActive: Bool { members.count > 0 }
    }
    /// Ascending by prefix.
    private var aggregates: [Aggregate] = []

    var isEmpty: Bool { aggregates.isEmpty }

    mutating func configure(_ list: [AggregateConfiguration], _ definitions: PolicyDefinitions, seed: UInt64) {
        aggregates = list.compactMap { configuration in
            Key(configuration.prefix).map {
                Aggregate(
                    prefix: $0, configuration: configuration,
                    program: configuration.contributors.map { PolicyProgram(PolicyChain($0, in: definitions)) },
                    members: PrefixTable(seed: seed))
            }
        }
        aggregates.sort { $0.prefix < $1.prefix }
    }

    /// What the aggregates are to offer now.
    var offers: [RouteUpdate] { aggregates.map { RouteUpdate($0.prefix.anyFamily, $0.isActive ? offer($0.configuration) : nil) } }

    private func offer(_ configuration: AggregateConfiguration) -> RouteOffer {
        RouteOffer(nextHops: [.blackhole], metric: 0, distance: configuration.distance, tag: configuration.tag)
    }

    /// The route in force for a prefix is this one now. Appends aggregates that begin or cease to stand for something, and
    /// prefixes that are announced now or no longer in consequence.
    mutating func note(
        _ prefix: Key, _ route: RoutingTable<Key>.Route?, offers: inout [RouteUpdate], revealed: inout [Key]
    ) {
        for i in aggregates.indices {
            let own = aggregates[i].prefix
            guard own.length < prefix.length, Key(prefix.address, own.length) == own else { continue }
            let configuration = aggregates[i].configuration
            var counts = false
            if let route {
                var offered = OfferedRoute(metric: route.metric, tag: route.tag)
                counts = aggregates[i].program?.accepts(&offered, prefix.anyFamily, route.source, route.kind) ?? true
            }
            let known = aggregates[i].members.find(prefix)
            if counts == (known != nil) { continue }
            let was = aggregates[i].isActive
            if let known { aggregates[i].members.remove(known) } else { _ = aggregates[i].members.insert(prefix) }
            if aggregates[i].isActive == was { continue }
            offers.append(RouteUpdate(own.anyFamily, was ? nil : offer(configuration)))
            if configuration.suppressesContributors { revealed.append(prefix) }
        }
    }

    /// Whether an aggregate stands for the prefix in what is announced.
    func suppresses(_ prefix: Key) -> Bool {
        for aggregate in aggregates where aggregate.configuration.suppressesContributors {
            if aggregate.prefix.length < prefix.length, Key(prefix.address, aggregate.prefix.length) == aggregate.prefix,
                aggregate.members.find(prefix) != nil
            {
                return true
            }
        }
        return false
    }
}
