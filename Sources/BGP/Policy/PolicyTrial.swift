import Policy
import Routing
import Wire

// What policy would do with a route, or did with one that is there, and which statement decided. Made from a copy of the RIB,
// on whatever thread asks; nothing is stored.

/// A route that an operator makes up.
public struct TrialRoute: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// One AS_SEQUENCE; empty for a route of our own or of an internal neighbour.
    public var asPath: [ASNumber] = []
    public var origin = Origin.igp
    /// `nil`: our own address.
    public var nextHop: IPAddress?
    public var med: UInt32?
    public var localPreference: UInt32?
    public var communities: [Community] = []
    public var largeCommunities: [LargeCommunity] = []
    public var extendedCommunities: [ExtendedCommunity] = []
    /// How it came into this router.
    public var source = RouteSource.external
    /// On import who sends it, on export who would get it.
    public var neighbor: IPAddress?
    public var isExport = false

    public init(prefix: IPPrefix) { self.prefix = prefix }

    fileprivate var attributes: RouteAttributes {
        var route = RouteAttributes()
        route.origin = origin
        if !asPath.isEmpty { route.path = [.init(type: 2, numbers: asPath)] }
        route.nextHop = nextHop ?? RouteFamily(prefix.family).type.ownNextHop
        route.med = med
        route.localPreference = localPreference
        route.communities = communities
        route.largeCommunities = largeCommunities
        route.extendedCommunities = extendedCommunities
        return route
    }
}

/// What policy says of one route.
public struct PolicyTrial: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// RFC 7911; 0 where there are no identifiers.
    public var pathID: UInt32 = 0
    /// In the order in which they are tried.
    public var policies: [String]
    public var isAccepted: Bool
    /// Which policy decided, and which of its statements, from 1; absent where none did.
    public var policy: String?
    public var statement: Int?
    /// Statements that came before and did not concern the route, in the order in which it met them, at most
    /// `PolicyTrace.maximum`.
    public var misses: [PolicyMiss] = []
    /// In words.
    public var reason: String
    /// What the RPKI says of the origin; absent while it says nothing of any.
    public var validity: OriginValidity?
    public var before: AttributesView
    /// Absent for a route that is rejected.
    public var after: AttributesView?
}

extension RIB {
    /// What a list of policies would do with a route.
    /// - Parameter definitions: where the names are looked up.
    public func trial(_ names: [String], of route: TrialRoute, definitions: PolicyDefinitions) -> PolicyTrial {
        let chain = PolicyTable.Entry(.init(chain: PolicyChain(names, in: definitions), neighbor: route.neighbor))
        return shared.trial(
            chain, names, route.attributes, route.prefix, RouteFamily(route.prefix.family), route.source, isExport: route.isExport
        )
    }

    /// What import policy does with the paths that the peer announced for a prefix; empty if it announced none.
    public func importTrials(of prefix: IPPrefix, from peer: PeerIndex) -> [PolicyTrial] {
        guard let source = source(peer), let session = sessions[source] else { return [] }
        let query = ImportTrials(prefix: prefix, source: source, names: session.neighbor.importPolicies)
        return tables.ask(query, of: RouteFamily(prefix.family), shared)
    }

    /// What export policy does, for the peer, with the best path of a prefix; `nil` if there is none.
    public func exportTrial(of prefix: IPPrefix, to peer: PeerIndex) -> PolicyTrial? {
        guard let source = source(peer), let session = sessions[source] else { return nil }
        let query = ExportTrial(prefix: prefix, source: source, names: session.neighbor.exportPolicies)
        return tables.ask(query, of: RouteFamily(prefix.family), shared)
    }
}

