import Machine
import Wire

/// RFC 2328 §10 "Link state retransmission list" of one neighbour: LSAs that were flooded to it and that it has not
/// acknowledged, in the order in which they are due again.
///
/// All wait equally long, so this order is a queue. What was acknowledged is left in the queue and passed over; the
/// queue is packed when most of it is such.
struct RetransmissionList: SnapshotPart, Sendable {
    private struct Item: Sendable, BitwiseCopyable {
        var due: Instant
        var handle: LSAHandle
        /// Which of the entries for the handle is alive.
        var stamp: UInt32
    }
    private var queue: [Item] = []
    private var head = 0
    /// Looked up, never iterated.
    private var stamps: [UInt32: UInt32] = [:]
    private var nextStamp: UInt32 = 0
    /// In the state's digest: the sum of what is on the list.
    private(set) var digest = StateDigest()

    var count: Int { stamps.count }
    var isEmpty: Bool { stamps.isEmpty }

    func contains(_ handle: LSAHandle) -> Bool { stamps[handle.raw] != nil }

    /// Puts the LSA on the list, or lets it wait anew.
    ///
    /// - Returns: whether it was not on the list.
    mutating func insert(_ handle: LSAHandle, due: Instant) -> Bool {
        nextStamp &+= 1
        let isNew = stamps.updateValue(nextStamp, forKey: handle.raw) == nil
        if isNew { digest.add(UInt64(handle.raw)) }
        queue.append(Item(due: due, handle: handle, stamp: nextStamp))
        packIfMostlyDead()
        return isNew
    }

    /// - Returns: whether it was on the list.
    mutating func remove(_ handle: LSAHandle) -> Bool {
        guard stamps.removeValue(forKey: handle.raw) != nil else { return false }
        digest.remove(UInt64(handle.raw))
        if stamps.isEmpty {
            queue.removeAll(keepingCapacity: queue.count < 1024)
            head = 0
        }
        return true
    }

    private func isAlive(_ item: Item) -> Bool { stamps[item.handle.raw] == item.stamp }

    private mutating func packIfMostlyDead() {
        guard queue.count > 64, queue.count > 4 * stamps.count else { return }
        queue = queue[head...].filter { isAlive($0) }
        head = 0
    }

    /// When the first is due.
    mutating func nextDue() -> Instant? {
        while head < queue.count, !isAlive(queue[head]) { head += 1 }
        return head < queue.count ? queue[head].due : nil
    }

    /// The first LSA if it is due; it stays on the list and waits until `again`.
    mutating func takeDue(at now: Instant, again: Instant) -> LSAHandle? {
        guard let due = nextDue(), due <= now else { return nil }
        let handle = queue[head].handle
        head += 1
        _ = insert(handle, due: again)
        return handle
    }

    /// Everything on the list, in the order in which it is due.
    var handles: [LSAHandle] { queue[head...].filter { isAlive($0) }.map(\.handle) }

    // MARK: snapshot

    func mix(into digest: inout StateDigest) { digest.mix(self.digest.value) }

    func write(to writer: inout SnapshotWriter) {
        let items = queue[head...].filter { isAlive($0) }
        writer.writeBlock(items.map(\.handle.raw))
        writer.writeBlock(items.map(\.due.nanoseconds))
    }

    init() {}

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let handles = try reader.readBlock(of: UInt32.self)
        let dues = try reader.readBlock(of: Int64.self)
        guard handles.count == dues.count else { throw DecodeError("retransmission list", at: reader.position, .badValue) }
        for (handle, due) in zip(handles, dues) {
            guard insert(LSAHandle(handle), due: Instant(nanoseconds: due)) else {
                throw DecodeError("retransmission list", at: reader.position, .badValue)
            }
        }
    }
}
