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
    func `the scoreboard says what RFC 6675 §4 says, octet by octet`(_ seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        var board = SACKScoreboard()
        let segment = 10, next = 400
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
                let isTold = board.add(Int64(start), Int64(end))
                #expect(isTold == isNew)
                for i in start..<end { sacked[i] = true }
            }
            // IsLost (S): DupThresh discontiguous SACKed sequences above, or more than (DupThresh - 1) * SMSS octets.
            func isLost(_ s: Int) -> Bool {
                var runs = 0, octets = 0
                var i = s + 1
                while i < next {
                    if sacked[i] {
                        octets += 1
                        if !sacked[i - 1] { runs += 1 }
                    }
                    i += 1
                }
                return runs >= 3 || octets > 2 * segment
            }
            let high = random.number(in: una...next)
            var pipe = 0
            for s in una..<next where !sacked[s] {
                if !isLost(s) { pipe += 1 }
                if s < high { pipe += 1 }
            }
            #expect(
                board.pipe(una: Int64(una), next: Int64(next), highRetransmitted: Int64(high), segment: segment) == pipe)
            #expect(board.octets == sacked.count { $0 })
            let hole = board.hole(from: Int64(una))
            let first = (una..<next).first { s in !sacked[s] && (s..<next).contains { sacked[$0] } }
            #expect(hole.map { Int($0.start) } == first)
        }
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
