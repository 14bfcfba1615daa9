import Machine
import Records
import Wire

/// A route that configuration asks for, before anybody knows whether it can be used.
public struct StaticRouteSpecification<Key: PrefixKey>: Hashable, Sendable {
    public var prefix: Key
    public var nextHop: NextHop
    /// 1…255
    public var distance: UInt8
    public var tag: UInt32

    public init(prefix: Key, nextHop: NextHop, distance: UInt8, tag: UInt32) {
        self.prefix = prefix
        self.nextHop = nextHop
        self.distance = distance
        self.tag = tag
    }
}

/// The static routes of the configuration by prefix. Several of one prefix and distance share the load; of several
/// distances the lowest that leads anywhere counts (a floating static route).
struct StaticRoutes<Key: PrefixKey>: Sendable {
    /// Those of one distance.
    struct Choice: Equatable, Sendable {
        var distance: UInt8
        var tag: UInt32
        /// Ascending, without duplicates. A blackhole only where it is alone: a way to go is better than none.
        var nextHops: [NextHop]
        var isBlackhole: Bool { nextHops == [.blackhole] }
    }
    private(set) var prefixes: PrefixTable<Key>
    /// By number, ascending by distance.
    private(set) var choices: [[Choice]] = []
    /// By number: where the route leads now, for those that resolve through it.
    var results: [Resolution] = []

    init(seed: UInt64) { prefixes = PrefixTable(seed: seed) }

    init(_ routes: [StaticRouteSpecification<Key>], seed: UInt64) {
        prefixes = PrefixTable(seed: seed)
        for route in routes where route.distance < 255 {
            let number = Int(prefixes.insert(route.prefix))
            if number == choices.count {
                choices.append([])
                results.append(Resolution())
            }
            if let same = choices[number].firstIndex(where: { $0.distance == route.distance }) {
                if !choices[number][same].nextHops.contains(route.nextHop),
                    choices[number][same].nextHops.count < RouteOffer.nextHopsMaximum
                {
                    choices[number][same].nextHops.append(route.nextHop)
                }
            } else {
                choices[number].append(Choice(distance: route.distance, tag: route.tag, nextHops: [route.nextHop]))
            }
        }
        for number in choices.indices {
            choices[number].sort { $0.distance < $1.distance }
            for k in choices[number].indices {
                if choices[number][k].nextHops.count > 1 { choices[number][k].nextHops.removeAll { $0 == .blackhole } }
                choices[number][k].nextHops.sort()
            }
        }
    }

    var numbers: Range<UInt32> { 0..<UInt32(choices.count) }
}
