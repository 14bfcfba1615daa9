@testable import ISIS
import Machine
import Records
import Testing
import Wire

/// Octets put together by hand and by our own encoders.
enum Sample {
    static let system = SystemID(raw: 0x1921_6800_1001)
    static let other = SystemID(raw: 0x1921_6800_1002)
    static let area = AreaAddress([0x49, 0, 1])!
    static let md5 = ISISAuthentication(firstSigns: [KeyChain.Key(id: 0, algorithm: .hmacMD5, secret: Array("secret".utf8))])

    static var helloContents: HelloContents {
        var contents = HelloContents()
        contents.areas = [area, AreaAddress([0x49])!]
        contents.protocols = [ProtocolID.ipv4, ProtocolID.ipv6]
        contents.ipv4Addresses = [IPv4Address(10, 0, 0, 1)]
        contents.ipv6Addresses = [IPv6Address("fe80::1")!]
        contents.topologies = [0, 2]
        contents.restart = RestartOption(
            isAcknowledgement: true, remainingTime: 27, restartingNeighbor: other)
        return contents
    }
    static var lanHello: LANHello {
        var contents = helloContents
        contents.lanNeighbors = (0..<50).map { MACAddress(raw: 0x0200_0000_0000 + UInt64($0)) }
        return LANHello(
            level: .two, circuitType: .level1And2, source: system, holdingTime: 30, priority: 64,
            lanID: NodeID(other, pseudonode: 3), contents: contents)
    }
    static var pointToPointHello: PointToPointHello {
        var contents = helloContents
        contents.threeWay = ThreeWayAdjacency(
            state: .initializing, extendedCircuitID: 7, neighbor: other, neighborCircuitID: 9)
        return PointToPointHello(
            circuitType: .level2, source: system, holdingTime: 9, localCircuitID: 1, contents: contents)
    }
    static var entries: [LSPEntry] {
        (0..<40).map { (i: Int) -> LSPEntry in
            let id = LSPID(SystemID(raw: UInt64(i)), pseudonode: UInt8(i & 1))
            return LSPEntry(
                id: id, sequenceNumber: UInt32(i + 1), remainingLifetime: 1199, checksum: UInt16(0x1000 + i))
        }
    }
    static var csnp: CSNP { CSNP(level: .one, source: system, start: .minimum, end: .maximum, entries: entries) }
    static var psnp: PSNP { PSNP(level: .two, source: system, entries: entries) }

