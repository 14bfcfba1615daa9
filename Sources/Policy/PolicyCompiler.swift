import Records
import Wire

/// From statements to steps. Sets get numbers as they are named, each once; policies that are called follow the chain, each
/// once.
struct PolicyCompiler {
    let chain: PolicyChain
    private(set) var steps: [PolicyProgram.Step] = []
    /// By step.
    private(set) var places: [PolicyProgram.Place] = []
    private(set) var names: [String] = []
    private(set) var nestedPlaces: [String] = []
    private(set) var conditions: [PolicyCondition] = []
    private(set) var prefixSets: [[PrefixRange]] = []
    private(set) var hopSets: [[PrefixRange]] = []
    private(set) var communitySets: [CommunityMatcher] = []
    private(set) var pathSets: [[ASPathAutomaton]] = []
    private var prefixNumbers: [String: Int32] = [:]
    private var hopNumbers: [String: Int32] = [:]
    private var communityNumbers: [String: Int32] = [:]
    private var pathNumbers: [String: Int32] = [:]
    /// Where policies that are called begin, and calls that do not know it yet.
    private var entries: [String: Int32] = [:]
    private var openCalls: [(step: Int, name: String)] = []
    private var place = PolicyProgram.Place()

    init(_ chain: PolicyChain) { self.chain = chain }

    mutating func compile() {
        for policy in chain.policies { append(policy) }
        place = PolicyProgram.Place()
        append(.decide(isAccepted: false))
        // Of what is called; what these call in turn comes behind them.
        while let call = openCalls.popLast() {
            if entries[call.name] == nil {
                entries[call.name] = Int32(steps.count)
                guard let policy = chain.definitions.policy(call.name) else { preconditionFailure("asked when it was called") }
                append(policy)
                place = PolicyProgram.Place()
                append(.decide(isAccepted: false))
            }
            if let target = entries[call.name], case .call(_, let otherwise, let keepsChanges) = steps[call.step] {
                steps[call.step] = .call(target, otherwise: otherwise, keepsChanges: keepsChanges)
            }
        }
    }

    private mutating func append(_ step: PolicyProgram.Step) {
        steps.append(step)
        places.append(place)
    }

    private mutating func append(_ policy: PolicyConfiguration) {
        let number = Int32(names.count)
        names.append(policy.name)
        for (i, statement) in policy.statements.enumerated() {
            place = PolicyProgram.Place(policy: number, statement: Int32(i))
            append(statement, "\(i + 1)")
        }
        place = PolicyProgram.Place(policy: number)
        if policy.otherwise != .next { append(.decide(isAccepted: policy.otherwise == .accept)) }
    }

    /// - Parameter name: the statement's place, as operators count it.
    private mutating func append(_ statement: PolicyStatement, _ name: String) {
        let own = place
        var misses: [Int] = []
        for condition in statement.conditions {
            place.condition = Int32(conditions.count)
            conditions.append(condition)
            append(condition, keepsChanges: true, &misses)
        }
        place = own
        for action in statement.actions { append(action) }
        append(statement.statements, name + ".")
        place = own
        if statement.result != .next { append(.decide(isAccepted: statement.result == .accept)) }
        var end: Int?
        if !statement.otherwise.isEmpty, statement.result == .next {
            end = steps.count
            append(.jump(0))
        }
        let miss = Int32(steps.count)
        aim(misses, at: miss)
        for step in misses { places[step].miss = miss }
        append(statement.otherwise, name + " else ")
        place = own
        if let end { aim([end], at: Int32(steps.count)) }
    }

    private mutating func append(_ nested: [PolicyStatement], _ prefix: String) {
        for (i, statement) in nested.enumerated() {
            let name = "\(prefix)\(i + 1)"
            place.nested = Int32(nestedPlaces.count)
            nestedPlaces.append(name)
            append(statement, name)
        }
    }

    private mutating func append(_ action: PolicyAction) {
        switch action {
        case .removeCommunities(let name): append(.removeCommunities(set: communitySet(name)))
        case .replaceAS(.set(let name), let number): append(.act(.replaceAS(.numbers(numbers(name)), with: number)))
        case .removeAS(.set(let name)): append(.act(.removeAS(.numbers(numbers(name)))))
        default: append(.act(action))
        }
    }

    /// Says of steps where they go on if something does not hold, or in any case.
    private mutating func aim(_ sources: [Int], at target: Int32) {
        for step in sources {
            switch steps[step] {
            case .test(let test, _): steps[step] = .test(test, otherwise: target)
            case .call(let entry, _, let keepsChanges):
                steps[step] = .call(entry, otherwise: target, keepsChanges: keepsChanges)
            case .jump: steps[step] = .jump(target)
            case .act, .removeCommunities, .decide: break
            }
        }
    }

