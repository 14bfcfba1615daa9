import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

/// A RIB with neighbours around it, the oracle beside it, and from time to time a twin that grew out of a snapshot.
struct RIBWorld {
    var rib: RIB
    var twin: RIB?
    var oracle: Oracle
    var receivers: [Receiver] = []
    var random: RandomNumbers
    var now = Instant.zero
    let pool: [IPPrefix]
    var limits = RIBLimits() {
        didSet {
            rib.tables.ipv4Unicast.limits = limits
            rib.tables.ipv6Unicast.limits = limits
        }
    }
    var payloads = VRPTable(seed: 5)
    /// Routes with the OTC attribute of RFC 9234 are among those that are drawn.
    var drawsMarks = false
    /// Routes that came back to us by reflection are among them (RFC 4456 §8).
    var drawsLoops = false
    /// Neighbours restart and say all again.
    var drawsRestarts = false
    static let nextHops: [IPAddress] = (1...6).map { .v4(IPv4Address(10, 9, 0, UInt8($0))) }
    static let nextHops6: [IPAddress] = (1...4).map { .v6(IPv6Address(high: 0x2001_0db8 << 32, low: UInt64($0))) }

    init(seed: UInt64, peers count: Int, configuration: BGPConfiguration? = nil) {
        random = RandomNumbers(seed: seed)
        var configuration = configuration ?? BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 0x0a00_0001))
        if configuration.definitions.policies.isEmpty {
            configuration.definitions.policies = Self.policies
            configuration.definitions.prefixSets = [
                PrefixSetConfiguration(
                    name: "few",
                    entries: [.init(.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 10)), minimumLength: 16, maximumLength: 24)])
            ]
            configuration.definitions.communitySets = [
                CommunitySetConfiguration(name: "marked", entries: [.standard(Community(1, 1))])
            ]
        }
        rib = RIB(configuration: configuration, seed: seed)
        oracle = Oracle(configuration: configuration)
        var pool: [IPPrefix] = []
        for i in 0..<40 {
            pool.append(.v4(IPv4Prefix(IPv4Address(raw: 20 << 24 | UInt32(i) << 16), UInt8(16 + i % 9))))
        }
        for i in 0..<12 { pool.append(.v6(IPv6Prefix(IPv6Address(high: (0x2400 + UInt64(i)) << 48, low: 0), UInt8(16 + i * 3)))) }
        pool += [.v4(IPv4Prefix(.any, 0)), .v6(IPv6Prefix(.any, 0))]
        self.pool = pool
        for hop in Self.nextHops + Self.nextHops6 { oracle.reachable[hop] = UInt32(random.number(in: 0...2)) * 10 }
        for i in 0..<count { addPeer(i) }
    }

    static var policies: [PolicyConfiguration] {
        [
            PolicyConfiguration(name: "all", statements: [], otherwise: .accept),
            PolicyConfiguration(
                name: "prefer",
                statements: [
                    PolicyStatement(conditions: [.prefixSet("few")], actions: [.setLocalPreference(200)], result: .next),
                    PolicyStatement(conditions: [.anyCommunity("marked")], actions: [], result: .reject),
                    PolicyStatement(
                        conditions: [.asPathContains(ASNumber(103))], actions: [.addCommunities([Community(9, 9)])],
                        result: .accept),
                ], otherwise: .accept),
            PolicyConfiguration(
                name: "shape",
                statements: [
                    PolicyStatement(conditions: [.source(.local)], actions: [.setMED(7)], result: .accept),
                    PolicyStatement(
                        conditions: [.notPrefixSet("few")], actions: [.prepend(asNumber: ASNumber(65000), count: 2)],
                        result: .accept),
                    PolicyStatement(conditions: [.originAS(ASNumber(104))], actions: [.setMED(50)], result: .next),
                ], otherwise: .accept),
        ]
    }

    private mutating func addPeer(_ i: Int) {
        let isExternal = i % 3 != 2
        // Two external neighbours share an AS, so that MEDs meet.
        let number = isExternal ? ASNumber(UInt32(101 + i / 3)) : oracle.configuration.routerAS
        var neighbor = NeighborConfiguration(address: .v4(IPv4Address(10, 9, 1, UInt8(i + 1))), remoteAS: number)
        neighbor.importPolicies = isExternal ? [i % 2 == 0 ? "all" : "prefer"] : []
        neighbor.exportPolicies = isExternal ? [i % 4 == 3 ? "shape" : "all"] : []
        neighbor.nextHopSelf = i == 5
        neighbor.defaultOriginate = i == 7
        neighbor.allowASIn = i == 4 ? 1 : 0
        var session = RIBSession(
            identifier: RouterID(raw: 0x0b00_0000 + UInt32(i % 4)), families: [.ipv4Unicast, .ipv6Unicast], fourOctetAS: true,
            extendedMessages: i == 1)
        session.nextHopIPv4 = IPv4Address(10, 9, 1, 254)
        session.nextHopIPv6 = IPv6Address(high: 0x2001_0db8 << 32, low: 254)
        if i == 6 { session.families = .ipv4Unicast }
        oracle.peers.append(.init(neighbor: neighbor, session: session, isExternal: isExternal))
        receivers.append(Receiver())
    }

    // MARK: doing

    mutating func both(_ body: (inout RIB) -> Void) {
        body(&rib)
        if var t = twin {
            body(&t)
            twin = t
        }
    }

    mutating func establish(_ i: Int) {
        guard !oracle.peers[i].isUp else { return }
        if oracle.peers[i].isAway { return resume(i) }
        oracle.peers[i].isUp = true
        receivers[i] = Receiver()
        receivers[i].pathIDs = oracle.peers[i].session.sendsPathIDs
        let peer = oracle.peers[i]
        both { $0.establish(PeerIndex(UInt16(i)), neighbor: peer.neighbor, session: peer.session) }
    }
    mutating func close(_ i: Int) {
        guard oracle.peers[i].isUp || oracle.peers[i].isAway else { return }
        oracle.peers[i].isUp = false
        oracle.peers[i].isAway = false
        oracle.peers[i].routes = [:]
        oracle.peers[i].stale = [:]
        both { $0.close(PeerIndex(UInt16(i))) }
    }

    // MARK: restarts and refreshes

    private static let families: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]

    /// The session is lost; of the families that are not kept the routes go, and of some what was stale already.
    mutating func suspend(_ i: Int) {
        guard oracle.peers[i].isUp else { return }
        let kept: RouteFamilySet = random.chance(1, in: 4) ? .ipv4Unicast : Self.families
        let dropping: RouteFamilySet = random.chance(1, in: 2) ? [] : kept
        oracle.peers[i].isUp = false
        oracle.peers[i].isAway = true
        oracle.purge(i, dropping)
        oracle.mark(i, Self.families)
        oracle.purge(i, Self.families.subtracting(kept))
        both {
            let isKept = $0.suspend(PeerIndex(UInt16(i)), keeping: kept, dropping: dropping)
            #expect(isKept)
        }
    }
    private mutating func resume(_ i: Int) {
        let kept: RouteFamilySet = random.chance(1, in: 4) ? .ipv6Unicast : Self.families
        oracle.peers[i].isUp = true
        oracle.peers[i].isAway = false
        oracle.mark(i, Self.families.subtracting(kept))
        oracle.purge(i, Self.families.subtracting(kept))
        receivers[i] = Receiver()
        receivers[i].pathIDs = oracle.peers[i].session.sendsPathIDs
        let peer = oracle.peers[i]
        both {
            let left = $0.resume(PeerIndex(UInt16(i)), neighbor: peer.neighbor, session: peer.session, keeping: kept)
            #expect(left == kept)
        }
    }
    /// What a step does in a world with restarts. `false`: the usual.
    mutating func restartStep(_ i: Int) -> Bool {
        guard drawsRestarts, random.chance(1, in: 6) else { return false }
        let family: RouteFamily = random.chance(1, in: 3) ? .ipv6Unicast : .ipv4Unicast
        switch random.number(in: 0...3) {
        case 0: suspend(i)
        case 1: establish(i)
        case 2:
            guard oracle.peers[i].isUp else { return true }
            oracle.mark(i, RouteFamilySet(family))
            both {
                let isMarked = $0.markStale(PeerIndex(UInt16(i)), family)
                #expect(isMarked)
            }
        default:
            guard oracle.peers[i].isUp else { return true }
            oracle.purge(i, RouteFamilySet(family))
            both { $0.purgeStale(PeerIndex(UInt16(i)), family) }
        }
        return true
    }

    mutating func drawRoute(_ i: Int, _ family: RouteFamily) -> RouteAttributes {
        var route = RouteAttributes()
        let peer = oracle.peers[i]
        route.origin = random.chance(1, in: 4) ? .incomplete : .igp
        var numbers: [ASNumber] = peer.isExternal ? [peer.neighbor.remoteAS] : []
        for _ in 0..<random.number(in: 0...2) { numbers.append(ASNumber(UInt32(random.number(in: 101...106)))) }
        if random.chance(1, in: 12) { numbers.append(oracle.configuration.routerAS) }
        if !numbers.isEmpty { route.path = [.init(type: 2, numbers: numbers)] }
        if random.chance(1, in: 10) { route.path.append(.init(type: 1, numbers: [ASNumber(300), ASNumber(301)])) }
        let hops = family == .ipv4Unicast ? Self.nextHops : Self.nextHops6
        route.nextHop = hops[random.number(in: 0...(hops.count - 1))]
        if peer.isExternal, random.chance(1, in: 3) {
            // The same attributes from two neighbours of one AS: only the source tells them apart.
            route = RouteAttributes()
            route.origin = .igp
            route.path = [.init(type: 2, numbers: [peer.neighbor.remoteAS])]
            route.nextHop = hops[0]
            return route
        }
        if random.chance(1, in: 2) { route.med = UInt32(random.number(in: 0...3)) }
        if !peer.isExternal { route.localPreference = UInt32(random.number(in: 0...2)) * 50 + 50 }
        if random.chance(1, in: 5) {
            let list: [Community] = [Community(1, 1), .noExport, .noAdvertise, .noExportSubconfed, Community(2, 2)]
            route.communities = [list[random.number(in: 0...4)]]
        }
        if random.chance(1, in: 8) { route.others.append(.init(flags: 0xe0, type: 99, value: [1, 2, 3])) }
        if drawsMarks, random.chance(1, in: 3) { route = Oracle.marked(route, ASNumber(UInt32(random.number(in: 101...103)))) }
        if !peer.isExternal, random.chance(1, in: 4) {
            route.others.insert(.init(flags: 0x80, type: 9, value: [9, 9, 9, UInt8(random.number(in: 1...3))]), at: 0)
            route.others.insert(.init(flags: 0x80, type: 10, value: [1, 1, 1, 1]), at: 1)
        }
        if drawsLoops, !peer.isExternal, random.chance(1, in: 3) {
            route.others.removeAll { $0.type == 9 || $0.type == 10 }
            let own = random.chance(1, in: 2) ? oracle.configuration.routerID.raw : 0x0a00_0099
            let list = [0x0101_0101, own, 0x0202_0202].prefix(random.number(in: 1...3))
            let isOrigin = random.chance(1, in: 4)
            if isOrigin { route.others.insert(.init(flags: 0x80, type: 9, value: Build.u32(own)), at: 0) }
            route.others.insert(.init(flags: 0x80, type: 10, value: list.flatMap { Build.u32($0) }), at: isOrigin ? 1 : 0)
        }
        return route
    }

    mutating func announce(_ i: Int, _ prefixes: [IPPrefix], _ route: RouteAttributes) {
        let octets = route.encoded()
        guard let family = prefixes.first.map({ RouteFamily($0.family) }) else { return }
        let id = drawPathID(i, family)
        for prefix in prefixes {
            oracle.peers[i].routes[prefix, default: [:]][id ?? 0] = route
            oracle.peers[i].stale[prefix]?.remove(id ?? 0)
        }
        let nlri = prefixes.flatMap { Self.nlri($0, id) }
        let reachable = oracle.reachable
        let answersLate = random.chance(1, in: 2)
        both { rib in
            let context = AttributeContext(UInt32(i % 3))
            let handle =
                rib.attributes(forKey: octets.span.bytes, context: context)
                ?? rib.insertAttributes(key: octets.span.bytes, context: context, canonical: octets.span.bytes)
            // As the session side does it: nobody knows at first, the answer comes when the record is done.
            rib.announce(nlri.span.bytes, family, from: PeerIndex(UInt16(i)), attributes: handle)
            if !answersLate {
                rib.resolveNewNextHops { address in reachable[address].map { .reachable(metric: $0) } ?? .unreachable }
                return
            }
            var asked: [IPAddress] = []
            rib.resolveNewNextHops { address in
                asked.append(address)
                return .unreachable
            }
            for address in asked { if let metric = reachable[address] { rib.setNextHop(address, .reachable(metric: metric)) } }
        }
    }
    mutating func withdraw(_ i: Int, _ prefix: IPPrefix) {
        let id = drawPathID(i, RouteFamily(prefix.family))
        oracle.peers[i].routes[prefix]?[id ?? 0] = nil
        oracle.peers[i].stale[prefix]?.remove(id ?? 0)
        let nlri = Self.nlri(prefix, id)
        both { $0.withdraw(nlri.span.bytes, RouteFamily(prefix.family), from: PeerIndex(UInt16(i))) }
    }
    /// RFC 7911: one of few, from a neighbour that gives them.
    private mutating func drawPathID(_ i: Int, _ family: RouteFamily) -> UInt32? {
        oracle.peers[i].session.receivesPathIDs.contains(family) ? UInt32(random.number(in: 1...3)) : nil
    }
    private static func nlri(_ prefix: IPPrefix, _ id: UInt32?) -> [UInt8] { (id.map { Build.u32($0) } ?? []) + RIB.nlri(prefix) }
    /// What the RPKI says is another set of payloads.
    mutating func setPayloads(_ list: [VRP]) {
        oracle.payloads = list
        payloads.begin(0, isWhole: true)
        for vrp in list { _ = payloads.stage(vrp, isAnnounced: true, by: 0, maximum: 1000) }
        payloads.commit(0)
        let table = payloads, changed = payloads.takeChanges()
        both { $0.setPayloads(table, changed: changed) }
    }
    mutating func setNextHop(_ address: IPAddress, _ metric: UInt32?) {
        oracle.reachable[address] = metric
        both { $0.setNextHop(address, metric.map { .reachable(metric: $0) } ?? .unreachable) }
    }

    /// Lets time pass and neighbours read, the same from both twins.
    mutating func advance(_ milliseconds: Int, limit: (Int) -> Int) {
        now = now + .milliseconds(milliseconds)
        let at = now
        let reachable = oracle.reachable
        both { rib in
            rib.advertise(at: at)
            rib.resolveNewNextHops { address in reachable[address].map { .reachable(metric: $0) } ?? .unreachable }
        }
        for i in oracle.peers.indices where oracle.peers[i].isUp {
            let limit = limit(i)
            if limit == 0 { continue }
            var octets: [UInt8] = []
            rib.takeOutput(for: PeerIndex(UInt16(i)), limit: limit) { octets += $0 }
            if var t = twin {
                var other: [UInt8] = []
                t.takeOutput(for: PeerIndex(UInt16(i)), limit: limit) { other += $0 }
                twin = t
                #expect(octets == other, "the twin writes the same octets to peer \(i)")
            }
            receivers[i].read(octets[...])
            #expect(receivers[i].problem == nil)
        }
        if let twin {
            #expect(twin.digest == rib.digest)
            #expect(twin.nextDeadline == rib.nextDeadline)
        }
    }

    mutating func settle() {
        for _ in 0..<60 { advance(6) { _ in .max } }
        var patience = 1000
        while rib.nextDeadline != nil, patience > 0 {
            advance(6) { _ in .max }
            patience -= 1
        }
        #expect(rib.nextDeadline == nil)
    }

    mutating func snapshot() throws {
        var writer = SnapshotWriter()
        rib.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var restored = try RIB(from: &reader)
        // Whose state it is gives it.
        restored.setPayloads(payloads, changed: [])
        restored.tables.ipv4Unicast.limits = limits
        restored.tables.ipv6Unicast.limits = limits
        try reader.expectEnd()
        var again = SnapshotWriter()
        restored.write(to: &again)
        #expect(again.bytes == writer.bytes)
        twin = restored
    }

    /// Rounds of churn with restores, each compared with the oracle; nothing is left in the end.
    mutating func churn(_ place: String) throws {
        let count = oracle.peers.count
        if random.chance(1, in: 2) {
            limits = RIBLimits(
                flush: random.number(in: 3...20), slice: random.number(in: 5...300), lag: random.number(in: 100...2000))
        }
        for i in 0..<count { establish(i) }
        for round in 0..<8 {
            for _ in 0..<60 {
                RIBTests().step(&self)
                if random.chance(1, in: 3) {
                    var draws: [Int] = []
                    for _ in 0..<count { draws.append(random.chance(1, in: 3) ? 0 : random.chance(1, in: 2) ? 1 : .max) }
                    advance(random.number(in: 0...6)) { draws[$0] }
                }
                if random.chance(1, in: 40) { try snapshot() }
            }
            settle()
            check("\(place), round \(round)")
        }
        for i in 0..<count { close(i) }
        settle()
        #expect(rib.tables.ipv4Unicast.prefixes.count == 0)
        #expect(rib.tables.ipv6Unicast.prefixes.count == 0)
        #expect(rib.shared.attributes.count <= 2, "the default routes that were made for a neighbour stay")
        #expect(rib.tables.ipv4Unicast.locRIB.digest == StateDigest() && rib.tables.ipv4Unicast.groups.isEmpty)
    }

    // MARK: checking

    /// Everything that neighbours hold equals what the oracle says that they should hold.
    func check(_ place: String) {
        for i in oracle.peers.indices where oracle.peers[i].isUp {
            for prefix in pool {
                let expected = oracle.advertised(prefix, to: i)
                let held = receivers[i].paths[prefix].map { Array($0.values) } ?? []
                let isSame =
                    held.count == expected.count
                    && expected.allSatisfy { one in held.count { $0 == one } == expected.count { $0 == one } }
                #expect(isSame, "\(place): peer \(i), \(prefix) holds \(held) instead of \(expected)")
            }
            #expect(receivers[i].paths.keys.allSatisfy { pool.contains($0) })
        }
        for prefix in pool {
            let best = oracle.best(prefix)
            #expect(chosen(prefix) == best.map { $0.peer }, "\(place): best of \(prefix)")
        }
    }

    /// Whose path is the best one, -1 for our own.
    func chosen(_ prefix: IPPrefix) -> Int? {
        func find<Family>(_ table: FamilyRIB<Family>, _ key: Family.Key) -> Int? {
            guard let number = table.prefixes.find(key), table.locRIB.entries[Int(number)].best != 0 else { return nil }
            let source = table.adjRIBIn.owner(table.locRIB.entries[Int(number)].best)
            return source == 0 ? -1 : Int(rib.shared.sources[Int(source)].peer)
        }
        return switch prefix {
        case .v4(let p): find(rib.tables.ipv4Unicast, p)
        case .v6(let p): find(rib.tables.ipv6Unicast, p)
        }
    }
}