    /// One of each TLV that LSPs have.
    static var lspBody: [UInt8] {
        var writer = ByteWriter()
        TLV.writeAreas([area], into: &writer)
        TLV.write(TLVCode.protocolsSupported, into: &writer) { $0.append([0xcc, 0x8e]) }
        TLV.write(TLVCode.multiTopology, into: &writer) { $0.append([0, 0, 0x80, 2]) }
        LSPContents.writeHostname("r1", into: &writer)
        TLV.write(TLVCode.isNeighbors, into: &writer) { writer in
            writer.u8(0)
            Reachability.writeNarrow(NeighborReach(NodeID(other), metric: 10), into: &writer)
        }
        TLV.write(TLVCode.extendedISReachability, into: &writer) { writer in
            Reachability.writeWide(NeighborReach(NodeID(other), metric: 100), into: &writer)
            // A neighbour with sub-TLVs: an interface address, and one from the future.
            writer.nodeID(NodeID(other, pseudonode: 1))
            writer.u24(5)
            writer.u8(9)
            writer.append([6, 4, 10, 0, 0, 1, 250, 1, 0])
        }
        TLV.write(TLVCode.mtISReachability, into: &writer) { writer in
            writer.u16(0x2)
            Reachability.writeWide(NeighborReach(NodeID(other), metric: 11), into: &writer)
        }
        TLV.write(TLVCode.ipInternalReachability, into: &writer) {
            Reachability.writeNarrow(IPv4Reach(IPv4Prefix("10.1.0.0/16")!, metric: 10, flags: .down), into: &$0)
        }
        TLV.write(TLVCode.ipExternalReachability, into: &writer) {
            Reachability.writeNarrow(
                IPv4Reach(IPv4Prefix("10.2.0.0/16")!, metric: 7, flags: .externalMetric), into: &$0)
        }
        TLV.write(TLVCode.extendedIPReachability, into: &writer) { writer in
            Reachability.writeWide(IPv4Reach(IPv4Prefix("0.0.0.0/0")!, metric: 1), into: &writer)
            Reachability.writeWide(
                IPv4Reach(IPv4Prefix("192.0.2.1/32")!, metric: 2, flags: [.down, .external, .node], tag: 77), into: &writer)
            Reachability.writeWide(IPv4Reach(IPv4Prefix("10.3.128.0/17")!, metric: 3), into: &writer)
        }
        TLV.write(TLVCode.mtIPReachability, into: &writer) { writer in
            writer.u16(3)
            Reachability.writeWide(IPv4Reach(IPv4Prefix("10.4.0.0/16")!, metric: 3), into: &writer)
        }
        TLV.write(TLVCode.ipv6Reachability, into: &writer) { writer in
            Reachability.write(
                IPv6Reach(IPv6Prefix("2001:db8::/33")!, metric: 4, flags: [.external, .readvertised], tag: 5), into: &writer)
            Reachability.write(IPv6Reach(IPv6Prefix("::/0")!, metric: 5), into: &writer)
        }
        TLV.write(TLVCode.mtIPv6Reachability, into: &writer) { writer in
            writer.u16(2)
            Reachability.write(IPv6Reach(IPv6Prefix("2001:db8::1/128")!, metric: 6, flags: .down), into: &writer)
        }
        TLV.write(TLVCode.ipInterfaceAddresses, into: &writer) { $0.ipv4(IPv4Address(10, 0, 0, 1)) }
        TLV.write(TLVCode.ipv6InterfaceAddresses, into: &writer) { $0.ipv6(IPv6Address("2001:db8::1")!) }
        TLV.write(TLVCode.teRouterID, into: &writer) { $0.ipv4(IPv4Address(10, 9, 9, 9)) }
        TLV.write(TLVCode.routerCapability, into: &writer) { $0.append([10, 9, 9, 9, 0]) }
        TLV.write(251, into: &writer) { $0.append([1, 2, 3]) }
        return writer.bytes
    }
    static func lsp(_ body: [UInt8] = lspBody, authentication: ISISAuthentication? = nil) -> [UInt8] {
        LSPBuilder.encode(
            level: .two, id: LSPID(system, fragment: 1), sequenceNumber: 0x1_0001, remainingLifetime: 1200,
            flags: [.level2, .attached], body: body, key: authentication?.key)
    }

    static func header(_ bytes: [UInt8]) throws(DecodeError) -> LSPHeader { try LSPHeader(bytes.span.bytes) }
    static func isSoundPurge(_ bytes: [UInt8]) -> Bool { LSPHeader.isSoundPurge(bytes.span.bytes) }
    static func contents(_ bytes: [UInt8]) -> LSPContents { LSPContents(bytes.span.bytes) }
}

