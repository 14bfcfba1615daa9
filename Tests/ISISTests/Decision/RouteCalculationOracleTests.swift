@testable import ISIS
import Machine
import Records
import Routing
import Testing
import Wire

/// A random network that changes step by step; what the calculation says is held against the oracle at each.
final class RandomNetwork {
    var random: RandomNumbers
    var oracle: RouteOracle
    var calculation: RouteCalculation
    var known: [IPPrefix: RouteOffer] = [:]
    let routers: Int
    /// What was done last, for a failure to tell.
    var trace = ""

    static func system(_ number: Int) -> SystemID { SystemID(raw: UInt64(number)) }

    init(seed: UInt64, routers: Int) {
        random = RandomNumbers(seed: seed)
        self.routers = routers
        var configuration = ISISConfiguration(systemID: Self.system(1), areaAddresses: [Sample.area])
        configuration.metricStyle = [.wide, .wide, .narrow, .transition][random.number(in: 0...3)]
        configuration.levels = [.level1And2, .level1, .level2][random.number(in: 0...2)]
        if random.chance(1, in: 2) { configuration.topologies = [.ipv6Unicast] }
        configuration.maximumPaths = [1, 2, 16, 64][random.number(in: 0...3)]
        configuration.level1Distance = 110
        configuration.externalDistance = 120
        oracle = RouteOracle(configuration: configuration)
        calculation = RouteCalculation(seed: seed)
        calculation.configure(configuration)
        for level in Level.allCases {
            for number in 2...routers { changeLSP(level, node: NodeID(Self.system(number))) }
            for lan in 1...3 { changeLSP(level, node: NodeID(Self.system(lan), pseudonode: UInt8(lan))) }
            changeLocal(level)
        }
    }

    func number(_ range: ClosedRange<Int>) -> Int { random.number(in: range) }

    func node() -> NodeID {
        random.chance(1, in: 5)
            ? { NodeID(Self.system($0), pseudonode: UInt8($0)) }(number(1...3)) : NodeID(Self.system(number(1...routers)))
    }

    func set(_ level: Level, _ id: LSPID, _ contents: LSPContents?) {
        oracle.lsps[level]![id] = contents
        calculation.update(level, id, contents)
    }

    func neighbors(_ node: NodeID) -> [NeighborReach] {
        (0..<number(2...9)).flatMap { _ -> [NeighborReach] in
            let to = node.isPseudonode || random.chance(3, in: 5) ? NodeID(Self.system(number(1...routers))) : self.node()
            if node.isPseudonode {
                return [NeighborReach(to, metric: 0), NeighborReach(to, metric: 0, isNarrow: true)]
            }
            let metric = UInt32(number(1...6))
            var list = [NeighborReach(to, metric: random.chance(1, in: 30) ? 0xff_ffff : metric)]
            if random.chance(2, in: 3) { list.append(NeighborReach(to, metric: metric, isNarrow: true)) }
            if random.chance(2, in: 3) { list.append(NeighborReach(to, metric: UInt32(number(1...6)), topology: 2)) }
            return list
        }
    }

    func flags() -> ReachFlags {
        var flags: ReachFlags = []
        if random.chance(1, in: 4) { flags.insert(.down) }
        if random.chance(1, in: 4) { flags.insert(.external) }
        return flags
    }

    func prefixes(_ contents: inout LSPContents) {
        contents.ipv4 = (0..<number(0...4)).map { _ in
            var flags = flags()
            if random.chance(1, in: 3) {
                flags.insert(.narrow)
                if random.chance(1, in: 3) { flags.formUnion([.external, .externalMetric]) }
            }
            let length = UInt8(number(0...1) * 8)
            return IPv4Reach(
                IPv4Prefix(IPv4Address(raw: UInt32(number(1...9)) << 24), length),
                metric: random.chance(1, in: 30) ? .max - 3 : UInt32(number(0...5)), flags: flags, tag: UInt32(number(0...2)))
        }
        contents.ipv6 = (0..<number(0...4)).map { _ in
            IPv6Reach(
                IPv6Prefix(IPv6Address(high: UInt64(number(1...9)) << 56, low: 0), 16), metric: UInt32(number(0...5)),
                flags: flags(), tag: UInt32(number(0...2)), topology: random.chance(1, in: 2) ? 2 : 0)
        }
    }

