import Wire

/// Writes a machine's state for the bulk update. Flat tables go as whole blocks; the rest value by value.
///
/// Little-endian throughout. A block holds the memory of trivial values, so such a value must have no padding
/// (an invisible octet would differ between twins); `MachineTests` checks the types that are sent this way.
public struct SnapshotWriter {
    public private(set) var bytes: [UInt8] = []
    /// In which schema what follows is to be written: that of the section; 0 outside of one.
    public internal(set) var schema: UInt16 = 0
    /// Of the sections that follow.
    var format = SnapshotFormat(newest: [])

    public init() {}

    mutating func patch(_ value: UInt64, at place: Int) {
        unsafe bytes.withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value.littleEndian, toByteOffset: place, as: UInt64.self)
        }
    }

    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    public mutating func write<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }
    public mutating func write(_ value: Instant) { write(value.nanoseconds) }
    public mutating func write(_ value: Instant?) { write(value?.nanoseconds ?? .min) }
    public mutating func write(_ value: Duration) { write(value.inNanoseconds) }
    public mutating func write(_ value: String) { writeBlock(Array(value.utf8)) }

    /// A count and the values' memory.
    public mutating func writeBlock<T: BitwiseCopyable>(_ values: [T]) {
        write(UInt64(values.count))
        unsafe values.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }

    /// A count, then each value by `body`.
    public mutating func writeList<T>(_ values: some Collection<T>, _ body: (T, inout SnapshotWriter) -> Void) {
        write(UInt64(values.count))
        for value in values { body(value, &self) }
    }
}

/// Reads what `SnapshotWriter` wrote. It throws, and never traps, on bytes that are not such a snapshot.
public struct SnapshotReader {
    private let bytes: [UInt8]
    public private(set) var position = 0
    /// Where what may be read ends.
    private let end: Int
    /// In which schema what is read was written: that of the section; 0 outside of one.
    public let schema: UInt16

    public init(_ bytes: [UInt8]) { self.init(bytes, within: bytes.indices, schema: 0) }

    /// A section of a snapshot; it cannot be read beyond.
    init(_ bytes: [UInt8], within octets: Range<Int>, schema: UInt16) {
        self.bytes = bytes
        self.schema = schema
        position = octets.lowerBound
        end = octets.upperBound
    }

    /// Octets that may still be read.
    var left: Int { end - position }

    mutating func skip(to place: Int) { position = place }

    private func need(_ count: Int) throws(DecodeError) {
        if count < 0 || count > end - position { throw DecodeError("snapshot", at: position, .truncated) }
    }

    public mutating func read<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type = T.self) throws(DecodeError) -> T {
        let size = MemoryLayout<T>.size
        try need(size)
        let value = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: position, as: T.self) }
        position += size
        return T(littleEndian: value)
    }
    public mutating func readBool() throws(DecodeError) -> Bool {
        let value: UInt8 = try read()
        guard value < 2 else { throw DecodeError("snapshot flag", at: position - 1, .badValue) }
        return value == 1
    }
    public mutating func readInstant() throws(DecodeError) -> Instant { Instant(nanoseconds: try read()) }
    public mutating func readOptionalInstant() throws(DecodeError) -> Instant? {
        let value: Int64 = try read()
        return value == .min ? nil : Instant(nanoseconds: value)
    }
    public mutating func readString() throws(DecodeError) -> String {
        String(decoding: try readBlock(of: UInt8.self), as: UTF8.self)
    }

    public mutating func readCount() throws(DecodeError) -> Int {
        let count: UInt64 = try read()
        guard count <= 1 << 32 else { throw DecodeError("snapshot count", at: position - 8, .badLength) }
        return Int(count)
    }

    public mutating func readBlock<T: BitwiseCopyable>(of: T.Type) throws(DecodeError) -> [T] {
        let count = try readCount()
        let (size, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
        guard !overflow else { throw DecodeError("snapshot block", at: position, .badLength) }
        try need(size)
        let start = position
        position += size
        return unsafe [T](unsafeUninitializedCapacity: count) { buffer, initialized in
            unsafe bytes.withUnsafeBytes { source in
                unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source[start..<(start + size)]))
            }
            initialized = count
        }
    }

    public mutating func readList<T>(_ body: (inout SnapshotReader) throws(DecodeError) -> T) throws(DecodeError) -> [T] {
        let count = try readCount()
        // The count is not trusted for the reservation: bytes may be anybody's.
        guard count <= end - position else { throw DecodeError("snapshot list", at: position, .badLength) }
        var result: [T] = []
        result.reserveCapacity(min(count, 1 << 16))
        for _ in 0..<count { result.append(try body(&self)) }
        return result
    }

    public func expectEnd() throws(DecodeError) {
        if position != end { throw DecodeError("snapshot", at: position, .trailing) }
    }
}

/// State that goes into the bulk update whole.
public protocol Snapshotting {
    func write(to writer: inout SnapshotWriter)
    init(from reader: inout SnapshotReader) throws(DecodeError)
}

extension TimerTable {
    /// Timers in firing order, so that a restored table fires in the same order as the one that grew up.
    public func write(to writer: inout SnapshotWriter, key: (Key, inout SnapshotWriter) -> Void) {
        writer.writeList(inFiringOrder) { entry, w in
            key(entry.key, &w)
            w.write(entry.deadline)
        }
    }

    public init(
        from reader: inout SnapshotReader, key: (inout SnapshotReader) throws(DecodeError) -> Key
    ) throws(DecodeError) {
        self.init()
        let count = try reader.readCount()
        for _ in 0..<count {
            let name = try key(&reader)
            set(name, at: try reader.readInstant())
        }
    }
}