@Suite struct CodecTests {
    @Test func `a LAN hello comes back as it was, padded to the octet`() throws {
        for size in [0, 700, 701, 702, 1497] + Array(1000..<1300) {
            let bytes = Sample.lanHello.encoded(paddedTo: size, key: Sample.md5.key)
            let back = try LANHello(bytes.span.bytes)
            #expect(back == Sample.lanHello)
            if size > 700 { #expect(bytes.count == size) }
        }
    }

    @Test func `a point-to-point hello comes back as it was, without and with parts of the three-way option`() throws {
        var hello = Sample.pointToPointHello
        func check() throws {
            let bytes = hello.encoded(paddedTo: 300)
            let back = try PointToPointHello(bytes.span.bytes)
            #expect(back == hello)
        }
        try check()
        hello.contents.threeWay?.neighborCircuitID = nil
        try check()
        hello.contents.threeWay?.neighbor = nil
        try check()
        hello.contents.threeWay?.extendedCircuitID = nil
        try check()
        hello.contents = HelloContents()
        hello.contents.restart = RestartOption(isRequest: true)
        try check()
        #expect(!hello.contents.supports(topology: 2) && hello.contents.supports(topology: 0))
    }

    @Test func `sequence numbers PDUs come back as they were and hold as many entries as they promise`() throws {
        for chain in [nil, Sample.md5] {
            var csnp = Sample.csnp
            let bytes = csnp.encoded(key: chain?.key)
            #expect(try CSNP(bytes.span.bytes) == csnp)
            let psnp = Sample.psnp.encoded(key: chain?.key)
            #expect(try PSNP(psnp.span.bytes) == Sample.psnp)
            for size in [100, 500, 1492, 1497] {
                let count = CSNP.entriesMaximum(size: size, authentication: chain)
                csnp.entries = (0..<count).map {
                    LSPEntry(id: LSPID(raw: UInt64($0)), sequenceNumber: 1, remainingLifetime: 1, checksum: 1)
                }
                let filled = csnp.encoded(key: chain?.key)
                #expect(filled.count <= size && filled.count > size - 20)
            }
        }
    }

    @Test func `an LSP comes back with all that its TLVs said`() throws {
        let bytes = Sample.lsp()
        let header = try Sample.header(bytes)
        #expect(header.level == .two)
        #expect(header.id == LSPID(Sample.system, fragment: 1))
        #expect(header.sequenceNumber == 0x1_0001)
        #expect(header.pduLength == bytes.count)
        #expect(header.flags == [.level2, .attached])
        let contents = Sample.contents(bytes)
        #expect(contents.malformedTLVs == 0)
        #expect(contents.unknownTLVs == 1)
        #expect(contents.areas == [Sample.area])
        #expect(contents.protocols == [0xcc, 0x8e])
        #expect(contents.hostname == "r1")
        #expect(contents.topologies == [TopologyMembership(id: 0), TopologyMembership(id: 2, isOverloaded: true)])
        #expect(
            contents.neighbors == [
                NeighborReach(NodeID(Sample.other), metric: 10, isNarrow: true),
                NeighborReach(NodeID(Sample.other), metric: 100),
                NeighborReach(NodeID(Sample.other, pseudonode: 1), metric: 5, subTLVOctets: 9),
                NeighborReach(NodeID(Sample.other), metric: 11, topology: 2),
            ])
        #expect(
            contents.ipv4 == [
                IPv4Reach(IPv4Prefix("10.1.0.0/16")!, metric: 10, flags: [.down, .narrow]),
                IPv4Reach(IPv4Prefix("10.2.0.0/16")!, metric: 7, flags: [.externalMetric, .external, .narrow]),
                IPv4Reach(IPv4Prefix("0.0.0.0/0")!, metric: 1),
                IPv4Reach(IPv4Prefix("192.0.2.1/32")!, metric: 2, flags: [.down, .external, .node], tag: 77),
                IPv4Reach(IPv4Prefix("10.3.128.0/17")!, metric: 3),
                IPv4Reach(IPv4Prefix("10.4.0.0/16")!, metric: 3, topology: 3),
            ])
        #expect(
            contents.ipv6 == [
                IPv6Reach(IPv6Prefix("2001:db8::/33")!, metric: 4, flags: [.external, .readvertised], tag: 5),
                IPv6Reach(IPv6Prefix("::/0")!, metric: 5),
                IPv6Reach(IPv6Prefix("2001:db8::1/128")!, metric: 6, flags: .down, topology: 2),
            ])
        #expect(contents.ipv4Addresses == [IPv4Address(10, 0, 0, 1)])
        #expect(contents.ipv6Addresses == [IPv6Address("2001:db8::1")!])
        #expect(contents.teRouterID == IPv4Address(10, 9, 9, 9))
        #expect(contents.hasRouterCapability)
    }

    @Test func `ISO 10589 §7.3.14.2: an LSP with a wrong or absent checksum, or sequence number zero, is refused`() {
        let sound = Sample.lsp()
        var bytes = sound
        bytes[24] = 0
        bytes[25] = 0
        #expect(throws: DecodeError("checksum", at: 24, .badChecksum)) { try Sample.header(bytes) }
        bytes = sound
        for i in 20..<24 { bytes[i] = 0 }
        #expect(throws: DecodeError("sequence number", at: 20, .badValue)) { try Sample.header(bytes) }
        bytes = sound
        LSPBuilder.setRemainingLifetime(17, in: &bytes)
        #expect((try? Sample.header(bytes))?.remainingLifetime == 17)
    }

    @Test func `every truncation and every bit flip of every PDU is understood or refused, and nothing else`() {
        let pdus = [
            Sample.lanHello.encoded(key: Sample.md5.key), Sample.pointToPointHello.encoded(), Sample.csnp.encoded(),
            Sample.psnp.encoded(key: Sample.md5.key), Sample.lsp(), Sample.lsp(authentication: Sample.md5),
        ]
        func read(_ bytes: [UInt8]) -> Bool {
            _ = Authentication.verify(bytes.span.bytes, with: Sample.md5, at: .zero)
            _ = LSPHeader.isSoundPurge(bytes.span.bytes)
            _ = Sample.contents(bytes)
            return (try? LANHello(bytes.span.bytes)) != nil || (try? PointToPointHello(bytes.span.bytes)) != nil
                || (try? CSNP(bytes.span.bytes)) != nil || (try? PSNP(bytes.span.bytes)) != nil
                || (try? LSPHeader(bytes.span.bytes)) != nil
        }
        for pdu in pdus {
            #expect(read(pdu))
            for count in 0..<pdu.count { #expect(!read(Array(pdu.prefix(count)))) }
            for bit in 0..<(pdu.count * 8) {
                var bytes = pdu
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                _ = read(bytes)
            }
        }
        // Of an LSP, only what the checksum does not cover may change unnoticed.
        let lsp = Sample.lsp()
        for bit in 0..<(lsp.count * 8) {
            var bytes = lsp
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            guard (try? Sample.header(bytes)) != nil else { continue }
            #expect([3, 4, 6, 7, 10, 11].contains(bit / 8))
        }
    }

    @Test func `RFC 8918: a TLV that contradicts itself is ignored as a whole, and the others count`() {
        var writer = ByteWriter()
        TLV.write(TLVCode.extendedIPReachability, into: &writer) { writer in
            Reachability.writeWide(IPv4Reach(IPv4Prefix("10.0.0.0/8")!, metric: 1), into: &writer)
            writer.append([0, 0, 0, 1, 33, 1, 2, 3, 4, 5])
        }
        TLV.write(TLVCode.ipInternalReachability, into: &writer) {
            $0.append([10, 0x80, 0x80, 0x80, 10, 0, 0, 0, 255, 0, 255, 0])
        }
        TLV.write(TLVCode.ipv6Reachability, into: &writer) { $0.append([0, 0, 0, 1, 0, 129]) }
        TLV.write(TLVCode.areaAddresses, into: &writer) { $0.append([0]) }
        TLV.write(TLVCode.extendedIPReachability, into: &writer) {
            Reachability.writeWide(IPv4Reach(IPv4Prefix("10.9.0.0/16")!, metric: 1), into: &$0)
        }
        let contents = Sample.contents(Sample.lsp(writer.bytes))
        #expect(contents.ipv4 == [IPv4Reach(IPv4Prefix("10.9.0.0/16")!, metric: 1)])
        #expect(contents.malformedTLVs == 4)
        #expect(contents.firstFault?.field.description == "prefix length")
    }

    @Test func `sub-TLVs that overrun their entry spoil the TLV, and hundreds of them cost only their octets`() {
        var writer = ByteWriter()
        TLV.write(TLVCode.extendedIPReachability, into: &writer) {
            $0.append([0, 0, 0, 1, 0x48, 10, 4, 1, 200, 0, 0])
        }
        TLV.write(TLVCode.extendedIPReachability, into: &writer) { writer in
            writer.append([0, 0, 0, 1, 0x48, 11, 240])
            for _ in 0..<120 { writer.append([9, 0]) }
        }
        let contents = Sample.contents(Sample.lsp(writer.bytes))
        #expect(contents.malformedTLVs == 1)
        #expect(contents.ipv4 == [IPv4Reach(IPv4Prefix("11.0.0.0/8")!, metric: 1)])
    }

    @Test func `RFC 6232: a purge names who made it and holds nothing else`() throws {
        let purge = LSPBuilder.purge(
            level: .one, id: LSPID(Sample.other), sequenceNumber: 9, originator: Sample.system, receivedFrom: Sample.other,
            hostname: "r1", key: Sample.md5.key)
        let header = try Sample.header(purge)
        #expect(header.isPurge && header.level == .one && header.sequenceNumber == 9)
        #expect(Sample.isSoundPurge(purge))
        #expect(AuthenticationTests.verify(purge, Sample.md5) == .valid)
        let contents = Sample.contents(purge)
        #expect(contents.purgeOriginators == [Sample.system, Sample.other])
        #expect(contents.hostname == "r1")
        #expect(contents.hasAuthentication)
        // RFC 5304 §2: an authentic LSP whose lifetime somebody set to zero is none.
        var aged = Sample.lsp(authentication: Sample.md5)
        LSPBuilder.setRemainingLifetime(0, in: &aged)
        #expect(try Sample.header(aged).isPurge)
        #expect(AuthenticationTests.verify(aged, Sample.md5) == .valid)
        #expect(!Sample.isSoundPurge(aged))
    }
}

