import Machine
import Records
import Testing
import Wire

@testable import TCP

/// The data structures of a connection against oracles that are simple and slow.
@Suite struct StructureTests {
    private func insert(_ queue: inout ReassemblyQueue, _ bytes: [UInt8], _ start: Int) -> Bool {
        queue.insert(bytes.span.bytes, at: Int64(start))
    }

    @Test(arguments: 0..<20)
    func `reassembly holds what an array of octets would hold`(_ seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var queue = ReassemblyQueue(maximum: 1000)
        var oracle: [UInt8?] = Array(repeating: nil, count: 3000)
        for round in 0..<150 {
            let start = random.number(in: 1...2900), count = random.number(in: 1...min(100, 3000 - start))
            // Each copy differs, so that it shows which one was kept.
            let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: count)
            let isKept = insert(&queue, bytes, start)
            #expect(isKept)
            for i in start..<(start + count) where oracle[i] == nil { oracle[i] = bytes[0] }
            var held: [UInt8?] = Array(repeating: nil, count: 3000)
            var last: Int64 = -1
            for island in queue.islands {
                #expect(island.start >= last)
                last = island.end
                for (k, byte) in island.bytes.enumerated() { held[Int(island.start) + k] = byte }
            }
            #expect(held == oracle)
            #expect(queue.octets == oracle.count { $0 != nil })
        }
        // What is taken is gone, and what lies wholly before is dropped.
        let island = queue.take(upTo: 1500)
        for left in queue.islands { #expect(left.start > 1500 || island != nil && left.start >= island!.end) }
        #expect(queue.octets == queue.islands.reduce(0) { $0 + $1.bytes.count })
    }

    @Test func `a long island is not moved to join what comes before it`() {
        var queue = ReassemblyQueue(maximum: 10)
        let kept1 = insert(&queue, [UInt8](repeating: 1, count: ReassemblyQueue.joinMaximum + 1), 1000)
        #expect(kept1)
        let kept2 = insert(&queue, [2, 2], 998)
        #expect(kept2)
        #expect(queue.islands.count == 2)
        let kept3 = insert(&queue, [3, 3, 3, 3], 996)
        #expect(kept3)
        #expect(queue.islands.map(\.start) == [996, 1000])
        #expect(queue.islands[0].bytes == [3, 3, 2, 2])
        // Octets go on behind the long one.
        let kept4 = insert(&queue, [4], 1000 + ReassemblyQueue.joinMaximum + 1)
        #expect(kept4)
        #expect(queue.islands[1].bytes.last == 4)
        let first = queue.take(upTo: 996)
        #expect(first?.bytes == [3, 3, 2, 2])
        let second = queue.take(upTo: 1000)
        #expect(second?.bytes.count == ReassemblyQueue.joinMaximum + 2)
        #expect(queue.isEmpty && queue.octets == 0)
    }

    @Test(arguments: 0..<20)
    func `the scoreboard holds what an array of octets would hold`(_ seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var board = SACKScoreboard()
        let next = 400
        var sacked = Array(repeating: false, count: next)
        var una = 0
        for _ in 0..<60 {
            if random.chance(1, in: 6) {
                una = min(una + random.number(in: 0...20), next - 1)
                board.acknowledge(upTo: Int64(una))
                for i in 0..<una { sacked[i] = false }
            } else {
                let start = random.number(in: una...(next - 1))
                let end = min(next, start + random.number(in: 1...30))
                let isNew = (start..<end).contains { !sacked[$0] }
                let before = sacked
                for i in start..<end { sacked[i] = true }
                var told = 0
                let isTold = board.add(Int64(start), Int64(end)) { part, whole in
                    told += Int(part.end - part.start)
                    for i in part.start..<part.end where before[Int(i)] || !sacked[Int(i)] { Issue.record("\(i) is no news") }
                    for i in whole.start..<whole.end where !sacked[Int(i)] { Issue.record("\(i) is a hole") }
                }
                #expect(isTold == isNew)
                #expect(told == sacked.count { $0 } - before.count { $0 })
            }
            #expect(board.octets == sacked.count { $0 })
            let offset = random.number(in: una...(next - 1))
            let range = board.rangeAtOrAbove(Int64(offset))
            #expect(range.map { max(Int($0.start), offset) } == (offset..<next).first { sacked[$0] })
        }
    }