private struct ImportTrials: TableQuery {
    var prefix: IPPrefix
    var source: Int
    var names: [String]
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> [PolicyTrial] {
        guard let key = Family.key(prefix), let number = table.prefixes.find(key) else { return [] }
        var trials: [PolicyTrial] = []
        var path = table.locRIB.entries[Int(number)].head
        while path != 0 {
            let own = table.adjRIBIn.paths[Int(path)]
            if Int(table.adjRIBIn.owner(path)) == source {
                var trial = shared.trial(
                    shared.sources[source].importChain, names, own.received, prefix, Family.family,
                    shared.sources[source].kind, isExport: false)
                trial.pathID = table.adjRIBIn.identity(path).id
                trials.append(trial)
            }
            path = own.next
        }
        return trials
    }
}

private struct ExportTrial: TableQuery {
    var prefix: IPPrefix
    var source: Int
    var names: [String]
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> PolicyTrial? {
        guard let key = Family.key(prefix), let number = table.prefixes.find(key) else { return nil }
        let best = table.locRIB.entries[Int(number)].best
        guard best != 0 else { return nil }
        return shared.trial(
            shared.sources[source].exportChain, names, table.adjRIBIn.paths[Int(best)].accepted, prefix, Family.family,
            shared.sources[Int(table.adjRIBIn.owner(best))].kind, isExport: true)
    }
}

extension RIBShared {
    fileprivate func trial(
        _ chain: Int32, _ names: [String], _ handle: UInt32, _ prefix: IPPrefix, _ family: RouteFamily, _ kind: RouteSource,
        isExport: Bool
    ) -> PolicyTrial {
        let route = attributes.attributes(handle)
        guard chain >= 0 else {
            let isAccepted = chain == PolicyTable.acceptAll
            let view = AttributesView(route)
            return PolicyTrial(
                prefix: prefix, policies: [], isAccepted: isAccepted,
                reason: isAccepted ? "there is no policy, and none is needed" : "there is no policy (RFC 8212)",
                validity: known(prefix, attributes.routeOrigin(handle)), before: view, after: isAccepted ? view : nil)
        }
        return trial(policies.chains[Int(chain)], names, route, prefix, family, kind, isExport: isExport)
    }

    fileprivate func trial(
        _ chain: PolicyTable.Entry, _ names: [String], _ route: RouteAttributes, _ prefix: IPPrefix, _ family: RouteFamily,
        _ kind: RouteSource, isExport: Bool
    ) -> PolicyTrial {
        let octets = route.encoded()
        let origin = AttributeTable.routeOrigin(octets.span.bytes, routerAS: attributes.parameters.externalAS)
        let validity = payloads?.validity(of: prefix, origin: origin) ?? .notFound
        var facts = PathFacts(route, family: family, isExport: isExport, neighbor: chain.definition.neighbor)
        var trace = PolicyTrace(of: chain.program)
        let outcome = chain.program.run(
            &facts, in: attributes,
            RouteContext(
                family: family.code, kind: RouteKind(.bgp, kind.rawValue), neighbor: chain.definition.neighbor,
                validity: validity), prefixClass: chain.program.classOf(prefix), log: &trace)
        let verb = outcome.isAccepted ? "accepts" : "rejects"
        var reason = "no statement decides, so the route is rejected"
        if let decision = outcome.decision {
            reason =
                decision.place.map { "statement \($0) of policy '\(decision.policy)' \(verb) it" }
                ?? "policy '\(decision.policy)' \(verb) what none of its statements decided"
        }
        return PolicyTrial(
            prefix: prefix, policies: names, isAccepted: outcome.isAccepted, policy: outcome.decision?.policy,
            statement: outcome.decision?.statement, misses: trace.misses, reason: reason, validity: known(prefix, origin),
            before: AttributesView(route),
            after: outcome.isAccepted ? facts.route.map { AttributesView($0) } : nil)
    }

    private func known(_ prefix: IPPrefix, _ origin: UInt32?) -> OriginValidity? {
        guard let payloads, payloads.count > 0 else { return nil }
        return payloads.validity(of: prefix, origin: origin)
    }
}
