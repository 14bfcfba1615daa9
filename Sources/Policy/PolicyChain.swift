import Wire

/// One use of policies with everything that it names: what a program is made from. Equal chains make equal programs.
public struct PolicyChain: Hashable, Sendable, Codable {
    /// Tried in order.
    public var policies: [PolicyConfiguration]
    /// What these name, and policies that they call.
    public var definitions: PolicyDefinitions
    /// In place of what nobody uses any more.
    public static let vacant = PolicyChain([], in: PolicyDefinitions())

    /// A name that is missing stands for nothing: who reads a configuration refuses that.
    public init(_ names: [String], in definitions: PolicyDefinitions) {
        self.init(PolicyUse(names), in: definitions)
    }

    public init(_ use: PolicyUse, in definitions: PolicyDefinitions) {
        policies = use.rules.map { [$0] } ?? use.names.compactMap(definitions.policy)
        self.definitions = definitions.only(for: [use])
    }

    /// Whether a condition asks for the neighbour, or an action puts it in: then each neighbour has an outcome of its own.
    public var asksForNeighbor: Bool {
        (policies + definitions.policies).flatMap(\.statements).contains { statement in
            statement.everyCondition.contains { condition in
                switch condition {
                case .neighbor, .neighbors: true
                default: false
                }
            } || statement.everyAction.contains(.setNextHopPeer)
        }
    }
}
