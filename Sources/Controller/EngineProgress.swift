import Engine
import Machine
import Records
import Redundancy

/// What this controller's engine was given to do and how far it has got.
struct EngineProgress {
    enum Work: Equatable {
        case apply(upTo: LogIndex)
        case snapshot
        case restore
        /// For a take-over, or only to learn the interfaces.
        case image(isTakeOver: Bool)
    }

    /// Under way, oldest first: it answers in order.
    var works: [Work] = []
    /// The newest record that it was given, and that it has applied.
    var issued: LogIndex = .zero
    var applied: LogIndex = .zero
    /// At `applied`.
    var digest = ReplicaDigest([])
    /// Names of what a digest has values of.
    let parts = EngineDigest().parts.map(\.name)

    /// Pieces of work that it may have: the next is ready when one ends, and the longer it takes, the more records the one
    /// after holds.
    static let worksMaximum = 2

    var isRestoring: Bool { works.contains(.restore) }
    /// Room for another piece of work. A snapshot costs it nothing.
    var isReady: Bool { works.reduce(0) { $0 + ($1 == .snapshot ? 0 : 1) } < Self.worksMaximum }

    /// Which work a report answers; `nil` for one that answers none.
    mutating func finish(isSnapshot: Bool) -> Work? {
        // A snapshot is no answer for us; its bytes come as `snapshotEncoded`, whenever they are done.
        while !isSnapshot, works.first == .snapshot { works.removeFirst() }
        return works.isEmpty ? nil : works.removeFirst()
    }
}
