import Machine
import Testing
import Wire

@testable import OSPF

@Suite struct LSDBTests {
    static func lsa(_ id: UInt32, router: UInt32 = 1, sequence: Int32 = LSAHeader.initialSequence, body: [UInt8] = [0, 0, 0, 0])
        -> LSA
    {
        LSA(
            version: .v2, key: LSAKey(type: .external, linkStateID: id, advertisingRouter: router), sequence: sequence, body: body
        )
    }
    static func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }

    @Test func `a walk is in the order of keys whatever the order of installation`() {
        var database = LSDB(), random = RandomNumbers(seed: 7)
        var expected: [UInt32: Bool] = [:]
        for _ in 0..<3000 {
            let id = UInt32(random.number(in: 0...1500))
            if random.chance(1, in: 3), let handle = database.handle(of: Self.lsa(id).key, in: .autonomousSystem) {
                database.remove(handle)
                expected[id] = nil
            } else {
                database.install(Self.lsa(id), in: .autonomousSystem, isOwn: false, at: .zero, due: Self.at(3600))
                expected[id] = true
            }
        }
        var walked: [UInt32] = []
        database.walk(.autonomousSystem) { _, entry in
            walked.append(entry.lsa.key.linkStateID)
            return true
        }
        #expect(walked == (0...1500).filter { expected[$0] == true })
        #expect(database.count == walked.count)
        #expect(database.foreignCount == walked.count)
    }

    @Test func `a refresh with the same content is no change, and a different body is one`() {
        var database = LSDB()
        let first = database.install(Self.lsa(1), in: .autonomousSystem, isOwn: false, at: .zero, due: Self.at(3600))
        #expect(first.isChange)
        #expect(database.takeChanges().map(\.key) == [Self.lsa(1).key])
        let again = database.install(
            Self.lsa(1, sequence: LSAHeader.initialSequence + 1), in: .autonomousSystem, isOwn: false, at: Self.at(9),
            due: Self.at(3609))
        #expect(!again.isChange && again.handle == first.handle)
        #expect(database.takeChanges().isEmpty)
        let other = database.install(
            Self.lsa(1, sequence: LSAHeader.initialSequence + 2, body: [1, 2, 3, 4]), in: .autonomousSystem, isOwn: false,
            at: Self.at(19), due: Self.at(3619))
        #expect(other.isChange)
        #expect(database.changes.count == 1)
        database.setMaxAge(other.handle, at: Self.at(20))
        #expect(database.changes.count == 1)
        #expect(database.lsa(Self.lsa(1).key, in: .autonomousSystem) == nil)
        #expect(database.entry(Self.lsa(1).key, in: .autonomousSystem)?.lsa.header.isMaxAge == true)
    }

    @Test func `the digest depends on content and not on the way to it`() {
        var a = LSDB(), b = LSDB()
        for id in 0..<100 as Range<UInt32> { a.install(Self.lsa(id), in: .area(0), isOwn: false, at: .zero, due: Self.at(9)) }
        for id in (0..<100 as Range<UInt32>).reversed() {
            b.install(Self.lsa(id, sequence: -5), in: .area(0), isOwn: false, at: .zero, due: Self.at(9))
            b.install(Self.lsa(id), in: .area(0), isOwn: false, at: .zero, due: Self.at(9))
        }
        #expect(a.digest == b.digest)
        b.setMaxAge(LSAHandle(3), at: .zero)
        #expect(a.digest != b.digest)
        #expect(a.checksumSum(of: .area(0)) == b.checksumSum(of: .area(0)))
    }

    @Test func `§14: what is due comes up in its second and in the order in which it was set`() {
        var wheel = AgeWheel()
        wheel.set(LSAHandle(5), at: Self.at(10))
        wheel.set(LSAHandle(2), at: Self.at(10))
        wheel.set(LSAHandle(9), at: Self.at(3))
        wheel.set(LSAHandle(7), at: Self.at(3600))
        #expect(wheel.nextDeadline == Self.at(3))
        #expect(wheel.popDue(at: Self.at(2)) == nil)
        #expect(wheel.popDue(at: Self.at(10)) == LSAHandle(9))
        #expect(wheel.popDue(at: Self.at(10)) == LSAHandle(5))
        wheel.set(LSAHandle(2), at: Self.at(20))
        #expect(wheel.popDue(at: Self.at(10)) == nil)
        #expect(wheel.popDue(at: Self.at(4000)) == LSAHandle(2))
        #expect(wheel.popDue(at: Self.at(4000)) == LSAHandle(7))
        #expect(wheel.nextDeadline == nil)
        // Once around, a list is found that lies before the present one.
        wheel.set(LSAHandle(1), at: Self.at(4090 + 3000))
        #expect(wheel.nextDeadline == Self.at(4090 + 3000))
    }

    @Test func `a database that was restored goes on as the one that grew up`() throws {
        var database = LSDB(), random = RandomNumbers(seed: 3)
        for step in 0..<500 {
            let id = UInt32(random.number(in: 0...99))
            database.install(
                Self.lsa(id, sequence: Int32(step), body: [UInt8(step & 255), 0]),
                in: random.chance(1, in: 2) ? .area(0) : .link(3),
                isOwn: false, at: Self.at(step / 100), due: Self.at(step / 100 + random.number(in: 1...90)))
            if random.chance(1, in: 4) { database.remove(database.handle(of: Self.lsa(id).key, in: .area(0)) ?? LSAHandle(9999)) }
            if random.chance(1, in: 50) { _ = database.takeChanges() }
        }
        var writer = SnapshotWriter()
        database.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var restored = try LSDB(from: &reader, version: .v2)
        try reader.expectEnd()
        #expect(restored.digest == database.digest)
        #expect(restored.changes == database.changes)
        #expect(restored.foreignCount == database.foreignCount)
        #expect(restored.checksumSum(of: .area(0)) == database.checksumSum(of: .area(0)))
        for second in 5..<100 {
            while true {
                let one = database.wheel.popDue(at: Self.at(second)), two = restored.wheel.popDue(at: Self.at(second))
                #expect(one == two)
                if one == nil { break }
            }
        }
        let one = database.install(Self.lsa(7777), in: .area(0), isOwn: true, at: Self.at(99), due: Self.at(200))
        let two = restored.install(Self.lsa(7777), in: .area(0), isOwn: true, at: Self.at(99), due: Self.at(200))
        #expect(one.handle == two.handle)
        var truncated = SnapshotReader(Array(writer.bytes.dropLast(5)))
        #expect(throws: DecodeError.self) { try LSDB(from: &truncated, version: .v2) }
    }
}
