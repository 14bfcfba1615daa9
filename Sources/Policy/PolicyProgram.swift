import Records
import Wire

/// What a program says of a route.
public struct PolicyOutcome: Hashable, Sendable {
    public var isAccepted: Bool
    /// Whether an action ran: if not, the route is as it was.
    public var isChanged: Bool
    /// The statement that decided; `nil`: no statement did.
    public var decision: PolicyDecision?

    public init(isAccepted: Bool, isChanged: Bool, decision: PolicyDecision?) {
        self.isAccepted = isAccepted
        self.isChanged = isChanged
        self.decision = decision
    }
}

/// Which statement decided about a route.
public struct PolicyDecision: Hashable, Sendable {
    public var policy: String
    /// From 1; `nil`: what the policy says of routes that no statement decided.
    public var statement: Int?
}

/// A chain of policies made ready to run: a flat list of steps, with sets by number and no names.
public struct PolicyProgram: Sendable {
    /// Policies that may call each other in a row.
    public static let depthMaximum = 8
    /// Steps of one run. Far above what statements in a row need; calls within calls could multiply.
    @usableFromInline static let stepsMaximum = 1 << 18

    /// Whether the prefix matters.
    public let asksForPrefix: Bool
    /// Whether `RouteContext.validity` matters.
    public let asksForValidity: Bool
    /// What becomes of every route, unchanged; `nil` if that depends on the route.
    public let verdict: Bool?
    @usableFromInline let steps: [Step]
    /// By step: where it came from, for whoever wants to know who decided.
    private let places: [Place]
    private let names: [String]
    @usableFromInline let communitySets: [[CommunitySetConfiguration.Entry]]
    @usableFromInline let classifier: PrefixClassifier

    private struct Place: Sendable {
        var policy: Int32
        var statement: Int32
    }

    @usableFromInline
    enum Step: Sendable {
        /// Goes on with the next step if it holds, else there.
        case test(Test, otherwise: Int32)
        case act(PolicyAction)
        case removeCommunities(set: Int32)
        /// Goes there; after a rejection the route is as it was, and `otherwise` is next.
        case call(Int32, otherwise: Int32)
        /// Of the call, if there is one.
        case decide(isAccepted: Bool)
    }

    @usableFromInline
    enum Test: Sendable {
        case prefix(set: Int32, isIn: Bool)
        case communities(set: Int32, Quantity)
        case number(RouteNumber, ClosedRange<UInt32>)
        case tags([UInt32])
        case pathContains(ASNumber)
        case validity(OriginValidity)
        case neighbor(IPAddress)
        case nextHop(IPPrefix)
        case family(FamilyCode)
        /// A bit for each protocol.
        case protocols(UInt64)
        case kinds([RouteKind])
        /// For what is missing.
        case never
    }
    @usableFromInline
    enum Quantity: Sendable {
        case any, all, none
    }

    public init(_ chain: PolicyChain) {
        var compiler = PolicyCompiler(chain)
        compiler.compile()
        steps = compiler.steps
        places = compiler.places.map { Place(policy: $0.policy, statement: $0.statement) }
        names = compiler.names
        communitySets = compiler.communitySets
        classifier = PrefixClassifier(compiler.prefixSets)
        asksForPrefix = !compiler.prefixSets.isEmpty
        verdict = if case .decide(let isAccepted)? = steps.first { isAccepted } else { nil }
        asksForValidity = steps.contains { if case .test(.validity, _) = $0 { true } else { false } }
    }

    /// The class of a prefix: routes with equal attributes and equal context have equal outcomes in each.
    public func classOf(_ prefix: IPPrefix?) -> UInt32 {
        guard asksForPrefix, let prefix else { return 0 }
        return classifier.classOf(prefix)
    }

    /// Runs over a route, which afterwards is changed as far as the program went, also if it is rejected.
    /// - Parameter prefixClass: of `classOf`; 0 if there is no prefix.
    ///
    /// Compiled for each kind of route where it is used: BGP runs it once for each set of attributes.
    @inlinable
    public func run<Facts: RouteFacts>(
        _ facts: inout Facts, in store: borrowing Facts.Store, _ context: RouteContext, prefixClass: UInt32
    ) -> PolicyOutcome {
        var calls: [(back: Int, otherwise: Int, before: Facts, wasChanged: Bool)] = []
        var isChanged = false
        var at = 0
        for _ in 0..<Self.stepsMaximum {
            switch steps[at] {
            case .test(let test, let otherwise):
                at = holds(test, &facts, in: store, context, prefixClass) ? at + 1 : Int(otherwise)
            case .act(let action):
                facts.perform(action, in: store)
                isChanged = true
                at += 1
            case .removeCommunities(let set):
                facts.removeCommunities(communitySets[Int(set)], in: store)
                isChanged = true
                at += 1
            case .call(let target, let otherwise):
                calls.append((at + 1, Int(otherwise), facts, isChanged))
                at = Int(target)
            case .decide(let isAccepted):
                guard let call = calls.popLast() else {
                    return PolicyOutcome(isAccepted: isAccepted, isChanged: isChanged, decision: decision(at))
                }
                if isAccepted {
                    at = call.back
                } else {
                    facts = call.before
                    isChanged = call.wasChanged
                    at = call.otherwise
                }
            }
        }
        return PolicyOutcome(isAccepted: false, isChanged: isChanged, decision: nil)
    }

