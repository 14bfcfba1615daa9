import Machine
import Testing

@testable import SPF

/// The graph as plain values and shortest paths by the book: no heap, no flat arrays, no state.
struct SlowGraph {
    var transit: [LinkStateGraph.Key: Bool] = [:]
    var links: [LinkStateGraph.Key: [LinkStateGraph.Link]] = [:]

    func hasLink(_ a: LinkStateGraph.Key, _ b: LinkStateGraph.Key) -> Bool {
        links[a]?.contains { $0.to == b } ?? false
    }

    struct Path: Equatable {
        var distance: UInt32
        var firstHops: Set<FirstHop>
    }

    func paths(from root: LinkStateGraph.Key, limit: Int = 64) -> [LinkStateGraph.Key: Path] {
        guard transit[root] != nil else { return [:] }
        var found: [LinkStateGraph.Key: Path] = [root: Path(distance: 0, firstHops: [])]
        var settled: Set<LinkStateGraph.Key> = []
        while true {
            let open = found.keys.filter { !settled.contains($0) }
            guard
                let u = open.min(by: { a, b in
                    let (x, y) = (found[a]!.distance, found[b]!.distance)
                    if x != y { return x < y }
                    if a.isNetwork != b.isNetwork { return a.isNetwork }
                    return a.identifier < b.identifier
                })
            else { return found }
            settled.insert(u)
            guard u == root || transit[u] == true else { continue }
            for link in links[u] ?? []
            where hasLink(link.to, u) && transit[link.to] != nil && !settled.contains(link.to) {
                let distance = found[u]!.distance + link.metric
                let hops: Set<FirstHop>
                if u == root {
                    hops = [FirstHop(tag: link.tag, neighbor: link.to.isNetwork ? nil : link.to.identifier)]
                } else {
                    hops = Set(
                        found[u]!.firstHops.map {
                            $0.neighbor == nil ? FirstHop(tag: $0.tag, neighbor: link.to.identifier) : $0
                        })
                }
                if let known = found[link.to], known.distance < distance { continue }
                if let known = found[link.to], known.distance == distance {
                    found[link.to]!.firstHops = Set(known.firstHops.union(hops).sorted().prefix(limit))
                } else {
                    found[link.to] = Path(distance: distance, firstHops: hops)
                }
            }
        }
    }
}

private func router(_ id: UInt64) -> LinkStateGraph.Key { .init(id) }
private func network(_ id: UInt64) -> LinkStateGraph.Key { .init(id, isNetwork: true) }

/// Both, fed alike.
private struct Pair {
    var graph = LinkStateGraph(seed: 99)
    var slow = SlowGraph()

    mutating func set(_ key: LinkStateGraph.Key, isTransit: Bool = true, _ links: [LinkStateGraph.Link]) -> Bool {
        slow.transit[key] = isTransit
        slow.links[key] = links
        return graph.set(key, isTransit: isTransit, links: links)
    }
    mutating func remove(_ key: LinkStateGraph.Key) -> Bool {
        slow.transit[key] = nil
        slow.links[key] = nil
        return graph.remove(key)
    }
}

@Suite struct ShortestPathTreeTests {
    private func expectSame(
        _ tree: ShortestPathTree, _ graph: LinkStateGraph, _ paths: [LinkStateGraph.Key: SlowGraph.Path],
        _ comment: @autoclosure () -> String
    ) {
        var found = 0
        for number in 0..<UInt32(graph.numberLimit) where tree.isReachable(number) {
            let key = graph.key(of: number)
            let hops = Array(tree.firstHops(to: number))
            if let path = paths[key] {
                found += 1
                if path.distance != tree.distance(to: number) || path.firstHops.sorted() != hops {
                    Issue.record("\(comment()): \(key) \(tree.distance(to: number)) \(hops), not \(path)")
                }
            } else {
                Issue.record("\(comment()): \(key) has no path")
            }
        }
        #expect(found == paths.count, "\(comment())")
        #expect(tree.reachableCount == paths.count)
    }

