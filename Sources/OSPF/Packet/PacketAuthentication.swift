import Digests
import Machine
import Records
import Wire

/// Checksums and authentication of packets, both ways.
///
/// OSPFv2: RFC 2328 D.4 (none, simple password, keyed MD5), RFC 5709 (HMAC-SHA), RFC 7474 (64-bit sequence numbers, and
/// the source address under the digest). OSPFv3: checksum with the pseudo-header of RFC 5340 A.3.1, or the trailer of
/// RFC 7166.
///
/// Whether a sequence number may be accepted is asked elsewhere, since the answer is the neighbour's state.
public enum PacketAuthentication {
    /// Why a packet is not genuine.
    public enum Failure: Error, Hashable, Sendable, CaseIterable, CustomStringConvertible {
        /// RFC 2328 §8.2: the interface is configured with another AuType; OSPFv3: there is no trailer, or of another
        /// type.
        case typeMismatch
        case badChecksum
        case badPassword
        case unknownKey
        /// The digest is longer than what is left of the packet, or not as long as the key's algorithm makes it.
        case badLength
        case badDigest

        public var description: String {
            switch self {
            case .typeMismatch: "authentication type mismatch"
            case .badChecksum: "bad checksum"
            case .badPassword: "bad password"
            case .unknownKey: "unknown key"
            case .badLength: "bad authentication length"
            case .badDigest: "bad digest"
            }
        }
    }

    /// What a genuine packet says besides its body.
    public struct Checked: Hashable, Sendable {
        /// Where the body begins.
        public var bodyStart: Int
        /// The cryptographic sequence number; `nil` without a key.
        public var sequence: UInt64?
        /// The number has 64 bits and grows with every packet of a type (RFC 7474 §3, RFC 7166 §4.1).
        public var isExtended = false
    }

    /// RFC 7474 §3: octets of the sequence number that follows an OSPFv2 packet, outside its length and under the
    /// digest.
    static let extendedSequenceSize = 8
    /// RFC 7166 §4.1: octets of the trailer before its digest.
    static let trailerSize = 16
    /// RFC 7166 §4.1: HMAC Cryptographic Authentication.
    static let trailerType: UInt16 = 1
    /// RFC 2328 A.3.1, RFC 7474 §3: AuType.
    enum Kind {
        static let none: UInt16 = 0
        static let simple: UInt16 = 1
        static let cryptographic: UInt16 = 2
        static let extended: UInt16 = 3
    }

    /// Octets that are appended to a packet beyond its length, by whichever key of the chain: what must be left free below
    /// the MTU.
    public static func overhead(version: OSPFVersion, _ chain: KeyChain?) -> Int {
        let overheads = (chain?.sendingKeys ?? []).map { key in
            guard let digest = key.algorithm.digest?.length else { return 0 }
            return version == .v2 ? digest + (key.isExtended ? extendedSequenceSize : 0) : trailerSize + digest
        }
        return overheads.max() ?? 0
    }

    // MARK: sending

    /// Closes a packet: length, checksum or digest.
    /// - Parameter key: the one that signs now; `nil` without authentication.
    public static func seal(
        _ writer: inout ByteWriter, version: OSPFVersion, _ key: KeyChain.Key?, sequence: UInt64,
        source: IPAddress, destination: IPAddress
    ) {
        let length = writer.count
        writer.patch16(2, UInt16(truncatingIfNeeded: length))
        guard let key else { return sealPlain(&writer, version, source, destination) }
        switch (version, key.algorithm.digest) {
        case (.v2, let algorithm?):
            // RFC 2328 D.4.3 (1)…(3): the checksum stays zero; key, length of the digest and sequence number take the
            // place of the authentication.
            writer.patch16(
                OSPFPacketHeader.authenticationTypeOffset, key.isExtended ? Kind.extended : Kind.cryptographic)
            let at = OSPFPacketHeader.authenticationOffset
            writer.patch8(at + 3, UInt8(algorithm.length))
            if key.isExtended {
                // RFC 7474 §3: the Key ID has 32 bits and stands where the sequence number was, which goes behind the
                // packet.
                writer.patch32(at + 4, UInt32(truncatingIfNeeded: key.id))
                writer.u64(sequence)
            } else {
                writer.patch8(at + 2, UInt8(truncatingIfNeeded: key.id))
                writer.patch32(at + 4, UInt32(truncatingIfNeeded: sequence))
            }
            let digest = digestV2(writer.bytes.span.bytes, key, algorithm, source)
            writer.append(digest.bytes)
        case (.v3, let algorithm?):
            // RFC 7166 §4.5: the checksum is not computed when a trailer follows.
            writer.u16(trailerType)
            writer.u16(UInt16(trailerSize + algorithm.length))
            writer.u16(0)
            writer.u16(UInt16(truncatingIfNeeded: key.id))
            writer.u64(sequence)
            let digest = digestV3(writer.bytes.span.bytes, key, algorithm, source)
            writer.append(digest.bytes)
        case (.v2, nil):
            writer.patch16(OSPFPacketHeader.authenticationTypeOffset, Kind.simple)
            sealPlain(&writer, version, source, destination)
            let octets = passwordOctets(key.secret)
            writer.patch32(OSPFPacketHeader.authenticationOffset, UInt32(truncatingIfNeeded: octets >> 32))
            writer.patch32(OSPFPacketHeader.authenticationOffset + 4, UInt32(truncatingIfNeeded: octets))
        case (.v3, nil):
            // RFC 5340 has no password.
            sealPlain(&writer, version, source, destination)
        }
    }

