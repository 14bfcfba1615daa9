import Machine
import Records

/// Where the neighbours are that the router sends to, for the line card of whoever takes over. It is a memory, no truth: the
/// line card goes on asking.
struct NeighborTable: Sendable {
    /// As many as the line card knows. Then the one goes of which nothing was heard for longest.
    static let maximum = 1024

    /// The one that changed last is last.
    private(set) var bindings: [NeighborBinding] = []

    /// Rare: a neighbour that is new, or has another network card.
    mutating func note(_ binding: NeighborBinding) {
        if let place = bindings.firstIndex(where: { $0.interface == binding.interface && $0.address == binding.address }) {
            bindings.remove(at: place)
        } else if bindings.count == Self.maximum {
            bindings.removeFirst()
        }
        bindings.append(binding)
    }

    /// An interface that is not as it was is another network.
    mutating func configure(_ interfaces: [InterfaceConfiguration], before: [InterfaceConfiguration]) {
        bindings.removeAll {
            let place = Int($0.interface.value)
            return place >= interfaces.count || place >= before.count || interfaces[place] != before[place]
        }
    }

    mutating func removeAll() { bindings = [] }
}

extension NeighborTable: Fielded {
    static let section = SnapshotSection(14, "neighbors", schemas: 1...1)
    static var blank: Self { .init() }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.list(&bindings, maximum: Self.maximum)
    }
}
