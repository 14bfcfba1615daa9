import Machine
import Policy
import Routing
import Wire

@testable import BGP

/// The RIB as the RFCs describe it, simple and slow: dictionaries, and everything worked out from scratch.
struct Oracle {
    struct Peer {
        var neighbor: NeighborConfiguration
        var session: RIBSession
        var isUp = false
        /// RFC 4724: the session is down, and the routes count all the same.
        var isAway = false
        /// Routes that were not announced again since they were marked, by prefix and path identifier.
        var stale: [IPPrefix: Set<UInt32>] = [:]
        /// By prefix and path identifier; 0 where the neighbour gives none.
        var routes: [IPPrefix: [UInt32: RouteAttributes]] = [:]
        var isExternal: Bool
    }
    /// All that it has is stale.
    mutating func mark(_ i: Int, _ families: RouteFamilySet) {
        for (prefix, paths) in peers[i].routes where families.contains(RouteFamily(prefix.family)) {
            peers[i].stale[prefix] = Set(paths.keys)
        }
    }
    mutating func purge(_ i: Int, _ families: RouteFamilySet) {
        for (prefix, ids) in peers[i].stale where families.contains(RouteFamily(prefix.family)) {
            for id in ids { peers[i].routes[prefix]?[id] = nil }
            peers[i].stale[prefix] = nil
        }
    }

    struct Candidate: Equatable {
        /// -1: the router itself.
        var peer: Int
        var id: UInt32 = 0
        var route: RouteAttributes
    }
    var configuration: BGPConfiguration
    var peers: [Peer] = []
    var payloads: [VRP] = []
    var reachable: [IPAddress: UInt32] = [:]

    // MARK: decision, RFC 4271 §9.1.2.2 as filters

    func candidates(_ prefix: IPPrefix) -> [Candidate] {
        var list: [Candidate] = []
        for network in configuration.networks where network.prefix == prefix {
            var route = RouteAttributes()
            route.origin = .igp
            route.nextHop = network.nextHop ?? (prefix.family == .ipv4 ? .v4(.any) : .v6(.any))
            route.med = network.med
            route.communities = network.communities
            route.marks = .medIsOurs
            list.append(Candidate(peer: -1, route: route))
        }
        for (i, peer) in peers.enumerated() where peer.isUp || peer.isAway {
            let names = peer.neighbor.importPolicies
            if names.isEmpty, peer.isExternal, configuration.ebgpRequiresPolicy { continue }
            for (id, told) in peer.routes[prefix] ?? [:] {
                guard let received = ingress(told, peer) else { continue }
                guard let route = names.isEmpty ? received : runPolicy(names, received, prefix, peer, .init(peer), false)
                else { continue }
                let loops = route.path.flatMap(\.numbers).filter { $0 == configuration.routerAS }.count
                if loops > Int(peer.neighbor.allowASIn) || cameBack(route) { continue }
                guard let nextHop = route.nextHop, isUnspecified(nextHop) || reachable[nextHop] != nil else { continue }
                list.append(Candidate(peer: i, id: id, route: route))
            }
        }
        return list
    }

    // MARK: RFC 4456

    private var cluster: UInt32 { (configuration.clusterID ?? configuration.routerID).raw }

    private func value(_ type: UInt8, _ route: RouteAttributes) -> [UInt8] { route.others.first { $0.type == type }?.value ?? [] }

    /// §8: our identifier, or our cluster.
    private func cameBack(_ route: RouteAttributes) -> Bool {
        let list = value(10, route)
        return value(9, route) == Build.u32(configuration.routerID.raw)
            || stride(from: 0, to: list.count, by: 4).contains { Array(list[$0..<($0 + 4)]) == Build.u32(cluster) }
    }
    /// §6
    private func reflects(from source: Peer, to peer: Peer) -> Bool {
        switch (source.neighbor.isReflectorClient, peer.neighbor.isReflectorClient) {
        case (false, false): false
        case (true, true): configuration.clientToClientReflection
        default: true
        }
    }
    /// §8
    private func reflected(_ route: RouteAttributes, from source: Peer) -> RouteAttributes {
        var route = route
        let known = value(9, route), list = value(10, route)
        let originator = known.isEmpty ? Build.u32(source.session.identifier.raw) : known
        route.others.removeAll { $0.type == 9 || $0.type == 10 }
        route.others.insert(.init(flags: 0x80, type: 9, value: originator), at: 0)
        route.others.insert(.init(flags: 0x80, type: 10, value: Build.u32(cluster) + list), at: 1)
        return route
    }

