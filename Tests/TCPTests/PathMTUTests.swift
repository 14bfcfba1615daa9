import Machine
import Records
import Testing
import Wire

@testable import TCP

/// RFC 4821: a path that loses what is too large for it, without a word.
@Suite struct PathMTUTests {
    @Test func `after the third timeout of a full segment a smaller one goes, and the floor after two more`() {
        Script.run(
            """
            passive mss 1460
            write 3000
            > 1:1461 > 1461:2921 > P. 2921:3001
            +200ms > 1:1461
            +400ms > 1:1461
            +800ms > 1:985
            +1600ms > 1:985
            +3200ms > 1:513
            +10ms < ack 513
            > 513:1025 > 1025:1537
            """)
    }

    @Test(arguments: [(1460, 1200), (1200, 1200), (1000, 1000)])
    func `what every path carries is not cut`(_ segment: Int, _ octets: Int) {
        Script.run(
            """
            passive mss \(segment)
            write \(octets)
            > P. 1:\(octets + 1)
            +200ms > P. 1:\(octets + 1)
            +400ms > P. 1:\(octets + 1)
            +800ms > P. 1:\(octets + 1)
            +1600ms > P. 1:\(octets + 1)
            +3200ms > P. 1:\(octets + 1)
            +6400ms > P. 1:\(octets + 1)
            """)
    }

    /// A peer behind a path that carries so much and no more. Returns the lengths of segments that got through.
    private func transfer(_ octets: Int, through limit: Int, _ options: String, outage: Duration = .zero) -> [Int] {
        var script = Script.run("passive mss 1460 win 65535 \(options)")
        script.harness.give(.send(script.connection, Script.pattern(0, octets)[...]))
        var received: [Int: Int] = [:]
        var next = 1
        var lengths: [Int] = []
        let begin = script.harness.now
        var turns = 0
        while next <= octets, turns < 20_000 {
            turns += 1
            let sent = script.harness.drain()
            if sent.isEmpty {
                guard let deadline = script.harness.stack.nextDeadline else { break }
                script.harness.advance(to: deadline)
                continue
            }
            script.harness.advance(by: .milliseconds(5))
            let early = script.harness.sent
            script.harness.sent = []
            for s in sent + early where !s.payload.isEmpty {
                if script.harness.now - begin < outage || s.payload.count > limit { continue }
                let start = Int(s.header.sequence &- script.initialSend)
                lengths.append(s.payload.count)
                received[start] = max(received[start] ?? 0, s.payload.count)
                while true {
                    var isMoved = false
                    for (at, count) in received.sorted(by: { $0.key < $1.key }) where at <= next && at + count > next {
                        next = at + count
                        isMoved = true
                    }
                    if !isMoved { break }
                }
                var words = ["ack", "\(next)"]
                if options.contains("sack"), start > next { words += ["sack", "\(start):\(start + s.payload.count)"] }
                script.harness.receive(script.segment(words))
            }
        }
        #expect(next == octets + 1)
        return lengths
    }

    @Test(arguments: ["", "sack", "sack ts"]) func `everything comes through a black hole, and what the path carries is found`(
        _ options: String
    ) {
        let lengths = transfer(600_000, through: 1300, options)
        // The last one is what is left.
        #expect(lengths.suffix(20).dropLast().allSatisfy { $0 > 1270 && $0 <= 1300 }, "\(lengths.suffix(20))")
    }

    @Test(arguments: ["", "sack"]) func `after an outage the path carries what it carried before`(_ options: String) {
        let lengths = transfer(300_000, through: 1460, options, outage: .seconds(3))
        #expect(lengths.suffix(20).max() == 1460)
    }
}
