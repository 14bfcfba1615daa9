import Machine
import Wire

/// What a destination must offer to be a key of the flat tables: a packed form without padding, a seeded hash, and a
/// length by which destinations contain each other. Prefixes of addresses are such keys (`PrefixKey`), and so are others
/// that mean no address at all.
public protocol TableKey: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The key in memory without an octet of padding, so that a table of them can be a block of the snapshot.
    associatedtype Packed: BitwiseCopyable & Equatable & Sendable

    /// The longest there is, in whatever the key counts: bits, or digits.
    static var lengthMaximum: UInt8 { get }
    /// Marks an unused place of a table; never equal to the packed form of a key.
    static var vacant: Packed { get }
    /// The key of length 0, which contains every other.
    static var everything: Self { get }

    var length: UInt8 { get }
    var packed: Packed { get }
    /// `packed` must have come from a key.
    init(packed: Packed)
    /// The key of that length that contains this one, which is not shorter.
    func shortened(to length: UInt8) -> Self
    static func hash(_ packed: Packed, seed: UInt64) -> UInt64
    static func length(of packed: Packed) -> UInt8
}
