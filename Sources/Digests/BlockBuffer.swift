/// One step of a hash of the MD4 family: a state of a few words and what a block does to it.
protocol Compression {
    /// Mixes the block that begins at `base` into the state. `bytes` holds all of it.
    mutating func compress(_ bytes: RawSpan, at base: Int)
}

/// Cuts a stream of octets into blocks for a `Compression`, and pads the last one (FIPS 180-4 §5.1).
///
/// Whole blocks are compressed where they lie; only what is left over of a piece is copied.
struct BlockBuffer<let length: Int>: Sendable {
    private var block = InlineArray<length, UInt8>(repeating: 0)
    private var filled = 0
    private var total: UInt64 = 0

    init() {}

    mutating func absorb<State: Compression>(_ bytes: RawSpan, into state: inout State) {
        let count = bytes.byteCount
        total &+= UInt64(count)
        var i = 0
        if filled > 0 {
            while i < count, filled < length {
                block[filled] = bytes.octet(i)
                filled += 1
                i += 1
            }
            guard filled == length else { return }
            state.compress(block.span.bytes, at: 0)
            filled = 0
        }
        while i + length <= count {
            state.compress(bytes, at: i)
            i += length
        }
        while i < count {
            block[filled] = bytes.octet(i)
            filled += 1
            i += 1
        }
    }

    /// FIPS 180-4 §5.1: a one bit, zeros, and the length in bits, most significant octet first, in the last eighth of
    /// a block. Its upper half stays zero in a block of 128 octets: nothing here is longer than 2^61 octets.
    mutating func pad<State: Compression>(into state: inout State) {
        let bits = total &* 8
        block[filled] = 0x80
        filled += 1
        if filled > length - length / 8 {
            while filled < length {
                block[filled] = 0
                filled += 1
            }
            state.compress(block.span.bytes, at: 0)
            filled = 0
        }
        while filled < length - 8 {
            block[filled] = 0
            filled += 1
        }
        for i in 0..<8 { block[length - 1 - i] = UInt8(truncatingIfNeeded: bits >> UInt64(8 * i)) }
        state.compress(block.span.bytes, at: 0)
        filled = 0
    }
}

extension RawSpan {
    /// One octet, checked.
    @inline(__always)
    func octet(_ index: Int) -> UInt8 {
        precondition(index >= 0 && index < byteCount, "octet index within the view")
        return unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt8.self)
    }
    @inline(__always)
    func littleEndianWord(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index &+ 4 <= byteCount, "word index within the view")
        return UInt32(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt32.self))
    }
    @inline(__always)
    func bigEndianWord(_ index: Int) -> UInt32 {
        precondition(index >= 0 && index &+ 4 <= byteCount, "word index within the view")
        return UInt32(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt32.self))
    }
    @inline(__always)
    func bigEndianLongWord(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index &+ 8 <= byteCount, "word index within the view")
        return UInt64(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
    }
}
