import Machine
import Testing
import Wire

@testable import Routing

@Suite struct PrefixTableTests {
    static func randomV4(_ random: inout RandomNumbers) -> IPv4Prefix {
        IPv4Prefix(
            IPv4Address(raw: UInt32(random.number(in: 0...63)) << 26 | UInt32(random.number(in: 0...31)) << 19),
            UInt8(random.number(in: 0...32)))
    }
    static func randomV6(_ random: inout RandomNumbers) -> IPv6Prefix {
        IPv6Prefix(
            IPv6Address(
                high: 0x2001 << 48 | UInt64(random.number(in: 0...255)) << 24, low: UInt64(random.number(in: 0...3)) << 62),
            UInt8(random.number(in: 0...128)))
    }

    func agreesWithDictionary<Key: PrefixKey>(_: Key.Type, seed: UInt64, _ draw: (inout RandomNumbers) -> Key) throws {
        var random = RandomNumbers(seed: seed)
        var table = PrefixTable<Key>(seed: seed)
        var model: [Key: UInt32] = [:]
        for step in 0..<20_000 {
            let key = draw(&random)
            if random.chance(2, in: 5), let number = model[key] {
                table.remove(number)
                model[key] = nil
            } else {
                let number = table.insert(key)
                #expect(model[key] == nil || model[key] == number)
                #expect(table[number] == key)
                model[key] = number
            }
            let probe = draw(&random)
            #expect(table.find(probe) == model[probe])
            #expect(table.count == model.count)
            if step % 5000 == 4999 {
                var writer = SnapshotWriter()
                table.write(to: &writer)
                var reader = SnapshotReader(writer.bytes)
                table = try PrefixTable<Key>(from: &reader)
                try reader.expectEnd()
            }
        }
        // Numbers are distinct, and the order is that of the keys.
        #expect(Set(model.values).count == model.count)
        #expect(table.ordered().map { table[$0] } == model.keys.sorted())
        // Pages together are the whole.
        var paged: [Key] = []
        while true {
            let page = table.ordered(after: paged.last, limit: 37)
            if page.isEmpty { break }
            #expect(page.count <= 37)
            paged += page.map { table[$0] }
        }
        #expect(paged == model.keys.sorted())
    }

    @Test(arguments: 1...6) func `a table agrees with a dictionary through random churn and restores`(seed: UInt64) throws {
        try agreesWithDictionary(IPv4Prefix.self, seed: seed, Self.randomV4)
        try agreesWithDictionary(IPv6Prefix.self, seed: seed, Self.randomV6)
    }

    @Test func `longest match finds the most specific of the covering prefixes`() {
        var random = RandomNumbers(seed: 7)
        var table = PrefixTable<IPv4Prefix>(seed: 7)
        var all: [IPv4Prefix] = []
        for _ in 0..<500 {
            let p = Self.randomV4(&random)
            _ = table.insert(p)
            all.append(p)
        }
        for _ in 0..<2000 {
            let address = IPv4Address(raw: UInt32(truncatingIfNeeded: random.next()))
            let expected = all.filter { $0.contains(address) }.max { $0.length < $1.length }
            #expect(table.longestMatch(address).map { table[$0] } == expected)
            let longOnly = all.filter { $0.contains(address) && $0.length < 10 }.max { $0.length < $1.length }
            #expect(table.longestMatch(address) { table[$0].length < 10 }.map { table[$0] } == longOnly)
        }
    }

    @Test func `a truncated or altered snapshot is refused and never traps`() throws {
        var table = PrefixTable<IPv4Prefix>(seed: 1)
        for i in 0..<40 { _ = table.insert(IPv4Prefix(IPv4Address(10, 0, UInt8(i), 0), 24)) }
        table.remove(3)
        var writer = SnapshotWriter()
        table.write(to: &writer)
        for end in stride(from: 0, to: writer.bytes.count, by: 7) {
            var reader = SnapshotReader(Array(writer.bytes[..<end]))
            #expect(throws: DecodeError.self) { _ = try PrefixTable<IPv4Prefix>(from: &reader) }
        }
        var wrongBits = writer.bytes
        wrongBits[8] = 5
        var reader = SnapshotReader(wrongBits)
        #expect(throws: DecodeError.self) { _ = try PrefixTable<IPv4Prefix>(from: &reader) }
    }

    @Test func `two tables with different seeds give the same numbers for the same history`() {
        var a = PrefixTable<IPv4Prefix>(seed: 1)
        var b = PrefixTable<IPv4Prefix>(seed: 2)
        var random = RandomNumbers(seed: 3)
        for _ in 0..<5000 {
            let key = Self.randomV4(&random)
            if let number = a.find(key), random.chance(1, in: 2) {
                a.remove(number)
                b.remove(number)
            } else {
                #expect(a.insert(key) == b.insert(key))
            }
        }
    }
}
