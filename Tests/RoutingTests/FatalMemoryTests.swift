import Machine
import Records
import Routing
import Testing
import Wire

/// What is remembered of packets that killed a controller, whatever the protocol.
@Suite struct FatalMemoryTests {
    static let at = Instant(nanoseconds: 5_000_000_000)
    static let lan = InterfaceID(1)
    static func address(_ n: UInt32) -> PacketAddress { .ip(.v4(IPv4Address(raw: 0xc000_0200 + n))) }
    static func fatal(_ forms: [FatalForm], from n: UInt32 = 1, redundant: Bool = false) -> FatalMemory {
        var memory = FatalMemory()
        memory.note(isRedundant: redundant, at: at)
        memory.learn(forms, from: address(n), on: lan, at: at)
        return memory
    }

    @Test func `An exact form is known at once; what two forms have in common only after both`() {
        var memory = Self.fatal([FatalForm(exact: [10, 11], common: 1)])
        #expect(memory.isKnown(10, at: Self.at) && memory.isKnown(11, at: Self.at))
        #expect(!memory.isKnown(1, at: Self.at) && !memory.isKnown(12, at: Self.at))
        #expect(!memory.isKnown(FatalForm(exact: [12], common: 1), at: Self.at))
        memory.learn([FatalForm(exact: [20], common: 2)], from: Self.address(1), on: Self.lan, at: Self.at)
        #expect(!memory.isKnown(1, at: Self.at), "another fault that has nothing in common with it")
        memory.learn([FatalForm(exact: [12], common: 1)], from: Self.address(2), on: Self.lan, at: Self.at)
        #expect(memory.isKnown(FatalForm(exact: [13], common: 1), at: Self.at))
        #expect(!memory.isKnown(FatalForm(exact: [21], common: 2), at: Self.at))
    }

    @Test func `What stands twice in one packet is one fault`() {
        let memory = Self.fatal([FatalForm(exact: [10], common: 1), FatalForm(exact: [11], common: 1)])
        #expect(!memory.isKnown(1, at: Self.at))
    }

    @Test func `A sender is held for ten minutes, or until two seconds after the pair is redundant`() {
        var memory = Self.fatal([FatalForm(exact: [1])])
        func isHeld(_ memory: FatalMemory, _ milliseconds: Int) -> Bool {
            memory.isHeld(Self.address(1), on: Self.lan, at: Self.at + .milliseconds(milliseconds))
        }
        #expect(isHeld(memory, 599_999) && !isHeld(memory, 600_000))
        #expect(!memory.isHeld(Self.address(1), on: InterfaceID(2), at: Self.at))
        #expect(!memory.isHeld(Self.address(2), on: Self.lan, at: Self.at))
        memory.note(isRedundant: true, at: Self.at + .seconds(100))
        #expect(isHeld(memory, 101_999) && !isHeld(memory, 102_000))
        memory.note(isRedundant: false, at: Self.at + .seconds(101))
        #expect(isHeld(memory, 700_999) && !isHeld(memory, 701_000))
        memory.note(isRedundant: true, at: Self.at + .seconds(800))
        #expect(!isHeld(memory, 800_001), "whose time is over is not held again")
    }

    @Test func `The pause doubles with each fault, up to ten minutes`() {
        var memory = FatalMemory()
        memory.note(isRedundant: true, at: Self.at)
        for n in 0..<12 {
            memory.learn([FatalForm(exact: [UInt64(n)])], from: Self.address(1), on: Self.lan, at: Self.at)
            let pause = min(600, 2 << n)
            #expect(memory.isHeld(Self.address(1), on: Self.lan, at: Self.at + .seconds(pause) - .nanoseconds(1)))
            #expect(!memory.isHeld(Self.address(1), on: Self.lan, at: Self.at + .seconds(pause)))
        }
    }

    @Test func `A day later all is forgotten, and an operator forgets one of them`() {
        var memory = Self.fatal([FatalForm(exact: [1])])
        #expect(memory.isKnown(1, at: Self.at + .seconds(86_399)) && !memory.isKnown(1, at: Self.at + .seconds(86_400)))
        memory.learn([FatalForm(exact: [2])], from: Self.address(2), on: Self.lan, at: Self.at)
        #expect(memory.forget { $0.address == Self.address(1) })
        #expect(!memory.forget { $0.address == Self.address(1) })
        #expect(!memory.isKnown(1, at: Self.at) && memory.isKnown(2, at: Self.at))
        #expect(!memory.isHeld(Self.address(1), on: Self.lan, at: Self.at))
        memory.forget { _ in true }
        #expect(memory.isEmpty && !memory.isKnown(2, at: Self.at))
    }

    @Test func `The oldest gives way, and nothing grows beyond its bound`() {
        var memory = FatalMemory()
        for n in 0..<300 as Range<UInt32> {
            let forms = (0..<50).map { FatalForm(exact: [UInt64(n) * 100 + UInt64($0)], common: UInt64(n) * 100 + 99) }
            memory.learn(forms, from: Self.address(n), on: Self.lan, at: Self.at)
        }
        #expect(memory.sources.count == FatalMemory.sourcesMaximum)
        #expect(!memory.isKnown(0, at: Self.at) && memory.isKnown(29_949, at: Self.at))
        var known = 0
        for digest in 0..<30_000 as Range<UInt64> where memory.isKnown(digest, at: Self.at) { known += 1 }
        #expect(known <= FatalMemory.itemsMaximum && known > FatalMemory.itemsMaximum * 9 / 10)
    }

    @Test func `It passes through a snapshot, and no octets of one are a trap`() throws {
        var memory = Self.fatal([FatalForm(exact: [10, 11], common: 1)], redundant: true)
        memory.learn(
            [FatalForm(exact: [12], common: 1)], from: .station(MACAddress(raw: 0x0200_0000_0001)), on: Self.lan, at: Self.at)
        memory.learn(
            [FatalForm(exact: [13])], from: .ip(.v6(IPv6Address(high: 0xfe80 << 48, low: 1))), on: Self.lan, at: Self.at)
        var writer = SnapshotWriter()
        memory.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let restored = try FatalMemory(from: &reader)
        try reader.expectEnd()
        var again = SnapshotWriter()
        restored.write(to: &again)
        #expect(again.bytes == writer.bytes && restored.digest == memory.digest)
        #expect(restored.isKnown(1, at: Self.at) && restored.isKnown(13, at: Self.at))
        for at in writer.bytes.indices {
            var octets = writer.bytes
            octets[at] ^= 0xff
            var reader = SnapshotReader(octets)
            _ = try? FatalMemory(from: &reader)
            var short = SnapshotReader(Array(writer.bytes[..<at]))
            #expect(throws: DecodeError.self) { try FatalMemory(from: &short) }
        }
    }

    @Test func `The digest follows what is remembered`() {
        let memory = Self.fatal([FatalForm(exact: [1])])
        var other = memory
        other.note(isRedundant: true, at: Self.at)
        #expect(other.digest != memory.digest)
        other = memory
        other.hold(Self.address(1), on: Self.lan, until: Self.at + .seconds(1000))
        #expect(other.digest != memory.digest)
    }

    @Test func `Names are compared as values`() {
        let address = IPAddress("fe80::1")!
        #expect(NeighborName("FE80:0::1").matches(address, on: "lan"))
        #expect(NeighborName("fe80::1%lan").matches(address, on: "lan"))
        #expect(!NeighborName("fe80::1%wan").matches(address, on: "lan"))
        #expect(!NeighborName("fe80::1%").matches(address, on: "lan"))
        #expect(NeighborName("r1").address == nil && NeighborName("a%b").address == nil)
    }
}
