import Machine

/// When routes were calculated, and from how much news. For display; not state.
public struct SPFLog: Sendable {
    public struct Entry: Hashable, Sendable {
        /// When the first change came that it answers.
        public var trigger: Instant
        public var time: Instant
        /// LSAs that were different.
        public var changes: Int
        /// Routes that came out different.
        public var routes: Int
    }
    static let maximum = 64
    /// The newest last.
    public internal(set) var entries: [Entry] = []
    public internal(set) var count: UInt64 = 0

    mutating func append(_ entry: Entry) {
        count &+= 1
        if entries.count == Self.maximum { entries.removeFirst() }
        entries.append(entry)
    }
}