    private static func sealPlain(
        _ writer: inout ByteWriter, _ version: OSPFVersion, _ source: IPAddress, _ destination: IPAddress
    ) {
        let sum = checksum(writer.bytes.span.bytes, version, source, destination)
        writer.patch16(OSPFPacketHeader.checksumOffset, sum)
    }

    // MARK: receiving

    /// Checks that a packet is what was sent, and by one who has the key.
    ///
    /// - Parameters:
    ///   - bytes: the whole IP payload; the header was read from it.
    ///   - source: the IP source address.
    ///   - destination: the IP destination address.
    ///   - now: keys count that are acceptable then.
    public static func check(
        _ bytes: RawSpan, _ header: OSPFPacketHeader, version: OSPFVersion, _ chain: KeyChain?, source: IPAddress,
        destination: IPAddress, at now: Instant
    ) throws(Failure) -> Checked {
        let length = Int(header.length)
        guard length <= bytes.byteCount, length >= OSPFPacketHeader.size(version) else { throw .badLength }
        switch version {
        case .v2: return try checkV2(bytes, header, chain, source, at: now)
        case .v3:
            if let chain { return try checkTrailer(bytes, header, chain, source, at: now) }
            // A trailer that nobody here asked for does no harm (RFC 7166 §5: transition).
            let packet = bytes.extracting(0..<length)
            if header.checksum == 0, hasTrailer(bytes, header) { return Checked(bodyStart: 16) }
            guard checksum(packet, version, source, destination) == 0 else { throw .badChecksum }
            return Checked(bodyStart: OSPFPacketHeader.size(version))
        }
    }

    private static func checkV2(
        _ bytes: RawSpan, _ header: OSPFPacketHeader, _ chain: KeyChain?, _ source: IPAddress, at now: Instant
    ) throws(Failure) -> Checked {
        let packet = bytes.extracting(0..<Int(header.length))
        let size = OSPFPacketHeader.size(.v2)
        guard let chain else {
            guard header.authenticationType == Kind.none else { throw .typeMismatch }
            guard checksum(packet, .v2, source, source) == 0 else { throw .badChecksum }
            return Checked(bodyStart: size)
        }
        switch header.authenticationType {
        case Kind.simple:
            // It carries no identifier: every password that counts now is tried.
            let passwords = chain.keys.filter { $0.algorithm == .clearText && chain.isAcceptable($0, at: now) }
            guard !passwords.isEmpty else { throw .typeMismatch }
            guard checksum(packet, .v2, source, source) == 0 else { throw .badChecksum }
            guard passwords.contains(where: { header.authentication == passwordOctets($0.secret) }) else {
                throw .badPassword
            }
            return Checked(bodyStart: size)
        case Kind.cryptographic, Kind.extended:
            guard chain.keys.contains(where: { $0.algorithm != .clearText }) else { throw .typeMismatch }
            let isExtended = header.authenticationType == Kind.extended
            let word = UInt32(truncatingIfNeeded: header.authentication)
            let id = isExtended ? word : UInt32(truncatingIfNeeded: header.authentication >> 40 & 0xff)
            let digestLength = Int(truncatingIfNeeded: header.authentication >> 32 & 0xff)
            guard let key = chain.acceptableKey(UInt64(id), at: now), key.isUsable, let digest = key.algorithm.digest else {
                throw .unknownKey
            }
            // RFC 7474 §3 and D.5 of RFC 2328: what the key is configured for is what must come.
            guard key.isExtended == isExtended else { throw .typeMismatch }
            let signed = packet.byteCount + (isExtended ? extendedSequenceSize : 0)
            guard digestLength == digest.length, bytes.byteCount >= signed + digestLength else {
                throw .badLength
            }
            var sequence = UInt64(word)
            if isExtended {
                var behind = ByteReader(bytes.extracting(packet.byteCount..<signed))
                guard let number = try? behind.u64("sequence number") else { throw .badLength }
                sequence = number
            }
            let mine = digestV2(bytes.extracting(0..<signed), key, digest, source)
            let its = bytes.extracting(signed..<(signed + digestLength))
            guard equalInConstantTime(mine.bytes, its) else { throw .badDigest }
            return Checked(bodyStart: size, sequence: sequence, isExtended: isExtended)
        default: throw .typeMismatch
        }
    }

