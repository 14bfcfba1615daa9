import Machine
import Records
import Wire

/// What the table says about the way to an address.
struct Resolution: Equatable, Sendable {
    /// Ascending; empty: there is no way, or it ends here.
    var hops: [FIBNextHop] = []
    /// The operator has routed the very address into nothing: who goes there is to be dropped.
    var isBlackhole = false
    /// Of the route that resolves it.
    var metric: UInt32 = 0
    /// Length of the prefix that decides; -1 for none. Changes of shorter ones are of no concern.
    var length: Int16 = -1
    /// Static routes lead around in a circle: any change may matter.
    var hasLoop = false
    /// An interface that is down was passed over.
    var missesInterface = false

    var isReachable: Bool { !hops.isEmpty || isBlackhole }
}

/// Addresses whose resolution somebody wants to know, found by address, and all those under a prefix in order.
struct TrackedNextHops<Key: PrefixKey>: Sendable {
    struct Entry: Sendable {
        var resolution = Resolution()
        /// Numbers of sets of next hops that hold the address, and of some that did: those are taken out together when
        /// they are the most, since a search for each would cost the square of their number.
        var sets: [UInt32] = []
        /// How often sets hold it.
        var uses = 0
        /// Static routes that lead to it, by their numbers.
        var statics: [UInt32] = []
        /// BGP wants to hear of changes, and heard this.
        var isWatched = false
        var told: UInt64 = 0

        var isUnused: Bool { uses == 0 && statics.isEmpty && !isWatched }
    }

    private var index: PrefixTable<Key>
    /// By number.
    var entries: [Entry] = []
    /// Ascending; may name addresses that are gone. What came later waits in `added`.
    private var order: [Key.Address] = []
    private var added: [Key.Address] = []
    private var goneCount = 0

    init(seed: UInt64) { index = PrefixTable(seed: seed) }

    var count: Int { index.count }
    func find(_ address: Key.Address) -> UInt32? { index.find(Key(address, Key.lengthMaximum)) }
    func address(_ number: UInt32) -> Key.Address { index[number].address }

    /// The number of the address. `isNew`: it has to be resolved.
    mutating func insert(_ address: Key.Address) -> (number: UInt32, isNew: Bool) {
        if let number = find(address) { return (number, false) }
        let number = index.insert(Key(address, Key.lengthMaximum))
        if Int(number) == entries.count { entries.append(Entry()) } else { entries[Int(number)] = Entry() }
        added.append(address)
        return (number, true)
    }

    mutating func removeIfUnused(_ number: UInt32) {
        guard entries[Int(number)].isUnused else { return }
        index.remove(number)
        entries[Int(number)] = Entry()
        goneCount += 1
    }

    /// Numbers of the addresses under the prefix, ascending by address.
    mutating func covered(by prefix: Key) -> [UInt32] {
        if count == 0 { return [] }
        putInOrder()
        var low = order.sortedIndex { $0 < prefix.address }
        var found: [UInt32] = []
        while low < order.count, Key(order[low], prefix.length) == prefix {
            if let number = find(order[low]) { found.append(number) }
            low += 1
        }
        return found
    }

    /// Addresses that somebody watches, ascending, and what they heard last.
    var watched: [(address: Key.Address, told: UInt64)] {
        var result: [(address: Key.Address, told: UInt64)] = []
        for number in entries.indices where index.isPresent(UInt32(number)) && entries[number].isWatched {
            result.append((address(UInt32(number)), entries[number].told))
        }
        return result.sorted { $0.address < $1.address }
    }

    /// All numbers, ascending by address.
    mutating func all() -> [UInt32] {
        putInOrder()
        return order.compactMap { find($0) }
    }

    private mutating func putInOrder() {
        if goneCount * 2 > order.count + 16 {
            order = order.filter { find($0) != nil }
            goneCount = 0
        }
        if added.isEmpty { return }
        added.sort()
        var merged: [Key.Address] = []
        merged.reserveCapacity(order.count + added.count)
        var old = 0
        for address in added {
            while old < order.count, order[old] < address {
                merged.append(order[old])
                old += 1
            }
            // One that was gone and came again is there already.
            if old < order.count, order[old] == address { continue }
            if merged.last != address { merged.append(address) }
        }
        merged.append(contentsOf: order[old...])
        order = merged
        added.removeAll(keepingCapacity: true)
    }
}
