import Records
import Wire

/// A segment to be written: the fields of RFC 9293 §3.1 and the options that go with them.
struct OutgoingSegment {
    var localPort: UInt16
    var remotePort: UInt16
    var sequence: UInt32
    var acknowledgment: UInt32 = 0
    var flags: SegmentFlags
    /// As on the wire.
    var window: UInt16 = 0

    // Only on SYN.
    var maximumSegmentSize: UInt16 = 0
    var windowShift: UInt8? = nil
    var selectiveAcknowledgmentPermitted = false

    var hasTimestamps = false
    var timestampValue: UInt32 = 0
    var timestampEcho: UInt32 = 0

    var blockCount = 0
    var blocks = InlineArray<4, SACKBlock>(repeating: SACKBlock())

    init(localPort: UInt16, remotePort: UInt16, sequence: UInt32, flags: SegmentFlags) {
        self.localPort = localPort
        self.remotePort = remotePort
        self.sequence = sequence
        self.flags = flags
    }

    /// Octets of options for a segment in the middle of a connection. Without a signature each option is padded to four
    /// octets, as most receivers' fast paths expect; with one they are packed, or SACK would find no room.
    static func optionLength(timestamps: Bool, blocks: Int, signed: Bool) -> Int {
        if signed {
            let packed = MD5Signature.optionLength + (timestamps ? 10 : 0) + (blocks > 0 ? 2 + 8 * blocks : 0)
            return (packed + 3) & ~3
        }
        return (timestamps ? 12 : 0) + (blocks > 0 ? 4 + 8 * blocks : 0)
    }

    /// How many SACK blocks fit beside the other options into 40 octets.
    static func blocksMaximum(timestamps: Bool, signed: Bool) -> Int {
        if signed { return (40 - 18 - (timestamps ? 10 : 0) - 2) / 8 }
        return (40 - (timestamps ? 12 : 0) - 4) / 8
    }

    private func writeOptions(_ w: inout ByteWriter, signed: Bool, digestAt: inout Int) {
        let start = w.count
        if flags.contains(.syn) {
            if maximumSegmentSize > 0 {
                w.u8(SegmentHeader.Option.maximumSegmentSize)
                w.u8(4)
                w.u16(maximumSegmentSize)
            }
            if selectiveAcknowledgmentPermitted {
                w.u8(SegmentHeader.Option.selectiveAcknowledgmentPermitted)
                w.u8(2)
            }
        } else if hasTimestamps, !signed {
            w.u16(0x0101)
        }
        if hasTimestamps {
            w.u8(SegmentHeader.Option.timestamps)
            w.u8(10)
            w.u32(timestampValue)
            w.u32(timestampEcho)
        }
        if flags.contains(.syn), let windowShift {
            w.u8(SegmentHeader.Option.windowScale)
            w.u8(3)
            w.u8(windowShift)
        }
        if signed {
            w.u8(MD5Signature.optionKind)
            w.u8(UInt8(MD5Signature.optionLength))
            digestAt = w.count
            w.zeros(16)
        }
        if blockCount > 0 {
            if !signed { w.u16(0x0101) }
            w.u8(SegmentHeader.Option.selectiveAcknowledgment)
            w.u8(UInt8(2 + 8 * blockCount))
            for i in 0..<blockCount {
                w.u32(blocks[i].left)
                w.u32(blocks[i].right)
            }
        }
        while (w.count - start) & 3 != 0 { w.u8(SegmentHeader.Option.noOperation) }
    }

    /// Writes the segment behind `headroom` octets, payload taken from `stream`, signed and with its checksum.
    func write(
        headroom: Int, local: IPAddress, remote: IPAddress, stream: borrowing TransmitStream, offset: UInt64, count: Int,
        signature: MD5Signature?
    ) -> [UInt8] {
        var w = ByteWriter(capacity: headroom + 60 + count)
        w.zeros(headroom)
        w.u16(localPort)
        w.u16(remotePort)
        w.u32(sequence)
        w.u32(acknowledgment)
        w.u16(UInt16(flags.rawValue))
        w.u16(window)
        w.u32(0)
        var digestAt = 0
        writeOptions(&w, signed: signature != nil, digestAt: &digestAt)
        let headerLength = w.count - headroom
        w.patch8(headroom + 12, UInt8(headerLength / 4) << 4)
        if count > 0 { stream.copy(from: offset, count: count, into: &w) }

        let end = w.count
        let pseudo = PseudoHeader(source: local, destination: remote, length: end - headroom)
        if let signature {
            let digest = signature.digest(
                of: w.bytes.span.bytes.extracting(headroom..<end), headerLength: headerLength, pseudoHeader: pseudo,
                sequenceExtension: 0)
            for i in 0..<16 { w.patch8(digestAt + i, digest[i]) }
        }
        var checksum = InternetChecksum()
        pseudo.sum(into: &checksum)
        checksum.add(w.bytes.span.bytes.extracting(headroom..<end))
        w.patch16(headroom + 16, checksum.value)
        return w.bytes
    }
}
