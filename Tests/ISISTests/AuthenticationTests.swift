import Machine
import Records
import Testing
import Wire
@testable import ISIS

@Suite struct SessionAuthenticationTests {
    static func chain(_ names: [String], _ algorithm: KeyChain.Algorithm = .hmacSHA256, sendOnly: Bool = false)
        -> ISISAuthentication
    {
        var chain = ISISAuthentication(
            firstSigns: names.enumerated().map {
                KeyChain.Key(id: UInt64(Array($0.element.utf8)[0]), algorithm: algorithm, secret: Array($0.element.utf8))
            })
        chain.isSendOnly = sendOnly
        return chain
    }
    private func pair(_ x: ISISAuthentication?, _ y: ISISAuthentication?, hello: Bool, type: ISISNetworkType = .broadcast)
        -> VirtualNetwork
    {
        let network = VirtualNetwork()
        let a = network.add(1) { if !hello { $0.level2.authentication = x } }
        let b = network.add(2) { if !hello { $0.level2.authentication = y } }
        network.join([a, b], type) { router, interface in
            if hello { interface.authentication = router == 0 ? x : y }
        }
        network.start()
        network.run(.seconds(60))
        return network
    }

    @Test func `every algorithm carries hellos, LSPs and sequence numbers`() {
        for algorithm in KeyChain.Algorithm.isis {
            for hello in [true, false] {
                let chain = Self.chain(["alpha"], algorithm)
                let network = pair(chain, chain, hello: hello)
                #expect(network.upNeighbors(0).count == 1, "\(algorithm)")
                #expect(network.database(0) == network.database(1), "\(algorithm)")
                #expect(network.database(0).count == 3)
                #expect(network.machine(0).counters[.authentication] == 0)
            }
        }
    }

    @Test func `RFC 5304: without the key there is neither adjacency nor database`() {
        for other in [nil, Self.chain(["beta"])] {
            let hellos = pair(Self.chain(["alpha"]), other, hello: true)
            #expect(hellos.upNeighbors(0).isEmpty)
            #expect(hellos.machine(0).counters[.authentication] > 0)
            let lsps = pair(Self.chain(["alpha"]), other, hello: false)
            #expect(lsps.upNeighbors(0).count == 1)
            #expect(!lsps.database(0).contains { $0.hasPrefix("\(lsps.id(1))") })
        }
    }

    @Test func `keys roll over without a lost adjacency or LSP`() {
        let network = pair(Self.chain(["alpha"]), Self.chain(["alpha"]), hello: true)
        func set(_ router: Int, _ names: [String]) {
            network.routers[router].configuration.interfaces[0].authentication = Self.chain(names)
            network.routers[router].configuration.level2.authentication = Self.chain(names)
            network.configure(router)
            network.run(.seconds(20))
        }
        for router in 0..<2 {
            network.routers[router].configuration.level2.authentication = Self.chain(["alpha"], sendOnly: true)
        }
        for router in 0..<2 { network.configure(router) }
        network.run(.seconds(20))
        for names in [["alpha", "beta"], ["beta", "alpha"], ["beta"]] { for router in 0..<2 { set(router, names) } }
        #expect(network.machine(0).circuits[0]?.flaps == 0)
        #expect(network.machine(1).circuits[0]?.flaps == 0)
        #expect(network.database(0) == network.database(1))
        #expect(network.machine(0).counters.purges == 0)
        let database = network.machine(1).databases[1]
        let slot = database.slot(of: LSPID(network.id(0)))!
        #expect(Authentication.verify(database.bytes(slot).span.bytes, with: Self.chain(["beta"]), at: network.now) == .valid)
    }

    @Test func `RFC 6233: an authentic LSP with its lifetime cut to zero purges nothing`() {
        let network = pair(Self.chain(["alpha"]), Self.chain(["alpha"]), hello: false)
        let id = LSPID(network.id(1))
        let database = network.machine(0).databases[1]
        var bytes = database.bytes(database.slot(of: id)!)
        LSPBuilder.setRemainingLifetime(0, in: &bytes)
        network.inject(bytes, to: .init(router: 0, interface: 0), from: network.station(1))
        #expect(network.machine(0).counters[.badPurge] == 1)
        #expect(FloodingTests.entry(network, 0, id)?.isPurged == false)
        let before = network.database(0)
        network.run(.seconds(30))
        #expect(network.database(0) == before)
    }

