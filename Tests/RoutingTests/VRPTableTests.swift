import Machine
import Policy
import Routing
import Testing
import Wire

/// RFC 6811 §2, and steps of several sources, against a table that is simple and slow.
@Suite struct VRPTableTests {
    static func vrp(_ prefix: String, _ maximum: UInt8, _ origin: UInt32) -> VRP {
        VRP(prefix: IPPrefix(prefix)!, maximumLength: maximum, origin: origin)
    }

    private static func filled(_ payloads: [VRP]) -> VRPTable {
        var table = VRPTable(seed: 1)
        table.begin(0, isWhole: true)
        for payload in payloads { #expect(table.stage(payload, isAnnounced: true, by: 0, maximum: 1000) == .done) }
        table.commit(0)
        return table
    }

    @Test func `RFC 6811 §2: valid, invalid and not found`() {
        let table = Self.filled([
            Self.vrp("10.0.0.0/8", 16, 1), Self.vrp("10.1.0.0/16", 16, 2), Self.vrp("10.9.0.0/16", 24, 0),
            Self.vrp("2001:db8::/32", 48, 3),
        ])
        func state(_ prefix: String, _ origin: UInt32?) -> OriginValidity {
            table.validity(of: IPPrefix(prefix)!, origin: origin)
        }
        #expect(state("11.0.0.0/8", 1) == .notFound)
        #expect(state("0.0.0.0/0", 1) == .notFound, "a payload that is more specific covers nothing")
        #expect(state("10.0.0.0/8", 1) == .valid)
        #expect(state("10.0.0.0/16", 1) == .valid)
        #expect(state("10.0.0.0/17", 1) == .invalid, "longer than the maximum")
        #expect(state("10.1.0.0/16", 1) == .valid && state("10.1.0.0/16", 2) == .valid, "one of them is enough")
        #expect(state("10.1.0.0/16", 3) == .invalid)
        #expect(state("10.1.0.0/16", nil) == .invalid, "NONE is matched by nothing")
        #expect(state("10.9.1.0/24", 0) == .invalid && state("10.9.1.0/24", 7) == .invalid, "nor is AS 0")
        #expect(state("2001:db8:5::/48", 3) == .valid && state("2001:db8:5::/49", 3) == .invalid)
        #expect(state("2001:db9::/32", 3) == .notFound)
        #expect(table.covering(IPPrefix("10.1.2.0/24")!).map(\.origin) == [2, 1])
    }

    @Test func `one prefix has no more payloads than can be walked`() {
        var table = VRPTable(seed: 1)
        table.begin(0, isWhole: true)
        for origin in 0..<UInt32(VRPTable.perPrefixMaximum) {
            #expect(table.stage(Self.vrp("10.0.0.0/8", 8, origin), isAnnounced: true, by: 0, maximum: .max) == .done)
        }
        #expect(table.stage(Self.vrp("10.0.0.0/8", 8, 9999), isAnnounced: true, by: 0, maximum: .max) == .full)
        #expect(table.stage(Self.vrp("10.0.0.0/9", 9, 9999), isAnnounced: true, by: 0, maximum: .max) == .done)
        table.rollback(0)
        #expect(table.digest == VRPTable(seed: 1).digest)
    }

    /// What each source says in force, and what its step says.
    private struct Oracle {
        var live: [Set<VRP>] = Array(repeating: [], count: VRPTable.sourcesMaximum)
        var staged: [Set<VRP>?] = Array(repeating: nil, count: VRPTable.sourcesMaximum)

        mutating func stage(_ vrp: VRP, _ isAnnounced: Bool, _ source: Int) -> VRPTable.Staging {
            if isAnnounced { return staged[source]!.insert(vrp).inserted ? .done : .duplicate }
            return staged[source]!.remove(vrp) == nil ? .unknown : .done
        }
        var all: [VRP] { live.reduce(into: Set<VRP>()) { $0.formUnion($1) }.sorted() }
        func validity(_ prefix: IPPrefix, _ origin: UInt32) -> OriginValidity {
            let covering = all.filter { Self.covers($0.prefix, prefix) }
            if covering.contains(where: { $0.origin == origin && origin != 0 && prefix.length <= $0.maximumLength }) {
                return .valid
            }
            return covering.isEmpty ? .notFound : .invalid
        }
        static func covers(_ a: IPPrefix, _ b: IPPrefix) -> Bool {
            switch (a, b) {
            case (.v4(let a), .v4(let b)): a.length <= b.length && IPv4Prefix(b.address, a.length) == a
            case (.v6(let a), .v6(let b)): a.length <= b.length && IPv6Prefix(b.address, a.length) == a
            default: false
            }
        }
    }

    private static func prefix(_ random: inout RandomNumbers) -> IPPrefix {
        let length = UInt8(random.number(in: 0...10))
        let bits = UInt32(random.number(in: 0...3))
        if random.chance(1, in: 3) { return .v6(IPv6Prefix(IPv6Address(high: UInt64(bits) << 61, low: 0), length)) }
        return .v4(IPv4Prefix(IPv4Address(raw: bits << 29), length))
    }

    @Test(arguments: 1...20) func `steps of several sources do what sets would`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        var table = VRPTable(seed: 3), oracle = Oracle()
        for round in 0..<1500 {
            let source = random.number(in: 0...2)
            let prefix = Self.prefix(&random)
            let vrp = VRP(
                prefix: prefix, maximumLength: prefix.length + UInt8(random.number(in: 0...2)),
                origin: UInt32(random.number(in: 0...3)))
            switch random.number(in: 0...30) {
            case 0:
                let isWhole = random.chance(1, in: 2)
                table.begin(source, isWhole: isWhole)
                oracle.staged[source] = isWhole ? [] : oracle.live[source]
            case 1:
                table.commit(source)
                oracle.live[source] = oracle.staged[source] ?? oracle.live[source]
                oracle.staged[source] = nil
            case 2:
                table.rollback(source)
                oracle.staged[source] = nil
            case 3 where random.chance(1, in: 4):
                table.remove(source)
                oracle.live[source] = []
                oracle.staged[source] = nil
            default:
                guard oracle.staged[source] != nil else { continue }
                let isAnnounced = random.chance(2, in: 3)
                #expect(
                    table.stage(vrp, isAnnounced: isAnnounced, by: source, maximum: .max)
                        == oracle.stage(vrp, isAnnounced, source))
            }
            if round % 25 == 0 {
                #expect(table.all == oracle.all)
                #expect(table.count == oracle.all.count)
                for source in 0...2 { #expect(table.count(of: source) == oracle.live[source].count) }
                for _ in 0..<20 {
                    let asked = Self.prefix(&random), origin = UInt32(random.number(in: 0...3))
                    #expect(table.validity(of: asked, origin: origin) == oracle.validity(asked, origin))
                }
            }
            if round % 100 == 50 {
                var writer = SnapshotWriter()
                table.write(to: &writer)
                var reader = SnapshotReader(writer.bytes)
                let twin = try VRPTable(from: &reader)
                try reader.expectEnd()
                #expect(twin.digest == table.digest && twin.all == table.all)
                table = twin
            }
        }
        for source in 0...2 { table.remove(source) }
        #expect(table.count == 0 && table.digest == VRPTable(seed: 3).digest, "nothing is left")
    }

