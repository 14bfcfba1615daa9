import Machine
import Records
import Wire

/// Who answers for which address on which interface: RFC 826's table and RFC 4861 §5.1's neighbour cache in one.
///
/// Bounded in entries and in queued frames. When it is full an entry that no frame of ours used lately gives way
/// (second chance), so that a neighbour who invents addresses cannot push out those that sessions need.
struct NeighborCache {
    static let entriesMaximum = 1024
    /// Frames and octets that wait for one answer; then the oldest goes. A restored session sends a window at once, and
    /// so do all BFD sessions behind one gateway, each a small packet whose loss costs a third of its Detection Time.
    static let queueMaximum = 256
    static let queueOctetsMaximum = 32 * 1514
    /// RFC 4861 §10 REACHABLE_TIME.
    static let reachableTime = Duration.seconds(30)

    struct Key: Hashable, BitwiseCopyable {
        var interface: InterfaceID
        var address: IPAddress
    }
    /// RFC 4861 §7.3.2, without DELAY: we ask at once and go on sending.
    enum State: UInt8 {
        /// Nobody's slot.
        case free
        /// Asked by broadcast or multicast, not answered.
        case incomplete
        /// Known; `confirmed` says since when.
        case reachable
        /// Known, but being asked again by unicast.
        case probing
        /// Known to the controller that spoke before. Frames go there, and everybody is asked, as if nothing were known.
        case recalled
    }
    struct Waiting {
        /// A frame that lacks only its destination.
        var frame: [UInt8]
        /// Whose it is; a gateway carries many.
        var remote: IPAddress
        var interface: InterfaceID
    }
    struct Entry {
        var key: Key
        var state = State.incomplete
        var mac = MACAddress(raw: 0)
        var confirmed = Instant.zero
        var tries = 0
        /// Something other than an answer was sent there.
        var isPeer = false
        /// `mac` is in the log.
        var isNoted = false
        /// A frame of ours used it since the hand of the clock came by.
        var isUsed = false
        var queue: [Waiting] = []
        /// Of `queue`.
        var queuedOctets = 0
    }

    private(set) var slots: [Key: Int] = [:]
    var entries: [Entry] = []
    private var free: [Int] = []
    private var hand = 0

    func slot(of key: Key) -> Int? { slots[key] }

    /// Makes an entry and returns its slot, which may have been another's: its timer has to be set or cancelled.
    mutating func insert(_ key: Key) -> Int {
        if let slot = free.popLast() {
            entries[slot] = Entry(key: key)
            slots[key] = slot
            return slot
        }
        if entries.count < Self.entriesMaximum {
            entries.append(Entry(key: key))
            slots[key] = entries.count - 1
            return entries.count - 1
        }
        // Twice round at most: the first round clears every mark.
        while entries[hand].isUsed {
            entries[hand].isUsed = false
            hand = (hand + 1) % entries.count
        }
        let slot = hand
        hand = (hand + 1) % entries.count
        slots[entries[slot].key] = nil
        entries[slot] = Entry(key: key)
        slots[key] = slot
        return slot
    }

    mutating func remove(_ slot: Int) {
        slots[entries[slot].key] = nil
        entries[slot].queue = []
        entries[slot].queuedOctets = 0
        entries[slot].state = .free
        free.append(slot)
    }

    /// - Returns: how many others had to go.
    mutating func enqueue(_ waiting: Waiting, at slot: Int) -> Int {
        var gone = 0
        entries[slot].queuedOctets += waiting.frame.count
        while gone < entries[slot].queue.count,
            entries[slot].queuedOctets > Self.queueOctetsMaximum
                || entries[slot].queue.count - gone >= Self.queueMaximum
        {
            entries[slot].queuedOctets -= entries[slot].queue[gone].frame.count
            gone += 1
        }
        entries[slot].queue.removeFirst(gone)
        entries[slot].queue.append(waiting)
        return gone
    }

    /// What waits, which waits no longer.
    mutating func takeQueue(_ slot: Int) -> [Waiting] {
        defer {
            entries[slot].queue = []
            entries[slot].queuedOctets = 0
        }
        return entries[slot].queue
    }
}