    @Test(arguments: 0..<20)
    func `segments on their way are counted as an array of them would count`(_ seed: UInt64) {
        struct Plain {
            var start: Int64
            var end: Int64
            var at: Int64
            var state: SentSegments.State
        }
        var random = RandomNumbers(seed: seed)
        var sent = SentSegments()
        var plain: [Plain] = []
        var next: Int64 = 0, una: Int64 = 0
        for turn in 0..<600 {
            let now = Instant(nanoseconds: Int64(turn) * 1000)
            switch random.number(in: 0...8) {
            case 0, 1, 6:
                let length = Int64(random.number(in: 1...20))
                sent.append(next, next + length, at: now, isRetransmitted: false)
                plain.append(Plain(start: next, end: next + length, at: now.nanoseconds, state: .inFlight))
                next += length
            case 2:
                una = min(next, una + Int64(random.number(in: 0...15)))
                var delivered = 0
                sent.acknowledge(upTo: una) { delivered += Int($0.end) }
                #expect(delivered == plain.filter { $0.end <= una && $0.state != .sacked }.reduce(0) { $0 + Int($1.end) })
                plain.removeAll { $0.end <= una }
                if !plain.isEmpty { plain[0].start = max(plain[0].start, una) }
            case 3 where next > una:
                let from = una + Int64(random.number(in: 0...Int(next - una - 1)))
                let to = min(next, from + Int64(random.number(in: 1...60)))
                var count = 0
                let range = SACKScoreboard.Range(start: from, end: to)
                sent.sack(range, news: range) { _ in count += 1 }
                var right = 0
                for i in plain.indices where plain[i].start >= from && plain[i].end <= to && plain[i].state != .sacked {
                    plain[i].state = .sacked
                    right += 1
                }
                #expect(count == right)
            case 4:
                let age = Int64(random.number(in: 0...40_000))
                let latest = (sentAt: Instant(nanoseconds: now.nanoseconds - 1), end: next)
                let found = sent.detectLost(before: latest, patience: age, now: now)
                var isLost = false
                var wait: Int64?
                for i in plain.indices where plain[i].state == .inFlight && plain[i].at <= latest.sentAt.nanoseconds {
                    let left = plain[i].at + age - now.nanoseconds
                    if plain[i].at == latest.sentAt.nanoseconds, plain[i].end >= latest.end { continue }
                    if left <= 0 {
                        plain[i].state = .lost
                        isLost = true
                    } else {
                        wait = max(wait ?? 0, left)
                    }
                }
                #expect(found.isLost == isLost)
                // No later than the last of them, and no later than had it been sent with `latest`.
                #expect((found.wait == nil) == (wait == nil))
                if let wait { #expect(found.wait! >= wait && found.wait! == age - 1) }
            case 7:
                if random.chance(1, in: 2) {
                    // RFC 8985 §7.3
                    sent.resentLast(at: now)
                    if plain.last?.state == .inFlight { plain[plain.count - 1].at = now.nanoseconds }
                } else if random.chance(1, in: 8) {
                    sent.forgive()
                    for i in plain.indices where plain[i].state == .lost { plain[i].state = .inFlight }
                }
            case 8 where random.chance(1, in: 8):
                // RFC 8985 §6.3
                let age = Int64(random.number(in: 0...40_000))
                sent.timedOut(patience: age, now: now)
                for i in plain.indices where plain[i].state == .sacked || i == 0 || now.nanoseconds - plain[i].at >= age {
                    plain[i].state = .lost
                }
            default:
                let length = random.number(in: 1...12)
                let place = plain.firstIndex { $0.state == .lost }
                guard let lost = sent.nextLost(length) else {
                    #expect(place == nil)
                    continue
                }
                guard let i = place else {
                    Issue.record("nothing is lost")
                    continue
                }
                #expect(lost.start == plain[i].start && lost.end == min(plain[i].end, plain[i].start + Int64(length)))
                sent.resent(upTo: lost.end, at: now)
                if lost.end < plain[i].end {
                    var rest = plain[i]
                    rest.start = lost.end
                    plain.insert(rest, at: i + 1)
                }
                plain[i] = Plain(start: lost.start, end: lost.end, at: now.nanoseconds, state: .inFlight)
            }
            func octets(_ state: SentSegments.State) -> Int {
                plain.filter { $0.state == state }.reduce(0) { $0 + Int($1.end - $1.start) }
            }
            #expect(sent.inFlight == octets(.inFlight))
            #expect(sent.lost == octets(.lost))
            #expect(sent.sackedSegments == plain.count { $0.state == .sacked })
            #expect(sent.segments.count == plain.count)
        }
        sent.forgive()
        #expect(sent.lost == 0)
    }

    @Test func `what an ACK costs follows from what it says, not from how much is on its way`() {
        // Holes are filled from above, and below them a hole stays: each report would be of nearly the whole window.
        var sent = SentSegments()
        var board = SACKScoreboard()
        let count = Int64(SentSegments.maximum)
        for i in 0..<count { sent.append(i * 10, i * 10 + 10, at: .zero, isRetransmitted: false) }
        var touched = 0
        for i in stride(from: count - 1, to: 0, by: -1) {
            board.add(i * 10, i * 10 + 10) { part, whole in
                #expect(part.end - part.start == 10)
                sent.sack(whole, news: part) { _ in touched += 1 }
            }
        }
        #expect(touched == SentSegments.maximum - 1 && sent.sackedSegments == touched)
    }

    @Test func `RFC 6298: the first sample gives SRTT and three times as much, later ones are smoothed`() {
        var timeout = RetransmissionTimeout(initial: .seconds(1), minimum: .milliseconds(1), maximum: .seconds(60))
        #expect(timeout.current == .seconds(1))
        timeout.sample(.milliseconds(100))
        #expect(timeout.current == .milliseconds(300))
        timeout.sample(.milliseconds(200))
        // RTTVAR = 3/4 * 50 + 1/4 * 100 = 62.5 ms, SRTT = 7/8 * 100 + 1/8 * 200 = 112.5 ms.
        #expect(timeout.current == .microseconds(362_500))
        timeout.expired()
        timeout.expired()
        #expect(timeout.current == .microseconds(4 * 362_500))
        for _ in 0..<100 { timeout.expired() }
        #expect(timeout.current == .seconds(60))
    }

    @Test func `a token bucket lets a burst through and then its rate`() {
        var bucket = TokenBucket(perSecond: 10)
        var now = Instant(nanoseconds: 5_000_000_000)
        var taken = 0
        for _ in 0..<100 where bucket.take(at: now) { taken += 1 }
        #expect(taken == 10)
        taken = 0
        for _ in 0..<1000 {
            now = now + .milliseconds(10)
            if bucket.take(at: now) { taken += 1 }
        }
        #expect(taken == 100)
    }

    @Test func `records are committed and applied in order and forgotten when both`() {
        var pending = PendingRecords()
        var isLogged = true
        for i in 0..<1000 { pending.append(slot: Int32(i), connection: ConnectionID(1), offset: Int64(i)) }
        let none = pending.nextCommitted(upTo: LogIndex(5))
        #expect(none?.index == nil)
        for i in 0..<900 { isLogged = pending.log(LogIndex(UInt64(i + 1))) && isLogged }
        var seen = 0
        while let entry = pending.nextCommitted(upTo: LogIndex(500)) {
            #expect(entry.offset == Int64(seen))
            seen += 1
        }
        #expect(seen == 500)
        pending.trim()
        pending.beginFollowingApplied()
        while let entry = pending.nextCommitted(upTo: LogIndex(800)) {
            #expect(entry.offset == Int64(seen))
            seen += 1
        }
        pending.trim()
        var applied = 500
        while let entry = pending.nextApplied(upTo: LogIndex(2000)) {
            #expect(entry.offset == Int64(applied))
            applied += 1
        }
        #expect(seen == 800 && applied == 900)
        pending.trim()
        for i in 900..<1000 { isLogged = pending.log(LogIndex(UInt64(i + 1))) && isLogged }
        let isTooMany = pending.log(LogIndex(9999))
        #expect(isLogged && !isTooMany)
        while let entry = pending.nextCommitted(upTo: LogIndex(2000)) {
            #expect(entry.offset == Int64(seen))
            seen += 1
        }
        while pending.nextApplied(upTo: LogIndex(2000)) != nil {}
        pending.trim()
        #expect(seen == 1000 && pending.isEmpty)
    }
}