    @Test func `a link that one end only describes is not used`() {
        var graph = LinkStateGraph()
        graph.set(router(1), links: [.init(to: router(2), metric: 1, tag: 7)])
        graph.set(router(2), links: [])
        var tree = ShortestPathTree()
        #expect(tree.calculate(graph, from: router(1)).map { graph.key(of: $0) } == [router(1)])
        graph.set(router(2), links: [.init(to: router(1), metric: 100)])
        #expect(tree.calculate(graph, from: router(1)).map { graph.key(of: $0) } == [router(2)])
        #expect(Array(tree.firstHops(to: graph.number(of: router(2))!)) == [FirstHop(tag: 7, neighbor: 2)])
    }

    @Test func `a router that is not for transit is reached and leads nowhere`() {
        var graph = LinkStateGraph()
        graph.set(router(1), links: [.init(to: router(2), metric: 1)])
        graph.set(router(2), isTransit: false, links: [1, 3].map { .init(to: router($0), metric: 1) })
        graph.set(router(3), links: [.init(to: router(2), metric: 1)])
        var tree = ShortestPathTree()
        _ = tree.calculate(graph, from: router(1))
        #expect(tree.isReachable(graph.number(of: router(2))!))
        #expect(!tree.isReachable(graph.number(of: router(3))!))
        // For itself it is the root, and reaches everything.
        _ = tree.calculate(graph, from: router(2))
        #expect(tree.reachableCount == 3)
    }