    func changeLSP(_ level: Level, node: NodeID, fragment: UInt8 = 0) {
        var contents = LSPContents()
        if fragment == 0, !node.isPseudonode {
            if random.chance(1, in: 8) { contents.flags.insert(.overload) }
            if random.chance(1, in: 6) { contents.flags.insert(.attached) }
            if random.chance(1, in: 2) {
                contents.topologies = [
                    TopologyMembership(id: 0),
                    TopologyMembership(id: 2, isOverloaded: random.chance(1, in: 8), isAttached: random.chance(1, in: 5)),
                ]
            }
            contents.areas = [random.chance(3, in: 4) ? Sample.area : AreaAddress([0x50])!]
        }
        contents.neighbors = neighbors(node)
        if !node.isPseudonode { prefixes(&contents) }
        set(level, LSPID(node, fragment: fragment), contents)
    }

    func changeLocal(_ level: Level) {
        var links: [LocalLink] = []
        var adjacencies: Set<LocalAdjacency> = []
        for interface in 0..<number(1...5) {
            let id = InterfaceID(UInt16(interface))
            var to = node()
            if to.system == Self.system(1), !to.isPseudonode { to = NodeID(Self.system(2)) }
            links.append(
                LocalLink(
                    interface: id, node: to, metric: UInt32(number(1...6)), ipv6Metric: UInt32(number(1...6)),
                    isStandard: random.chance(9, in: 10), isIPv6: random.chance(9, in: 10)))
            let systems = to.isPseudonode ? Array(2...routers) : [Int(to.system.raw)]
            for system in systems where random.chance(9, in: 10) {
                let address = random.chance(9, in: 10) ? IPv4Address(raw: UInt32(system * 256 + number(0...1))) : nil
                let ipv6 = random.chance(9, in: 10) ? IPv6Address(high: 0xfe80 << 48, low: UInt64(system)) : nil
                adjacencies.insert(
                    LocalAdjacency(interface: id, system: Self.system(system), ipv4: address, ipv6: ipv6))
            }
        }
        oracle.links[level] = links
        oracle.adjacencies[level] = Array(adjacencies)
        calculation.setLocal(level, links: links, adjacencies: Array(adjacencies))
    }

    func step() {
        let level: Level = random.chance(1, in: 2) ? .one : .two
        let what = number(0...11)
        trace += " \(level):\(what)"
        switch what {
        case 0...3: changeLSP(level, node: NodeID(Self.system(number(2...routers))))
        case 4: changeLSP(level, node: NodeID(Self.system(number(1...routers))), fragment: UInt8(number(1...2)))
        case 5: changeLSP(level, node: { NodeID(Self.system($0), pseudonode: UInt8($0)) }(number(1...3)))
        case 6:
            let ids = oracle.lsps[level]!.keys.sorted()
            if !ids.isEmpty { set(level, ids[number(0...(ids.count - 1))], nil) }
        case 7, 8:
            // Prefixes alone.
            let ids = oracle.lsps[level]!.keys.filter { !$0.node.isPseudonode }.sorted()
            guard !ids.isEmpty else { return }
            let id = ids[number(0...(ids.count - 1))]
            var contents = oracle.lsps[level]![id]!
            prefixes(&contents)
            set(level, id, contents)
        case 9: changeLocal(level)
        case 10:
            oracle.discards = (0..<number(0...2)).map { _ in .v4(IPv4Prefix(IPv4Address(raw: UInt32(number(1...9)) << 24), 8)) }
            oracle.discards = Array(Set(oracle.discards))
            calculation.setDiscards(oracle.discards)
        default:
            var configuration = oracle.configuration
            if random.chance(1, in: 2) {
                configuration.maximumPaths = UInt8(number(1...4))
            } else if random.chance(1, in: 2) {
                configuration.attachedBit.isHonored.toggle()
            } else {
                configuration.metricStyle = [.wide, .narrow, .transition][number(0...2)]
            }
            oracle.configuration = configuration
            calculation.configure(configuration)
        }
    }