    @Test func `RFC 5306 3.2.1: a neighbour that restarts keeps its adjacency and gets the database`() {
        for type in [ISISNetworkType.broadcast, .pointToPoint] {
            let network = VirtualNetwork()
            let a = network.add(1), b = network.add(2)
            network.join([a, b], type) { router, interface in if router == a { interface.level2.priority = 100 } }
            network.start()
            network.run(.seconds(60))
            let flaps = network.machine(a).circuits[0]?.flaps
            // b went away and comes back with nothing but its request.
            network.routers[b].isOff = true
            let before = network.routers[a].sent.count
            var contents = HelloContents()
            contents.areas = [AreaAddress("49.0001")!]
            contents.restart = RestartOption(isRequest: true)
            if type == .broadcast {
                let hello = LANHello(
                    level: .two, circuitType: .level2, source: network.id(b), holdingTime: 60, priority: 64, lanID: .zero,
                    contents: contents)
                network.inject(hello.encoded(), to: .init(router: a, interface: 0), from: network.station(b))
            } else {
                contents.threeWay = ThreeWayAdjacency(state: .down, extendedCircuitID: 1)
                let hello = PointToPointHello(
                    circuitType: .level2, source: network.id(b), holdingTime: 60, localCircuitID: 1, contents: contents)
                network.inject(hello.encoded(), to: .init(router: a, interface: 0), from: network.station(b))
            }
            network.run(.seconds(1))
            #expect(network.upNeighbors(a) == [network.id(b)])
            #expect(network.machine(a).circuits[0]?.flaps == flaps)
            let answers = network.routers[a].sent[before...]
            let contentsOfHello = answers.compactMap { packet -> HelloContents? in
                let pdu = packet.bytes.span.bytes
                return (try? LANHello(pdu).contents) ?? (try? PointToPointHello(pdu).contents)
            }
            let answer = contentsOfHello.first?.restart
            #expect(answer?.isAcknowledgement == true)
            #expect(answer?.restartingNeighbor == network.id(b))
            #expect(answer?.remainingTime.map { (58...60).contains($0) } == true)
            #expect(answers.contains { PDUHeader.peekType($0.bytes.span.bytes) == .level2CSNP })
            #expect(answers.contains { PDUHeader.peekType($0.bytes.span.bytes) == .level2LSP })
        }
    }
}

@Suite struct KeyRolloverTests {
    static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    /// Key 1 signs until 100 s and is accepted until 120 s; key 2 is accepted from 80 s on.
    static func authentication(_ old: KeyChain.Algorithm, _ new: KeyChain.Algorithm) -> ISISAuthentication {
        ISISAuthentication(
            chain: KeyChain(
                name: "core",
                keys: [
                    .init(id: 1, algorithm: old, secret: "old", send: .init(until: at(100)), accept: .init(until: at(120))),
                    .init(id: 2, algorithm: new, secret: "new", send: .init(from: at(100)), accept: .init(from: at(80))),
                ]))
    }
    static let algorithms: [(KeyChain.Algorithm, KeyChain.Algorithm)] = [
        (.hmacSHA256, .hmacSHA512), (.hmacMD5, .hmacMD5), (.clearText, .hmacSHA1), (.hmacSHA384, .hmacMD5),
    ]

    private func network(_ authentication: ISISAuthentication, restoreEvery: Int = 0) -> VirtualNetwork {
        let network = VirtualNetwork()
        network.restoreEvery = restoreEvery
        let a = network.add(1) { $0.level2.authentication = authentication }
        let b = network.add(2) { $0.level2.authentication = authentication }
        network.join([a, b]) { _, interface in interface.authentication = authentication }
        network.start()
        return network
    }

    @Test(arguments: algorithms.indices)
    func `a key takes over from another at its time: own LSPs are said again, and no adjacency is lost`(_ number: Int) throws {
        let (old, new) = Self.algorithms[number]
        let authentication = Self.authentication(old, new)
        let network = network(authentication)
        network.run(.seconds(99))
        #expect(network.upNeighbors(0).count == 1)
        let id = LSPID(network.id(0))
        func held() throws -> (bytes: [UInt8], sequence: UInt32) {
            let database = network.machine(1).databases[1]
            let slot = try #require(database.slot(of: id))
            return (database.bytes(slot), database.entries[slot].sequence)
        }
        let before = try held()
        let onlyNew = ISISAuthentication(chain: KeyChain(keys: [authentication.chain.keys[1]]))
        #expect(Authentication.verify(before.bytes.span.bytes, with: onlyNew, at: Self.at(99)) != .valid)
        let runs = network.machine(1).counters.spfRuns
        network.run(.seconds(6))
        let after = try held()
        #expect(after.sequence == before.sequence + 1, "said again, once, long before its refresh")
        #expect(Authentication.verify(after.bytes.span.bytes, with: onlyNew, at: Self.at(105)) == .valid)
        #expect(network.machine(1).counters.spfRuns == runs, "nothing but the signature changed")
        network.run(.seconds(200))
        #expect(network.machine(0).circuits[0]?.flaps == 0 && network.machine(1).circuits[0]?.flaps == 0)
        #expect(network.machine(0).counters[.authentication] == 0 && network.machine(1).counters[.authentication] == 0)
        #expect(network.database(0) == network.database(1))
        // What the old key signed counts no more.
        network.inject(before.bytes, to: .init(router: 1, interface: 0), from: network.station(0))
        #expect(network.machine(1).counters[.authentication] == 1)
    }

    @Test func `restored before any input it signs with the same key, and says its LSPs again at the same time`() {
        let network = network(Self.authentication(.hmacMD5, .hmacSHA256), restoreEvery: 3)
        network.run(.seconds(150))
        #expect(network.mismatches.isEmpty)
        #expect(network.machine(0).circuits[0]?.flaps == 0)
        #expect(network.machine(0).counters[.authentication] == 0)
    }

    @Test func `RFC 2328 §D.3 holds here, too: after the last key's end it signs on and is accepted`() {
        var authentication = Self.authentication(.hmacSHA1, .hmacSHA256)
        authentication.chain.keys[1].send.until = Self.at(200)
        authentication.chain.keys[1].accept.until = Self.at(210)
        let network = network(authentication)
        network.run(.seconds(400))
        #expect(network.upNeighbors(0).count == 1 && network.machine(0).circuits[0]?.flaps == 0)
        #expect(network.database(0) == network.database(1))
    }
}
