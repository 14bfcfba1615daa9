import Machine
import Wire

/// Variable-length octet strings in one array. Freed places are given again to strings of the same size class, so the
/// arena never grows beyond the sum of what each class needed at its worst; nothing is ever moved.
struct OctetArena: Sendable {
    /// Places begin at multiples of 8 octets and are named by offset / 8, so that 32 bits reach 32 GiB.
    private(set) var storage: [UInt8] = []
    /// Per size class the first free place + 1; a free place holds the next one's name in its first four octets.
    private var free: [UInt32]

    init() { free = [UInt32](repeating: 0, count: Self.classCount) }

    /// Up to 1,024 octets in steps of 8, above in steps of 256.
    private static let classCount = 129 + 256 + 2
    private static func sizeClass(_ count: Int) -> (index: Int, units: Int) {
        let units = max(1, (count + 7) >> 3)
        if units <= 128 { return (units, units) }
        let blocks = (units + 31) >> 5
        return (125 + blocks, blocks << 5)
    }

    /// Stores a copy; at most 65,535 octets.
    mutating func store(_ octets: RawSpan) -> UInt32 {
        let count = octets.byteCount
        precondition(count <= 0xffff, "an attribute block fits a message")
        let (index, units) = Self.sizeClass(count)
        let place: UInt32
        if free[index] != 0 {
            place = free[index] - 1
            free[index] = unsafe storage.withUnsafeBytes {
                unsafe UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: Int(place) << 3, as: UInt32.self))
            }
        } else {
            place = UInt32(storage.count >> 3)
            storage.append(contentsOf: repeatElement(0, count: units << 3))
        }
        unsafe storage.withUnsafeMutableBytes { target in
            unsafe octets.withUnsafeBytes { source in
                unsafe UnsafeMutableRawBufferPointer(rebasing: target[(Int(place) << 3)..<(Int(place) << 3 + count)])
                    .copyMemory(from: source)
            }
        }
        return place
    }

    /// Gives back what `store` returned for a string of `count` octets.
    mutating func release(_ place: UInt32, count: Int) {
        let (index, _) = Self.sizeClass(count)
        let head = free[index].littleEndian
        unsafe storage.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: head, toByteOffset: Int(place) << 3, as: UInt32.self)
        }
        free[index] = place + 1
    }

    @inline(__always)
    func octets<R>(_ place: UInt32, count: Int, _ body: (RawSpan) -> R) -> R {
        let span = storage.span.bytes
        return body(span.extracting((Int(place) << 3)..<(Int(place) << 3 + count)))
    }

    func isEqual(_ place: UInt32, count: Int, to other: RawSpan) -> Bool {
        guard count == other.byteCount else { return false }
        return octets(place, count: count) { own in
            var i = 0
            while i &+ 8 <= count {
                let a = unsafe own.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
                let b = unsafe other.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self)
                if a != b { return false }
                i &+= 8
            }
            while i < count {
                let a = unsafe own.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
                let b = unsafe other.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
                if a != b { return false }
                i &+= 1
            }
            return true
        }
    }

    /// Whether a place lies within the arena.
    func holds(_ place: UInt32, count: Int) -> Bool { Int(place) << 3 + max(count, 4) <= storage.count }
}

extension OctetArena: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(storage)
        writer.writeBlock(free)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        storage = try reader.readBlock(of: UInt8.self)
        free = try reader.readBlock(of: UInt32.self)
        guard free.count == Self.classCount, storage.count & 7 == 0 else {
            throw DecodeError("octet arena", at: reader.position, .badValue)
        }
        for head in free where head != 0 {
            guard holds(head - 1, count: 8) else { throw DecodeError("octet arena", at: reader.position, .badValue) }
        }
    }
}
