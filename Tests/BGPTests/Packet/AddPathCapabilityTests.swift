import Machine
import Testing
import Wire

@testable import BGP

/// The capabilities of RFC 7911 and RFC 8950, and what follows from those of both ends.
@Suite struct AddPathCapabilityTests {
    private static func capabilities(_ tuples: [UInt8]) throws -> Capabilities {
        let body = CodecTests.openBody([2, UInt8(tuples.count)] + tuples)
        return try OpenMessage(body: body.span.bytes).capabilities
    }
    private static func set(_ families: RouteFamily...) -> RouteFamilySet { RouteFamilySet(families.map { RouteFamilySet($0) }) }

    @Test func `both capabilities have the octets of their RFCs`() {
        var capabilities = Capabilities()
        capabilities.receivesPathIDs = Self.set(.ipv4Unicast, .ipv6Unicast)
        capabilities.sendsPathIDs = Self.set(.ipv6Unicast, .ipv6LabelledUnicast)
        capabilities.ipv6NextHops = Self.set(.ipv4Unicast, .ipv4LabelledUnicast)
        #expect(
            capabilities.encoded == [5, 12, 0, 1, 0, 1, 0, 2, 0, 1, 0, 4, 0, 2]
                + [69, 12, 0, 1, 1, 1, 0, 2, 1, 3, 0, 2, 4, 2])
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `they come back as they were, and no octets in their place do harm`(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        func some(_ condition: (RouteFamily) -> Bool = { _ in true }) -> RouteFamilySet {
            RouteFamilySet(
                RouteFamily.allCases.filter(condition).filter { _ in random.chance(1, in: 2) }.map { RouteFamilySet($0) })
        }
        var open = CodecTests.open
        open.capabilities.families = some()
        open.capabilities.hasMultiprotocol = !open.capabilities.families.isEmpty
        open.capabilities.receivesPathIDs = some()
        open.capabilities.sendsPathIDs = some()
        open.capabilities.ipv6NextHops = some(\.canExtendNextHop)
        let body = CodecTests.body(open.encoded)
        #expect(try OpenMessage(body: body.span.bytes) == open)
        for _ in 0..<60 {
            var octets = body
            for _ in 0..<random.number(in: 1...4) {
                octets[random.number(in: 10...(octets.count - 1))] = UInt8(random.number(in: 0...255))
            }
            if random.chance(1, in: 4) { octets.removeLast(random.number(in: 1...(octets.count - 10))) }
            guard let read = try? OpenMessage(body: octets.span.bytes) else { continue }
            for family in RouteFamily.allCases where read.capabilities.ipv6NextHops.contains(family) {
                #expect(family.canExtendNextHop)
            }
            guard
                let agreed = try? NegotiatedSession(
                    local: open, remote: read, remoteAS: read.asNumber, isInternal: false)
            else { continue }
            let all = agreed.receivesPathIDs.union(agreed.sendsPathIDs).union(agreed.ipv6NextHops)
            #expect(all.isSubset(of: agreed.families))
        }
    }

