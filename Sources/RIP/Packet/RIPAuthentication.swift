import Digests
import Machine
import Records
import Wire

/// RFC 2453 §4.1 and RFC 4822: who wrote a message of version 2.
///
/// The first entry of an authenticated message has the family 0xFFFF and a type: 2 is a password, 3 a digest that follows
/// the message. A digest covers the message, the four octets that begin the trailer, and in place of the digest itself
/// the key (keyed MD5) or a fixed filling (HMAC).
enum RIPAuthenticator {
    static let simpleType: UInt16 = 2
    static let cryptographicType: UInt16 = 3
    /// Octets before the digest in the trailer: 0xFFFF, 0x0001.
    static let trailerHeaderLength = 4
    static let passwordLength = 16

    /// What authentication adds to a message.
    struct Verdict: Equatable {
        /// Where the entries begin and end.
        var entries: Range<Int>
        /// Of a digest that was right.
        var sequence: (key: UInt8, number: UInt32)?

        static func == (a: Self, b: Self) -> Bool {
            a.entries == b.entries && a.sequence?.key == b.sequence?.key && a.sequence?.number == b.sequence?.number
        }
    }

    /// Octets left-justified and filled with zeros (RFC 2453 §4.1, RFC 4822 §3.2).
    private static func padded(_ secret: [UInt8], to count: Int) -> [UInt8] {
        var octets = Array(secret.prefix(count))
        octets.append(contentsOf: repeatElement(0, count: count - octets.count))
        return octets
    }

    /// Checks a whole message of version 2 that has at least a header.
    /// - Parameters:
    ///   - chain: `nil` without authentication.
    ///   - now: keys count that are acceptable then.
    static func check(_ message: [UInt8], against chain: KeyChain?, at now: Instant) -> Result<Verdict, RIPRefusal> {
        let first = RIPFormat.headerLength
        let hasEntry = message.count >= first + RIPFormat.entryLength
        let isAuthenticated = hasEntry && message[first] == 0xff && message[first + 1] == 0xff
        guard let chain else {
            // RFC 2453 §5.2: authenticated messages are discarded by whoever does not authenticate.
            if isAuthenticated { return .failure(RIPRefusal(.authenticationUnexpected)) }
            return .success(Verdict(entries: first..<message.count))
        }
        guard isAuthenticated else { return .failure(RIPRefusal(.authenticationMissing)) }
        switch type(of: message) {
        case simpleType:
            // It carries no identifier: every password that counts now is tried.
            let passwords = chain.keys.filter { $0.algorithm == .clearText && chain.isAcceptable($0, at: now) }
            guard !passwords.isEmpty else { return .failure(RIPRefusal(.authenticationUnknownKey)) }
            let isRight = passwords.contains { key in
                let right = padded(key.secret, to: passwordLength)
                return equalInConstantTime(right.span.bytes, message.span.bytes.extracting(first + 4..<first + 20))
            }
            guard isRight else { return .failure(RIPRefusal(.authenticationFailed)) }
            return .success(Verdict(entries: (first + RIPFormat.entryLength)..<message.count))
        case cryptographicType: return checkDigest(message, chain, at: now)
        default: return .failure(RIPRefusal(.authenticationUnknownKey))
        }
    }

    /// Of a message with an authentication entry.
    static func type(of message: [UInt8]) -> UInt16 {
        UInt16(message[RIPFormat.headerLength + 2]) << 8 | UInt16(message[RIPFormat.headerLength + 3])
    }

