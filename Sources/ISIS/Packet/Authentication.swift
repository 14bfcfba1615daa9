import Digests
import Machine
import Records
import Wire

/// TLV 10 of all PDUs: a password (ISO 10589 §9.5), HMAC-MD5 (RFC 5304) or the generic one (RFC 5310).
///
/// A digest is over the whole PDU with its own octets zero (RFC 5304) or filled with Apad (RFC 5310), and in an LSP with
/// remaining lifetime and checksum zero, since others change them on the way. An LSP's checksum covers the digest, so it
/// is computed last.
public enum Authentication {
    public enum Verdict: Hashable, Sendable {
        case valid
        /// Nothing was asked for, or the chain only sends: taken as it is.
        case notRequired
        /// There is no TLV 10.
        case missing
        /// There is one, of a type or with a key number that no key of ours has.
        case unknownKey
        case wrong
        /// TLV 10 more than once or too short, or the PDU is no PDU.
        case malformed

        public var isAccepted: Bool { self == .valid || self == .notRequired }
    }

    enum Kind {
        static let clearText: UInt8 = 1
        static let generic: UInt8 = 3
        static let hmacMD5: UInt8 = 54
    }

    /// Where digests begin within a PDU of a type, and what of an LSP is zeroed.
    private static let lifetimeRange = 10..<12
    private static let checksumRange = 24..<26
    private static let apad: [UInt8] = [0x87, 0x8f, 0xe1, 0xf3]

    /// Octets that the TLV takes of a PDU at most, whichever key signs: what is cut into LSPs under one key has room for the
    /// next.
    public static func octets(_ authentication: ISISAuthentication?) -> Int {
        (authentication?.chain.sendingKeys ?? []).map(octets).max() ?? 0
    }
    static func octets(_ key: KeyChain.Key) -> Int { 3 + key.prefixOctets + key.valueOctets }

    /// Writes the TLV with room for what `seal` fills in.
    static func reserve(_ key: KeyChain.Key, into writer: inout ByteWriter) {
        TLV.write(TLVCode.authentication, into: &writer) { writer in
            writer.u8(key.kind)
            switch key.algorithm {
            case .clearText: writer.append(Array(key.secret.prefix(KeyChain.Key.secretMaximum)))
            case .hmacMD5: writer.zeros(key.valueOctets)
            default:
                writer.u16(UInt16(truncatingIfNeeded: key.id))
                for i in 0..<key.valueOctets { writer.u8(apad[i & 3]) }
            }
        }
    }

    /// Signs a complete PDU, its length field filled in, in which `reserve` left the room. Of an LSP, before its
    /// checksum is computed.
    static func seal(_ pdu: inout [UInt8], key: KeyChain.Key) {
        guard let algorithm = key.algorithm.digest else { return }
        guard let place = locate(pdu.span.bytes).found else { return }
        let start = place.lowerBound + 1 + key.prefixOctets
        let digest = Self.digest(pdu.span.bytes, value: start..<(start + algorithm.length), key: key, algorithm)
        for i in 0..<digest.count { pdu[start + i] = digest[i] }
    }

    /// Judges a received PDU as it came, nothing of it changed.
    /// - Parameter now: keys count that are acceptable then.
    public static func verify(_ pdu: RawSpan, with authentication: ISISAuthentication?, at now: Instant) -> Verdict {
        guard let authentication, !authentication.chain.keys.isEmpty else { return .notRequired }
        let verdict = check(pdu, authentication.chain, at: now)
        return authentication.isSendOnly && verdict != .valid ? .notRequired : verdict
    }