    /// Where RFC 7166's trailer begins: after the packet and after the LLS block, if its options say that there is one.
    private static func trailerStart(_ bytes: RawSpan, _ header: OSPFPacketHeader) -> Int? {
        let length = Int(header.length)
        // The options of Hello and Database Description, RFC 5340 A.3.2 and A.3.3.
        let optionsAt: Int
        switch header.type {
        case .hello: optionsAt = 16 + 5
        case .databaseDescription: optionsAt = 16 + 1
        default: return length
        }
        guard optionsAt + 3 <= length else { return nil }
        var reader = ByteReader(bytes.extracting(optionsAt..<length))
        guard let raw = try? reader.u24("options") else { return nil }
        guard OSPFOptions(rawValue: raw).contains(.linkLocalSignalingV3) else { return length }
        // RFC 5613 §2.2: the block's length counts words of four octets.
        guard length + 4 <= bytes.byteCount else { return nil }
        var block = ByteReader(bytes.extracting(length..<bytes.byteCount))
        guard (try? block.u16("LLS checksum")) != nil, let words = try? block.u16("LLS length") else { return nil }
        let end = length + 4 * Int(words)
        return words >= 1 && end <= bytes.byteCount ? end : nil
    }

    private static func hasTrailer(_ bytes: RawSpan, _ header: OSPFPacketHeader) -> Bool {
        guard let start = trailerStart(bytes, header), start + trailerSize <= bytes.byteCount else { return false }
        var reader = ByteReader(bytes.extracting(start..<bytes.byteCount))
        guard let type = try? reader.u16("AT type"), let length = try? reader.u16("AT length") else { return false }
        return type == trailerType && Int(length) > trailerSize && start + Int(length) <= bytes.byteCount
    }

    private static func checkTrailer(
        _ bytes: RawSpan, _ header: OSPFPacketHeader, _ chain: KeyChain, _ source: IPAddress, at now: Instant
    ) throws(Failure) -> Checked {
        guard let start = trailerStart(bytes, header), start + trailerSize <= bytes.byteCount else {
            throw .typeMismatch
        }
        var reader = ByteReader(bytes.extracting(start..<bytes.byteCount))
        guard let type = try? reader.u16("AT type"), let length = try? reader.u16("AT length"),
            (try? reader.u16("reserved")) != nil, let id = try? reader.u16("SA ID"),
            let sequence = try? reader.u64("sequence number")
        else { throw .badLength }
        guard type == trailerType else { throw .typeMismatch }
        guard let key = chain.acceptableKey(UInt64(id), at: now), let digest = key.algorithm.digest else {
            throw .unknownKey
        }
        let digestLength = digest.length
        guard Int(length) == trailerSize + digestLength, start + Int(length) <= bytes.byteCount else {
            throw .badLength
        }
        let signed = bytes.extracting(0..<(start + trailerSize))
        let mine = digestV3(signed, key, digest, source)
        let its = bytes.extracting((start + trailerSize)..<(start + Int(length)))
        guard equalInConstantTime(mine.bytes, its) else { throw .badDigest }
        return Checked(bodyStart: OSPFPacketHeader.size(.v3), sequence: sequence, isExtended: true)
    }

