/// SplitMix64: the engine's only source of chance, and it is state. Not for secrets.
@frozen
public struct RandomNumbers: RandomNumberGenerator, Sendable, BitwiseCopyable, Equatable {
    public var state: UInt64
    @inlinable public init(seed: UInt64) { state = seed }

    @inlinable
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return mix64(state)
    }

    /// A number in `range`, by multiplication; the bias is below 2^-32 for ranges that fit 32 bits.
    @inlinable
    public mutating func number(in range: ClosedRange<Int>) -> Int {
        let width = UInt64(range.upperBound - range.lowerBound) + 1
        if width == 0 { return Int(bitPattern: UInt(next())) }
        return range.lowerBound + Int(next().multipliedFullWidth(by: width).high)
    }

    /// True `numerator` times out of `denominator`.
    @inlinable
    public mutating func chance(_ numerator: Int, in denominator: Int) -> Bool {
        number(in: 0...(denominator - 1)) < numerator
    }
}

/// A bijection in which every input bit reaches every output bit.
@inlinable @inline(__always)
public func mix64(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
}

/// Hashes two words under a seed, by the 128-bit product folded on itself.
@inlinable @inline(__always)
public func seededHash(_ a: UInt64, _ b: UInt64, seed: UInt64) -> UInt64 {
    let x = (a ^ seed ^ 0x2d35_8dcc_aa6c_78a5).multipliedFullWidth(by: b ^ 0x8bb8_4b93_962e_acc9)
    let y = (x.high ^ seed).multipliedFullWidth(by: x.low ^ 0x4b33_a62e_d433_d4a3)
    return y.high ^ y.low
}

/// Hashes octets under a seed. The result is the same on every machine.
@inlinable
public func seededHash(_ bytes: RawSpan, seed: UInt64) -> UInt64 {
    let count = bytes.byteCount
    var h = seed ^ (UInt64(count) &* 0x9e37_79b9_7f4a_7c15)
    var i = 0
    while i &+ 16 <= count {
        let a = UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self))
        let b = UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i &+ 8, as: UInt64.self))
        let p = (a ^ 0x2d35_8dcc_aa6c_78a5 ^ h).multipliedFullWidth(by: b ^ 0x8bb8_4b93_962e_acc9 ^ seed)
        h = p.high ^ p.low
        i &+= 16
    }
    var a: UInt64 = 0, b: UInt64 = 0, shift: UInt64 = 0
    while i < count {
        let byte = UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self))
        if shift < 64 { a |= byte << shift } else { b |= byte << (shift &- 64) }
        shift &+= 8
        i &+= 1
    }
    return seededHash(a ^ h, b, seed: seed)
}