    @Test func `equal contents have equal digests, whatever the way there`() {
        let payloads = (0..<50).map { Self.vrp("10.\($0).0.0/16", 16, UInt32($0 % 7)) }
        var one = Self.filled(payloads), other = Self.filled(payloads.reversed())
        #expect(one.digest == other.digest)
        one.begin(0, isWhole: false)
        #expect(one.stage(payloads[3], isAnnounced: false, by: 0, maximum: 1000) == .done)
        #expect(one.digest != other.digest, "what is staged counts")
        one.commit(0)
        #expect(one.digest != other.digest)
        other.begin(0, isWhole: true)
        for payload in payloads where payload != payloads[3] { _ = other.stage(payload, isAnnounced: true, by: 0, maximum: 1000) }
        other.commit(0)
        #expect(one.digest == other.digest)
    }

    @Test func `a damaged snapshot is refused and never traps`() {
        var table = Self.filled((0..<40).map { Self.vrp("10.\($0 % 5).0.0/16", 24, UInt32($0)) })
        table.begin(1, isWhole: false)
        _ = table.stage(Self.vrp("2001:db8::/32", 48, 1), isAnnounced: true, by: 1, maximum: 1000)
        var writer = SnapshotWriter()
        table.write(to: &writer)
        let bytes = writer.bytes
        var refused = 0
        for at in bytes.indices {
            for mask: UInt8 in [1, 0x80, 0xff] {
                var damaged = bytes
                damaged[at] ^= mask
                var reader = SnapshotReader(damaged)
                guard var twin = try? VRPTable(from: &reader) else {
                    refused += 1
                    continue
                }
                // Whatever was taken can be worked with.
                _ = twin.validity(of: IPPrefix("10.1.2.0/24")!, origin: 3)
                twin.commit(1)
                twin.remove(0)
                #expect(twin.count(of: 0) == 0)
            }
        }
        #expect(refused > bytes.count / 2)
    }
}
