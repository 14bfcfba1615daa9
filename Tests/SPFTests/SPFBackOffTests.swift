import Machine
import SPF
import Testing

@Suite struct SPFBackOffTests {
    @Test func `RFC 8405 5.2: quiet, short wait, long wait, quiet`() {
        var backOff = SPFBackOff()
        let delays = SPFDelays()
        // Transition 1: the first event after quiet.
        let first = backOff.event(delays)
        #expect(first.delay == .milliseconds(50))
        #expect(first.learn == .milliseconds(500))
        #expect(first.holdDown == .seconds(10))
        #expect(backOff.state == .shortWait)
        // Transition 2: more of them, before LEARN_TIMER.
        let second = backOff.event(delays)
        #expect(second.delay == .milliseconds(200))
        #expect(second.learn == nil)
        // Transition 4.
        backOff.learned()
        #expect(backOff.state == .longWait)
        // Transition 3.
        #expect(backOff.event(delays).delay == .seconds(5))
        // Transitions 5 and 6.
        backOff.becameQuiet()
        #expect(backOff.event(delays).delay == .milliseconds(50))
    }

    @Test func `RFC 8405 5.2: LEARN_TIMER in quiet changes nothing`() {
        var backOff = SPFBackOff()
        backOff.learned()
        #expect(backOff.state == .quiet)
    }
}
