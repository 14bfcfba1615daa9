import Machine
import Records
import Testing
import Wire

@testable import OSPF

@Suite struct PacketTests {
    static let source4 = IPAddress("10.0.0.1")!, group4 = IPAddress("224.0.0.5")!
    static let source6 = IPAddress("fe80::1")!, group6 = IPAddress("ff02::5")!

    static func addresses(_ version: OSPFVersion) -> (IPAddress, IPAddress) {
        version == .v2 ? (source4, group4) : (source6, group6)
    }

    /// One of each kind.
    static func samples(_ version: OSPFVersion) -> [OSPFPacket] {
        let type: LSAType = version == .v2 ? .router : .routerV3
        let lsas = [4, 16, 0].map {
            LSA(
                version: version, key: LSAKey(type: type, linkStateID: 1, advertisingRouter: UInt32($0)),
                options: version == .v2 ? 2 : 0, body: Array(repeating: 9, count: $0))
        }
        let keys = lsas.map(\.key)
        let bodies: [OSPFPacket.Body] = [
            .hello(
                HelloPacket(
                    networkMask: version == .v2 ? 0xffff_ff00 : 0, interfaceID: version == .v3 ? 7 : 0,
                    helloInterval: 10, routerDeadInterval: 40, options: [.external], priority: 3, designatedRouter: 0x0a00_0001,
                    backupDesignatedRouter: 0x0a00_0002, neighbors: [5, 6, 7])),
            .databaseDescription(
                DatabaseDescriptionPacket(
                    mtu: 1500, options: [.external], flags: [.initial, .more, .master], sequence: 0xdead_beef,
                    headers: lsas.map(\.header))),
            .linkStateRequest(LinkStateRequestPacket(keys: keys)),
            .linkStateUpdate(LinkStateUpdatePacket(lsas: lsas)),
            .linkStateAcknowledgment(LinkStateAcknowledgmentPacket(headers: lsas.map(\.header))),
        ]
        return bodies.map { OSPFPacket(routerID: 0x0101_0101, areaID: 2, instanceID: version == .v3 ? 64 : 0, $0) }
    }

    static func key(_ algorithm: KeyChain.Algorithm, id: UInt64 = 5, extended: Bool = false) -> KeyChain.Key {
        KeyChain.Key(id: id, algorithm: algorithm, secret: "correct horse", extendedSequence: extended)
    }

    static func ways(_ version: OSPFVersion) -> [KeyChain?] {
        var ways: [KeyChain?] = [nil]
        for algorithm in KeyChain.Algorithm.ospf where version == .v2 || algorithm != .md5 {
            ways.append(KeyChain(firstSigns: [key(algorithm)]))
            if version == .v2, algorithm != .md5 {
                ways.append(KeyChain(firstSigns: [key(algorithm, extended: true)]))
            }
        }
        if version == .v2 { ways.append(.password("hush")) }
        return ways
    }

    /// The way of a packet that came in.
    static func receive(
        _ octets: [UInt8], _ version: OSPFVersion, _ authentication: KeyChain?, from source: IPAddress? = nil
    ) throws -> (OSPFPacket, PacketAuthentication.Checked) {
        let (from, to) = addresses(version)
        let bytes = octets.span.bytes
        let header = try OSPFPacketHeader(bytes, version: version)
        let checked = try PacketAuthentication.check(
            bytes, header, version: version, authentication, source: source ?? from, destination: to, at: .zero)
        return (try OSPFPacket(bytes, header: header, bodyStart: checked.bodyStart, version: version), checked)
    }

    @Test(arguments: [OSPFVersion.v2, .v3])
    func `every packet is read as it was written, with every way of authentication`(version: OSPFVersion) throws {
        let (source, destination) = Self.addresses(version)
        for way in Self.ways(version) {
            for packet in Self.samples(version) {
                let octets = packet.encoded(
                    version: version, key: way?.sendingKey(at: .zero), sequence: 0x1_0000_0002, source: source,
                    destination: destination)
                let (read, checked) = try Self.receive(octets, version, way)
                #expect(read.body == packet.body)
                #expect(read.header.routerID == packet.header.routerID && read.header.areaID == 2)
                #expect(read.header.instanceID == packet.header.instanceID)
                let overhead = PacketAuthentication.overhead(version: version, way)
                let plain = packet.encoded(version: version, source: source, destination: destination)
                #expect(octets.count == plain.count + overhead)
                if let key = way?.keys[0], key.algorithm != .clearText {
                    let isWide = version == .v3 || key.isExtended
                    #expect(checked.isExtended == isWide)
                    #expect(checked.sequence == (isWide ? 0x1_0000_0002 : 2))
                } else {
                    #expect(checked.sequence == nil)
                }
            }
        }
    }

