/// RFC 9293 §3.1, the control bits.
struct SegmentFlags: OptionSet, Sendable, BitwiseCopyable {
    let rawValue: UInt8
    static let fin = SegmentFlags(rawValue: 1)
    static let syn = SegmentFlags(rawValue: 2)
    static let rst = SegmentFlags(rawValue: 4)
    static let psh = SegmentFlags(rawValue: 8)
    static let ack = SegmentFlags(rawValue: 16)
    static let urg = SegmentFlags(rawValue: 32)
}

/// How far `to` lies after `from` in sequence space (RFC 9293 §3.4): negative when it lies before.
@inline(__always)
func distance(from: UInt32, to: UInt32) -> Int64 { Int64(Int32(bitPattern: to &- from)) }
