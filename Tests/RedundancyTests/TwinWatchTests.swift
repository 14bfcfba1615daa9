import Machine
import Records
import Redundancy
import Testing

/// What a controller concludes from the times at which it hears its twin.
@Suite struct TwinWatchTests {
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// A twin that says its clock every 10 ms; `delay` of each beat.
    func hear(
        _ watch: inout TwinWatch, _ numbers: ClosedRange<UInt64>, clock: (UInt64) -> Instant, arrival: (UInt64) -> Instant
    ) -> [Duration] {
        var found: [Duration] = []
        for number in numbers {
            let now = arrival(number)
            _ = watch.ran(at: now)
            _ = watch.takeDue(at: now)
            let beat = Beat(
                pairID: 1, controller: .b, bootNonce: 9, sequence: number, state: .standby, epoch: Epoch(1),
                clock: clock(number))
            _ = watch.hear(beat, on: .link, at: now)
            if let pause = watch.takeStandstill() { found.append(pause) }
        }
        return found
    }
    func watch() -> TwinWatch {
        var watch = TwinWatch(nonce: 1, interval: .milliseconds(10), lostMaximum: 5)
        watch.start(at: at(0))
        watch.vouched(9, at: at(0))
        return watch
    }

    @Test func `A machine whose clock stood still finds it by its twin's clock, and does not know what it missed`() {
        var watch = watch()
        let quiet = hear(&watch, 1...100, clock: { at(Int64($0) * 10 + 7000) }, arrival: { at(Int64($0) * 10) })
        #expect(quiet == [])
        let before = watch.attentiveFrom
        // 400 ms are missing here, and nothing else shows it.
        let found = hear(&watch, 101...110, clock: { at(Int64($0) * 10 + 7400) }, arrival: { at(Int64($0) * 10) })
        #expect(found == [.milliseconds(400)])
        #expect(watch.attentiveFrom > before)
        #expect(watch.wokeAt == at(1010))
    }

    @Test func `Beats that are late, and clocks that part slowly, are no pause`() {
        var watch = watch()
        var random = RandomNumbers(seed: 3)
        var last = at(0)
        let found = hear(
            &watch, 1...5000, clock: { at(Int64($0) * 10) + .microseconds(Int64($0)) },
            arrival: { number in
                last = max(last, at(Int64(number) * 10) + .microseconds(random.number(in: 50...15_000)))
                return last
            })
        #expect(found == [])
    }

    @Test func `While the twin is heard nobody else is the twin, started again`() {
        var watch = watch()
        #expect(hear(&watch, 1...10, clock: { at(Int64($0) * 10) }, arrival: { at(Int64($0) * 10) }) == [])
        #expect(watch.isKnownStartHeard(at: at(129)))
        #expect(!watch.isKnownStartHeard(at: at(130)))
        // An echo of one of our newest beats: from whoever can hear them and has the key.
        func newcomer(_ sequence: UInt64) -> Beat {
            Beat(
                pairID: 1, controller: .b, bootNonce: 10, sequence: sequence, echoNonce: 1, echo: watch.sequence, state: .booting,
                epoch: Epoch(1))
        }
        #expect(watch.hear(newcomer(1), on: .segment, at: at(110)) == .unproven)
        #expect(watch.hear(newcomer(2), on: .segment, at: at(129)) == .unproven)
        #expect(watch.hear(newcomer(3), on: .segment, at: at(130)) == .newStart)
        #expect(watch.twinNonce == 10)
    }

    @Test func `Another process of the twin has a clock of its own`() {
        var watch = watch()
        #expect(hear(&watch, 1...10, clock: { at(Int64($0) * 10) }, arrival: { at(Int64($0) * 10) }) == [])
        watch.vouched(10, at: at(100))
        let beat = Beat(
            pairID: 1, controller: .b, bootNonce: 10, sequence: 1, state: .standby, epoch: Epoch(1), clock: at(900_000))
        #expect(watch.hear(beat, on: .link, at: at(110)) == .new)
        #expect(watch.takeStandstill() == nil)
    }
}
