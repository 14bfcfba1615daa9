/// A rolling digest that two controllers compare at equal log indices.
///
/// `mix` is for things with an order (a byte stream). `add` and `remove` are for sets: they commute, so a table can
/// keep its digest current in O(1) per change.
@frozen
public struct StateDigest: Hashable, Sendable, BitwiseCopyable {
    public var value: UInt64
    @inlinable public init(_ value: UInt64 = 0) { self.value = value }

    @inlinable public mutating func mix(_ word: UInt64) { value = seededHash(value, word, seed: 0x10c5_7e90) }
    @inlinable public mutating func mix(_ bytes: RawSpan) { value = seededHash(bytes, seed: value) }
    @inlinable public mutating func add(_ hash: UInt64) { value &+= mix64(hash) }
    @inlinable public mutating func remove(_ hash: UInt64) { value &-= mix64(hash) }
}