    // MARK: RFC 9234 §5

    static func mark(_ route: RouteAttributes) -> ASNumber? {
        route.others.first { $0.type == 35 }.map { ASNumber($0.value.reduce(0) { $0 << 8 | UInt32($1) }) }
    }
    static func marked(_ route: RouteAttributes, _ number: ASNumber) -> RouteAttributes {
        var route = route
        let at = route.others.firstIndex { $0.type > 35 } ?? route.others.count
        route.others.insert(.init(flags: 0xc0, type: 35, value: Build.u32(number.raw)), at: at)
        return route
    }
    /// `nil`: a leak.
    private func ingress(_ route: RouteAttributes, _ peer: Peer) -> RouteAttributes? {
        guard let role = peer.neighbor.role else { return route }
        if let mark = Self.mark(route) {
            if role == .provider || role == .rs { return nil }
            if role == .peer, mark != peer.neighbor.remoteAS { return nil }
        } else if role == .customer || role == .peer || role == .rsClient {
            return Self.marked(route, peer.neighbor.remoteAS)
        }
        return route
    }
    /// `nil`: not to this neighbour.
    private func egress(_ route: RouteAttributes, _ peer: Peer) -> RouteAttributes? {
        guard let role = peer.neighbor.role else { return route }
        if Self.mark(route) != nil { return role == .provider || role == .rs ? route : nil }
        return role == .customer || role == .rsClient ? route : Self.marked(route, configuration.routerAS)
    }

    private func isUnspecified(_ address: IPAddress) -> Bool { address == .v4(.any) || address == .v6(.any) }
    private func identifier(_ c: Candidate) -> UInt32 {
        for other in c.route.others where other.type == 9 {
            return other.value.reduce(0) { $0 << 8 | UInt32($1) }
        }
        return c.peer < 0 ? configuration.routerID.raw : peers[c.peer].session.identifier.raw
    }
    private func clusters(_ c: Candidate) -> Int { (c.route.others.first { $0.type == 10 }?.value.count ?? 0) / 4 }
    private func kind(_ c: Candidate) -> Int { c.peer < 0 ? 0 : peers[c.peer].isExternal ? 1 : 2 }

    func best(_ prefix: IPPrefix) -> Candidate? { best(of: candidates(prefix)) }

    func best(of candidates: [Candidate]) -> Candidate? {
        var left = candidates
        func keepLowest<T: Comparable>(_ value: (Candidate) -> T) {
            guard let lowest = left.map(value).min() else { return }
            left = left.filter { value($0) == lowest }
        }
        keepLowest { UInt32.max - ($0.route.localPreference ?? configuration.defaultLocalPreference) }
        keepLowest { $0.route.pathLength }
        keepLowest { $0.route.origin }
        left = left.filter { c in
            !left.contains { other in
                other != c && c.route.neighborAS != nil && other.route.neighborAS == c.route.neighborAS
                    && (other.route.med ?? 0) < (c.route.med ?? 0)
            }
        }
        keepLowest { kind($0) }
        keepLowest { c in c.route.nextHop.flatMap { reachable[$0] } ?? 0 }
        keepLowest { identifier($0) }
        keepLowest { clusters($0) }
        keepLowest { c in c.peer < 0 ? IPAddress.v4(.any) : peers[c.peer].neighbor.address }
        keepLowest { $0.id }
        return left.first
    }

    // MARK: policy, as the configuration's documentation tells it

