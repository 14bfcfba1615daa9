import Machine
import Records

/// How long the router may be silent before a neighbour's BFD finds it dead: what a take-over has time for.
///
/// A controller that waits longer for a twin whose beats are often late (`TwinWatch.patience`) gives away that time. A false
/// detection costs a change of role; a true one that comes too late costs every session that BFD watches.
struct BorneSilence: Sendable {
    /// Of those that are not shut down, ascending by discriminator.
    private var sessions: [(discriminator: UInt32, silence: Duration)] = []
    /// The shortest of all; `nil` while there is no session.
    private(set) var shortest: Duration?

    mutating func replace(_ all: [BFDSession]) {
        sessions = all.filter { !$0.parameters.isShutdown }.map { ($0.discriminator, Self.silence($0)) }
            .sorted { $0.discriminator < $1.discriminator }
        shortest = sessions.map(\.silence).min()
    }

    mutating func apply(_ changes: [BFDSessionChange]) {
        for change in changes {
            let discriminator: UInt32
            switch change {
            case .set(let session): discriminator = session.discriminator
            case .remove(let number): discriminator = number
            }
            let low = sessions.sortedIndex { $0.discriminator < discriminator }
            if low < sessions.count, sessions[low].discriminator == discriminator { sessions.remove(at: low) }
            if case .set(let session) = change, !session.parameters.isShutdown {
                sessions.insert((discriminator, Self.silence(session)), at: low)
            }
        }
        shortest = sessions.map(\.silence).min()
    }

    /// RFC 5880 §6.8.4: the neighbour's detection time, less the one interval by which our last packet may be old already. A
    /// neighbour that wants packets less often than we offer them bears more.
    private static func silence(_ session: BFDSession) -> Duration {
        .microseconds(Int64(session.parameters.desiredMinTx) * Int64(max(1, session.parameters.multiplier) - 1))
    }
}
