import Policy
import Routing
import Wire

/// The chains of policies that neighbours use, made ready to run, each once.
struct PolicyTable: Sendable {
    /// What is compiled. A chain that asks for the neighbour is the neighbour's own.
    struct Definition: Hashable, Sendable, Codable {
        var chain: PolicyChain
        var neighbor: IPAddress?
        static let vacant = Definition(chain: .vacant)
    }
    /// Shared, never changed: whoever runs it holds one reference.
    final class Entry: Sendable {
        let definition: Definition
        let program: PolicyProgram

        init(_ definition: Definition) {
            self.definition = definition
            program = PolicyProgram(definition.chain)
        }
    }
    // In place of an index.
    /// Everything passes unchanged.
    static let acceptAll: Int32 = -1
    /// RFC 8212: an external neighbour without policy.
    static let rejectAll: Int32 = -2

    /// Numbers are kept by sources and groups; a chain that nobody uses any more is vacant until it is used again.
    private(set) var chains: [Entry] = []
    private var definitions: PolicyDefinitions

    init(_ configuration: BGPConfiguration) { definitions = configuration.definitions }

    /// New chains are compiled from here on.
    mutating func configure(_ new: BGPConfiguration) { definitions = new.definitions }

    /// Index of the chain for a list of policy names.
    mutating func chain(_ names: [String], neighbor: IPAddress) -> Int32 {
        let chain = PolicyChain(names, in: definitions)
        let definition = Definition(chain: chain, neighbor: chain.asksForNeighbor ? neighbor : nil)
        if let known = chains.firstIndex(where: { $0.definition == definition }) { return Int32(known) }
        let entry = Entry(definition)
        if let vacant = chains.firstIndex(where: { $0.definition == .vacant }) {
            chains[vacant] = entry
            return Int32(vacant)
        }
        chains.append(entry)
        return Int32(chains.count - 1)
    }

    /// Forgets chains that are not among `used`.
    mutating func keepOnly(_ used: [Int32]) {
        for index in chains.indices where !used.contains(Int32(index)) { chains[index] = Entry(.vacant) }
    }

    /// As in the snapshot.
    var snapshot: [Definition] { chains.map(\.definition) }
    init(_ configuration: BGPConfiguration, snapshot: [Definition]) {
        definitions = configuration.definitions
        chains = snapshot.map { Entry($0) }
    }
}

extension PolicyTable {
    /// What becomes of every route that meets the chain, or what stands in its place; `nil` if that depends on the route.
    @inline(__always)
    func verdict(_ chain: Int32) -> Bool? {
        switch chain {
        case Self.acceptAll: true
        case Self.rejectAll: false
        default: chains[Int(chain)].program.verdict
        }
    }
    /// Whether the chain, or what stands in its place, asks whether a route's origin is valid.
    func asksForValidity(_ chain: Int32) -> Bool { chain >= 0 && chains[Int(chain)].program.asksForValidity }
}

/// What prefixes with equal attributes must have in common for policy to treat them alike: the prefix sets that they are in,
/// and whether their origin is valid.
struct PolicyClass: Hashable, Sendable {
    /// In the upper 30 bits the class of the prefix, below it the validity + 1; 0 if nobody asks.
    var raw: UInt32
    static let any = PolicyClass(raw: 0)

    init(raw: UInt32) { self.raw = raw }
    init(_ prefixClass: UInt32, _ validity: OriginValidity?) {
        raw = prefixClass << 2 | (validity.map { UInt32($0.rawValue) + 1 } ?? 0)
    }
    var prefixClass: UInt32 { raw >> 2 }
    var validity: OriginValidity? { raw & 3 == 0 ? nil : OriginValidity(rawValue: UInt8(raw & 3) - 1) }
}

/// What policy makes of one set of attributes that comes with many prefixes: worked out once for each class of them.
struct PolicyRun {
    private let chain: Int32
    private let family: RouteFamily
    private let isExport: Bool
    private var handle: UInt32 = 0
    /// Of `handle`, once it was asked for: the same for all prefixes.
    private var origin: UInt32??
    /// Of `handle`, with what was taken apart of it for one class and is as good for the others.
    private var facts: PathFacts?
    /// Outcomes of `handle` that are known. No more are kept than are quickly searched.
    private var known: [(policyClass: PolicyClass, kind: RouteSource, outcome: UInt32)] = []
    private static let knownMaximum = 64