    func runPolicy(
        _ names: [String], _ input: RouteAttributes, _ prefix: IPPrefix, _ peer: Peer, _ source: RouteSource, _ isExport: Bool
    ) -> RouteAttributes? {
        var route = input
        for name in names {
            guard let policy = configuration.definitions.policies.first(where: { $0.name == name }) else { continue }
            var result = PolicyResult.next
            for statement in policy.statements {
                let holds = statement.conditions.allSatisfy { condition in
                    switch condition {
                    case .prefixSet(let set): contains(set, prefix)
                    case .notPrefixSet(let set): !contains(set, prefix)
                    case .asPathContains(let n): route.path.contains { $0.numbers.contains(n) }
                    case .originAS(let n): route.path.last?.numbers.last == n
                    case .anyCommunity(let set): hasAny(set, route)
                    case .med(let a, let b): route.med.map { $0 >= a && $0 <= b } ?? false
                    case .source(let s): s == source
                    case .neighbor(let a): a == peer.neighbor.address
                    case .validity(let wanted): validity(prefix, input) == wanted
                    default: false
                    }
                }
                if !holds { continue }
                for action in statement.actions {
                    switch action {
                    case .setLocalPreference(let v): route.localPreference = v
                    case .setMED(let v):
                        route.med = v
                        if isExport { route.marks.insert(.medIsOurs) }
                    case .prepend(let n, let count): route.prepend(n, count: Int(count))
                    case .addCommunities(let list): route.communities += list.filter { !route.communities.contains($0) }
                    case .setNextHop(let a):
                        route.nextHop = a
                        if isExport { route.marks.insert(.nextHopIsOurs) }
                    default: break
                    }
                }
                if statement.result != .next {
                    result = statement.result
                    break
                }
            }
            if result == .next { result = policy.otherwise }
            if result == .accept { return route }
            if result == .reject { return nil }
        }
        return nil
    }
    /// RFC 6811 §2, by a walk over all payloads.
    func validity(_ prefix: IPPrefix, _ route: RouteAttributes) -> OriginValidity {
        var origin: UInt32? = configuration.routerAS.raw
        if let last = route.path.last { origin = last.type == 2 ? last.numbers.last?.raw : nil }
        let covering = payloads.filter { $0.prefix.covers(prefix) }
        if covering.contains(where: { $0.origin != 0 && $0.origin == origin && prefix.length <= $0.maximumLength }) {
            return .valid
        }
        return covering.isEmpty ? .notFound : .invalid
    }
    private func contains(_ set: String, _ prefix: IPPrefix) -> Bool {
        configuration.definitions.prefixSets.first { $0.name == set }?.entries.contains {
            $0.prefix.covers(prefix) && prefix.length >= $0.minimumLength && prefix.length <= $0.maximumLength
        } ?? false
    }
    private func hasAny(_ set: String, _ route: RouteAttributes) -> Bool {
        configuration.definitions.communitySets.first { $0.name == set }?.entries.contains {
            if case .standard(let c) = $0 { route.communities.contains(c) } else { false }
        } ?? false
    }

    // MARK: Adj-RIB-Out, RFC 4271 §9.1.3 and §5.1

    /// What the neighbour holds of a prefix, in no order.
    func advertised(_ prefix: IPPrefix, to index: Int) -> [RouteAttributes] {
        let peer = peers[index]
        guard peer.session.families.contains(RouteFamily(prefix.family)) else { return [] }
        if let route = defaultRoute(prefix, to: index) { return [route] }
        let view: ExportView =
            if case .several = peer.session.view, !peer.session.sendsPathIDs.contains(RouteFamily(prefix.family)) {
                .bestAccepted
            } else {
                peer.session.view
            }
        if view == .best {
            return best(prefix).flatMap { $0.peer == index ? nil : exported($0, prefix, to: index) }.map { [$0] } ?? []
        }
        // As if the neighbour had a Loc-RIB of its own.
        var left = candidates(prefix).filter { exported($0, prefix, to: index) != nil }
        if view == .bestAccepted {
            left.removeAll { $0.peer == index }
            return best(of: left).flatMap { exported($0, prefix, to: index) }.map { [$0] } ?? []
        }
        var chosen: [Candidate] = []
        while chosen.count < view.width, let next = best(of: left) {
            chosen.append(next)
            left.removeAll { $0 == next }
        }
        return chosen.filter { $0.peer != index }.compactMap { exported($0, prefix, to: index) }
    }