    @usableFromInline
    func decision(_ step: Int) -> PolicyDecision? {
        let place = places[step]
        guard place.policy >= 0 else { return nil }
        return PolicyDecision(
            policy: names[Int(place.policy)], statement: place.statement < 0 ? nil : Int(place.statement) + 1)
    }

    @inlinable
    func holds<Facts: RouteFacts>(
        _ test: Test, _ facts: inout Facts, in store: borrowing Facts.Store, _ context: RouteContext, _ prefixClass: UInt32
    ) -> Bool {
        switch test {
        case .prefix(let set, let isIn): return classifier.isMember(prefixClass, of: set) == isIn
        case .communities(let set, let quantity):
            for entry in communitySets[Int(set)] {
                let isOn = facts.hasCommunity(entry, in: store)
                switch quantity {
                case .any where isOn: return true
                case .all where !isOn, .none where isOn: return false
                default: continue
                }
            }
            if case .any = quantity { return false }
            return true
        case .number(let number, let range): return facts.number(number, in: store).map(range.contains) ?? false
        case .tags(let tags): return facts.number(.tag, in: store).map(tags.contains) ?? false
        case .pathContains(let number): return facts.pathContains(number, in: store)
        case .validity(let validity): return context.validity == validity
        case .neighbor(let address): return context.neighbor == address
        case .nextHop(let within): return facts.nextHop(in: store).map(within.contains) ?? false
        case .family(let family): return context.family == family
        case .protocols(let bits): return bits >> UInt64(context.kind.protocol.rawValue) & 1 == 1
        case .kinds(let kinds): return kinds.contains(context.kind)
        case .never: return false
        }
    }
}

/// From statements to steps. Sets get numbers as they are named, each once; policies that are called follow the chain, each
/// once.
private struct PolicyCompiler {
    let chain: PolicyChain
    var steps: [PolicyProgram.Step] = []
    /// By step; negative for none.
    var places: [(policy: Int32, statement: Int32)] = []
    var names: [String] = []
    var prefixSets: [[PrefixRange]] = []
    var communitySets: [[CommunitySetConfiguration.Entry]] = []
    private var prefixNumbers: [String: Int32] = [:]
    private var communityNumbers: [String: Int32] = [:]
    /// Where policies that are called begin, and calls that do not know it yet.
    private var entries: [String: Int32] = [:]
    private var openCalls: [(step: Int, name: String)] = []
    /// Tests and calls whose `otherwise` is the end of the statement at hand.
    private var pending: [Int] = []
    private var place: (policy: Int32, statement: Int32) = (-1, -1)

    init(_ chain: PolicyChain) { self.chain = chain }

    mutating func compile() {
        for policy in chain.policies { append(policy) }
        place = (-1, -1)
        append(.decide(isAccepted: false))
        // Of what is called; what these call in turn comes behind them.
        while let call = openCalls.popLast() {
            if entries[call.name] == nil {
                entries[call.name] = Int32(steps.count)
                guard let policy = chain.definitions.policy(call.name) else { preconditionFailure("asked when it was called") }
                append(policy)
                place = (-1, -1)
                append(.decide(isAccepted: false))
            }
            if let target = entries[call.name], case .call(_, let otherwise) = steps[call.step] {
                steps[call.step] = .call(target, otherwise: otherwise)
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
            place = (number, Int32(i))
            for condition in statement.conditions { append(condition) }
            for action in statement.actions {
                if case .removeCommunities(let name) = action {
                    append(.removeCommunities(set: communitySet(name)))
                } else {
                    append(.act(action))
                }
            }
            if statement.result != .next { append(.decide(isAccepted: statement.result == .accept)) }
            close()
        }
        place = (number, -1)
        if policy.otherwise != .next { append(.decide(isAccepted: policy.otherwise == .accept)) }
    }

    /// What is not met goes on behind this statement.
    private mutating func close() {
        let end = Int32(steps.count)
        for step in pending {
            switch steps[step] {
            case .test(let test, _): steps[step] = .test(test, otherwise: end)
            case .call(let target, _): steps[step] = .call(target, otherwise: end)
            default: break
            }
        }
        pending = []
    }

    private mutating func append(_ condition: PolicyCondition) {
        pending.append(steps.count)
        if case .policy(let name) = condition, chain.definitions.policy(name) != nil {
            openCalls.append((steps.count, name))
            append(.call(0, otherwise: 0))
        } else {
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
        case .source(let source): .kinds([RouteKind(.bgp, source.rawValue)])
        case .family(let family): .family(family)
        case .nextHop(let prefix): .nextHop(prefix)
        case .protocols(let protocols): .protocols(protocols.reduce(0) { $0 | 1 << UInt64($1.rawValue) })
        case .kinds(let kinds): .kinds(kinds)
        case .tags(let tags): .tags(tags)
        case .policy: .never
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
        communitySets.append(chain.definitions.communitySets.first { $0.name == name }?.entries ?? [])
        let number = Int32(communitySets.count - 1)
        communityNumbers[name] = number
        return number
    }
}