    init(chain: Int32, family: RouteFamily, isExport: Bool) {
        self.chain = chain
        self.family = family
        self.isExport = isExport
    }

    mutating func begin(_ handle: UInt32) {
        self.handle = handle
        origin = nil
        facts = nil
        known.removeAll(keepingCapacity: true)
    }

    /// Whether all prefixes with these attributes, from one kind of source, have one outcome.
    func isIndifferent(_ shared: borrowing RIBShared) -> Bool {
        let entry = shared.policies.chains[Int(chain)]
        return !entry.program.asksForPrefix && !entry.program.asksForValidity
    }

    /// The set after policy, 0 when rejected. Without a prefix no prefix set holds.
    mutating func outcome(_ prefix: IPPrefix?, _ kind: RouteSource, _ shared: inout RIBShared) -> UInt32 {
        if origin == nil, shared.policies.asksForValidity(chain) { origin = .some(shared.attributes.routeOrigin(handle)) }
        let policyClass = shared.policyClass(of: prefix, chain, origin: origin ?? nil)
        for entry in known where entry.policyClass == policyClass && entry.kind == kind { return entry.outcome }
        let outcome = shared.evaluate(handle, chain, policyClass, kind, family, isExport: isExport, &facts)
        if known.count < Self.knownMaximum { known.append((policyClass, kind, outcome)) }
        return outcome
    }
}

extension RIBShared {
    /// - Parameter origin: of the attributes; of no meaning to a chain that does not ask for validity.
    func policyClass(of prefix: IPPrefix?, _ chain: Int32, origin: UInt32?) -> PolicyClass {
        // For each prefix: one reference is held, and no program is copied.
        let entry = policies.chains[Int(chain)]
        let validity = entry.program.asksForValidity ? prefix.map { self.validity(of: $0, origin: origin) } : nil
        return PolicyClass(entry.program.classOf(prefix), validity)
    }

    /// RFC 6811 §2.
    func validity(of prefix: IPPrefix, _ handle: UInt32) -> OriginValidity {
        validity(of: prefix, origin: attributes.routeOrigin(handle))
    }
    func validity(of prefix: IPPrefix, origin: UInt32?) -> OriginValidity {
        payloads?.validity(of: prefix, origin: origin) ?? .notFound
    }

    /// The set after policy, 0 when rejected.
    /// - Parameter facts: of the handle before any action, from one time to the next.
    fileprivate mutating func evaluate(
        _ handle: UInt32, _ chain: Int32, _ policyClass: PolicyClass, _ kind: RouteSource, _ family: RouteFamily, isExport: Bool,
        _ facts: inout PathFacts?
    ) -> UInt32 {
        let entry = policies.chains[Int(chain)]
        let context = RouteContext(
            family: family.code, kind: RouteKind(.bgp, kind.rawValue), neighbor: entry.definition.neighbor,
            validity: policyClass.validity)
        var path = facts ?? PathFacts(handle, family: family, isExport: isExport, neighbor: entry.definition.neighbor)
        let outcome = entry.program.run(&path, in: attributes, context, prefixClass: policyClass.prefixClass)
        facts = path.unchanged
        guard outcome.isAccepted else { return 0 }
        guard outcome.isChanged, var route = path.route else { return handle }
        // RFC 9494 §4.3: whatever policy makes of it, it goes on as what it is.
        if attributes[handle].flags.contains(.isLongLivedStale) { route.communities = route.communities.adding([.llgrStale]) }
        let octets = route.encoded()
        // An attribute block that no longer fits a message cannot be kept.
        guard octets.count <= 0xffff else { return 0 }
        // What leaves has no weight, so that it is said once whatever weight it has here.
        return attributes.intern(octets.span.bytes, marks: route.marks, weight: isExport ? 0 : route.weight)
    }
}