    // MARK: sums

    /// The checksum over a packet as it stands: what belongs into a field that is zero, and zero over a sound packet.
    private static func checksum(
        _ packet: RawSpan, _ version: OSPFVersion, _ source: IPAddress, _ destination: IPAddress
    ) -> UInt16 {
        var sum = InternetChecksum()
        switch version {
        case .v2:
            // RFC 2328 A.3.1: without the authentication field.
            sum.add(packet.extracting(0..<16))
            sum.add(packet.extracting(24..<packet.byteCount))
        case .v3:
            if case .v6(let from) = source, case .v6(let to) = destination {
                for half in [from.high, from.low, to.high, to.low] {
                    sum.add32(UInt32(truncatingIfNeeded: half >> 32))
                    sum.add32(UInt32(truncatingIfNeeded: half))
                }
                sum.add32(UInt32(packet.byteCount))
                sum.add32(89)
            }
            sum.add(packet)
        }
        return sum.value
    }

    /// RFC 2328 D.3: the password, left-justified and padded with zeros.
    private static func passwordOctets(_ password: [UInt8]) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 64
        for octet in password.prefix(8) {
            shift -= 8
            value |= UInt64(octet) << shift
        }
        return value
    }

    /// - Parameter packet: everything before the digest.
    private static func digestV2(
        _ packet: RawSpan, _ key: KeyChain.Key, _ algorithm: DigestAlgorithm, _ source: IPAddress
    ) -> DigestValue {
        var secret = key.secret
        if key.algorithm == .md5 {
            // RFC 2328 D.4.3 (6): the key, padded with zeros to 16 octets, follows the packet.
            secret = Array(secret.prefix(16))
            secret.append(contentsOf: repeatElement(0, count: 16 - secret.count))
            var digest = MessageDigest(algorithm)
            digest.update(packet)
            digest.update(secret.span.bytes)
            return digest.finish()
        }
        // RFC 5709 §3.3: the place of the digest counts as filled with Apad; RFC 7474 §5 puts the source address first.
        var pad = ByteWriter(capacity: algorithm.length)
        if key.isExtended {
            // RFC 7474 §4: the key is bound to the protocol.
            secret.append(contentsOf: [0, 3])
            if case .v4(let address) = source { pad.ipv4(address) }
        }
        while pad.count < algorithm.length { pad.u32(apad) }
        let prepared = prepare(secret, algorithm)
        return hmac(algorithm, key: prepared.span.bytes, packet, pad.bytes.span.bytes)
    }

    /// - Parameter packet: everything before the digest: packet, LLS block, head of the trailer.
    private static func digestV3(
        _ packet: RawSpan, _ key: KeyChain.Key, _ algorithm: DigestAlgorithm, _ source: IPAddress
    ) -> DigestValue {
        // RFC 7166 §4.5: the key is bound to the protocol; Apad begins with the source address.
        let prepared = prepare(key.secret + [0, 1], algorithm)
        var pad = ByteWriter(capacity: algorithm.length)
        if case .v6(let address) = source { pad.ipv6(address) }
        while pad.count < algorithm.length { pad.u32(apad) }
        return hmac(algorithm, key: prepared.span.bytes, packet, pad.bytes.span.bytes)
    }

    /// RFC 5709 §3.3, RFC 7166 §4.5
    private static let apad: UInt32 = 0x878f_e1f3

    /// RFC 5709 §3.3 (1): a key longer than the digest is hashed; a shorter one is padded with zeros, as HMAC does
    /// anyway.
    private static func prepare(_ secret: [UInt8], _ algorithm: DigestAlgorithm) -> [UInt8] {
        secret.count > algorithm.length ? algorithm.digest(secret.span.bytes).array : secret
    }
}

extension KeyChain.Key {
    /// Whether packets have AuType 3 (RFC 7474 §3).
    var isExtended: Bool { extendedSequence }
    /// RFC 7474 §4 and §5 are about HMAC-SHA (RFC 5709) alone: with keyed MD5 there is no AuType 3, and a weaker type
    /// than was asked for is not put in its place. Such a key neither sends nor receives; the text of a configuration
    /// that has one is refused.
    var isUsable: Bool { !extendedSequence || algorithm != .md5 }
}
