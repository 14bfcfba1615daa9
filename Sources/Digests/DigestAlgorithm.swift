// Digests that protocols authenticate with. Integers only, nothing allocated: a hash is a value of fixed size, and
// whole blocks of its input are read where they lie.
//
// - `DigestAlgorithm.swift`: the algorithms, a hash over any of them in pieces (`MessageDigest`).
// - `HMAC.swift`: the keyed hash of RFC 2104.
// - `DigestValue.swift`: results, and how to compare them.
// - `MD5.swift`, `SHA1.swift`, `SHA256.swift` (and SHA-224), `SHA512.swift` (and SHA-384), `BlockBuffer.swift`.

/// A hash that a protocol may be configured to authenticate with. Raw values are part of snapshots: never reuse one.
public enum DigestAlgorithm: UInt8, Hashable, Sendable, Codable, CaseIterable {
    /// RFC 1321.
    case md5 = 1
    /// FIPS 180-4, as are all that follow.
    case sha1 = 2
    case sha224 = 3
    case sha256 = 4
    case sha384 = 5
    case sha512 = 6

    /// Octets of the digest.
    public var length: Int {
        switch self {
        case .md5: 16
        case .sha1: 20
        case .sha224: 28
        case .sha256: 32
        case .sha384: 48
        case .sha512: 64
        }
    }

    /// Octets of a block, the B of RFC 2104.
    public var blockLength: Int {
        switch self {
        case .md5, .sha1, .sha224, .sha256: 64
        case .sha384, .sha512: 128
        }
    }

    /// The digest of one piece of octets.
    public func digest(_ bytes: RawSpan) -> DigestValue {
        var hash = MessageDigest(self)
        hash.update(bytes)
        return hash.finish()
    }
}

/// A hash whose input comes in pieces; how it is cut does not matter. A copy goes on from the same place.
public struct MessageDigest: Sendable {
    private enum Hash: Sendable {
        case md5(MD5)
        case sha1(SHA1)
        case sha256(SHA256)
        case sha512(SHA512)
    }
    private var hash: Hash

    public init(_ algorithm: DigestAlgorithm) {
        switch algorithm {
        case .md5: hash = .md5(MD5())
        case .sha1: hash = .sha1(SHA1())
        case .sha224: hash = .sha256(SHA256(isShort: true))
        case .sha256: hash = .sha256(SHA256())
        case .sha384: hash = .sha512(SHA512(isShort: true))
        case .sha512: hash = .sha512(SHA512())
        }
    }

    public mutating func update(_ bytes: RawSpan) {
        switch hash {
        case .md5(var inner):
            inner.update(bytes)
            hash = .md5(inner)
        case .sha1(var inner):
            inner.update(bytes)
            hash = .sha1(inner)
        case .sha256(var inner):
            inner.update(bytes)
            hash = .sha256(inner)
        case .sha512(var inner):
            inner.update(bytes)
            hash = .sha512(inner)
        }
    }

    public consuming func finish() -> DigestValue {
        switch hash {
        case .md5(let inner): DigestValue(inner.finish())
        case .sha1(let inner): inner.finish()
        case .sha256(let inner): inner.finish()
        case .sha512(let inner): inner.finish()
        }
    }
}
