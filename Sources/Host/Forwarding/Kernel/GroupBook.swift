import Records
import Routing
import Wire

/// One path as the kernel knows it: an object of its own that groups refer to.
struct KernelPath: Hashable {
    /// 0: packets are dropped.
    var device: UInt32
    var gateway: IPAddress?

    static let blackhole = KernelPath(device: 0, gateway: nil)

    /// Objects without an IPv4 gateway are IPv6 objects: the kernel lets routes of both families use those.
    var family: UInt8 {
        if case .v4 = gateway { return KernelFamily.ipv4 }
        return KernelFamily.ipv6
    }
}

/// A member of a group in the kernel.
struct KernelMember: Hashable {
    var path: KernelPath
    /// 1…255
    var weight: UInt8
}

/// The groups of next hops: what the FIB wants of each, what the kernel has, and how many routes use it.
///
/// A group of the FIB lives in a slot, and the slot's number is its number in the kernel. When the FIB gives a number
/// again, the new group gets a slot of its own: routes that still wait to leave the old one never see the new one's
/// next hops. Every group is a group for the kernel, even of one path, because the kernel replaces a group only by a
/// group, and a next hop that changes must be one replacement whatever the number of prefixes behind it.
struct GroupBook {
    /// No group.
    static let none = UInt32.max

    struct Slot {
        /// The FIB's number; 0 when the FIB does not name it any more (or not yet).
        var fib: UInt32 = 0
        var nextHops: [FIBNextHop] = []
        /// What the kernel has; `nil`: nothing.
        var content: [KernelMember]?
        /// Routes that want it and routes that have it.
        var uses = 0
        var isInUse = false
        var isQueued = false
        var hasFailed = false
    }
    private(set) var slots: [Slot] = []
    private var free: [UInt32] = []
    /// By the FIB's number: slot, or `none`.
    private var slotOfFIB: [UInt32] = []
    /// Slots that wait for the kernel.
    private var queue: [UInt32] = []
    /// How many slots there may be, from the range of kernel numbers.
    let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { slots.count - free.count }
    var hasQueued: Bool { !queue.isEmpty }
    subscript(slot: UInt32) -> Slot {
        get { slots[Int(slot)] }
        _modify { yield &slots[Int(slot)] }
    }
    func isInUse(_ slot: UInt32) -> Bool { Int(slot) < slots.count && slots[Int(slot)].isInUse }

    func slot(ofFIB number: UInt32) -> UInt32? {
        guard number > 0, Int(number) < slotOfFIB.count, slotOfFIB[Int(number)] != Self.none else { return nil }
        return slotOfFIB[Int(number)]
    }

    /// An unused slot for a group of the FIB, or `nil` when the range is full.
    mutating func add(fib: UInt32) -> UInt32? {
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
        } else {
            guard slots.count < limit else { return nil }
            slot = UInt32(slots.count)
            slots.append(Slot())
        }
        slots[Int(slot)] = Slot(isInUse: true)
        bind(slot, toFIB: fib)
        return slot
    }

    /// Makes a slot of a given number present, for what the kernel has from before. False when that cannot be.
    mutating func claim(_ slot: UInt32) -> Bool {
        guard Int(slot) < limit else { return false }
        while slots.count <= Int(slot) {
            free.append(UInt32(slots.count))
            slots.append(Slot())
        }
        if !slots[Int(slot)].isInUse {
            free.removeAll { $0 == slot }
            slots[Int(slot)] = Slot(isInUse: true)
        }
        return true
    }

    mutating func bind(_ slot: UInt32, toFIB number: UInt32) {
        slots[Int(slot)].fib = number
        guard number > 0 else { return }
        // Numbers are dense by contract; one that is absurd is not worth a table of its size.
        guard number < 1 << 24 else { return }
        while slotOfFIB.count <= Int(number) { slotOfFIB.append(Self.none) }
        slotOfFIB[Int(number)] = slot
    }

    mutating func unbind(fib number: UInt32) -> UInt32? {
        guard let slot = slot(ofFIB: number) else { return nil }
        slotOfFIB[Int(number)] = Self.none
        slots[Int(slot)].fib = 0
        return slot
    }

    mutating func unbindAll() {
        for slot in slots.indices { slots[slot].fib = 0 }
        slotOfFIB.removeAll()
    }

    mutating func enqueue(_ slot: UInt32) {
        guard slots[Int(slot)].isInUse, !slots[Int(slot)].isQueued else { return }
        slots[Int(slot)].isQueued = true
        queue.append(slot)
    }

    mutating func takeQueue() -> [UInt32] {
        defer { queue = [] }
        for slot in queue { slots[Int(slot)].isQueued = false }
        return queue
    }

    mutating func release(_ slot: UInt32) {
        slots[Int(slot)] = Slot()
        free.append(slot)
    }
}
