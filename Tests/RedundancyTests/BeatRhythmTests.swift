import Machine
import Records
import Testing

@testable import Redundancy

/// How long a late twin is waited for.
@Suite struct BeatRhythmTests {
    static let detection = Duration.milliseconds(50)
    func at(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    /// The patience after pauses of so many milliseconds, one a second.
    func patience(after pauses: [Int], at end: Double? = nil) -> Duration {
        var rhythm = BeatRhythm()
        for (i, pause) in pauses.enumerated() {
            rhythm.note(pause: .milliseconds(pause), detectionTime: Self.detection, at: at(Double(i)))
        }
        return rhythm.patience(detectionTime: Self.detection, at: at(end ?? Double(pauses.count)))
    }

    @Test func `One accident, or two, changes nothing, however late it was`() {
        #expect(patience(after: []) == Self.detection)
        #expect(patience(after: [49, 49]) == Self.detection)
        #expect(patience(after: Array(repeating: 25, count: 1000)) == Self.detection, "half the detection time is in order")
    }

    @Test func `Three late beats are a habit, and are waited for twice as long`() {
        #expect(patience(after: [30, 5, 41, 5, 5, 30]) == .milliseconds(82))
        #expect(patience(after: [26, 26, 26]) == .milliseconds(52))
    }

    @Test func `Nobody waits longer than four times the detection time, and a twin that was given up is no late one`() {
        #expect(patience(after: [150, 150, 150]) == .milliseconds(200))
        #expect(patience(after: [200, 3000, 90_000]) == Self.detection)
    }

    @Test func `A habit is forgotten after two minutes without it`() {
        #expect(patience(after: [40, 40, 40], at: 59) == .milliseconds(80))
        #expect(patience(after: [40, 40, 40], at: 119) == .milliseconds(80))
        #expect(patience(after: [40, 40, 40], at: 121) == Self.detection)
        var rhythm = BeatRhythm()
        for i in 0..<3 { rhythm.note(pause: .milliseconds(40), detectionTime: Self.detection, at: at(Double(i))) }
        for i in 3..<200 {
            rhythm.note(pause: .milliseconds(5), detectionTime: Self.detection, at: at(Double(i)))
            let patience = rhythm.patience(detectionTime: Self.detection, at: at(Double(i)))
            #expect(patience == (i < 120 ? .milliseconds(80) : Self.detection), "second \(i)")
        }
    }

    @Test func `The watch waits longer for a twin whose beats are often late, and not for one that froze once`() {
        func watch(pauses: [Int]) -> TwinWatch {
            var watch = TwinWatch(nonce: 1, interval: .milliseconds(5), lostMaximum: 10)
            var now = at(1)
            watch.start(at: now)
            watch.vouched(2, at: now)
            for (i, pause) in pauses.enumerated() {
                now = now + .milliseconds(pause)
                let beat = Beat(
                    pairID: 7, controller: .b, bootNonce: 2, sequence: UInt64(i + 1), state: .standby, epoch: Epoch(1), clock: now
                )
                #expect(watch.hear(beat, on: .link, at: now) != .unproven)
            }
            return watch
        }
        #expect(watch(pauses: [5, 5, 45, 5, 45, 5, 45, 5]).patience == .milliseconds(90))
        #expect(watch(pauses: [5, 5, 180, 5, 5, 5]).patience == .milliseconds(50))
        // The neighbours bear less.
        var bounded = watch(pauses: [5, 5, 45, 5, 45, 5, 45, 5])
        bounded.patienceMaximum = .milliseconds(66)
        #expect(bounded.patience == .milliseconds(66))
        bounded.patienceMaximum = .milliseconds(13)
        #expect(bounded.patience == .milliseconds(50), "never less than the detection time")
    }
}
