import Machine
import Testing
import Wire
@testable import ISIS

@Suite struct SPFBackoffTests {
    @Test func `RFC 8405 4: a storm of changes costs a calculation every five seconds`() {
        let network = FloodingTests.pair()
        network.run(.seconds(60))
        let before = network.machine(0).counters.spfRuns
        for i in 0..<300 {
            // Another metric of one prefix each time.
            let reach: [UInt8] = [TLVCode.extendedIPReachability, 8, 0, 0, UInt8(i >> 8), UInt8(i & 255), 24, 192, 0, 2]
            let bytes = LSPBuilder.encode(
                level: .two, id: FloodingTests.foreign, sequenceNumber: UInt32(i + 1), remainingLifetime: 1000,
                flags: .level2, body: [TLVCode.hostname, 1, UInt8(ascii: "x")] + reach, key: nil)
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