    @Test(arguments: [OSPFVersion.v2, .v3])
    func `every truncation is refused`(version: OSPFVersion) {
        let (source, destination) = Self.addresses(version)
        for way in Self.ways(version) {
            for packet in Self.samples(version) {
                let octets = packet.encoded(
                    version: version, key: way?.sendingKey(at: .zero), source: source, destination: destination)
                for count in 0..<octets.count {
                    #expect(throws: (any Error).self) { try Self.receive(Array(octets[..<count]), version, way) }
                }
            }
        }
    }

    @Test(arguments: [OSPFVersion.v2, .v3])
    func `every flipped bit under a key is refused, and never more than refused`(version: OSPFVersion) {
        let (source, destination) = Self.addresses(version)
        for way in Self.ways(version) {
            for packet in Self.samples(version) {
                let octets = packet.encoded(
                    version: version, key: way?.sendingKey(at: .zero), source: source, destination: destination)
                for bit in 0..<(octets.count * 8) {
                    var flipped = octets
                    flipped[bit / 8] ^= 0x80 >> (bit % 8)
                    let read = try? Self.receive(flipped, version, way)
                    if way?.keys[0].algorithm == .clearText, (16..<24).contains(bit / 8) { #expect(read == nil) }
                    // The authentication field of a packet without any is nobody's business.
                    if way == nil, version == .v2, (16..<24).contains(bit / 8) { continue }
                    #expect(read == nil, "\(version) \(way) \(packet.header.type) bit \(bit)")
                }
            }
        }
    }

    @Test(arguments: [OSPFVersion.v2, .v3])
    func `bodies behind a sound checksum never trap`(version: OSPFVersion) {
        let (source, destination) = Self.addresses(version)
        var random = RandomNumbers(seed: 11)
        for packet in Self.samples(version) {
            let octets = packet.encoded(version: version, source: source, destination: destination)
            for _ in 0..<3000 {
                var bad = octets
                for _ in 0..<random.number(in: 1...6) {
                    let at = random.number(in: OSPFPacketHeader.size(version)...(bad.count - 1))
                    bad[at] = UInt8(truncatingIfNeeded: random.next())
                }
                bad.removeLast(random.number(in: 0...4))
                let bytes = bad.span.bytes
                var header = packet.header
                header.length = UInt16(bad.count)
                let start = OSPFPacketHeader.size(version)
                _ = try? OSPFPacket(bytes, header: header, bodyStart: start, version: version)
            }
        }
    }

    @Test func `RFC 2328 §8.2: the AuType must be the interface's`() {
        let packet = Self.samples(.v2)[0]
        let ways = Self.ways(.v2)
        for (i, sent) in ways.enumerated() {
            for (j, expected) in ways.enumerated() where i != j {
                let octets = packet.encoded(
                    version: .v2, key: sent?.sendingKey(at: .zero), source: Self.source4, destination: Self.group4)
                #expect(throws: PacketAuthentication.Failure.self) { try Self.receive(octets, .v2, expected) }
            }
        }
    }

    @Test func `a chain sends with its first key and accepts all`() throws {
        let old = Self.key(.md5, id: 1), new = Self.key(.hmacSHA256, id: 2)
        let packet = Self.samples(.v2)[3]
        let octets = packet.encoded(
            version: .v2, key: KeyChain(firstSigns: [new, old]).sendingKey(at: .zero), source: Self.source4,
            destination: Self.group4)
        #expect(octets[18] == 2)
        _ = try Self.receive(octets, .v2, KeyChain(firstSigns: [old, new]))
        #expect(throws: PacketAuthentication.Failure.unknownKey) {
            try Self.receive(octets, .v2, KeyChain(firstSigns: [old]))
        }
    }

    @Test func `RFC 7474 §3: the key's number in the header, the sequence number behind the packet, and outside its length`()
        throws
    {
        let way = KeyChain(firstSigns: [Self.key(.hmacSHA256, extended: true)])
        let sent = OSPFPacket(
            routerID: 0x0101_0101, areaID: 0, .linkStateAcknowledgment(LinkStateAcknowledgmentPacket(headers: []))
        ).encoded(
            version: .v2, key: way.sendingKey(at: .zero), sequence: 0x1_0000_0007, source: Self.source4, destination: Self.group4)
        #expect(sent.prefix(32) == octets("02050018 01010101 00000000 00000003 00000020 00000005 00000001 00000007")[...])
        #expect(sent.count == 32 + 32)
        let (_, checked) = try Self.receive(sent, .v2, way)
        #expect(checked.sequence == 0x1_0000_0007 && checked.bodyStart == 24)
        // The Key ID has 32 bits here; one that has the right low ones is another.
        var other = sent
        other[20] = 1
        #expect(throws: PacketAuthentication.Failure.unknownKey) { try Self.receive(other, .v2, way) }
    }

