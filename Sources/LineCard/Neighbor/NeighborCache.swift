import Machine
import Records
import Wire

/// Who answers for which address on which interface: RFC 826's table and RFC 4861 §5.1's neighbour cache in one.
///
/// Bounded in entries and in queued frames. When it is full an entry that no frame of ours used lately gives way
/// (second chance), so that a neighbour who invents addresses cannot push out those that sessions need.
struct NeighborCache {
    static let entriesMaximum = 1024
    /// Frames that wait for one answer; then the oldest goes. A restored session sends a window at once.
    static let queueMaximum = 16
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
        /// A frame of ours used it since the hand of the clock came by.
        var isUsed = false
        var queue: [Waiting] = []
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
        entries[slot].state = .free
        free.append(slot)
    }

    mutating func enqueue(_ waiting: Waiting, at slot: Int) -> Bool {
        var kept = true
        if entries[slot].queue.count == Self.queueMaximum {
            entries[slot].queue.removeFirst()
            kept = false
        }
        entries[slot].queue.append(waiting)
        return kept
    }
}