    private static func check(_ pdu: RawSpan, _ chain: KeyChain, at now: Instant) -> Verdict {
        let search = locate(pdu)
        guard !search.isMalformed else { return .malformed }
        guard let place = search.found else { return .missing }
        guard !place.isEmpty else { return .malformed }
        let kind = pdu.octet(place.lowerBound)
        var verdict = Verdict.unknownKey
        for key in chain.keys where key.kind == kind && chain.isAcceptable(key, at: now) {
            if kind == Kind.generic {
                guard place.count >= 3 else { return .malformed }
                let id = UInt16(pdu.octet(place.lowerBound + 1)) << 8 | UInt16(pdu.octet(place.lowerBound + 2))
                guard UInt64(id) == key.id else { continue }
            }
            verdict = .wrong
            let start = place.lowerBound + 1 + key.prefixOctets
            // RFC 5310 §3.4 and RFC 5304 §2: another length of digest is another algorithm.
            guard place.upperBound - start == key.valueOctets else { continue }
            let value = pdu.extracting(start..<place.upperBound)
            if let algorithm = key.algorithm.digest {
                let digest = Self.digest(pdu, value: start..<place.upperBound, key: key, algorithm)
                if equalInConstantTime(digest.bytes, value) { return .valid }
            } else {
                let secret = Array(key.secret.prefix(KeyChain.Key.secretMaximum))
                if equalInConstantTime(secret.span.bytes, value) { return .valid }
            }
        }
        return verdict
    }

    /// Finds the value of TLV 10 in the part of the PDU that its length field covers.
    private static func locate(_ pdu: RawSpan) -> (found: Range<Int>?, isMalformed: Bool) {
        do {
            var reader = ByteReader(pdu)
            let type = try PDUHeader.decode(&reader)
            try reader.skip(PDULength.position(type) - PDUHeader.length, "header")
            let length = try PDULength.read(&reader, of: type)
            try reader.skip(type.headerLength - reader.position, "header")
            var rest = try reader.reader(length - type.headerLength, "PDU length")
            var found: Range<Int>?
            while !rest.isAtEnd {
                let code = try rest.u8("TLV code")
                let count = Int(try rest.u8("TLV length"))
                let start = rest.offset
                try rest.skip(count, "TLV value")
                guard code == TLVCode.authentication else { continue }
                // ISO 10589 §9.5: there is at most one. RFC 5304 §2 likewise.
                if found != nil { return (nil, true) }
                found = start..<(start + count)
            }
            return (found, false)
        } catch {
            return (nil, true)
        }
    }

    private static func digest(
        _ pdu: RawSpan, value: Range<Int>, key: KeyChain.Key, _ algorithm: DigestAlgorithm
    ) -> DigestValue {
        let type = PDUHeader.peekType(pdu)
        let lengthAt = PDULength.position(type ?? .level1LSP)
        let length = Int(pdu.octet(lengthAt)) << 8 | Int(pdu.octet(lengthAt + 1))
        var copy = [UInt8](copying: pdu.extracting(0..<min(length, pdu.byteCount)))
        if type == .level1LSP || type == .level2LSP {
            for i in lifetimeRange { copy[i] = 0 }
            for i in checksumRange { copy[i] = 0 }
        }
        for (i, place) in value.enumerated() { copy[place] = algorithm == .md5 ? 0 : apad[i & 3] }
        let secret = key.preparedSecret(algorithm)
        return hmac(algorithm, key: secret.span.bytes, copy.span.bytes)
    }
}

extension KeyChain.Key {
    var kind: UInt8 {
        switch algorithm {
        case .clearText: Authentication.Kind.clearText
        case .hmacMD5: Authentication.Kind.hmacMD5
        default: Authentication.Kind.generic
        }
    }
    /// RFC 5310 §3.1: the key identifier before the digest.
    var prefixOctets: Int { kind == Authentication.Kind.generic ? 2 : 0 }
    var valueOctets: Int { algorithm.digest?.length ?? min(secret.count, Self.secretMaximum) }

    /// RFC 5310 §3.3: a key that is longer than a digest is hashed; one that is shorter gets zeros, which HMAC adds
    /// itself. RFC 5304 is plain RFC 2104.
    func preparedSecret(_ algorithm: DigestAlgorithm) -> [UInt8] {
        guard algorithm != .md5, secret.count > algorithm.length else { return secret }
        return algorithm.digest(secret.span.bytes).array
    }
}

extension RawSpan {
    func octet(_ index: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: index, as: UInt8.self) }
}