    /// RFC 4822 §2.2. The first entry: packet length (16), key ID (8), length of the digest (8), sequence number (32).
    private static func checkDigest(
        _ message: [UInt8], _ chain: KeyChain, at now: Instant
    ) -> Result<Verdict, RIPRefusal> {
        let first = RIPFormat.headerLength
        let length = Int(message[first + 4]) << 8 | Int(message[first + 5])
        let keyID = message[first + 6]
        let digestLength = Int(message[first + 7])
        let sequence =
            UInt32(message[first + 8]) << 24 | UInt32(message[first + 9]) << 16 | UInt32(message[first + 10]) << 8
            | UInt32(message[first + 11])
        guard let key = chain.acceptableKey(UInt64(keyID), at: now), let algorithm = key.algorithm.digest else {
            return .failure(RIPRefusal(.authenticationUnknownKey))
        }
        let expected = algorithm.length
        // Some routers count the four octets before the digest as well, and RFC 2082 can be read that way.
        guard digestLength == expected || digestLength == expected + trailerHeaderLength else {
            return .failure(RIPRefusal(.authenticationUnknownKey))
        }
        let end = first + RIPFormat.entryLength
        guard length >= end, (length - first).isMultiple(of: RIPFormat.entryLength),
            message.count == length + trailerHeaderLength + expected
        else { return .failure(RIPRefusal(.badLength)) }
        guard message[length] == 0xff, message[length + 1] == 0xff, message[length + 2] == 0, message[length + 3] == 1
        else { return .failure(RIPRefusal(.authenticationFailed)) }
        let start = length + trailerHeaderLength
        let right = digest(message.span.bytes.extracting(0..<start), key, algorithm)
        guard equalInConstantTime(right.bytes, message.span.bytes.extracting(start..<message.count)) else {
            return .failure(RIPRefusal(.authenticationFailed))
        }
        return .success(Verdict(entries: end..<length, sequence: (keyID, sequence)))
    }

    /// The digest that follows `covered`: the message and the beginning of its trailer.
    static func digest(_ covered: RawSpan, _ key: KeyChain.Key, _ algorithm: DigestAlgorithm) -> DigestValue {
        if key.algorithm == .md5 {
            // RFC 4822 §3.2: the key itself, sixteen octets, stands in the place of the digest.
            let secret = padded(key.secret, to: 16)
            var hash = MessageDigest(.md5)
            hash.update(covered)
            hash.update(secret.span.bytes)
            return hash.finish()
        }
        // RFC 4822 §3.1: the key has as many octets as the digest; a longer one is hashed, a shorter one filled with
        // zeros, which HMAC does by itself. The place of the digest holds Apad, 0x878FE1F3 over and over.
        let secret = key.secret
        let filling: [UInt8] = (0..<algorithm.length).map { [0x87, 0x8f, 0xe1, 0xf3][$0 & 3] }
        if secret.count > algorithm.length {
            let short = algorithm.digest(secret.span.bytes)
            return hmac(algorithm, key: short.bytes, covered, filling.span.bytes)
        }
        return hmac(algorithm, key: secret.span.bytes, covered, filling.span.bytes)
    }

    /// Writes the first entry of a message that `key` signs.
    static func begin(_ w: inout ByteWriter, _ key: KeyChain.Key?, sequence: UInt32) {
        guard let key else { return }
        w.u16(RIPFormat.authenticationFamily)
        guard let algorithm = key.algorithm.digest else {
            w.u16(simpleType)
            return w.append(padded(key.secret, to: passwordLength))
        }
        w.u16(cryptographicType)
        w.u16(0)
        w.u8(UInt8(truncatingIfNeeded: key.id))
        w.u8(UInt8(algorithm.length))
        w.u32(sequence)
        w.zeros(8)
    }

    /// Completes a message that `begin` began.
    static func finish(_ w: inout ByteWriter, _ key: KeyChain.Key?) {
        guard let key, let algorithm = key.algorithm.digest else { return }
        w.patch16(RIPFormat.headerLength + 4, UInt16(truncatingIfNeeded: w.count))
        w.u16(0xffff)
        w.u16(1)
        w.append(digest(w.bytes.span.bytes, key, algorithm).array)
    }
}

/// A packet that is not used.
struct RIPRefusal: Error, Equatable {
    var reason: RIPDropReason
    init(_ reason: RIPDropReason) { self.reason = reason }
}
