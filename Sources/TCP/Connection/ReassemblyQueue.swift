import Machine
import Wire

/// Octets that came out of order, as islands: sorted, without overlap, bounded in number; the window bounds their
/// octets. Positions are stream offsets.
struct ReassemblyQueue: Sendable {
    /// Islands longer than this are not copied to join a neighbour on their left: a peer that sends backwards, octet by
    /// octet, would make us move a window's worth each time. Neighbours that touch are as right as one.
    static let joinMaximum = 65_536
    struct Island: Sendable {
        var start: Int64
        var bytes: [UInt8]
        var end: Int64 { start + Int64(bytes.count) }
    }
    private(set) var islands: [Island] = []
    private(set) var octets = 0
    private let maximum: Int
    /// Where the latest segments lay, latest first: RFC 2018 §4 wants their blocks first.
    private var recent = InlineArray<4, Int64>(repeating: -1)

    init(maximum: Int) { self.maximum = maximum }

    var isEmpty: Bool { islands.isEmpty }

    /// Keeps what of `bytes` is not there yet. What was there first stays: a second copy changes nothing.
    /// False when the number of islands is at its bound and nothing was kept.
    mutating func insert(_ bytes: RawSpan, at start: Int64) -> Bool {
        let end = start + Int64(bytes.byteCount)
        // The first island that ends at or after our start touches us, or is the first beyond.
        var i = lowerBound(start)
        var position = start
        if i == islands.count || islands[i].start > end {
            guard islands.count < maximum else { return false }
            islands.insert(Island(start: start, bytes: [UInt8](copying: bytes)), at: i)
            octets += bytes.byteCount
            remember(start)
            return true
        }
        if islands[i].start > position {
            // We begin before the island that we touch: it grows to the left.
            let head = bytes.extracting(0..<Int(islands[i].start - position))
            if islands[i].bytes.count > Self.joinMaximum {
                guard islands.count < maximum else { return false }
                islands.insert(Island(start: position, bytes: [UInt8](copying: head)), at: i)
                i += 1
            } else {
                var joined = [UInt8](copying: head)
                joined.append(contentsOf: islands[i].bytes)
                islands[i] = Island(start: position, bytes: joined)
            }
            octets += head.byteCount
        }
        position = islands[i].end
        while position <= end, i < islands.count {
            // Fill up to the next island, then join it.
            let next = i + 1 < islands.count ? islands[i + 1].start : Int64.max
            let until = min(end, next)
            if until > position {
                let part = bytes.extracting(Int(position - start)..<Int(until - start))
                unsafe part.withUnsafeBytes { unsafe islands[i].bytes.append(contentsOf: $0) }
                octets += part.byteCount
                position = until
            }
            guard position == next else { break }
            if islands[i + 1].bytes.count > Self.joinMaximum {
                i += 1
            } else {
                islands[i].bytes.append(contentsOf: islands[i + 1].bytes)
                islands.remove(at: i + 1)
            }
            position = islands[i].end
        }
        remember(start)
        return true
    }

    /// Takes the island that `offset` reaches into, if there is one; islands wholly before `offset` are dropped.
    mutating func take(upTo offset: Int64) -> Island? {
        var spent = 0
        defer { if spent > 0 { islands.removeFirst(spent) } }
        while spent < islands.count, islands[spent].start <= offset {
            let island = islands[spent]
            octets -= island.bytes.count
            spent += 1
            if island.end > offset { return island }
        }
        return nil
    }

    mutating func removeAll() {
        islands = []
        octets = 0
    }

    /// The island that holds `offset`.
    func island(holding offset: Int64) -> (start: Int64, end: Int64)? {
        let i = lowerBound(offset + 1)
        guard i < islands.count, islands[i].start <= offset else { return nil }
        return (islands[i].start, islands[i].end)
    }

    /// RFC 2018 §4: the block with the latest segment first, then those reported before, each once.
    func blocks(maximum: Int, _ body: (_ start: Int64, _ end: Int64) -> Void) {
        var given = InlineArray<4, Int64>(repeating: -1)
        var count = 0
        func give(_ i: Int) {
            for k in 0..<count where given[k] == islands[i].start { return }
            given[count] = islands[i].start
            count += 1
            body(islands[i].start, islands[i].end)
        }
        let most = min(maximum, 4)
        for k in 0..<4 where count < most && recent[k] >= 0 {
            let i = lowerBound(recent[k] + 1)
            if i < islands.count, islands[i].start <= recent[k] { give(i) }
        }
        var i = 0
        while count < most, i < islands.count {
            give(i)
            i += 1
        }
    }

    private mutating func remember(_ offset: Int64) {
        recent[3] = recent[2]
        recent[2] = recent[1]
        recent[1] = recent[0]
        recent[0] = offset
    }

    /// The first island whose end is at or after `offset`.
    private func lowerBound(_ offset: Int64) -> Int {
        islands.sortedIndex { $0.end < offset }
    }
}