@Suite struct AuthenticationTests {
    static func chain(_ algorithm: KeyChain.Algorithm, id: UInt64 = 1, _ secret: String = "key") -> ISISAuthentication {
        ISISAuthentication(firstSigns: [KeyChain.Key(id: id, algorithm: algorithm, secret: Array(secret.utf8))])
    }
    static func verify(_ pdu: [UInt8], _ chain: ISISAuthentication?) -> Authentication.Verdict {
        Authentication.verify(pdu.span.bytes, with: chain, at: .zero)
    }

    @Test func `every PDU signed with every algorithm verifies, with its own key only`() {
        for algorithm in KeyChain.Algorithm.isis {
            for secret in ["k", String(repeating: "x", count: 50), String(repeating: "y", count: 200)] {
                let key = Self.chain(algorithm, secret)
                for pdu in [
                    Sample.lanHello.encoded(paddedTo: 1497, key: key.key),
                    Sample.pointToPointHello.encoded(key: key.key), Sample.csnp.encoded(key: key.key),
                    Sample.psnp.encoded(key: key.key), Sample.lsp(authentication: key),
                ] {
                    #expect(Self.verify(pdu, key) == .valid)
                    #expect(Self.verify(pdu, Self.chain(algorithm, secret + "z")) == .wrong)
                    #expect(Self.verify(pdu, nil) == .notRequired)
                    if algorithm != .clearText {
                        var changed = pdu
                        changed[pdu.count - 1] ^= 1
                        #expect(Self.verify(changed, key) == .wrong)
                    }
                }
            }
        }
    }

