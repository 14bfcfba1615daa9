import Machine
import Testing
import Wire
@testable import ISIS

@Suite struct SPFBackoffTests {
    @Test func `RFC 8405 5.2: quiet, short wait, long wait, quiet`() {
        var backoff = SPFBackoff()
        let configuration = ISISBackoff()
        // Transition 1: the first event after quiet.
        let first = backoff.event(configuration)
        #expect(first.delay == .milliseconds(50))
        #expect(first.learn == .milliseconds(500))
        #expect(first.holdDown == .seconds(10))
        #expect(backoff.state == .shortWait)
        // Transition 2: more of them, before LEARN_TIMER.
        let second = backoff.event(configuration)
        #expect(second.delay == .milliseconds(200))
        #expect(second.learn == nil)
        // Transition 4.
        backoff.learned()
        #expect(backoff.state == .longWait)
        // Transition 3.
        #expect(backoff.event(configuration).delay == .seconds(5))
        // Transitions 5 and 6.
        backoff.becameQuiet()
        #expect(backoff.event(configuration).delay == .milliseconds(50))
    }

    @Test func `RFC 8405 5.2: LEARN_TIMER in quiet changes nothing`() {
        var backoff = SPFBackoff()
        backoff.learned()
        #expect(backoff.state == .quiet)
    }

    @Test func `RFC 8405 4: a storm of changes costs a calculation every five seconds`() {
        let network = FloodingTests.pair()
        network.run(.seconds(60))
        let before = network.machine(0).counters.spfRuns
        for i in 0..<300 {
            // Another metric of one prefix each time.
            let reach: [UInt8] = [TLVCode.extendedIPReachability, 8, 0, 0, UInt8(i >> 8), UInt8(i & 255), 24, 192, 0, 2]
            let bytes = LSPBuilder.encode(
                level: .two, id: FloodingTests.foreign, sequenceNumber: UInt32(i + 1), remainingLifetime: 1000,
                flags: .level2, body: [TLVCode.hostname, 1, UInt8(ascii: "x")] + reach, authentication: nil)
            network.inject(bytes, to: .init(router: 0, interface: 0), from: network.station(1))
            network.run(.milliseconds(100))
        }
        let runs = network.machine(0).counters.spfRuns - before
        #expect((5...10).contains(runs))
        network.run(.seconds(6))
        #expect(network.machine(0).calculation.routes.pending == .nothing)
        #expect(network.machine(0).hostname(FloodingTests.foreign.system) == "x")
    }
}
