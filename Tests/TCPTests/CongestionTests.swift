import Machine
import Records
import Testing
import Wire

@testable import TCP

/// RFC 9438 and RFC 9406, and what is left of RFC 5681.
@Suite struct CongestionTests {
    private static let segment = 1000
    private static let second = 1_000_000_000

    private func time(_ milliseconds: Int) -> Instant { Instant(nanoseconds: Int64(milliseconds) * 1_000_000) }

    /// Congestion avoidance after a loss at `window`: windows at the end of each round trip, all of it acknowledged in each.
    private func avoid(_ control: inout CongestionControl, rounds: Int, roundTrip: Int, from start: Int = 0) -> [Int] {
        var windows: [Int] = []
        for round in 0..<rounds {
            let all = control.window / Self.segment
            for i in 0..<all {
                let now = start + (round * all + i) * roundTrip / all
                control.acknowledged(
                    Self.segment, segment: Self.segment, smoothed: Int64(roundTrip) * 1_000_000, now: time(now))
            }
            windows.append(control.window)
        }
        return windows
    }

    private func reduced(_ window: Int, _ algorithm: CongestionAlgorithm = .cubic) -> CongestionControl {
        var configuration = TCPConfiguration()
        configuration.congestionAlgorithm = algorithm
        var control = CongestionControl(initial: window, configuration)
        control.reduce(inFlight: window, segment: Self.segment)
        control.setToThreshold()
        return control
    }

    @Test func `cube roots of whole numbers`() {
        for number in [0, 1, 7, 8, 9, 26, 27, 63, 64, 1_000_000, 999_999, Int64.max] {
            let root = Cubic.cubeRoot(number)
            #expect(root * root * root <= number)
            let (square, tooMuch) = (root + 1).multipliedReportingOverflow(by: root + 1)
            let (cube, overflow) = square.multipliedReportingOverflow(by: root + 1)
            #expect(tooMuch || overflow || cube > number)
        }
        #expect(Cubic.cubeRoot(-8) == 0)
    }

    @Test func `RFC 9438 §4.6: the window falls to seven tenths, with Reno to the half`() {
        #expect(reduced(100_000).window == 70_000)
        #expect(reduced(100_000, .reno).window == 50_000)
        #expect(reduced(2000).window == 2000)
    }

    @Test func `RFC 9438 §4.2–§4.5: concave up to where the loss was, after K seconds, and convex beyond`() {
        // A thousand segments: K = ∛(300 / 0.4) = 9.08 s.
        var control = reduced(1_000_000)
        let windows = avoid(&control, rounds: 180, roundTrip: 100)
        #expect(abs(windows[90] - 1_000_000) < 3000, "\(windows[90])")
        // Half the way in a fifth of the time: 1000 - 0.4 · 4.54³ = 962 segments.
        #expect(abs(windows[45] - 962_000) < 6000, "\(windows[45])")
        #expect(abs(windows[135] - 1_037_000) < 8000, "\(windows[135])")
        #expect(windows == windows.sorted())
        let steps = zip(windows, windows.dropFirst()).map { $1 - $0 }
        #expect(steps[5] > steps[45] && steps[45] > steps[85] && steps[95] < steps[135] && steps[135] < steps[170])
    }

    @Test func `RFC 9438 §4.3: on a short path it is no slower than Reno`() {
        // 20 segments at 10 ms: Reno adds one each round trip.
        var cubic = reduced(20_000), reno = reduced(20_000, .reno)
        let ours = avoid(&cubic, rounds: 100, roundTrip: 10), theirs = avoid(&reno, rounds: 100, roundTrip: 10)
        #expect(ours[9] >= 18_000 && ours[9] <= 20_000, "\(ours)")
        // Beyond the window of the loss one segment each round trip.
        #expect(ours[99] - ours[49] >= 48_000 && ours[99] - ours[49] <= 52_000, "\(ours)")
        #expect(ours[99] >= theirs[99] - 4000)
    }

    @Test func `RFC 9438 §4.7: a plateau that was not reached again moves down`() {
        var control = reduced(1_000_000)
        // At 700 segments another loss: the plateau is 595, below which 490 begin; K = ∛(105 / 0.4) = 6.4 s.
        control.reduce(inFlight: control.window, segment: Self.segment)
        control.setToThreshold()
        #expect(control.window == 490_000)
        let windows = avoid(&control, rounds: 80, roundTrip: 100)
        #expect(abs(windows[63] - 595_000) < 3000, "\(windows[63])")
    }

    @Test func `RFC 9438 §4.2: time in which the window did not limit us does not count`() {
        var control = reduced(1_000_000)
        _ = avoid(&control, rounds: 10, roundTrip: 100)
        var paused = control
        let next = avoid(&control, rounds: 1, roundTrip: 100, from: 1000)[0]
        paused.rested(until: time(60_000))
        let later = avoid(&paused, rounds: 1, roundTrip: 100, from: 60_000)[0]
        #expect(abs(next - later) < 5000, "\(next) \(later)")
    }

    @Test func `RFC 9438 §4.8: after a timeout the curve begins flat where slow start ends`() {
        var control = reduced(1_000_000)
        control.collapse(segment: Self.segment)
        while control.isSlowStart {
            control.acknowledged(10_000, segment: Self.segment, smoothed: 100_000_000, now: time(0))
        }
        let begin = control.window
        let windows = avoid(&control, rounds: 30, roundTrip: 100)
        // 0.4 · 3³ = 11 segments in three seconds, where Reno's 30 · 9/17 are more.
        #expect(windows[29] - begin <= 18_000, "\(windows[29] - begin)")
    }

