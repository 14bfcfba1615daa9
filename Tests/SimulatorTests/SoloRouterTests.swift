import Engine
import Machine
import Records
import Testing
import Wire

@testable import Simulator

/// Everything below the controllers: engine, line card, TCP and BGP against strict speakers on a LAN.
@Suite struct SoloRouterTests {
    @Test func `sessions come up and every speaker learns what the others announce`() {
        let world = SoloWorld(seed: 1, peerCount: 3)
        world.churn(60, within: .seconds(1))
        world.run(for: .seconds(20))
        #expect(world.verdict() == [])
        #expect(world.stations.allSatisfy { $0.speaker.establishments == 1 })
        #expect(world.stations.map(\.speaker.learnt.count).reduce(0, +) > 20)
    }

    @Test(arguments: 0..<10)
    func `loss, duplication and reordering on the LAN cost no session and no route`(seed: Int) {
        let world = SoloWorld(seed: UInt64(seed), peerCount: 4)
        world.run(for: .seconds(10))
        for port in world.bridge.ports.indices {
            world.bridge.setWeather(.init(loss: 300, duplication: 200, reordering: 500), port: port)
        }
        for _ in 0..<5 {
            world.churn(100, within: .seconds(1))
            world.run(for: .seconds(2))
        }
        for port in world.bridge.ports.indices { world.bridge.setWeather(.fair, port: port) }
        world.run(for: .seconds(30))
        #expect(world.verdict() == [])
    }

    @Test(arguments: 0..<10)
    func `an engine restored from its snapshot and a line card rebuilt from it go on unnoticed`(seed: Int) {
        let world = SoloWorld(seed: UInt64(100 + seed), peerCount: 3)
        world.run(for: .seconds(10))
        for _ in 0..<20 {
            world.churn(20, within: .milliseconds(200))
            let time = world.now + .microseconds(world.random.number(in: 0...200_000))
            world.queue.schedule(world.random.chance(1, in: 2) ? .passThroughSnapshot : .replaceLineCard, at: time)
            world.run(for: .milliseconds(300))
        }
        world.run(for: .seconds(10))
        #expect(world.verdict() == [])
        #expect(world.stations.allSatisfy { $0.speaker.establishments == 1 })
        #expect(world.router.snapshotsPassed > 0)
    }

    @Test func `the same seed gives the same run`() {
        func run(_ seed: UInt64) -> (Int, UInt64, [Int]) {
            let world = SoloWorld(seed: seed, peerCount: 3)
            world.churn(100, within: .seconds(5))
            world.run(for: .seconds(15))
            return (world.steps, world.router.lastIndex.value, world.stations.map(\.speaker.octetsReceived))
        }
        let first = run(5), second = run(5)
        #expect(first == second)
        #expect(run(6) != first)
    }

    @Test(arguments: 0..<5) func `a second engine fed with the log in other portions is the same, octet for octet`(seed: Int) {
        let world = SoloWorld(seed: UInt64(seed), peerCount: 3, keepsLog: true)
        world.churn(200, within: .seconds(8))
        world.run(for: .seconds(12))
        #expect(world.verdict() == [])
        var twin = Engine(seed: world.router.seed)
        var rest = world.router.records[...]
        while !rest.isEmpty {
            let portion = rest.prefix(world.random.number(in: 1...40))
            rest = rest.dropFirst(portion.count)
            _ = twin.perform(.apply(Array(portion)))
        }
        #expect(twin.digest == world.router.digest)
        #expect(world.router.encodedState() == encoded(&twin))
    }

    private func encoded(_ engine: inout Engine) -> [UInt8] {
        guard case .snapshot(let snapshot) = engine.perform(.snapshot()) else { return [] }
        return snapshot.encoded()
    }
}
