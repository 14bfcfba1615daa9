import Machine
import Records
import Wire

/// A table that is on its way to somebody.
struct PendingTable: Equatable, Sendable {
    var reply: Reply
    /// Where in the table it goes on.
    var next: UInt32
    /// A regular update, which does not wait for those that were asked for: neighbours' routes time out without it.
    var isRegular = false
}

/// How much leaves at once. RFC 2453 §3.10.2 and RFC 2080 §2.5.1 leave it open; a hundred thousand routes are four
/// thousand messages, which no neighbour's socket takes in one burst, and which would hold up everything else here.
extension RIPInstance {
    /// Messages of one step, about; a triggered update divides them among the networks that it goes to.
    static let messagesPerStep = 64
    /// Between two steps.
    static let stepInterval = Duration.milliseconds(10)
    /// Tables that were asked for and are on their way, at most; what is asked for beyond that is refused. Regular updates are
    /// as many besides as there are networks and neighbours to tell.
    static let pendingMaximum = 1024

    /// Sends the whole table, or begins to.
    ///
    /// - Returns: whether it is on its way; not so when it is already, or when too many are.
    mutating func sendTable(
        _ reply: Reply, isRegular: Bool = false, at now: Instant, into effects: inout [Effect]
    ) -> Bool {
        let wasEmpty = pending.isEmpty
        let regularCount = pending.prefix { $0.isRegular }.count
        if let place = pending.firstIndex(where: { $0.reply == reply }) {
            guard isRegular, !pending[place].isRegular else { return false }
            // Whoever asked for it has it sooner.
            var table = pending.remove(at: place)
            table.isRegular = true
            pending.insert(table, at: regularCount)
        } else if isRegular {
            pending.insert(PendingTable(reply: reply, next: 0, isRegular: true), at: regularCount)
        } else {
            guard pending.count - regularCount < Self.pendingMaximum else { return false }
            pending.append(PendingTable(reply: reply, next: 0))
        }
        if wasEmpty { sendPending(at: now, into: &effects) }
        return true
    }

    mutating func sendPending(at now: Instant, into effects: inout [Effect]) {
        var left = Self.messagesPerStep * RIPFormat.entriesMaximum
        while left > 0, let first = pending.first {
            let begin = first.next
            guard let next = sendPart(first.reply, from: begin, limit: left, at: now, into: &effects) else {
                pending.removeFirst()
                // What a short table leaves of the step is for the next one.
                left -= max(RIPFormat.entriesMaximum, min(left, table.count))
                continue
            }
            pending[0].next = next
            left = 0
        }
        if !pending.isEmpty { timers.set(.pending, at: now + Self.stepInterval) }
    }

    /// Takes changed destinations for one step of a triggered update (RFC 2453 §3.10.1), oldest first.
    ///
    /// - Parameter targets: how many messages each of them costs.
    mutating func takeChanged(targets: Int) -> (batch: [UInt32], hasMore: Bool) {
        let limit = max(1, Self.messagesPerStep / max(1, targets)) * RIPFormat.entriesMaximum
        var batch: [UInt32] = []
        var taken = 0
        for number in changed {
            if batch.count == limit { break }
            taken += 1
            guard table.isPresent(number), table[number].isChanged else { continue }
            table.update(number) { $0.isChanged = false }
            batch.append(number)
        }
        changed.removeFirst(taken)
        return (batch, !changed.isEmpty)
    }
}

extension PendingTable: Fielded {
    static var blank: Self { .init(reply: .blank, next: 0) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&reply)
        try visitor.field(&next)
        try visitor.field(&isRegular)
    }
}

extension Reply: Fielded {
    static var blank: Self { .init(interface: InterfaceID(0), destination: .blank, source: nil, messageVersion: 0) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&destination)
        try visitor.field(&source)
        try visitor.field(&port)
        try visitor.field(&messageVersion)
    }
}