    func apply(_ updates: [RouteUpdate]) {
        for update in updates { known[update.prefix] = update.offer }
    }

    /// A twin from a snapshot.
    func restored() throws -> RouteCalculation {
        var writer = SnapshotWriter()
        calculation.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var twin = try RouteCalculation(from: &reader)
        try reader.expectEnd()
        twin.configure(oracle.configuration)
        for level in Level.allCases {
            twin.setLocal(level, links: oracle.links[level]!, adjacencies: oracle.adjacencies[level]!)
            for (id, contents) in oracle.lsps[level]!.sorted(by: { $0.key < $1.key }) { twin.update(level, id, contents) }
        }
        twin.setDiscards(oracle.discards)
        twin.finishRestore()
        return twin
    }
}

@Suite struct RouteCalculationOracleTests {
    @Test(arguments: 0..<40) func `incremental calculation agrees with the slow one on random networks`(_ seed: Int) {
        let network = RandomNetwork(seed: UInt64(seed), routers: 4 + seed % 9)
        network.apply(network.calculation.run().updates)
        #expect(network.known == network.oracle.routes())
        for step in 0..<60 {
            network.trace = ""
            for _ in 0...(step % 3) { network.step() }
            let result = network.calculation.run()
            for update in result.updates { #expect(network.known[update.prefix] != update.offer) }
            #expect(result.updates.map(\.prefix) == result.updates.map(\.prefix).sorted())
            network.apply(result.updates)
            let expected = network.oracle.routes()
            #expect(network.known == expected, "seed \(seed), step \(step), \(network.trace)")
            #expect(network.calculation.isAttached == network.oracle.isAttached)
            if network.known != expected { return }
            #expect(network.calculation.run().updates.isEmpty)
        }
    }

    @Test(arguments: 100..<115) func `a restored calculation says what the one that grew up says`(_ seed: Int) throws {
        let network = RandomNetwork(seed: UInt64(seed), routers: 8)
        for step in 0..<40 {
            network.step()
            var twin = try network.restored()
            #expect(twin.digest == network.calculation.digest)
            #expect(twin.pending == network.calculation.pending)
            // Half of the snapshots are taken while something is due.
            if step % 2 == 0 {
                let (a, b) = (network.calculation.run(), twin.run())
                #expect(a.updates == b.updates)
                #expect(a.leaksChanged == b.leaksChanged)
                #expect(a.attachedChanged == b.attachedChanged)
                #expect(twin.digest == network.calculation.digest)
                for level in Level.allCases {
                    let (x, y) = (network.calculation.leaks(into: level), twin.leaks(into: level))
                    #expect(x.ipv4 == y.ipv4 && x.ipv6 == y.ipv6)
                }
            }
        }
    }

    @Test func `a snapshot that is cut short or mangled is refused or read, and nothing else`() {
        let network = RandomNetwork(seed: 9, routers: 9)
        _ = network.calculation.run()
        #expect(network.calculation.routeCount.ipv4 > 0)
        var writer = SnapshotWriter()
        network.calculation.write(to: &writer)
        let bytes = writer.bytes
        func isRead(_ bytes: [UInt8]) -> Bool {
            var reader = SnapshotReader(bytes)
            guard var calculation = try? RouteCalculation(from: &reader), (try? reader.expectEnd()) != nil else { return false }
            calculation.configure(network.oracle.configuration)
            calculation.finishRestore()
            _ = calculation.run()
            return true
        }
        #expect(isRead(bytes))
        for count in 0..<bytes.count { #expect(!isRead(Array(bytes.prefix(count)))) }
        for place in bytes.indices {
            var mangled = bytes
            mangled[place] ^= UInt8(1 << (place % 8))
            _ = isRead(mangled)
        }
    }
}
