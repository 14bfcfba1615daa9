import Testing
import Wire

@testable import BGP

@Suite struct RIBCountTests {
    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `the counts of a neighbour are those of a look at every prefix`(seed: UInt64) {
        var world = RIBWorld(seed: seed &+ 500, peers: 6)
        for i in 0..<6 { world.establish(i) }
        for _ in 0..<200 { RIBTests().step(&world) }
        world.settle()
        for i in 0..<6 {
            let peer = PeerIndex(UInt16(i))
            for family in RouteFamily.allCases {
                let paths = world.pool.filter { RouteFamily($0.family) == family }.compactMap { world.rib.route($0) }
                    .flatMap(\.paths).filter { $0.neighbor == world.oracle.peers[i].neighbor.address }
                let counts = world.rib.acceptedCounts(peer, family)
                #expect(counts.accepted == paths.count { $0.accepted != nil })
                #expect(counts.best == paths.count(where: \.isBest))
                if world.oracle.peers[i].isUp {
                    let held = world.receivers[i].paths.keys.count { RouteFamily($0.family) == family }
                    #expect(world.rib.advertisedCount(peer, family) == held)
                }
            }
        }
    }
}
