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
    /// Of a statement within another one: `2.1`, `2 else 1`.
    public var nested: String?

    public init(policy: String, statement: Int?, nested: String? = nil) {
        self.policy = policy
        self.statement = statement
        self.nested = nested
    }
    /// As operators count it.
    public var place: String? { nested ?? statement.map { "\($0)" } }
}

/// A statement that a route met without being concerned by it, and the condition that did not hold.
public struct PolicyMiss: Hashable, Sendable, Codable {
    public var policy: String
    /// As in `PolicyDecision.place`.
    public var place: String
    public var condition: PolicyCondition

    public init(policy: String, place: String, condition: PolicyCondition) {
        self.policy = policy
        self.place = place
        self.condition = condition
    }
}

/// Who wants to know of a run more than what came of it.
public protocol PolicyLog {
    /// The step went to `target` since something did not hold.
    mutating func note(_ step: Int, wentTo target: Int)
}

/// Nobody.
public struct NoPolicyLog: PolicyLog {
    @inlinable public init() {}
    @inlinable @inline(__always) public mutating func note(_ step: Int, wentTo target: Int) {}
}

/// Notes which statements did not concern a route, for people.
public struct PolicyTrace: PolicyLog {
    /// More are not noted.
    public static let maximum = 256
    private let program: PolicyProgram
    public private(set) var misses: [PolicyMiss] = []

    public init(of program: PolicyProgram) { self.program = program }

    public mutating func note(_ step: Int, wentTo target: Int) {
        guard misses.count < Self.maximum, let miss = program.miss(step, wentTo: target) else { return }
        misses.append(miss)
    }
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
    /// By number in `Place.nested`.
    private let nestedPlaces: [String]
    /// By number in `Place.condition`.
    private let conditions: [PolicyCondition]
    @usableFromInline let communitySets: [CommunityMatcher]
    @usableFromInline let pathSets: [[ASPathAutomaton]]
    @usableFromInline let classifier: PrefixClassifier
    /// Of next hops.
    @usableFromInline let hopClassifier: PrefixClassifier

    /// Negative numbers stand for none.
    struct Place: Sendable {
        var policy: Int32 = -1
        var statement: Int32 = -1
        var nested: Int32 = -1
        /// Of a test: to which condition of the statement it belongs, and where that goes if it does not hold.
        var condition: Int32 = -1
        var miss: Int32 = -1
    }

    @usableFromInline
    enum Step: Sendable {
        /// Goes on with the next step if it holds, else there.
        case test(Test, otherwise: Int32)
        case act(PolicyAction)
        case removeCommunities(set: Int32)
        /// Goes there; after a rejection the route is as it was, and `otherwise` is next. Unless it keeps changes the route is as
        /// it was in any case.
        case call(Int32, otherwise: Int32, keepsChanges: Bool)
        case jump(Int32)
        /// Of the call, if there is one.
        case decide(isAccepted: Bool)
    }

    @usableFromInline
    enum Test: Sendable {
        case prefix(set: Int32, isIn: Bool)
        case communities(set: Int32, Quantity)
        case path(set: Int32)
        case asNumbers(ASPathPlace, ASNumberSet)
        case number(RouteNumber, ClosedRange<UInt32>)
        case tags([UInt32])
        case pathContains(ASNumber)
        case validity(OriginValidity)
        case neighbor(IPAddress)
        case neighbors([IPPrefix])
        case nextHop(IPPrefix)
        case nextHopSet(Int32)
        case family(FamilyCode)
        /// A bit for each protocol.
        case protocols(UInt64)
        case kinds([RouteKind])
        /// For what is missing.
        case never
    }
    @usableFromInline
    enum Quantity: Sendable {
        case any, all, none, exactly
    }

    public init(_ chain: PolicyChain) {
        var compiler = PolicyCompiler(chain)
        compiler.compile()
        steps = compiler.steps
        places = compiler.places
        names = compiler.names
        nestedPlaces = compiler.nestedPlaces
        conditions = compiler.conditions
        communitySets = compiler.communitySets
        pathSets = compiler.pathSets
        classifier = PrefixClassifier(compiler.prefixSets)
        hopClassifier = PrefixClassifier(compiler.hopSets)
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
        var log = NoPolicyLog()
        return run(&facts, in: store, context, prefixClass: prefixClass, log: &log)
    }

