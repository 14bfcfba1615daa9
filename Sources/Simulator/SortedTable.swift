import Machine

/// Values under keys in order of the keys: what a dictionary would be if its order were the same in every run.
struct SortedTable<Key: Comparable, Value> {
    private(set) var keys: [Key] = []
    private(set) var values: [Value] = []

    init() {}

    var count: Int { keys.count }
    var isEmpty: Bool { keys.isEmpty }

    /// Where the key is, or where it would be.
    private func place(_ key: Key) -> (index: Int, isThere: Bool) {
        let low = keys.sortedIndex { $0 < key }
        return (low, low < keys.count && keys[low] == key)
    }

    subscript(key: Key) -> Value? {
        get {
            let (i, isThere) = place(key)
            return isThere ? values[i] : nil
        }
        set {
            let (i, isThere) = place(key)
            switch (newValue, isThere) {
            case (let value?, true): values[i] = value
            case (let value?, false):
                keys.insert(key, at: i)
                values.insert(value, at: i)
            case (nil, true):
                keys.remove(at: i)
                values.remove(at: i)
            case (nil, false): break
            }
        }
    }

    /// Returns what was there.
    mutating func remove(_ key: Key) -> Value? {
        let old = self[key]
        self[key] = nil
        return old
    }

    mutating func removeAll() {
        keys.removeAll()
        values.removeAll()
    }
}
