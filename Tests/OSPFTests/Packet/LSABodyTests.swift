import Machine
import Testing
import Wire

@testable import OSPF

@Suite struct LSABodyTests {
    /// Decodes, encodes again, and expects the same octets; every prefix of them is refused or read, and nothing traps.
    private func roundTrip(
        _ octets: [UInt8], mayEndEarly: Bool = false, _ again: (inout ByteReader) throws -> [UInt8]
    ) throws {
        var reader = ByteReader(octets.span.bytes)
        #expect(try again(&reader) == octets)
        for count in 0..<octets.count {
            let short = Array(octets[..<count])
            var reader = ByteReader(short.span.bytes)
            let read = try? again(&reader)
            if !mayEndEarly { #expect(read == nil, "\(count) of \(octets.count)") }
        }
        for bit in 0..<(octets.count * 8) {
            var flipped = octets
            flipped[bit / 8] ^= 0x80 >> (bit % 8)
            var reader = ByteReader(flipped.span.bytes)
            _ = try? again(&reader)
        }
        var random = RandomNumbers(seed: UInt64(octets.count))
        for _ in 0..<200 {
            let noise = (0..<random.number(in: 0...60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            var reader = ByteReader(noise.span.bytes)
            _ = try? again(&reader)
        }
    }

    @Test func `router LSAs of both versions`() throws {
        for version in [OSPFVersion.v2, .v3] {
            var links: [RouterLSABody.Link] = [
                .init(type: .pointToPoint, metric: 10, id: 0x0a00_0002, data: 0x0a00_0101, neighborInterfaceID: 4),
                .init(type: .transit, metric: 1, id: 0x0a00_0201, data: 0x0a00_0202, neighborInterfaceID: 5),
                .init(type: .virtual, metric: 7, id: 1, data: 2, neighborInterfaceID: 6),
            ]
            if version == .v2 {
                for i in links.indices { links[i].neighborInterfaceID = 0 }
                links.append(.init(type: .stub, metric: 3, id: 0x0a00_0300, data: 0xffff_ff00))
            }
            let body = RouterLSABody(
                flags: [.border, .boundary], options: version == .v3 ? [.ipv6, .activeRouter] : [], links: links)
            let octets = body.encoded(version: version)
            #expect(octets.count == 4 + (version == .v2 ? 12 : 16) * links.count)
            // An OSPFv3 body has no count: cut between links, it is a shorter body.
            try roundTrip(octets, mayEndEarly: version == .v3) { reader in
                let read = try RouterLSABody(from: &reader, version: version)
                return read.encoded(version: version)
            }
            var reader = ByteReader(octets.span.bytes)
            #expect(try RouterLSABody(from: &reader, version: version) == body)
        }
    }

    @Test func `RFC 2328 A.4.2: metrics for types of service are passed over`() throws {
        let octets: [UInt8] = [
            0, 0, 0, 2, 10, 0, 0, 0, 255, 255, 255, 0, 3, 2, 0, 9, 1, 0, 0, 1, 2, 0, 0, 2,
            10, 0, 1, 0, 255, 255, 255, 0, 3, 0, 0, 8,
        ]
        var reader = ByteReader(octets.span.bytes)
        #expect(try RouterLSABody(from: &reader, version: .v2).links.map(\.metric) == [9, 8])
    }

    @Test func `network LSAs of both versions; a mask with a hole is refused`() throws {
        for version in [OSPFVersion.v2, .v3] {
            let octets = NetworkLSABody(
                mask: version == .v2 ? 0xffff_ff00 : 0, options: version == .v3 ? [.ipv6] : [], routers: [1, 2, 3]
            ).encoded(version: version)
            try roundTrip(octets, mayEndEarly: true) {
                try NetworkLSABody(from: &$0, version: version).encoded(version: version)
            }
        }
        let holed: [UInt8] = [255, 0, 255, 0, 0, 0, 0, 1]
        var reader = ByteReader(holed.span.bytes)
        #expect(throws: DecodeError("network mask", at: 0, .badValue)) {
            _ = try NetworkLSABody(from: &reader, version: .v2)
        }
    }

    static let prefixes: [(OSPFVersion, AddressFamily, IPPrefix)] =
        ["10.1.0.0/16", "0.0.0.0/0", "10.1.2.3/32"].map { (.v2, .ipv4, IPPrefix($0)!) }
        + ["10.1.0.0/16", "0.0.0.0/0", "10.1.2.3/32"].map { (.v3, .ipv4, IPPrefix($0)!) }
        + ["2001:db8::/32", "::/0", "2001:db8:1::/48", "2001:db8:1:2::/64", "2001:db8:1:2:3::/80", "2001:db8::1/128"]
        .map { (.v3, .ipv6, IPPrefix($0)!) }

    private func linkStateID(_ prefix: IPPrefix) -> UInt32 {
        if case .v4(let prefix) = prefix { return prefix.address.raw }
        return 5
    }

    @Test func `summary and inter-area LSAs of both versions and families`() throws {
        for (version, family, prefix) in Self.prefixes {
            let id = linkStateID(prefix)
            let body = InterAreaPrefixLSABody(
                metric: 0x12_3456, prefix: prefix, prefixOptions: version == .v3 ? [.localAddress] : [])
            try roundTrip(body.encoded(version: version)) {
                let read = try InterAreaPrefixLSABody(from: &$0, version: version, family: family, linkStateID: id)
                return read.encoded(version: version)
            }
            let router = InterAreaRouterLSABody(metric: 77, router: id, options: version == .v3 ? [.external] : [])
            try roundTrip(router.encoded(version: version)) {
                try InterAreaRouterLSABody(from: &$0, version: version, linkStateID: id).encoded(version: version)
            }
        }
    }

    @Test func `external LSAs with and without forwarding address and tag`() throws {
        for (version, family, prefix) in Self.prefixes {
            for isType2 in [false, true] {
                for forwarding in [nil, IPAddress(family == .ipv4 ? "192.0.2.1" : "2001:db8::9")] {
                    for tag in [UInt32(0), 0xdead_beef] {
                        let body = ExternalLSABody(
                            prefix: prefix, isType2: isType2, metric: 20, forwardingAddress: forwarding, tag: tag)
                        try roundTrip(body.encoded(version: version)) {
                            let read = try ExternalLSABody(
                                from: &$0, version: version, family: family, linkStateID: linkStateID(prefix))
                            return read.encoded(version: version)
                        }
                        let octets = body.encoded(version: version)
                        var reader = ByteReader(octets.span.bytes)
                        let read = try ExternalLSABody(
                            from: &reader, version: version, family: family, linkStateID: linkStateID(prefix))
                        #expect(read == body)
                    }
                }
            }
        }
    }

    @Test func `link and intra-area-prefix LSAs`() throws {
        for family in [AddressFamily.ipv4, .ipv6] {
            let prefixes = Self.prefixes.filter { $0.0 == .v3 && $0.1 == family }.map {
                LSAPrefix($0.2, options: [.localAddress])
            }
            let link = LinkLSABody(
                priority: 1, options: [.ipv6, .activeRouter],
                address: IPAddress(family == .ipv4 ? "192.0.2.1" : "fe80::1")!, prefixes: prefixes)
            try roundTrip(link.encoded()) { try LinkLSABody(from: &$0, family: family).encoded() }
            var body = IntraAreaPrefixLSABody(
                reference: LSAKey(type: .routerV3, linkStateID: 0, advertisingRouter: 9), prefixes: prefixes)
            for i in body.prefixes.indices { body.prefixes[i].metric = UInt16(i) + 1 }
            try roundTrip(body.encoded()) { try IntraAreaPrefixLSABody(from: &$0, family: family).encoded() }
        }
    }

    @Test func `RFC 5340 A.4.1: a prefix longer than its family is refused`() {
        let octets: [UInt8] = [33, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
        var reader = ByteReader(octets.span.bytes)
        #expect(throws: DecodeError("prefix length", at: 0, .badValue)) {
            _ = try LSAPrefix(from: &reader, family: .ipv4)
        }
    }

    @Test func `grace and router information LSAs`() throws {
        let whole = GraceLSABody(period: 120, reason: 1, address: IPv4Address(10, 0, 0, 1)).encoded()
        try roundTrip(whole, mayEndEarly: true) { try GraceLSABody(from: &$0).encoded() }
        let needed = GraceLSABody(period: 120, reason: 1).encoded()
        try roundTrip(needed) { try GraceLSABody(from: &$0).encoded() }
        let capabilities = RouterInformationLSABody(capabilities: [.gracefulRestartHelper, .stubRouter])
        try roundTrip(capabilities.encoded(), mayEndEarly: true) {
            try RouterInformationLSABody(from: &$0).encoded()
        }
    }
}