    @Test func `RFC 7474 has no keyed MD5: such a key is used for nothing`() throws {
        let way = KeyChain(firstSigns: [Self.key(.md5, extended: true)])
        let plain = KeyChain(firstSigns: [Self.key(.md5)])
        for sender in [way, plain] {
            let sent = Self.samples(.v2)[0].encoded(
                version: .v2, key: sender.sendingKey(at: .zero), source: Self.source4, destination: Self.group4)
            #expect(throws: PacketAuthentication.Failure.unknownKey) { try Self.receive(sent, .v2, way) }
        }
    }

    @Test func `RFC 7474 §5: the source address is under the digest`() throws {
        let other = IPAddress("10.0.0.2")!
        let packet = Self.samples(.v2)[0]
        for isExtended in [false, true] {
            let way = KeyChain(firstSigns: [Self.key(.hmacSHA256, extended: isExtended)])
            let octets = packet.encoded(
                version: .v2, key: way.sendingKey(at: .zero), source: Self.source4, destination: Self.group4)
            let isRefused = (try? Self.receive(octets, .v2, way, from: other)) == nil
            #expect(isRefused == isExtended)
        }
    }

    @Test func `RFC 7166 §4.5: the source address is under the digest`() {
        let way = KeyChain(firstSigns: [Self.key(.hmacSHA1)])
        let octets = Self.samples(.v3)[0].encoded(
            version: .v3, key: way.sendingKey(at: .zero), source: Self.source6, destination: Self.group6)
        #expect(throws: PacketAuthentication.Failure.badDigest) {
            try Self.receive(octets, .v3, way, from: IPAddress("fe80::2")!)
        }
    }

    @Test func `RFC 5340 A.3.1: the pseudo-header is under the checksum`() {
        let octets = Self.samples(.v3)[0].encoded(version: .v3, source: Self.source6, destination: Self.group6)
        #expect(throws: PacketAuthentication.Failure.badChecksum) {
            try Self.receive(octets, .v3, nil, from: IPAddress("fe80::2")!)
        }
    }

    @Test func `RFC 5613 §2: an LLS block after the packet is tolerated`() throws {
        for version in [OSPFVersion.v2, .v3] {
            let (source, destination) = Self.addresses(version)
            guard case .hello(var hello) = Self.samples(version)[0].body else { return }
            hello.options.insert(.linkLocalSignaling(version))
            let packet = OSPFPacket(routerID: 1, areaID: 0, .hello(hello))
            let octets = packet.encoded(version: version, source: source, destination: destination)
            let block: [UInt8] = [0xff, 0xf6, 0, 3, 0, 1, 0, 4, 0, 0, 0, 1]
            #expect(try Self.receive(octets + block, version, nil).0.body == .hello(hello))
        }
    }

    @Test func `RFC 7166 §4.6: the trailer follows the LLS block`() throws {
        let way = KeyChain(firstSigns: [Self.key(.hmacSHA256)])
        guard case .hello(var hello) = Self.samples(.v3)[0].body else { return }
        hello.options.formUnion([.linkLocalSignalingV3, .authenticationTrailer])
        let packet = OSPFPacket(routerID: 1, areaID: 0, .hello(hello))
        let signed = packet.encoded(
            version: .v3, key: way.sendingKey(at: .zero), source: Self.source6, destination: Self.group6)
        // Without the block where the options say there is one, the trailer's own octets are taken for it.
        #expect(throws: PacketAuthentication.Failure.self) { try Self.receive(signed, .v3, way) }
    }

    @Test func `RFC 5340 A.3.1: an instance and a router are told by the header`() throws {
        let octets = Self.samples(.v3)[4].encoded(version: .v3, source: Self.source6, destination: Self.group6)
        let header = try OSPFPacketHeader(octets.span.bytes, version: .v3)
        #expect(header.instanceID == 64 && header.routerID == 0x0101_0101 && header.type == .linkStateAcknowledgment)
        #expect(throws: DecodeError("version", at: 0, .unsupported)) {
            _ = try OSPFPacketHeader(octets.span.bytes, version: .v2)
        }
    }

    /// RFC 2328 D.4.3 by hand: MD5 of the packet and the padded key, over octets written out here.
    @Test func `a keyed MD5 packet has the octets that the RFC says`() throws {
        let way = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .md5, secret: "abc")])
        let packet = OSPFPacket(routerID: 0x0a00_0001, areaID: 0, .linkStateAcknowledgment(.init(headers: [])))
        let octets = packet.encoded(
            version: .v2, key: way.sendingKey(at: .zero), sequence: 0x3c7e_c653, source: Self.source4, destination: Self.group4)
        let head: [UInt8] = [
            2, 5, 0, 24, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 16, 0x3c, 0x7e, 0xc6, 0x53,
        ]
        #expect(Array(octets[..<24]) == head)
        #expect(octets.count == 40)
    }
}
