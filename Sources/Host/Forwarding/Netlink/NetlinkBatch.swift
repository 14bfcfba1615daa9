import Wire

/// Netlink messages one behind the other, as many as one system call takes.
///
/// A message is begun, given its family header and attributes, and ended; the lengths are filled in at the end. The
/// memory is allocated once: a route is written in some ten nanoseconds. Whoever writes asks `hasRoom` before each
/// message; a message that does not fit all the same is a fault of ours and traps.
final class NetlinkBatch {
    private let memory: UnsafeMutableRawBufferPointer
    /// Octets written.
    private(set) var count = 0
    /// Messages written.
    private(set) var messages = 0
    private var start = 0

    init(capacity: Int = 64 << 10) {
        unsafe memory = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 8)
    }
    deinit { unsafe memory.deallocate() }

    var isEmpty: Bool { messages == 0 }
    /// Whether another message of up to `octets` fits.
    func hasRoom(_ octets: Int = 512) -> Bool { unsafe memory.count - count >= octets }
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: memory[0..<count]) }

    func removeAll() {
        count = 0
        messages = 0
    }

    // MARK: messages

    func begin(_ type: UInt16, flags: UInt16, sequence: UInt32) {
        start = count
        u32(0)
        u16(type)
        u16(flags | NetlinkFlag.request)
        u32(sequence)
        u32(0)
    }

    func end() {
        align()
        unsafe memory.storeBytes(of: UInt32(count - start), toByteOffset: start, as: UInt32.self)
        messages += 1
    }

    /// Takes back the message under way.
    func cancel() { count = start }

    // MARK: attributes

    @inline(__always)
    func attribute(_ type: UInt16, _ value: UInt32) {
        u16(8)
        u16(type)
        u32(value)
    }
    func attribute(_ type: UInt16, _ value: UInt16) {
        u16(6)
        u16(type)
        u16(value)
        u16(0)
    }
    func attribute(_ type: UInt16, _ value: UInt8) {
        u16(5)
        u16(type)
        u8(value)
        align()
    }
    func attribute(_ type: UInt16, bytes: some Sequence<UInt8>) {
        let at = nest(type)
        for byte in bytes { u8(byte) }
        endNest(at)
    }
    /// With its terminating zero.
    func attribute(_ type: UInt16, text: String) {
        let at = nest(type)
        for byte in text.utf8 { u8(byte) }
        u8(0)
        endNest(at)
    }
    func flag(_ type: UInt16) {
        u16(4)
        u16(type)
    }
    func attribute(_ type: UInt16, _ address: IPAddress) {
        switch address {
        case .v4(let v4): attribute(type, v4.raw.bigEndian)
        case .v6(let v6):
            u16(20)
            u16(type)
            u64(v6.high.bigEndian)
            u64(v6.low.bigEndian)
        }
    }
    func nest(_ type: UInt16) -> Int {
        let at = count
        u16(0)
        u16(type)
        return at
    }
    func endNest(_ at: Int) {
        unsafe memory.storeBytes(of: UInt16(count - at), toByteOffset: at, as: UInt16.self)
        align()
    }

    // MARK: plain octets, in the order of this machine

    @inline(__always) func u8(_ value: UInt8) { store(value) }
    @inline(__always) func u16(_ value: UInt16) { store(value) }
    @inline(__always) func u32(_ value: UInt32) { store(value) }
    @inline(__always) func u64(_ value: UInt64) { store(value) }

    @inline(__always)
    private func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
        unsafe precondition(count + MemoryLayout<T>.size <= memory.count, "a netlink message fits into its batch")
        unsafe memory.storeBytes(of: value, toByteOffset: count, as: T.self)
        count += MemoryLayout<T>.size
    }

    /// NLMSG_ALIGN and NLA_ALIGN: four octets.
    private func align() {
        while count & 3 != 0 { u8(0) }
    }
}
