import Wire

/// A SACK block as on the wire: RFC 2018 §3.
struct SACKBlock: Sendable, BitwiseCopyable, Equatable {
    var left: UInt32 = 0
    /// The number after the last octet.
    var right: UInt32 = 0
}

/// A TCP header with the options this stack knows: RFC 9293 §3.1, read from the wire.
///
/// Unknown options are skipped by their length. An option whose length cannot be right makes the segment malformed
/// (RFC 9293 §3.1, MUST-7); there are at most 40 octets of them, so nothing here takes long.
struct SegmentHeader: Sendable, BitwiseCopyable {
    static let minimumLength = 20

    var sourcePort: UInt16
    var destinationPort: UInt16
    var sequence: UInt32
    var acknowledgment: UInt32
    var flags: SegmentFlags
    /// As on the wire, not scaled.
    var window: UInt16
    var checksum: UInt16
    /// Octets of header and options.
    var headerLength: Int
    var payloadCount: Int

    /// RFC 9293 §3.7.1; 0 when absent.
    var maximumSegmentSize: UInt16 = 0
    /// RFC 7323 §2, at most 14; `nil` when absent.
    var windowShift: UInt8? = nil
    var selectiveAcknowledgmentPermitted = false
    /// RFC 7323 §3
    var hasTimestamps = false
    var timestampValue: UInt32 = 0
    var timestampEcho: UInt32 = 0
    /// At most four fit in the option space.
    var blockCount = 0
    var blocks = InlineArray<4, SACKBlock>(repeating: SACKBlock())
    /// Where the 16 octets of the RFC 2385 digest lie in the segment; 0 when absent.
    var md5Offset = 0

    /// The sequence space that the segment takes: octets, SYN and FIN.
    var sequenceLength: Int {
        payloadCount + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0)
    }

    init(_ segment: RawSpan) throws(DecodeError) {
        var r = ByteReader(segment)
        sourcePort = try r.u16("source port")
        destinationPort = try r.u16("destination port")
        sequence = try r.u32("sequence number")
        acknowledgment = try r.u32("acknowledgment number")
        let offset = try r.u8("data offset")
        flags = SegmentFlags(rawValue: try r.u8("control bits") & 0x3f)
        window = try r.u16("window")
        checksum = try r.u16("checksum")
        _ = try r.u16("urgent pointer")
        headerLength = Int(offset >> 4) * 4
        guard headerLength >= Self.minimumLength, headerLength <= segment.byteCount else {
            throw DecodeError("data offset", at: 12, .badLength)
        }
        payloadCount = segment.byteCount - headerLength
        if headerLength > Self.minimumLength { try readOptions(&r) }
    }

    private mutating func readOptions(_ r: inout ByteReader) throws(DecodeError) {
        while r.position < headerLength {
            let start = r.position
            let kind = try r.u8("option kind")
            if kind == Option.end { return }
            if kind == Option.noOperation { continue }
            let length = Int(try r.u8("option length"))
            guard length >= 2, start + length <= headerLength else {
                throw DecodeError("option length", at: start + 1, .badLength)
            }
            switch (kind, length) {
            case (Option.maximumSegmentSize, 4):
                maximumSegmentSize = try r.u16("MSS")
            case (Option.windowScale, 3):
                // RFC 7323 §2.3: a greater shift counts as 14.
                windowShift = min(try r.u8("window shift"), 14)
            case (Option.selectiveAcknowledgmentPermitted, 2):
                selectiveAcknowledgmentPermitted = true
            case (Option.timestamps, 10):
                hasTimestamps = true
                timestampValue = try r.u32("TSval")
                timestampEcho = try r.u32("TSecr")
            case (Option.selectiveAcknowledgment, 10), (Option.selectiveAcknowledgment, 18),
                (Option.selectiveAcknowledgment, 26), (Option.selectiveAcknowledgment, 34):
                blockCount = (length - 2) / 8
                for i in 0..<blockCount {
                    let left = try r.u32("SACK left edge")
                    blocks[i] = SACKBlock(left: left, right: try r.u32("SACK right edge"))
                }
            case (Option.md5Signature, MD5Signature.optionLength):
                md5Offset = r.position
                try r.skip(16, "MD5 digest")
            case (Option.maximumSegmentSize, _), (Option.windowScale, _), (Option.timestamps, _),
                (Option.selectiveAcknowledgmentPermitted, _), (Option.selectiveAcknowledgment, _),
                (Option.md5Signature, _):
                throw DecodeError("option length", at: start + 1, .badLength)
            default:
                try r.skip(length - 2, "option")
            }
        }
    }

    /// IANA's option kinds.
    enum Option {
        static let end: UInt8 = 0
        static let noOperation: UInt8 = 1
        static let maximumSegmentSize: UInt8 = 2
        static let windowScale: UInt8 = 3
        static let selectiveAcknowledgmentPermitted: UInt8 = 4
        static let selectiveAcknowledgment: UInt8 = 5
        static let timestamps: UInt8 = 8
        static let md5Signature: UInt8 = 19
        /// RFC 5925; the place for it is `SegmentSignature`.
        static let authentication: UInt8 = 29
    }
}
