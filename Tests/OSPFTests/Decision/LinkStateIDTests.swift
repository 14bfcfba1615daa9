import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

/// RFC 2328 Appendix E.
@Suite struct LinkStateIDTests {
    /// As the appendix reads, in the square of the time.
    private func plainly(_ prefixes: [IPv4Prefix]) -> [UInt32?] {
        var ids: [UInt32?] = []
        for prefix in prefixes {
            let isFirst = prefixes.first { $0.address == prefix.address } == prefix
            let id = isFirst ? prefix.address.raw : prefix.address.raw | ~IPv4Prefix.mask(prefix.length)
            let isFree = isFirst || prefix.length < 32 && !prefixes.contains { $0.address.raw == id } && !ids.contains(id)
            ids.append(isFree ? id : nil)
        }
        return ids
    }

    @Test func `names are unique, the shortest of one address has it, and the first of two has a name that both want`() {
        var random = RandomNumbers(seed: 3)
        for _ in 0..<300 {
            var prefixes: [IPv4Prefix] = []
            for _ in 0..<40 {
                let length = UInt8(random.number(in: 24...32))
                prefixes.append(IPv4Prefix(IPv4Address(raw: 0x0a00_0000 | UInt32(random.number(in: 0...63))), length))
            }
            let sorted = Set(prefixes).sorted()
            let ids = LinkStateIDs.ospfv2(sorted.map { .v4($0) })
            #expect(ids == plainly(sorted))
            #expect(Set(ids.compactMap { $0 }).count == ids.count { $0 != nil })
        }
    }

    @Test func `a hundred thousand prefixes, a third of them nested, have their names`() {
        var prefixes: [IPPrefix] = []
        for i in 0..<70_000 as Range<UInt32> {
            let address = IPv4Address(raw: 0x1000_0000 | i << 8)
            prefixes.append(.v4(IPv4Prefix(address, 24)))
            if i % 7 < 3 { prefixes.append(.v4(IPv4Prefix(address, 25))) }
        }
        let ids = LinkStateIDs.ospfv2(prefixes)
        #expect(prefixes.count == 100_000)
        #expect(ids.allSatisfy { $0 != nil })
        #expect(ids[1] == 0x1000_007f)
    }
}
