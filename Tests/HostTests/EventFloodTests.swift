import Foundation
import Glibc
import Machine
import Records
import Testing

@testable import Host

/// What floods of events, and readers that do not read, may cost.
@Suite struct EventFloodTests {
    func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    @Test func `A flood of one kind is cut, counted, and told; other kinds pass`() {
        var throttle = EventThrottle()
        var passed: [Event] = []
        for i in 0..<200_000 {
            passed += throttle.admit(
                Event(.warning, "srm", "a gasp from 192.0.2.\(i % 250):\(i) was ignored"), at: at(10 + Double(i) / 20_000))
        }
        // Ten seconds of the rate, each with a word on what was left out before it.
        #expect((EventThrottle.burst...EventThrottle.burst + 45).contains(passed.count), "\(passed.count)")
        let other = Event(.alarm, "bgp", "something else")
        #expect(throttle.admit(other, at: at(20)) == [other])
        let told = throttle.overdue(at: at(31))
        #expect(told.count == 1)
        #expect(told.first?.message.contains("more like this were left out; the last: a gasp from") == true)
        #expect(throttle.overdue(at: at(60)).isEmpty)
    }

    @Test func `What was left out is told before the next of its kind that passes`() throws {
        var throttle = EventThrottle()
        for i in 0..<(EventThrottle.burst + 7) { _ = throttle.admit(Event(.info, "bgp", "neighbor \(i): up"), at: at(1)) }
        let next = throttle.admit(Event(.info, "bgp", "neighbor 9999: up"), at: at(5))
        #expect(next.map(\.message) == ["7 more like this were left out; the last: neighbor 506: up", "neighbor 9999: up"])
    }

    @Test func `A few hundred neighbors may come and go at once, and again a while later`() {
        var throttle = EventThrottle()
        for round in 0..<3 {
            for i in 0..<400 {
                let event = Event(.notice, "bgp", "neighbor 2001:db8::\(i): session established")
                #expect(throttle.admit(event, at: at(Double(round) * 300)) == [event])
            }
        }
    }

    @Test func `Addresses with letters are one thing, of either family and of stations`() {
        var throttle = EventThrottle()
        var passed = 0
        for i in 0..<20_000 {
            let (a, b) = (String(i & 0xff, radix: 16), String(i >> 4 & 0xff, radix: 16))
            for message in [
                "MAC \(a):\(b):ab:cd:ef:\(a) uses our address", "from 2001:db8::\(a):\(b) it came", "octets \(a)\(b)7f",
            ] {
                passed += throttle.admit(Event(.warning, "linecard", message), at: at(1)).count
            }
        }
        #expect(passed <= EventThrottle.burst * 4)
    }

    @Test func `Whoever invents words is one kind at last, and who speaks seldom is heard for ever`() {
        var throttle = EventThrottle()
        var passed = 0
        func word(_ i: Int) -> String {
            var word = ""
            for bit in 0..<12 { word += i >> bit & 1 == 1 ? "x" : "y" }
            return word
        }
        for _ in 0..<140 { for i in 0..<1000 { passed += throttle.admit(Event(.info, "bgp", word(i)), at: at(1)).count } }
        #expect(passed <= EventThrottle.burst * (EventThrottle.kindsMaximum + 1))
        #expect(throttle.overdue(at: at(1900)).count <= EventThrottle.kindsMaximum + 1)
        for i in 0..<4000 { #expect(!throttle.admit(Event(.info, "bgp", word(i)), at: at(2000 + Double(i))).isEmpty) }
    }

    @Test func `Who logs does not wait for a reader that reads nothing, and what found no room is counted`() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let queue = LineQueue(descriptor: ends[1])
        let line = String(repeating: "x", count: 999) + "\n"
        let count = LineQueue.octetsMaximum / 1000 * 3
        // A pipe of 64 KiB and nobody at its end: this comes back.
        for _ in 0..<count { queue.put(line) }
        LineQueue.writeIfReady("not waited for\n", to: ends[1])
        let reader = ends[0]
        var octets: [UInt8] = [], part = [UInt8](repeating: 0, count: 65536)
        // Until the word on what is missing has come.
        while !String(decoding: octets.suffix(200), as: UTF8.self).contains("left out") {
            let got = read(reader, &part, part.count)
            guard got > 0 else { break }
            octets += part.prefix(got)
        }
        let text = String(decoding: octets, as: UTF8.self)
        #expect(text.contains("lines were left out here: standard error was not read"))
        #expect(text.count { $0 == "\n" } < count)
        close(ends[0])
        close(ends[1])
    }
}