    private func defaultRoute(_ prefix: IPPrefix, to index: Int) -> RouteAttributes? {
        let peer = peers[index]
        if peer.neighbor.defaultOriginate, prefix.length == 0, peer.session.families.contains(RouteFamily(prefix.family)) {
            var route = RouteAttributes()
            route.origin = .igp
            route.nextHop =
                prefix.family == .ipv4 ? peer.session.nextHopIPv4.map { .v4($0) } : peer.session.nextHopIPv6.map { .v6($0) }
            if peer.isExternal {
                route.prepend(configuration.routerAS)
            } else {
                route.localPreference = configuration.defaultLocalPreference
            }
            return [.provider, .rs, .peer].contains(peer.neighbor.role) ? Self.marked(route, configuration.routerAS) : route
        }
        return nil
    }

    /// As the neighbour gets it; `nil`: rules or policy keep it back.
    private func exported(_ best: Candidate, _ prefix: IPPrefix, to index: Int) -> RouteAttributes? {
        let peer = peers[index]
        let isReflected = best.peer >= 0 && !peers[best.peer].isExternal && !peer.isExternal
        if isReflected, !reflects(from: peers[best.peer], to: peer) { return nil }
        if best.route.communities.contains(.noAdvertise) { return nil }
        if peer.isExternal, best.route.communities.contains(.noExport) || best.route.communities.contains(.noExportSubconfed) {
            return nil
        }
        let names = peer.neighbor.exportPolicies
        if names.isEmpty, peer.isExternal, configuration.ebgpRequiresPolicy { return nil }
        let source: RouteSource = best.peer < 0 ? .local : peers[best.peer].isExternal ? .external : .internal
        guard var route = names.isEmpty ? best.route : runPolicy(names, best.route, prefix, peer, source, true),
            let nextHop = route.nextHop
        else { return nil }
        let replaces =
            isUnspecified(nextHop)
            || !route.marks.contains(.nextHopIsOurs)
                && (peer.isExternal || peer.neighbor.nextHopSelf && (!isReflected || peer.neighbor.nextHopSelfReflected))
        if replaces {
            switch prefix {
            case .v4:
                guard let own = peer.session.nextHopIPv4 else { return nil }
                route.nextHop = .v4(own)
            case .v6:
                guard let own = peer.session.nextHopIPv6 else { return nil }
                route.nextHop = .v6(own)
            }
            route.linkLocal = nil
        }
        if peer.isExternal {
            if peer.neighbor.overridesAS {
                for i in route.path.indices {
                    route.path[i].numbers = route.path[i].numbers.map {
                        $0 == peer.neighbor.remoteAS ? configuration.routerAS : $0
                    }
                }
            }
            route.prepend(configuration.routerAS)
            if !route.marks.contains(.medIsOurs) { route.med = nil }
            route.localPreference = nil
            route.others.removeAll { $0.type == 9 || $0.type == 10 }
        } else if route.localPreference == nil {
            route.localPreference = configuration.defaultLocalPreference
        }
        if isReflected { route = reflected(route, from: peers[best.peer]) }
        route.marks = []
        return egress(route, peer)
    }
}

extension RouteSource {
    init(_ peer: Oracle.Peer) { self = peer.isExternal ? .external : .internal }
}

/// A neighbour that believes what it reads.
struct Receiver {
    /// By path identifier; 0 where there are none.
    var paths: [IPPrefix: [UInt32: RouteAttributes]] = [:]
    /// Where there is one path of each at most.
    var routes: [IPPrefix: RouteAttributes] { paths.compactMapValues(\.values.first) }
    /// RFC 7911: families in which an identifier stands before each prefix.
    var pathIDs: RouteFamilySet = []
    var endOfRIB: Set<RouteFamily> = []
    var messages = 0
    private(set) var problem: String?

