import BGP
import Configuration
import Engine
import Management
import Policy
import Wire

extension ManagementAnswers {
    // MARK: a route that is made up

    func policyTest(_ query: PolicyTestQuery) async throws -> PolicyView {
        let route = try Self.route(query)
        let trial = try await engine.inspect { engine -> PolicyTrial? in
            let definitions = engine.configuration.definitions ?? PolicyDefinitions()
            guard query.policies.allSatisfy({ definitions.policy($0) != nil }) else { return nil }
            return engine.bgp.rib.trial(query.policies, of: route, definitions: definitions)
        }
        guard let trial else {
            let known = try await engine.inspect { ($0.configuration.definitions?.policies ?? []).map(\.name) }
            let unknown = query.policies.first { !known.contains($0) } ?? ""
            throw ManagementFailure(
                .notFound,
                "there is no policy '\(unknown.prefix(64))'"
                    + (known.isEmpty ? "" : "; there is \(known.joined(separator: ", "))"))
        }
        return PolicyView(trials: [Self.view(trial)])
    }

    private static func route(_ query: PolicyTestQuery) throws -> TrialRoute {
        func wrong(_ what: String, _ text: String) -> ManagementFailure {
            ManagementFailure(.badRequest, "'\(text.prefix(64))' is no \(what)")
        }
        guard !query.policies.isEmpty else { throw ManagementFailure(.badRequest, "write which policies are to be tried") }
        guard let prefix = IPPrefix(query.prefix) else { throw wrong("prefix", query.prefix) }
        var route = TrialRoute(prefix: prefix)
        route.asPath = try query.asPath.split(separator: " ").map { text in
            guard let number = ASNumber(text), number != .zero else { throw wrong("AS number", String(text)) }
            return number
        }
        guard route.asPath.count <= 255 else { throw ManagementFailure(.badRequest, "at most 255 numbers make a path") }
        switch query.origin {
        case "igp": route.origin = .igp
        case "egp": route.origin = .egp
        case "incomplete": route.origin = .incomplete
        default: throw wrong("origin; it can be igp, egp or incomplete", query.origin)
        }
        switch query.source {
        case "local": route.source = .local
        case "external": route.source = .external
        case "internal": route.source = .internal
        default: throw wrong("source; it can be local, external or internal", query.source)
        }
        func address(_ text: String?) throws -> IPAddress? {
            try text.map { text in
                guard let address = IPAddress(text) else { throw wrong("address", text) }
                return address
            }
        }
        route.nextHop = try address(query.nextHop)
        route.neighbor = try address(query.neighbor)
        route.med = query.med
        route.localPreference = query.localPreference
        for text in query.communities {
            if let community = Community(text) {
                route.communities.append(community)
            } else if let large = LargeCommunity(text) {
                route.largeCommunities.append(large)
            } else if let extended = ExtendedCommunity(text) {
                route.extendedCommunities.append(extended)
            } else {
                throw wrong("community; write A:B, A:B:C, rt:A:B, soo:A:B or a name like no-export", text)
            }
        }
        route.isExport = query.isExport
        return route
    }

    // MARK: a route that is there

    func policyExplain(_ query: PolicyExplainQuery) async throws -> PolicyView {
        guard let prefix = IPPrefix(query.prefix) else {
            throw ManagementFailure(.badRequest, "'\(query.prefix.prefix(64))' is no prefix")
        }
        guard (query.from == nil) != (query.to == nil), let name = query.from ?? query.to, let address = IPAddress(name) else {
            throw ManagementFailure(.badRequest, "write from which neighbour the route comes, or to which it goes")
        }
        let isImport = query.from != nil
        let answer = try await engine.inspect { engine -> (hasSession: Bool, trials: [PolicyTrial])? in
            let bgp = engine.bgp
            guard bgp.hasNeighbor(address) else { return nil }
            guard let peer = bgp.establishedPeer(address) else { return (false, []) }
            return (
                true,
                isImport
                    ? bgp.rib.importTrials(of: prefix, from: peer) : bgp.rib.exportTrial(of: prefix, to: peer).map { [$0] } ?? []
            )
        }
        guard let answer else { throw ManagementFailure(.notFound, "there is no neighbour \(address)") }
        guard answer.hasSession else {
            throw ManagementFailure(.notFound, "the session with \(address) is not up, so there is no route to look at")
        }
        guard !answer.trials.isEmpty else {
            throw ManagementFailure(
                .notFound, isImport ? "\(address) has not announced \(prefix)" : "there is no route to \(prefix)")
        }
        return PolicyView(trials: answer.trials.map(Self.view))
    }

    private static func view(_ trial: PolicyTrial) -> PolicyView.Trial {
        var before = view(trial.before)
        before.rpki = trial.validity.map { "\($0)" }
        var view = PolicyView.Trial(
            prefix: "\(trial.prefix)", policies: trial.policies, isAccepted: trial.isAccepted, reason: trial.reason,
            before: before)
        view.pathID = trial.pathID == 0 ? nil : trial.pathID
        view.policy = trial.policy
        view.statement = trial.statement
        if !trial.misses.isEmpty {
            view.misses = trial.misses.map {
                .init(policy: $0.policy, statement: $0.place, condition: String(RouterText.text(of: $0.condition).prefix(200)))
            }
        }
        view.nextHopBefore = trial.before.nextHop.map(Self.nextHop)
        view.after = trial.after.map { Self.view($0) }
        view.nextHopAfter = trial.after?.nextHop.map(Self.nextHop)
        return view
    }

    /// The unspecified address stands for our own, whatever it will be.
    private static func nextHop(_ address: IPAddress) -> String {
        address == .v4(.any) || address == .v6(.any) ? "ourselves" : "\(address)"
    }
}
