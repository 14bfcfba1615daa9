import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// What is remembered of octets that killed a controller, and what becomes of it when it is said again.
@Suite struct FatalInputTests {
    static let at = Instant(nanoseconds: 1_000_000_000)
    static let source = FatalInputs.name(.v4(IPv4Address(192, 0, 2, 10)))
    static let origin: [UInt8] = [0x40, 1, 1, 0]
    static func path(_ last: UInt8) -> [UInt8] { [0x40, 2, 6, 2, 1, 0, 0, 0xfd, last] }
    static let nextHop: [UInt8] = [0x40, 3, 4, 192, 0, 2, 10]
    static func attributes(_ last: UInt8 = 9) -> [UInt8] { origin + path(last) + nextHop }
    static func reach(_ nlri: [UInt8], isLong: Bool = false) -> [UInt8] {
        let value: [UInt8] = [0, 2, 1, 16, 0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [9, 0] + nlri
        return isLong ? [0x90, 14, 0, UInt8(value.count)] + value : [0x80, 14, UInt8(value.count)] + value
    }
    static let a: [UInt8] = [24, 10, 0, 1], b: [UInt8] = [24, 10, 0, 2], c: [UInt8] = [16, 172, 16]
    static let x: [UInt8] = [32, 0x20, 1, 0x0d, 0xb8], y: [UInt8] = [48, 0x20, 1, 0x0d, 0xb8, 0, 1]

    static func body(withdrawn: [UInt8] = [], _ attributes: [UInt8], _ nlri: [UInt8] = []) -> [UInt8] {
        func half(_ n: Int) -> [UInt8] { [UInt8(n >> 8), UInt8(n & 255)] }
        return half(withdrawn.count) + withdrawn + half(attributes.count) + attributes + nlri
    }
    static func message(_ body: [UInt8], type: UInt8 = 2) -> [UInt8] {
        let length = body.count + 19
        return [UInt8](repeating: 255, count: 16) + [UInt8(length >> 8), UInt8(length & 255), type] + body
    }
    func fatal(_ messages: [UInt8], times: Int = 1) -> FatalInputs {
        var inputs = FatalInputs()
        for _ in 0..<times { inputs.learn(messages, from: Self.source, at: Self.at) }
        return inputs
    }
    func screened(_ inputs: FatalInputs, _ body: [UInt8], from source: UInt64 = Self.source) -> ScreenedUpdate? {
        let faults = inputs.faults(of: source, at: Self.at)
        guard faults > 0 else { return nil }
        return inputs.screened(body.span.bytes, from: source, faults: faults)
    }

    func isKnown(_ inputs: FatalInputs, _ type: UInt8, _ body: [UInt8]) -> Bool {
        inputs.isKnown(type, body.span.bytes, from: Self.source)
    }

    @Test func `The same announcement becomes a withdrawal, and what it is packed with goes on`() throws {
        let inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a)))
        let whole = try #require(screened(inputs, Self.body(Self.attributes(), Self.a)))
        #expect(whole.body == Self.body(withdrawn: Self.a, []))
        #expect(whole.count == 1)
        let packed = try #require(screened(inputs, Self.body(withdrawn: Self.c, Self.attributes(), Self.b + Self.a)))
        #expect(packed.body == Self.body(withdrawn: Self.c + Self.a, Self.attributes(), Self.b))
        #expect(screened(inputs, Self.body(Self.attributes(), Self.b)) == nil, "another prefix with the same path")
        #expect(screened(inputs, Self.body(Self.attributes(8), Self.a)) == nil, "another path to the same prefix")
        #expect(screened(inputs, Self.body(Self.attributes(), Self.a), from: 77) == nil, "the same of another neighbor")
    }

    @Test func `Whoever is fatal in two forms is known by what they have in common`() throws {
        var inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a)))
        inputs.learn(Self.message(Self.body(Self.attributes(8), Self.a)), from: Self.source, at: Self.at)
        #expect(inputs.faults(of: Self.source, at: Self.at) == 2)
        #expect(screened(inputs, Self.body(Self.attributes(7), Self.a))?.body == Self.body(withdrawn: Self.a, []))
        #expect(screened(inputs, Self.body(Self.attributes(8), Self.c)) == nil, "the attributes were not in both")
        // The other way round.
        inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a)))
        inputs.learn(Self.message(Self.body(Self.attributes(), Self.b)), from: Self.source, at: Self.at)
        #expect(screened(inputs, Self.body(Self.attributes(), Self.c))?.body == Self.body(withdrawn: Self.c, []))
        #expect(screened(inputs, Self.body(Self.attributes(7), Self.a)) == nil, "the prefix was not in both")
    }

    @Test func `Two fatal forms that have nothing in common are known by either part of either`() throws {
        var inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a)))
        inputs.learn(Self.message(Self.body(Self.attributes(8), Self.b)), from: Self.source, at: Self.at)
        #expect(screened(inputs, Self.body(Self.attributes(7), Self.a))?.body == Self.body(withdrawn: Self.a, []))
        #expect(screened(inputs, Self.body(Self.attributes(8), Self.c))?.body == Self.body(withdrawn: Self.c, []))
        #expect(screened(inputs, Self.body(Self.attributes(7), Self.c)) == nil)
        // A third form that shares something with one of them narrows it.
        inputs.learn(Self.message(Self.body(Self.attributes(6), Self.a)), from: Self.source, at: Self.at)
        #expect(screened(inputs, Self.body(Self.attributes(8), Self.c)) == nil)
        #expect(screened(inputs, Self.body(Self.attributes(5), Self.a))?.count == 1)
        var writer = SnapshotWriter()
        inputs.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let restored = try FatalInputs(from: &reader)
        #expect(screened(restored, Self.body(Self.attributes(8), Self.c)) == nil)
        #expect(screened(restored, Self.body(Self.attributes(5), Self.a))?.count == 1)
    }

    @Test func `IPv6 in MP_REACH_NLRI is known by its prefix, in either form of the attribute's length`() throws {
        let inputs = fatal(Self.message(Self.body(Self.origin + Self.path(9) + Self.reach(Self.x))))
        let rest = try #require(
            screened(inputs, Self.body(Self.origin + Self.path(9) + Self.reach(Self.x + Self.y, isLong: true))))
        #expect(rest.withdrawn == Self.x && rest.family == .ipv6Unicast)
        #expect(rest.body == Self.body(Self.origin + Self.path(9) + Self.reach(Self.y, isLong: true)))
        let nothing = try #require(screened(inputs, Self.body(Self.origin + Self.path(9) + Self.reach(Self.x))))
        #expect(nothing.body.isEmpty && nothing.withdrawn == Self.x)
    }

    /// RFC 7911 §5: identifiers are no names that last.
    @Test func `With path identifiers it is known by its prefix, whatever identifier comes with it`() throws {
        let both: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]
        func screened(_ inputs: FatalInputs, _ body: [UInt8], _ pathIDs: RouteFamilySet) -> ScreenedUpdate? {
            inputs.screened(body.span.bytes, from: Self.source, faults: 1, pathIDs: pathIDs)
        }
        func id(_ id: UInt8, _ prefix: [UInt8]) -> [UInt8] { [0, 0, 0, id] + prefix }
        func long(_ nlri: [UInt8]) -> [UInt8] { Self.origin + Self.path(9) + Self.reach(nlri, isLong: true) }
        var inputs = FatalInputs()
        let fatal = Self.message(Self.body(Self.attributes(), id(1, Self.a)))
        inputs.learn(fatal, from: Self.source, pathIDs: [both], at: Self.at)
        let rest = try #require(
            screened(inputs, Self.body(Self.attributes(), id(1, Self.b) + id(7, Self.a) + id(1, Self.a)), both))
        #expect(rest.count == 2)
        #expect(rest.body == Self.body(withdrawn: id(7, Self.a) + id(1, Self.a), Self.attributes(), id(1, Self.b)))
        // In a session without identifiers, too, and the other way round.
        let plain = try #require(screened(inputs, Self.body(Self.attributes(), Self.a + Self.b), []))
        #expect(plain.body == Self.body(withdrawn: Self.a, Self.attributes(), Self.b))
        inputs = FatalInputs()
        inputs.learn(Self.message(Self.body(long(Self.x))), from: Self.source, at: Self.at)
        let reached = try #require(screened(inputs, Self.body(long(id(3, Self.y) + id(4, Self.x))), both))
        #expect(reached.withdrawn == id(4, Self.x) && reached.body == Self.body(long(id(3, Self.y))))
        // A record that held the OPEN, too: nobody knows how its prefixes are to be read.
        inputs = FatalInputs()
        inputs.learn(fatal, from: Self.source, pathIDs: [[], both], at: Self.at)
        #expect(screened(inputs, Self.body(Self.attributes(), id(2, Self.a)), both)?.count == 1)
        // What cannot be told apart is known by its octets.
        let half = Self.body(Self.attributes(), [0, 0, 0, 1])
        #expect(screened(inputs, half, both) == nil)
        inputs.learn(Self.message(half), from: Self.source, pathIDs: [both], at: Self.at)
        #expect(screened(inputs, half, both)?.body.isEmpty == true)
    }

    @Test func `Withdrawals beside what was fatal are kept`() throws {
        let unreach: [UInt8] = [0x80, 15, 8, 0, 2, 1] + [32, 0x20, 1, 0x0d, 0xb9]
        let inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a)))
        let rest = try #require(screened(inputs, Self.body(Self.attributes() + unreach, Self.a)))
        #expect(rest.body == Self.body(withdrawn: Self.a, unreach))
    }

    @Test func `What announces nothing, or cannot be read, is known by its octets`() throws {
        let odd = Self.body(withdrawn: Self.a, [])
        let broken: [UInt8] = [0, 0, 0, 9, 1, 2, 3]
        var inputs = fatal(Self.message(odd) + Self.message(broken) + Self.message([1, 2, 3], type: 1))
        #expect(screened(inputs, odd)?.body.isEmpty == true)
        #expect(screened(inputs, broken)?.body.isEmpty == true)
        #expect(isKnown(inputs, 1, [1, 2, 3]))
        #expect(!isKnown(inputs, 1, [1, 2, 4]))
        #expect(!isKnown(inputs, 4, []), "a KEEPALIVE is nobody's fault")
        inputs.forget(Self.source)
        #expect(inputs.isEmpty && screened(inputs, odd) == nil)
    }

    @Test func `A day later it is forgotten`() {
        let inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a)))
        #expect(inputs.faults(of: Self.source, at: Self.at + .seconds(86_399)) == 1)
        #expect(inputs.faults(of: Self.source, at: Self.at + .seconds(86_400)) == 0)
    }

    @Test func `The oldest gives way, and nothing grows beyond its bound`() {
        var inputs = FatalInputs()
        for i in 0..<6000 {
            let prefix: [UInt8] = [32, 10, UInt8(i >> 16), UInt8(i >> 8 & 255), UInt8(i & 255)]
            if i % 1000 == 0 { inputs.learn(Self.message([UInt8(i / 1000)], type: 3), from: UInt64(i), at: Self.at) }
            var part = FatalInputs()
            part.learn(Self.message(Self.body(Self.attributes(), prefix)), from: Self.source, at: Self.at)
            #expect(part.routes.count == 1)
        }
        let many = (0..<800).flatMap { [32, 10, 0, UInt8($0 >> 8), UInt8($0 & 255)] as [UInt8] }
        for last in 0..<7 as Range<UInt8> {
            inputs.learn(Self.message(Self.body(Self.attributes(last), many)), from: Self.source, at: Self.at)
        }
        #expect(inputs.routes.count == FatalInputs.routesMaximum)
        for i in 0..<300 { inputs.learn(Self.message([UInt8(i & 255)], type: 3), from: UInt64(i), at: Self.at) }
        #expect(inputs.messages.count == FatalInputs.messagesMaximum)
        #expect(inputs.sources.count == FatalInputs.sourcesMaximum)
    }

    @Test func `It passes through a snapshot`() throws {
        let inputs = fatal(Self.message(Self.body(Self.attributes(), Self.a + Self.b)) + Self.message([7], type: 5))
        var writer = SnapshotWriter()
        inputs.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let restored = try FatalInputs(from: &reader)
        #expect(restored.digest == inputs.digest)
        #expect(screened(restored, Self.body(Self.attributes(), Self.b))?.body == Self.body(withdrawn: Self.b, []))
    }

    /// The outline is read by nothing but lengths, which are anybody's.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `No octets are fatal to what remembers fatal octets`(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        let unreach: [UInt8] = [0x80, 15, 8, 0, 2, 1] + [32, 0x20, 1, 0x0d, 0xb9]
        let good = Self.body(
            withdrawn: Self.c, Self.attributes() + Self.reach(Self.x + Self.y, isLong: true) + unreach, Self.a + Self.b)
        var inputs = fatal(Self.message(good), times: 2)
        for _ in 0..<400 {
            var octets = good
            for _ in 0..<random.number(in: 1...4) {
                octets[random.number(in: 0...(octets.count - 1))] = UInt8(random.number(in: 0...255))
            }
            if random.chance(1, in: 4) { octets.removeLast(random.number(in: 1...(octets.count - 1))) }
            let families: RouteFamilySet = random.chance(1, in: 2) ? [.ipv4Unicast, .ipv6Unicast] : []
            let faults = inputs.faults(of: Self.source, at: Self.at)
            if let rest = inputs.screened(octets.span.bytes, from: Self.source, faults: faults, pathIDs: families),
                !rest.body.isEmpty, rest.count > 0
            {
                let isUpdate = UpdateOutline(rest.body.span.bytes, pathIDs: families) != nil
                #expect(isUpdate, "what is left is an UPDATE again")
            }
            inputs.learn(Self.message(octets), from: Self.source, pathIDs: [families], at: Self.at)
        }
    }
}
