/// The keyed hash of RFC 2104 over any of the algorithms, its input in pieces.
///
/// A value that has taken in its key may be kept and copied for each message: that saves two blocks of hashing.
public struct HMAC: Sendable {
    private var inner: MessageDigest
    private var outer: MessageDigest

    /// - Parameter key: of any length; one longer than a block is hashed first (RFC 2104 §2).
    public init(_ algorithm: DigestAlgorithm, key: RawSpan) {
        let length = algorithm.blockLength
        var block = InlineArray<128, UInt8>(repeating: 0)
        if key.byteCount > length {
            let short = algorithm.digest(key)
            for i in 0..<short.count { block[i] = short[i] }
        } else {
            for i in 0..<key.byteCount { block[i] = key.octet(i) }
        }
        // RFC 2104 §2 (2), (5): K XOR ipad, K XOR opad.
        for i in 0..<length { block[i] ^= 0x36 }
        inner = MessageDigest(algorithm)
        inner.update(block.span.bytes.extracting(first: length))
        for i in 0..<length { block[i] ^= 0x36 ^ 0x5c }
        outer = MessageDigest(algorithm)
        outer.update(block.span.bytes.extracting(first: length))
    }

    public mutating func update(_ bytes: RawSpan) { inner.update(bytes) }

    public consuming func finish() -> DigestValue {
        let digest = inner.finish()
        outer.update(digest.bytes)
        return outer.finish()
    }
}

/// HMAC of one piece of octets.
public func hmac(_ algorithm: DigestAlgorithm, key: RawSpan, _ bytes: RawSpan) -> DigestValue {
    var mac = HMAC(algorithm, key: key)
    mac.update(bytes)
    return mac.finish()
}

/// HMAC of pieces of octets, one after the other.
public func hmac(_ algorithm: DigestAlgorithm, key: RawSpan, _ first: RawSpan, _ second: RawSpan) -> DigestValue {
    var mac = HMAC(algorithm, key: key)
    mac.update(first)
    mac.update(second)
    return mac.finish()
}

/// HMAC of pieces of octets, one after the other.
public func hmac(
    _ algorithm: DigestAlgorithm, key: RawSpan, _ first: RawSpan, _ second: RawSpan, _ third: RawSpan
) -> DigestValue {
    var mac = HMAC(algorithm, key: key)
    mac.update(first)
    mac.update(second)
    mac.update(third)
    return mac.finish()
}