    @Test func `RFC 5304 §2: lifetime and checksum of an LSP change on the way and its digest stays valid`() {
        for algorithm in [KeyChain.Algorithm.hmacMD5, .hmacSHA256] {
            let key = Self.chain(algorithm)
            var lsp = Sample.lsp(authentication: key)
            LSPBuilder.setRemainingLifetime(5, in: &lsp)
            lsp[24] ^= 0xff
            #expect(Self.verify(lsp, key) == .valid)
            lsp[23] ^= 1
            #expect(Self.verify(lsp, key) == .wrong)
        }
    }

    @Test func `RFC 5304 §2: the digest of a hello is HMAC-MD5 over the PDU with the value zeroed`() {
        // The PDU written out; the digest below is what an HMAC-MD5 of another make gives for it under "key".
        let hello = PointToPointHello(
            circuitType: .level2, source: SystemID(raw: 1), holdingTime: 30, localCircuitID: 1)
        let bytes = hello.encoded(key: Self.chain(.hmacMD5).key)
        #expect(
            Array(bytes.prefix(23)) == [
                0x83, 20, 1, 0, 17, 1, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 30, 0, 39, 1, 10, 17, 54,
            ])
        #expect(bytes.count == 39)
        #expect(
            Array(bytes.suffix(16)) == [
                0x6c, 0xea, 0x0c, 0x34, 0x9b, 0x6a, 0x9e, 0x16, 0x88, 0x0d, 0x86, 0x1d, 0x87, 0x73, 0xf8, 0xd4,
            ])
    }

    @Test func `RFC 5310 §3.4: the digest is over Apad in its own place`() {
        let hello = PointToPointHello(
            circuitType: .level2, source: SystemID(raw: 1), holdingTime: 30, localCircuitID: 1)
        let bytes = hello.encoded(key: Self.chain(.hmacSHA1, id: 7).key)
        #expect(Array(bytes[20..<25]) == [10, 23, 3, 0, 7])
        #expect(
            Array(bytes.suffix(20)) == [
                0xfd, 0x45, 0x11, 0x0b, 0x10, 0xeb, 0xbe, 0x4d, 0xa4, 0xd6,
                0x85, 0x37, 0x7d, 0xd0, 0x82, 0x1a, 0x25, 0x7e, 0x52, 0x3d,
            ])
    }

    @Test func `no TLV, another type, another key number and two TLVs are told apart`() {
        let md5 = Self.chain(.hmacMD5), sha = Self.chain(.hmacSHA256, id: 3)
        #expect(Self.verify(Sample.lsp(), md5) == .missing)
        #expect(Self.verify(Sample.lsp(authentication: md5), sha) == .unknownKey)
        #expect(Self.verify(Sample.lsp(authentication: sha), Self.chain(.hmacSHA256, id: 4)) == .unknownKey)
        #expect(Self.verify(Sample.lsp(authentication: sha), Self.chain(.hmacSHA512, id: 3)) == .wrong)
        var writer = ByteWriter()
        for _ in 0..<2 { TLV.write(TLVCode.authentication, into: &writer) { $0.append([1, 65]) } }
        #expect(Self.verify(Sample.lsp(writer.bytes), Self.chain(.clearText, "A")) == .malformed)
        #expect(Self.verify([0x83, 20], md5) == .malformed)
    }

    @Test func `any key of a chain verifies, the first signs, and a chain that only sends takes everything`() {
        let old = KeyChain.Key(id: 1, algorithm: .hmacSHA1, secret: [1]),
            new = KeyChain.Key(id: 2, algorithm: .hmacSHA256, secret: [2])
        let pdu = Sample.psnp.encoded(key: ISISAuthentication(firstSigns: [new, old]).key)
        #expect(Self.verify(pdu, ISISAuthentication(firstSigns: [old, new])) == .valid)
        #expect(Self.verify(pdu, ISISAuthentication(firstSigns: [old])) == .unknownKey)
        var lenient = ISISAuthentication(firstSigns: [old])
        lenient.isSendOnly = true
        #expect(Self.verify(pdu, lenient) == .notRequired)
        #expect(Self.verify(Sample.psnp.encoded(), lenient).isAccepted)
    }
}