    @Test func `the first hop beyond a connected network is the router on it`() {
        var graph = LinkStateGraph()
        graph.set(router(1), links: [.init(to: network(9), metric: 10, tag: 4)])
        graph.set(network(9), links: (1...3).map { .init(to: router($0), metric: 0) })
        graph.set(router(2), links: [.init(to: network(9), metric: 10), .init(to: router(4), metric: 5)])
        graph.set(router(3), links: [.init(to: network(9), metric: 10), .init(to: router(4), metric: 5)])
        graph.set(router(4), links: [.init(to: router(2), metric: 5), .init(to: router(3), metric: 5)])
        var tree = ShortestPathTree()
        _ = tree.calculate(graph, from: router(1))
        #expect(Array(tree.firstHops(to: graph.number(of: network(9))!)) == [FirstHop(tag: 4, neighbor: nil)])
        #expect(
            Array(tree.firstHops(to: graph.number(of: router(4))!)) == [
                FirstHop(tag: 4, neighbor: 2), FirstHop(tag: 4, neighbor: 3),
            ])
    }

    @Test func `a path longer than the longest allowed is none`() {
        var graph = LinkStateGraph()
        graph.set(router(1), links: [.init(to: router(2), metric: .max - 1)])
        graph.set(router(2), links: [.init(to: router(1), metric: 1), .init(to: router(3), metric: 1000)])
        graph.set(router(3), links: [.init(to: router(2), metric: 1)])
        var tree = ShortestPathTree()
        _ = tree.calculate(graph, from: router(1))
        #expect(tree.reachableCount == 2)
        var narrow = ShortestPathTree(distanceMaximum: 1023)
        _ = narrow.calculate(graph, from: router(1))
        #expect(narrow.reachableCount == 1)
    }

    @Test func `a vertex that nobody describes or names loses its number`() {
        var graph = LinkStateGraph()
        graph.set(router(1), links: [.init(to: router(2), metric: 1)])
        #expect(graph.number(of: router(2)) != nil)
        graph.set(router(1), links: [])
        #expect(graph.number(of: router(2)) == nil)
        for i in 0..<10_000 as Range<UInt64> {
            graph.set(router(1), links: [.init(to: router(i + 10), metric: 1)])
        }
        #expect(graph.numberLimit <= 3)
        graph.remove(router(1))
        #expect(graph.number(of: router(1)) == nil && graph.isEmpty)
    }

    @Test func `sixty-four of seventy parallel links are kept, the lowest`() {
        var graph = LinkStateGraph()
        graph.set(router(1), links: (0..<70).map { .init(to: router(2), metric: 1, tag: 69 - $0) })
        graph.set(router(2), links: [.init(to: router(1), metric: 1)])
        var tree = ShortestPathTree()
        _ = tree.calculate(graph, from: router(1))
        #expect(tree.firstHops(to: graph.number(of: router(2))!).map(\.tag) == Array(0..<64))
    }

    /// Random graphs that change vertex by vertex; the tree, and what it says changed, against the slow graph.
    @Test(arguments: 0..<40 as Range<UInt64>)
    func `random changes give the tree that the book gives`(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var pair = Pair()
        let routers = random.number(in: 2...14), networks = random.number(in: 0...6)
        let keys = (0..<routers).map { router(UInt64($0)) } + (0..<networks).map { network(UInt64($0)) }
        let metrics = seed % 2 == 0 ? 1...3 : (seed % 4 == 1 ? 0...2 : 1...50)
        let limit = seed % 5 == 0 ? 3 : 64
        var tree = ShortestPathTree(firstHopsMaximum: limit)
        var before: [LinkStateGraph.Key: SlowGraph.Path] = [:]
        let root = keys[0]
        for step in 0..<120 {
            for _ in 0..<random.number(in: 1...(step == 0 ? 30 : 2)) {
                let key = keys[random.number(in: 0...(keys.count - 1))]
                if random.chance(1, in: 8) {
                    _ = pair.remove(key)
                } else {
                    var links: [LinkStateGraph.Link] = []
                    for _ in 0..<random.number(in: 0...6) {
                        let to = keys[random.number(in: 0...(keys.count - 1))]
                        if key.isNetwork && to.isNetwork || to == key { continue }
                        links.append(
                            .init(
                                to: to, metric: key.isNetwork ? 0 : UInt32(random.number(in: metrics)),
                                tag: UInt32(random.number(in: 0...3))))
                    }
                    // Most links are described from both ends, or nothing would be reached.
                    _ = pair.set(key, isTransit: key.isNetwork || !random.chance(1, in: 10), links)
                    for link in links where random.chance(3, in: 4) && !pair.slow.hasLink(link.to, key) {
                        var back = pair.slow.links[link.to] ?? []
                        let metric = link.to.isNetwork ? 0 : UInt32(random.number(in: metrics))
                        back.append(.init(to: key, metric: metric, tag: 5))
                        _ = pair.set(link.to, isTransit: pair.slow.transit[link.to] ?? true, back)
                    }
                }
            }
            let changed = tree.calculate(pair.graph, from: root)
            let now = pair.slow.paths(from: root, limit: limit)
            expectSame(tree, pair.graph, now, "seed \(seed) step \(step)")
            // Everything that has a number and another path than before is in the list, ascending.
            #expect(changed == changed.sorted())
            for key in keys where before[key] != now[key] {
                guard let number = pair.graph.number(of: key) else { continue }
                #expect(changed.contains(number), "seed \(seed) step \(step) \(key)")
            }
            // A tree that grew up is the tree that is calculated at once on a graph built in another order.
            if step % 10 == 0 {
                var fresh = LinkStateGraph(seed: 1)
                for key in keys.reversed() where pair.slow.transit[key] != nil {
                    fresh.set(key, isTransit: pair.slow.transit[key]!, links: pair.slow.links[key]!.reversed())
                }
                var other = ShortestPathTree(firstHopsMaximum: limit)
                _ = other.calculate(fresh, from: root)
                expectSame(other, fresh, now, "seed \(seed) step \(step) fresh")
            }
            before = now
        }
    }

    @Test func `what did not change is not reported`() {
        var graph = LinkStateGraph()
        for i in 0..<10 as Range<UInt64> {
            let neighbors = [i > 0 ? i - 1 : nil, i < 9 ? i + 1 : nil].compactMap { $0 }
            graph.set(router(i), links: neighbors.map { .init(to: router($0), metric: 1) })
        }
        var tree = ShortestPathTree()
        #expect(tree.calculate(graph, from: router(0)).count == 10)
        #expect(tree.calculate(graph, from: router(0)).isEmpty)
        let isNews = graph.set(router(7), links: [.init(to: router(6), metric: 1), .init(to: router(8), metric: 2)])
        let isOld = graph.set(router(7), links: [.init(to: router(8), metric: 2), .init(to: router(6), metric: 1)])
        #expect(isNews && !isOld)
        #expect(tree.calculate(graph, from: router(0)).map { graph.key(of: $0).identifier }.sorted() == [8, 9])
    }
}
