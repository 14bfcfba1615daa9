import Machine
import Records
import Testing
import Wire

@testable import Controller

/// What a take-over has time for.
@Suite struct BorneSilenceTests {
    static func session(_ number: UInt32, _ interval: UInt32, _ multiplier: UInt8, isShutdown: Bool = false) -> BFDSession {
        BFDSession(
            peer: BFDPeer(interface: InterfaceID(0), local: IPAddress("192.0.2.1")!, remote: IPAddress("192.0.2.9")!),
            discriminator: number, sourcePort: 50_000,
            parameters: BFDSessionParameters(desiredMinTx: interval, multiplier: multiplier, isShutdown: isShutdown))
    }

    @Test func `The shortest session counts, as long as it is there and not shut down`() {
        var silence = BorneSilence()
        #expect(silence.shortest == nil)
        silence.replace([Self.session(9, 300_000, 3), Self.session(4, 100_000, 5)])
        #expect(silence.shortest == .milliseconds(400))
        silence.apply([.set(Self.session(7, 50_000, 3)), .set(Self.session(1, 10_000, 2, isShutdown: true))])
        #expect(silence.shortest == .milliseconds(100))
        silence.apply([.set(Self.session(7, 200_000, 4))])
        #expect(silence.shortest == .milliseconds(400))
        silence.apply([.remove(4), .remove(7), .remove(3)])
        #expect(silence.shortest == .milliseconds(600))
        silence.apply([.set(Self.session(2, 50_000, 1))])
        #expect(silence.shortest == .zero, "one packet that is lost is too much")
    }

    /// Beats of the active come late by 40 ms now and then; the neighbours' BFD of 50 ms × 3 cannot wait 80 for its death.
    @Test(arguments: [false, true]) func `Both controllers know what the neighbours bear`(isRestored: Bool) {
        let world = PairWorld { $0.initialConfiguration = (1, PairWorld.watchedRouter(["192.0.2.9"])) }
        world.start()
        #expect(world.run(.seconds(4)) { world.isRedundant })
        if isRestored {
            world.kill(world.b)
            world.run(.milliseconds(100))
            world.restart(world.b)
            #expect(world.run(.seconds(4)) { world.isRedundant })
        }
        for node in [world.a, world.b] {
            // The default profile: 300 ms × 3.
            #expect(node.controller.borneSilence.shortest == .milliseconds(600))
            #expect(node.controller.watch.patienceMaximum == .milliseconds(400))
        }
    }
}
