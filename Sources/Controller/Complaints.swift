import Machine
import Records

/// When each kind of complaint about the world around was made last: the same one is made at most once in a while.
struct Complaints {
    enum Kind: Equatable {
        case foreignBeat, unprovenBeat, stranger(InterfaceID), noDatagrams, pause, standstill, ports, refusal(String)
    }
    private static let interval: Duration = .seconds(60)
    private static let maximum = 64

    private var made: [(kind: Kind, at: Instant)] = []

    /// Whether a complaint may be made now; if so, it counts as made.
    mutating func admits(_ kind: Kind, at now: Instant) -> Bool {
        guard !made.contains(where: { $0.kind == kind && now < $0.at + Self.interval }) else { return false }
        made.removeAll { $0.kind == kind || now >= $0.at + Self.interval }
        if made.count >= Self.maximum { made.removeFirst() }
        made.append((kind, now))
        return true
    }
}
