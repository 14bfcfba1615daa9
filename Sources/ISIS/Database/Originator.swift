import Machine
import Wire

/// What one level says under our name: which LSPs are out, and when the next change may go (ISO 10589 §7.3.6).
struct Originator: Sendable {
    /// An LSP of ours that is in the database and alive, or that waits for its sequence numbers to die out. Without
    /// padding: it goes into snapshots as it lies in memory.
    struct Own: Sendable, BitwiseCopyable, Equatable {
        var rawID: UInt64
        /// Of flags and TLVs without authentication; 0 to have it made anew whatever it says.
        var bodyHash: UInt64
        /// Not to be said again before this time (§7.3.16.1, attempt to exceed the maximum sequence number).
        var exhaustedUntil: Int64
        /// The number that the next one must exceed, since somebody used it.
        var floor: UInt32
        var spare: UInt32 = 0
    }

    /// Ascending by ID.
    private(set) var own: [Own] = []
    /// When own LSPs were made last, and how long they had to wait: the throttle.
    private var lastRun: Instant?
    private var delay: UInt32 = 0

    func index(of id: LSPID) -> Int? {
        let at = position(of: id)
        return at < own.count && own[at].rawID == id.raw ? at : nil
    }
    func owns(_ id: LSPID) -> Bool { index(of: id) != nil }

    private func position(of id: LSPID) -> Int {
        own.sortedIndex { $0.rawID < id.raw }
    }

    subscript(index: Int) -> Own { own[index] }

    /// The place of the LSP, with a new one if it was not ours so far.
    mutating func obtain(_ id: LSPID) -> Int {
        let at = position(of: id)
        if at == own.count || own[at].rawID != id.raw {
            own.insert(Own(rawID: id.raw, bodyHash: 0, exhaustedUntil: .min, floor: 0), at: at)
        }
        return at
    }
    mutating func remove(_ index: Int) { own.remove(at: index) }

    mutating func said(_ index: Int, bodyHash: UInt64) {
        own[index].bodyHash = bodyHash
        own[index].floor = 0
        own[index].exhaustedUntil = .min
    }
    mutating func exhausted(_ index: Int, until: Instant) {
        own[index].exhaustedUntil = until.nanoseconds
        own[index].bodyHash = 0
        own[index].floor = 0
    }

    /// Somebody else used a number as new as ours.
    mutating func contest(_ id: LSPID, above number: UInt32) {
        guard let at = index(of: id) else { return }
        own[at].floor = max(own[at].floor, number)
        own[at].bodyHash = 0
    }

    /// Everything is to be made anew, say because keys changed.
    mutating func invalidate() { for at in own.indices { own[at].bodyHash = 0 } }

    /// How long a change has to wait that is noticed at `now`.
    mutating func nextDelay(_ throttle: ISISThrottle, at now: Instant) -> Duration {
        if let lastRun, now - lastRun <= .milliseconds(2 * Int64(throttle.maximumDelay)) {
            delay = delay == 0 ? throttle.secondDelay : min(delay &* 2, throttle.maximumDelay)
            delay = min(max(delay, throttle.secondDelay), throttle.maximumDelay)
            return .milliseconds(Int64(delay))
        }
        delay = 0
        return .milliseconds(Int64(throttle.initialDelay))
    }
    mutating func ran(at now: Instant) { lastRun = now }

    var digest: UInt64 {
        var digest = StateDigest(UInt64(own.count))
        for entry in own {
            digest.mix(entry.rawID)
            digest.mix(UInt64(entry.floor) ^ UInt64(bitPattern: entry.exhaustedUntil))
        }
        digest.mix(UInt64(delay))
        return digest.value
    }
}

extension Originator: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(own)
        writer.write(lastRun)
        writer.write(delay)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        own = try reader.readBlock(of: Own.self)
        for (a, b) in zip(own, own.dropFirst()) where a.rawID >= b.rawID {
            throw DecodeError("own LSPs", at: reader.position, .badValue)
        }
        lastRun = try reader.readOptionalInstant()
        delay = try reader.read()
    }
}