    @Test func `RFC 9438 §4.9.2: what is taken back is the whole state, unless the window has grown beyond it`() {
        var control = reduced(1_000_000)
        _ = avoid(&control, rounds: 30, roundTrip: 100)
        let before = control
        control.reduce(inFlight: control.window, segment: Self.segment)
        control.setToThreshold()
        control.restore(before)
        var other = before
        #expect(control.window == before.window && control.threshold == before.threshold)
        let a = avoid(&control, rounds: 70, roundTrip: 100, from: 3000)
        let b = avoid(&other, rounds: 70, roundTrip: 100, from: 3000)
        #expect(a == b)
        let large = control
        control.restore(before)
        #expect(control.window == large.window)
    }

    @Test func `no numbers overflow, however large or long`() {
        for (segment, roundTrip) in [(216, Int64(1)), (65_495, 60_000_000_000), (1460, 0)] {
            var configuration = TCPConfiguration()
            configuration.congestionWindowMaximum = 1 << 30
            var control = CongestionControl(initial: 1 << 30, configuration)
            for i in 0..<200 {
                control.reduce(inFlight: 1 << 30, segment: segment)
                control.setToThreshold()
                for j in 0..<10 {
                    control.acknowledged(
                        1 << 30, segment: segment, smoothed: roundTrip,
                        now: Instant(nanoseconds: Int64(i * 10 + j) * 100_000_000_000))
                }
                #expect(control.window > 0 && control.window <= 1 << 30)
            }
        }
    }

    // MARK: RFC 9406

    /// Rounds of slow start in which all is acknowledged, each with its round trip in milliseconds. Returns the windows.
    private func slowStart(_ control: inout CongestionControl, _ roundTrips: [Int]) -> [Int] {
        var windows: [Int] = []
        var unacknowledged: Int64 = 0, next = Int64(control.window)
        for roundTrip in roundTrips {
            let end = next
            while unacknowledged < end {
                unacknowledged += Int64(Self.segment)
                control.measured(Int64(roundTrip) * 1_000_000, unacknowledged: unacknowledged, next: next)
                control.acknowledged(Self.segment, segment: Self.segment, smoothed: 0, now: .zero)
                next = max(next, unacknowledged + Int64(control.window))
            }
            windows.append(control.window)
        }
        return windows
    }

    @Test func `RFC 9406 §4.2: slow start goes on while round trips do not grow`() {
        var control = CongestionControl(initial: 10_000, TCPConfiguration())
        let windows = slowStart(&control, [50, 51, 53, 50, 54])
        #expect(windows[4] >= 300_000 && control.threshold == .max, "\(windows)")
    }

    @Test func `RFC 9406 §4.2: a round trip that grows by an eighth slows it to a quarter, and after five rounds it is over`() {
        var control = CongestionControl(initial: 10_000, TCPConfiguration())
        let windows = slowStart(&control, [50, 50, 60, 60, 60, 60, 60, 60, 60])
        #expect(windows[1] >= 38_000, "\(windows)")
        // A quarter as fast: less than a third more each round.
        for i in 3..<6 { #expect(windows[i] < windows[i - 1] * 4 / 3, "\(windows)") }
        #expect(control.threshold < .max && !control.isSlowStart)
    }

    @Test func `RFC 9406 §4.2: when the round trip falls again it was jitter`() {
        var control = CongestionControl(initial: 10_000, TCPConfiguration())
        let windows = slowStart(&control, [50, 50, 60, 50, 50, 50])
        #expect(control.threshold == .max)
        #expect(windows[5] >= windows[4] * 9 / 5, "\(windows)")
    }

    @Test func `RFC 9406 §4.3: only the first slow start, and with fewer than eight samples none is judged`() {
        var control = reduced(100_000)
        let threshold = control.threshold
        control.collapse(segment: Self.segment)
        _ = slowStart(&control, [50, 100, 200])
        #expect(control.threshold == threshold)
        var start = HyStart()
        for i in 0..<100 {
            let isOver = start.measured(Int64(i) * 100_000_000, unacknowledged: Int64(i), next: Int64(i + 1))
            #expect(!isOver)
        }
        #expect(!start.isConservative)
    }

    // MARK: RFC 5681

    @Test func `RFC 5681 §4.1: after a pause longer than RTO the window is that of a new connection`() {
        let script = Script.run(
            """
            passive mss 1000
            write 10000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > P. 9001:10001
            +10ms < ack 10001
            +190ms write 1000
            > P. 10001:11001
            +10ms < ack 11001
            """)
        #expect(script.harness.stack.connectionStatuses()[0].congestionWindow == 20_000)
        var later = script
        later.run("+201ms write 1000\n > P. 11001:12001\n +10ms < ack 12001")
        #expect(later.harness.stack.connectionStatuses()[0].congestionWindow == 10_000)
    }

    @Test func `RFC 5681 §3.1: a window that is not used does not grow`() {
        var script = Script.run("passive mss 1000")
        for i in 0..<20 {
            script.run("write 1000\n > P. \(1 + 1000 * i):\(1001 + 1000 * i)\n +10ms < ack \(1001 + 1000 * i)")
        }
        #expect(script.harness.stack.connectionStatuses()[0].congestionWindow == 10_000)
    }
}
