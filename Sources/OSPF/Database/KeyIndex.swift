import Machine

/// The LSAs of one database in the order of their keys: sorted runs of bounded length, so that finding, inserting and
/// removing cost a search and the move of at most one run, and a walk needs no hash order.
struct KeyIndex: Sendable {
    struct Entry: Sendable, BitwiseCopyable {
        var key: LSAKey
        var handle: LSAHandle
    }
    static let runMaximum = 256

    /// None is empty.
    private(set) var runs: [[Entry]] = []
    /// The first key of each run.
    private var firsts: [LSAKey] = []
    private(set) var count = 0

    init() {}

    /// - Parameter sorted: ascending by key, no two equal.
    init(sorted: [Entry]) {
        var start = 0
        while start < sorted.count {
            let end = min(start + Self.runMaximum / 2, sorted.count)
            runs.append(Array(sorted[start..<end]))
            firsts.append(sorted[start].key)
            start = end
        }
        count = sorted.count
    }

    /// The run in which the key is or would be.
    private func run(of key: LSAKey) -> Int {
        max(firsts.sortedIndex { $0 <= key } - 1, 0)
    }

    /// The first position in a run whose key is not less.
    private static func position(of key: LSAKey, in run: [Entry]) -> Int {
        run.sortedIndex { $0.key < key }
    }

    func find(_ key: LSAKey) -> LSAHandle? {
        guard !runs.isEmpty else { return nil }
        let r = run(of: key)
        let at = Self.position(of: key, in: runs[r])
        guard at < runs[r].count, runs[r][at].key == key else { return nil }
        return runs[r][at].handle
    }

    /// The key must not be in the index yet.
    mutating func insert(_ key: LSAKey, _ handle: LSAHandle) {
        let entry = Entry(key: key, handle: handle)
        count += 1
        guard !runs.isEmpty else {
            runs = [[entry]]
            firsts = [key]
            return
        }
        let r = run(of: key)
        let at = Self.position(of: key, in: runs[r])
        runs[r].insert(entry, at: at)
        if at == 0 { firsts[r] = key }
        if runs[r].count > Self.runMaximum {
            let half = runs[r].count / 2
            let upper = Array(runs[r][half...])
            runs[r].removeSubrange(half...)
            runs.insert(upper, at: r + 1)
            firsts.insert(upper[0].key, at: r + 1)
        }
    }

    mutating func remove(_ key: LSAKey) {
        guard !runs.isEmpty else { return }
        let r = run(of: key)
        let at = Self.position(of: key, in: runs[r])
        guard at < runs[r].count, runs[r][at].key == key else { return }
        count -= 1
        runs[r].remove(at: at)
        if runs[r].isEmpty {
            runs.remove(at: r)
            firsts.remove(at: r)
        } else if at == 0 {
            firsts[r] = runs[r][0].key
        }
    }

    /// Calls `body` with each LSA from `key` on, until it returns false.
    func walk(from key: LSAKey?, _ body: (Entry) -> Bool) {
        guard !runs.isEmpty else { return }
        var r = 0, at = 0
        if let key {
            r = run(of: key)
            at = Self.position(of: key, in: runs[r])
        }
        while r < runs.count {
            while at < runs[r].count {
                guard body(runs[r][at]) else { return }
                at += 1
            }
            r += 1
            at = 0
        }
    }
}