    mutating func read(_ bytes: ArraySlice<UInt8>) {
        let all = Array(bytes)
        var at = 0
        while at < all.count {
            guard at + 23 <= all.count, all[at..<(at + 16)].allSatisfy({ $0 == 255 }), all[at + 18] == 2 else {
                problem = "no UPDATE header at \(at)"
                return
            }
            let length = Int(all[at + 16]) << 8 | Int(all[at + 17])
            guard length >= 23, at + length <= all.count else {
                problem = "length \(length) at \(at)"
                return
            }
            readUpdate(Array(all[(at + 19)..<(at + length)]))
            messages += 1
            at += length
        }
    }

    private mutating func prefixes(_ octets: ArraySlice<UInt8>, _ family: RouteFamily) -> [(prefix: IPPrefix, id: UInt32)] {
        var list: [(prefix: IPPrefix, id: UInt32)] = []
        var i = octets.startIndex
        while i < octets.endIndex {
            var id: UInt32 = 0
            if pathIDs.contains(family) {
                guard i + 4 < octets.endIndex else {
                    problem = "no path identifier"
                    return list
                }
                id = octets[i..<(i + 4)].reduce(0) { $0 << 8 | UInt32($1) }
                i += 4
            }
            let length = octets[i]
            let size = (Int(length) + 7) / 8
            guard length <= (family == .ipv4Unicast ? 32 : 128), i + 1 + size <= octets.endIndex else {
                problem = "bad prefix"
                return list
            }
            var full = Array(octets[(i + 1)..<(i + 1 + size)])
            full += [UInt8](repeating: 0, count: 16 - size)
            let words = full.reduce(into: (UInt64(0), UInt64(0))) { w, octet in
                w.0 = w.0 << 8 | w.1 >> 56
                w.1 = w.1 << 8 | UInt64(octet)
            }
            let prefix: IPPrefix =
                family == .ipv4Unicast
                ? .v4(IPv4Prefix(IPv4Address(raw: UInt32(words.0 >> 32)), length))
                : .v6(IPv6Prefix(IPv6Address(high: words.0, low: words.1), length))
            list.append((prefix, id))
            i += 1 + size
        }
        return list
    }

    private mutating func readUpdate(_ body: [UInt8]) {
        let withdrawnLength = Int(body[0]) << 8 | Int(body[1])
        let withdrawn = prefixes(body[2..<(2 + withdrawnLength)], .ipv4Unicast)
        let at = 2 + withdrawnLength
        let attributesLength = Int(body[at]) << 8 | Int(body[at + 1])
        let block = Array(body[(at + 2)..<(at + 2 + attributesLength)])
        let announced = prefixes(body[(at + 2 + attributesLength)...], .ipv4Unicast)
        if body == [0, 0, 0, 0] { endOfRIB.insert(.ipv4Unicast) }
        var v6Announced: [(prefix: IPPrefix, id: UInt32)] = []
        var v6Withdrawn: [(prefix: IPPrefix, id: UInt32)] = []
        var route = RouteAttributes(canonical: block.span.bytes)
        forEachAttribute(block.span.bytes) { _, type, value in
            if type == 14 {
                let start = 5 + Int(value.u8(3))
                v6Announced = prefixes([UInt8](copying: value)[start...], value.u16(0) == 1 ? .ipv4Unicast : .ipv6Unicast)
            } else if type == 15 {
                v6Withdrawn = prefixes([UInt8](copying: value)[3...], .ipv6Unicast)
                if v6Withdrawn.isEmpty { endOfRIB.insert(.ipv6Unicast) }
            }
        }
        route.others.removeAll { $0.type == 15 }
        for (prefix, id) in withdrawn + v6Withdrawn {
            paths[prefix]?[id] = nil
            if paths[prefix]?.isEmpty ?? false { paths[prefix] = nil }
        }
        for (prefix, id) in announced + v6Announced { paths[prefix, default: [:]][id] = route }
    }
}
