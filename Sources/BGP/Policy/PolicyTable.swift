import Policy
import Wire

/// The chains of policies that neighbours use, made ready to run, each once.
struct PolicyTable: Sendable {
    /// What is compiled. A chain that asks for the neighbour is the neighbour's own.
    struct Definition: Hashable, Sendable, Codable {
        var chain: PolicyChain
        var neighbor: IPAddress?
        static let vacant = Definition(chain: .vacant)
    }
    struct Entry: Sendable {
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

/// What policy makes of one set of attributes that comes with many prefixes: worked out once for each class of them.
struct PolicyRun {
    private let chain: Int32
    private let family: RouteFamily
    private let isExport: Bool
    private var handle: UInt32 = 0
    /// Outcomes of `handle` that are known. No more are kept than are quickly searched.
    private var known: [(prefixClass: UInt32, kind: RouteSource, outcome: UInt32)] = []
    private static let knownMaximum = 64

    init(chain: Int32, family: RouteFamily, isExport: Bool) {
        self.chain = chain
        self.family = family
        self.isExport = isExport
    }

    mutating func begin(_ handle: UInt32) {
        self.handle = handle
        known.removeAll(keepingCapacity: true)
    }

    /// The set after policy, 0 when rejected. Without a prefix no prefix set holds.
    mutating func outcome(_ prefix: IPPrefix?, _ kind: RouteSource, _ shared: inout RIBShared) -> UInt32 {
        let prefixClass = shared.policies.chains[Int(chain)].program.classOf(prefix)
        for entry in known where entry.prefixClass == prefixClass && entry.kind == kind { return entry.outcome }
        let outcome = shared.evaluate(handle, chain, prefixClass, kind, family, isExport: isExport)
        if known.count < Self.knownMaximum { known.append((prefixClass, kind, outcome)) }
        return outcome
    }
}

extension RIBShared {
    /// The set after policy, 0 when rejected.
    fileprivate mutating func evaluate(
        _ handle: UInt32, _ chain: Int32, _ prefixClass: UInt32, _ kind: RouteSource, _ family: RouteFamily, isExport: Bool
    ) -> UInt32 {
        let entry = policies.chains[Int(chain)]
        let context = RouteContext(
            family: family.code, kind: RouteKind(.bgp, kind.rawValue), neighbor: entry.definition.neighbor)
        var path = PathFacts(handle, family: family, isExport: isExport)
        let outcome = entry.program.run(&path, in: attributes, context, prefixClass: prefixClass)
        guard outcome.isAccepted else { return 0 }
        guard outcome.isChanged, let route = path.route else { return handle }
        let octets = route.encoded()
        // An attribute block that no longer fits a message cannot be kept.
        guard octets.count <= 0xffff else { return 0 }
        return attributes.intern(octets.span.bytes, marks: route.marks)
    }
}