    /// Goes on behind it if it holds; `misses` are the steps that go elsewhere.
    private mutating func append(_ condition: PolicyCondition, keepsChanges: Bool, _ misses: inout [Int]) {
        switch condition {
        case .not(let inner):
            var held: [Int] = []
            for condition in inner { append(condition, keepsChanges: false, &held) }
            misses.append(steps.count)
            append(.jump(0))
            aim(held, at: Int32(steps.count))
        case .any(let lists):
            var ends: [Int] = []
            for (i, list) in lists.enumerated() {
                var others: [Int] = []
                for condition in list { append(condition, keepsChanges: keepsChanges, &others) }
                if i == lists.count - 1 {
                    misses += others
                } else {
                    ends.append(steps.count)
                    append(.jump(0))
                    aim(others, at: Int32(steps.count))
                }
            }
            if lists.isEmpty {
                misses.append(steps.count)
                append(.test(.never, otherwise: 0))
            }
            aim(ends, at: Int32(steps.count))
        case .policy(let name) where chain.definitions.policy(name) != nil:
            misses.append(steps.count)
            openCalls.append((steps.count, name))
            append(.call(0, otherwise: 0, keepsChanges: keepsChanges))
        default:
            misses.append(steps.count)
            append(.test(test(condition), otherwise: 0))
        }
    }

    private mutating func test(_ condition: PolicyCondition) -> PolicyProgram.Test {
        switch condition {
        case .prefixSet(let name): .prefix(set: prefixSet(name), isIn: true)
        case .notPrefixSet(let name): .prefix(set: prefixSet(name), isIn: false)
        case .prefixes(let ranges): .prefix(set: prefixSet(ranges), isIn: true)
        case .anyCommunity(let name): .communities(set: communitySet(name), .any)
        case .allCommunities(let name): .communities(set: communitySet(name), .all)
        case .noCommunity(let name): .communities(set: communitySet(name), .none)
        case .exactCommunities(let name): .communities(set: communitySet(name), .exactly)
        case .asPathSet(let name): .path(set: pathSet(name))
        case .asPath(let text): .path(set: pathSet([text]))
        case .asSet(let place, let name): .asNumbers(place, numbers(name))
        case .asNumbers(let place, let numbers): .asNumbers(place, numbers)
        case .number(let what, let low, let high): number(what, low, high)
        case .asPathLength(let low, let high): number(.asPathLength, UInt32(low), UInt32(high))
        case .asPathContains(let number): .pathContains(number)
        case .originAS(let asNumber): number(.originAS, asNumber.raw, asNumber.raw)
        case .neighborAS(let asNumber): number(.neighborAS, asNumber.raw, asNumber.raw)
        case .origin(let origin): number(.origin, UInt32(origin.rawValue), UInt32(origin.rawValue))
        case .med(let low, let high): number(.med, low, high)
        case .localPreference(let low, let high): number(.localPreference, low, high)
        case .metric(let low, let high): number(.metric, low, high)
        case .validity(let validity): .validity(validity)
        case .neighbor(let address): .neighbor(address)
        case .neighbors(let prefixes): .neighbors(prefixes)
        case .source(let source): .kinds([RouteKind(.bgp, source.rawValue)])
        case .family(let family): .family(family)
        case .nextHop(let prefix): .nextHop(prefix)
        case .nextHopSet(let name): .nextHopSet(hopSet(name))
        case .protocols(let protocols): .protocols(protocols.reduce(0) { $0 | 1 << UInt64($1.rawValue) })
        case .kinds(let kinds): .kinds(kinds)
        case .tags(let tags): .tags(tags)
        // A policy that is missing; the others are no tests.
        case .policy, .not, .any: .never
        }
    }

    /// Bounds in the wrong order hold nothing.
    private func number(_ number: RouteNumber, _ low: UInt32, _ high: UInt32) -> PolicyProgram.Test {
        low <= high ? .number(number, low...high) : .never
    }

    private mutating func prefixSet(_ name: String) -> Int32 {
        if let known = prefixNumbers[name] { return known }
        let number = prefixSet(chain.definitions.prefixSets.first { $0.name == name }?.entries ?? [])
        prefixNumbers[name] = number
        return number
    }
    private mutating func prefixSet(_ ranges: [PrefixRange]) -> Int32 {
        prefixSets.append(ranges)
        return Int32(prefixSets.count - 1)
    }
    private mutating func communitySet(_ name: String) -> Int32 {
        if let known = communityNumbers[name] { return known }
        communitySets.append(CommunityMatcher(chain.definitions.communitySets.first { $0.name == name }?.entries ?? []))
        let number = Int32(communitySets.count - 1)
        communityNumbers[name] = number
        return number
    }
    private mutating func hopSet(_ name: String) -> Int32 {
        if let known = hopNumbers[name] { return known }
        hopSets.append(chain.definitions.prefixSets.first { $0.name == name }?.entries ?? [])
        let number = Int32(hopSets.count - 1)
        hopNumbers[name] = number
        return number
    }
    private mutating func pathSet(_ name: String) -> Int32 {
        if let known = pathNumbers[name] { return known }
        let number = pathSet(chain.definitions.asPathSets.first { $0.name == name }?.expressions ?? [])
        pathNumbers[name] = number
        return number
    }
    /// What is no expression matches nothing: who reads a configuration refuses that.
    private mutating func pathSet(_ texts: [String]) -> Int32 {
        let expressions = texts.compactMap { try? ASPathExpression($0) }
        pathSets.append((try? ASPathAutomaton.automata(expressions)) ?? [])
        return Int32(pathSets.count - 1)
    }
    private func numbers(_ name: String) -> ASNumberSet {
        chain.definitions.asSets.first { $0.name == name }?.numbers ?? ASNumberSet([])
    }
}