    @Test func `RFC 7911 §4: what has another length or value counts as not understood`() throws {
        func sets(_ tuples: [UInt8]) throws -> [RouteFamilySet] {
            let read = try Self.capabilities(tuples)
            return [read.receivesPathIDs, read.sendsPathIDs]
        }
        // Nothing, half a tuple, one and a half.
        for value in [[], [0, 1, 1], [0, 1, 1, 3, 0, 2]] as [[UInt8]] {
            let read = try Self.capabilities([69, UInt8(value.count)] + value)
            #expect(read.receivesPathIDs.isEmpty && read.sendsPathIDs.isEmpty && read.others == [69])
        }
        // Send/Receive of 0 or more than 3; the tuple beside it holds.
        #expect(try sets([69, 8, 0, 1, 1, 0, 0, 2, 1, 1]) == [.ipv6Unicast, []])
        #expect(try sets([69, 12, 0, 1, 1, 4, 0, 2, 1, 255, 0, 1, 4, 2]) == [[], Self.set(.ipv4LabelledUnicast)])
        // Families that nobody here carries.
        #expect(try sets([69, 8, 0, 1, 128, 3, 0x40, 4, 71, 3]) == [[], []])
        // A family twice, in one capability and in two: the last word counts, and one that means nothing is none.
        #expect(try sets([69, 8, 0, 1, 1, 1, 0, 1, 1, 2]) == [[], .ipv4Unicast])
        #expect(try sets([69, 4, 0, 1, 1, 3, 69, 4, 0, 1, 1, 1]) == [.ipv4Unicast, []])
        #expect(try sets([69, 4, 0, 1, 1, 3, 69, 4, 0, 1, 1, 9]) == [.ipv4Unicast, .ipv4Unicast])
        #expect(try sets([69, 4, 0, 1, 1, 3, 69, 4, 0, 2, 1, 1]) == [[.ipv4Unicast, .ipv6Unicast], .ipv4Unicast])
        // Longer than its parameter: malformed (RFC 4271 §6.2).
        #expect(throws: NotificationMessage.open(.unspecific)) { try Self.capabilities([69, 8, 0, 1, 1, 3]) }
    }

    @Test func `RFC 8950 §4: only IPv4 families with IPv6 next hops are understood`() throws {
        func set(_ tuples: [UInt8]) throws -> RouteFamilySet { try Self.capabilities(tuples).ipv6NextHops }
        #expect(try set([5, 6, 0, 1, 0, 1, 0, 2]) == .ipv4Unicast)
        #expect(try set([5, 12, 0, 1, 0, 4, 0, 2, 0, 1, 0, 1, 0, 2]) == Self.set(.ipv4Unicast, .ipv4LabelledUnicast))
        #expect(try set([5, 6, 0, 1, 0, 1, 0, 2, 5, 6, 0, 1, 0, 1, 0, 2]) == .ipv4Unicast)
        // An IPv4 next hop, IPv6 prefixes, a SAFI of two octets, families not carried, telephone numbers.
        for triple in [
            [0, 1, 0, 1, 0, 1], [0, 2, 0, 1, 0, 2], [0, 1, 1, 1, 0, 2], [0, 1, 0, 128, 0, 2], [0, 8, 0, 1, 0, 2],
        ] as [[UInt8]] {
            #expect(try set([5, 6] + triple) == [])
            #expect(try set([5, 12] + triple + [0, 1, 0, 1, 0, 2]) == .ipv4Unicast)
        }
        for value in [[], [0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 2, 0]] as [[UInt8]] {
            let read = try Self.capabilities([5, UInt8(value.count)] + value)
            #expect(read.ipv6NextHops.isEmpty && read.others == [5])
        }
    }

    /// The two bits: 1 receives, 2 sends.
    @Test func `RFC 7911 §5: one end sends and the other receives`() throws {
        func open(_ bits: Int, _ families: RouteFamilySet = .ipv4Unicast) -> OpenMessage {
            var open = CodecTests.open
            open.capabilities.families = families
            if bits & 1 != 0 { open.capabilities.receivesPathIDs = [.ipv4Unicast, .ipv6Unicast] }
            if bits & 2 != 0 { open.capabilities.sendsPathIDs = [.ipv4Unicast, .ipv6Unicast] }
            open.capabilities.ipv6NextHops = bits & 1 != 0 ? .ipv4Unicast : []
            return open
        }
        for (own, other) in (0..<16).map({ ($0 / 4, $0 % 4) }) {
            let agreed = try NegotiatedSession(
                local: open(own), remote: open(other, [.ipv4Unicast, .ipv6Unicast]), remoteAS: open(0).asNumber, isInternal: false
            )
            #expect(agreed.receivesPathIDs == (own & 1 != 0 && other & 2 != 0 ? .ipv4Unicast : []), "\(own) and \(other)")
            #expect(agreed.sendsPathIDs == (own & 2 != 0 && other & 1 != 0 ? .ipv4Unicast : []), "\(own) and \(other)")
            #expect(agreed.ipv6NextHops == (own & other & 1 != 0 ? .ipv4Unicast : []), "\(own) and \(other)")
        }
    }
}
