/// The result of a hash: up to 64 octets that need no allocation.
public struct DigestValue: Sendable {
    private var octets = InlineArray<64, UInt8>(repeating: 0)
    /// Octets in use: the length of the algorithm's digest.
    public let count: Int

    init(count: Int) {
        precondition(count <= 64, "a digest has at most 64 octets")
        self.count = count
    }

    init(_ digest: MD5.Digest) {
        count = 16
        for i in 0..<16 { octets[i] = digest[i] }
    }

    /// The octet at `index`, 0 ..< `count`.
    public subscript(index: Int) -> UInt8 {
        precondition(index < count, "octet index within the digest")
        return octets[index]
    }

    /// The octets as a view.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        borrowing get { octets.span.bytes.extracting(first: count) }
    }

    /// The octets as an array.
    public var array: [UInt8] { (0..<count).map { octets[$0] } }

    mutating func put(_ word: UInt32, at index: Int) {
        for i in 0..<4 { octets[index + i] = UInt8(truncatingIfNeeded: word >> UInt32(24 - 8 * i)) }
    }
    mutating func put(_ word: UInt64, at index: Int) {
        for i in 0..<8 { octets[index + i] = UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * i)) }
    }
}

/// Whether two views hold the same octets. How long it takes says nothing about how much was right; only their lengths
/// are no secret.
public func equalInConstantTime(_ a: RawSpan, _ b: RawSpan) -> Bool {
    guard a.byteCount == b.byteCount else { return false }
    var difference: UInt8 = 0
    for i in 0..<a.byteCount { difference |= a.octet(i) ^ b.octet(i) }
    return difference == 0
}
