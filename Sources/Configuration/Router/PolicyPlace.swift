import Policy
import Records
import Wire

/// A place in the configuration that names policies: what routes can be asked there, and what can be changed.
struct PolicyPlace {
    private enum Purpose {
        /// Import and export.
        case bgp
        case redistribution(RouteProtocol, into: RouteProtocol)
        case aggregate
        case leaking
    }
    private let purpose: Purpose

    static let bgp = PolicyPlace(purpose: .bgp)
    static let aggregate = PolicyPlace(purpose: .aggregate)
    static let leaking = PolicyPlace(purpose: .leaking)
    static func redistribution(_ source: RouteProtocol, into target: RouteProtocol) -> PolicyPlace {
        PolicyPlace(purpose: .redistribution(source, into: target))
    }

    /// Says at `field` what of the policies that are used has no meaning here.
    func check(_ use: PolicyUse, _ definitions: PolicyDefinitions, _ field: Field?) {
        guard let field else { return }
        var said: [String] = []
        func say(_ policy: PolicyConfiguration, _ message: String, isError: Bool) {
            let text = policy.name.isEmpty ? message : "policy '\(policy.name)': \(message)"
            guard !said.contains(text) else { return }
            said.append(text)
            if isError { field.error(text) } else { field.warn(text) }
        }
        for policy in (use.rules.map { [$0] } ?? []) + definitions.only(for: [use]).policies {
            for statement in policy.statements {
                for condition in statement.everyCondition {
                    if let reason = problem(with: condition) { say(policy, reason, isError: true) }
                }
                for action in statement.everyAction {
                    if let reason = error(in: action) {
                        say(policy, reason, isError: true)
                    } else if let reason = futility(of: action) {
                        say(policy, reason, isError: false)
                    }
                }
            }
        }
    }

    /// Whose routes these are; `nil`: of many.
    private var source: RouteProtocol? {
        switch purpose {
        case .bgp: .bgp
        case .redistribution(let source, _): source
        case .leaking: .isis
        case .aggregate: nil
        }
    }

    private func problem(with condition: PolicyCondition) -> String? {
        switch condition {
        case .anyCommunity, .allCommunities, .noCommunity, .exactCommunities,
            .number(.communityCount, _, _), .number(.largeCommunityCount, _, _), .number(.extendedCommunityCount, _, _):
            // Those that the policy itself gave can be asked for.
            if case .redistribution(_, .bgp) = purpose { return nil }
            return onlyBGP("communities")
        case .asPathLength, .asPathContains, .originAS, .neighborAS, .asPath, .asPathSet, .asSet, .asNumbers:
            return onlyBGP("the AS path")
        case .number: return onlyBGP("attributes of BGP")
        case .origin: return onlyBGP("the origin")
        case .med: return onlyBGP("med; write metric")
        case .localPreference: return onlyBGP("the local preference")
        case .neighbor, .neighbors: return onlyBGP("the neighbor")
        case .validity: return onlyBGP("what the RPKI says of it")
        case .tags:
            if case .bgp = purpose { return "routes of BGP have no tags; ask for communities" }
            return nil
        case .source:
            return source == nil || source == .bgp ? nil : "only routes of BGP have a source"
        case .kinds(let kinds):
            guard let source else { return nil }
            let own = RouteKind(source, 0).protocol
            if kinds.contains(where: { $0.protocol == own }) { return nil }
            let known = PolicyClauses.kinds.filter { $0.value.protocol == own }.map(\.word)
            return known.isEmpty
                ? "routes of this source are all of one kind" : "routes of \(source) are of the kinds " + Spelling.choice(known)
        case .protocols(let protocols):
            guard let source, !protocols.contains(source) else { return nil }
            return "only routes of \(source) come here"
        case .prefixSet, .notPrefixSet, .prefixes, .family, .nextHop, .nextHopSet, .metric, .policy, .not, .any: return nil
        }
    }

    private func onlyBGP(_ what: String) -> String? {
        if case .bgp = purpose { return nil }
        return "a route can be asked for \(what) only where BGP imports or exports it"
    }

    /// The greatest metric of a protocol.
    static func metrics(_ target: RouteProtocol?) -> ClosedRange<UInt32> {
        switch target {
        case .rip, .ripng: 1...16
        case .ospf, .ospfv3: 0...16_777_214
        case .isis: 0...4_261_412_864
        default: 0...UInt32.max
        }
    }

    private func error(in action: PolicyAction) -> String? {
        guard case .setMetric(let value) = action else { return nil }
        let target: RouteProtocol? =
            switch purpose {
            case .redistribution(_, let target): target
            case .leaking: .isis
            case .bgp, .aggregate: nil
            }
        let range = Self.metrics(target)
        if range.contains(value) { return nil }
        return "'\(value)' is not allowed; write a metric from \(range.lowerBound) to \(range.upperBound)"
    }

    /// Why the action does nothing.
    private func futility(of action: PolicyAction) -> String? {
        if case .aggregate = purpose { return "nothing is changed in routes that an aggregate counts" }
        switch action {
        case .setWeight, .setLocalPreference, .adjustLocalPreference, .setMED, .adjustMED, .removeMED, .setOrigin,
            .addCommunities,
            .setCommunities, .removeCommunities, .addLargeCommunities, .setLargeCommunities, .addExtendedCommunities,
            .setExtendedCommunities, .prepend, .prependLast, .replaceAS, .removeAS, .setNextHop, .setNextHopSelf, .setNextHopPeer,
            .keepNextHop:
            switch purpose {
            case .bgp, .redistribution(_, .bgp): return nil
            default: return "only routes of BGP have the attributes that it sets"
            }
        case .setMetric, .adjustMetric: return nil
        case .setTag:
            switch purpose {
            case .bgp, .redistribution(_, .bgp): return "routes of BGP have no tags"
            default: return nil
            }
        case .setMetricType:
            if case .redistribution(_, let target) = purpose, [.ospf, .ospfv3, .isis].contains(target) { return nil }
            return "only OSPF and IS-IS have types of metrics"
        case .setLevels:
            if case .redistribution(_, .isis) = purpose { return nil }
            return "only IS-IS has levels, and only routes of others are announced at more than one"
        }
    }
}