    /// The same, telling `log` of what did not hold.
    @inlinable
    public func run<Facts: RouteFacts, Log: PolicyLog>(
        _ facts: inout Facts, in store: borrowing Facts.Store, _ context: RouteContext, prefixClass: UInt32, log: inout Log
    ) -> PolicyOutcome {
        var calls: [(back: Int, otherwise: Int, keepsChanges: Bool, before: Facts, wasChanged: Bool)] = []
        var isChanged = false
        var at = 0
        for _ in 0..<Self.stepsMaximum {
            switch steps[at] {
            case .test(let test, let otherwise):
                if holds(test, &facts, in: store, context, prefixClass) {
                    at += 1
                } else {
                    log.note(at, wentTo: Int(otherwise))
                    at = Int(otherwise)
                }
            case .act(let action):
                facts.perform(action, in: store)
                isChanged = true
                at += 1
            case .removeCommunities(let set):
                facts.removeCommunities(communitySets[Int(set)], in: store)
                isChanged = true
                at += 1
            case .call(let target, let otherwise, let keepsChanges):
                calls.append((at, Int(otherwise), keepsChanges, facts, isChanged))
                at = Int(target)
            case .jump(let target):
                log.note(at, wentTo: Int(target))
                at = Int(target)
            case .decide(let isAccepted):
                guard let call = calls.popLast() else {
                    return PolicyOutcome(isAccepted: isAccepted, isChanged: isChanged, decision: decision(at))
                }
                if !isAccepted || !call.keepsChanges {
                    facts = call.before
                    isChanged = call.wasChanged
                }
                if isAccepted {
                    at = call.back + 1
                } else {
                    log.note(call.back, wentTo: call.otherwise)
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
            policy: names[Int(place.policy)], statement: place.statement < 0 ? nil : Int(place.statement) + 1,
            nested: place.nested < 0 ? nil : nestedPlaces[Int(place.nested)])
    }

    /// What a step that went to `target` says of the statement that it belongs to; `nil`: nothing, since others are still asked.
    func miss(_ step: Int, wentTo target: Int) -> PolicyMiss? {
        let place = places[step]
        guard place.condition >= 0, Int(place.miss) == target, let decision = decision(step), let at = decision.place else {
            return nil
        }
        return PolicyMiss(policy: decision.policy, place: at, condition: conditions[Int(place.condition)])
    }

    @inlinable
    func holds<Facts: RouteFacts>(
        _ test: Test, _ facts: inout Facts, in store: borrowing Facts.Store, _ context: RouteContext, _ prefixClass: UInt32
    ) -> Bool {
        switch test {
        case .prefix(let set, let isIn): return classifier.isMember(prefixClass, of: set) == isIn
        case .communities(let set, let quantity):
            let matcher = communitySets[Int(set)]
            switch quantity {
            case .any: return facts.hasCommunity(of: matcher, in: store)
            case .none: return !facts.hasCommunity(of: matcher, in: store)
            case .exactly where !facts.hasNoCommunity(but: matcher, in: store): return false
            case .all, .exactly:
                for entry in matcher.entries where !facts.hasCommunity(entry, in: store) { return false }
                return true
            }
        case .number(let number, let range): return facts.number(number, in: store).map(range.contains) ?? false
        case .tags(let tags): return facts.number(.tag, in: store).map(tags.contains) ?? false
        case .pathContains(let number): return facts.pathContains(number, in: store)
        case .path(let set): return facts.pathMatches(pathSets[Int(set)], number: set, in: store)
        case .asNumbers(let place, let numbers): return facts.path(place, isIn: numbers, in: store)
        case .validity(let validity): return context.validity == validity
        case .neighbor(let address): return context.neighbor == address
        case .neighbors(let prefixes):
            guard let neighbor = context.neighbor else { return false }
            return prefixes.contains { $0.contains(neighbor) }
        case .nextHop(let within): return facts.nextHop(in: store).map(within.contains) ?? false
        case .nextHopSet(let set): return facts.nextHop(in: store).map { isHop($0, in: set) } ?? false
        case .family(let family): return context.family == family
        case .protocols(let bits): return bits >> UInt64(context.kind.protocol.rawValue) & 1 == 1
        case .kinds(let kinds): return kinds.contains(context.kind)
        case .never: return false
        }
    }

    @usableFromInline
    func isHop(_ address: IPAddress, in set: Int32) -> Bool {
        let host = IPPrefix(address, address.family == .ipv4 ? 32 : 128)
        return hopClassifier.isMember(hopClassifier.classOf(host), of: set)
    }
}
