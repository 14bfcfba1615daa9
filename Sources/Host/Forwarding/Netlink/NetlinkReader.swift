import Wire

/// One message as it lies in the receive buffer. Whatever its lengths claim, no read passes its end.
struct NetlinkMessage: ~Escapable {
    let type: UInt16
    let flags: UInt16
    let sequence: UInt32
    let port: UInt32
    /// Family header and attributes.
    let body: RawSpan

    @_lifetime(copy body)
    init(type: UInt16, flags: UInt16, sequence: UInt32, port: UInt32, body: RawSpan) {
        self.type = type
        self.flags = flags
        self.sequence = sequence
        self.port = port
        self.body = body
    }

    /// An integer of the family header; 0 where there is none.
    func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
        NetlinkReader.load(body, offset)
    }

    /// Calls `visit` for each attribute behind a family header of `header` octets.
    func attributes(after header: Int, _ visit: (UInt16, RawSpan) -> Void) {
        guard body.byteCount > header else { return }
        NetlinkReader.attributes(body.extracting(droppingFirst: header), visit)
    }

    /// Of NLMSG_ERROR and NLMSG_DONE: the errno, 0 for success.
    var errorCode: Int32 {
        let code: Int32 = load(0)
        return code > Int32.min ? -code : code
    }

    /// NLMSGERR_ATTR_MSG, what the kernel says in words.
    var errorText: String? {
        guard flags & NetlinkFlag.extended != 0 else { return nil }
        var start = 20
        if flags & NetlinkFlag.capped == 0 {
            // The whole message is given back: its header and its body.
            let length: UInt32 = load(4)
            start = 4 + Int(min(length, UInt32(body.byteCount)) + 3) & ~3
        }
        var text: String?
        attributes(after: start) { type, value in
            if type == 1 { text = NetlinkReader.text(value) }
        }
        return text
    }
}

enum NetlinkReader {
    /// Splits a datagram; a length that cannot be ends the walk.
    static func messages(_ datagram: RawSpan, _ visit: (borrowing NetlinkMessage) -> Void) {
        var position = 0
        while position <= datagram.byteCount - 16 {
            let length = Int(load(datagram, position) as UInt32)
            guard length >= 16, length <= datagram.byteCount - position else { return }
            let message = NetlinkMessage(
                type: load(datagram, position + 4), flags: load(datagram, position + 6),
                sequence: load(datagram, position + 8), port: load(datagram, position + 12),
                body: datagram.extracting(position + 16..<position + length))
            visit(message)
            position += (length + 3) & ~3
        }
    }

    static func attributes(_ span: RawSpan, _ visit: (UInt16, RawSpan) -> Void) {
        var position = 0
        while position <= span.byteCount - 4 {
            let length = Int(load(span, position) as UInt16)
            guard length >= 4, length <= span.byteCount - position else { return }
            let type = (load(span, position + 2) as UInt16) & NetlinkType.attributeMask
            visit(type, span.extracting(position + 4..<position + length))
            position += (length + 3) & ~3
        }
    }

    /// 0 where the octets end too soon.
    @inline(__always)
    static func load<T: FixedWidthInteger & BitwiseCopyable>(_ span: RawSpan, _ offset: Int) -> T {
        guard offset >= 0, offset <= span.byteCount - MemoryLayout<T>.size else { return 0 }
        return unsafe span.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
    }

    static func text(_ span: RawSpan) -> String {
        var bytes: [UInt8] = []
        for i in 0..<span.byteCount {
            let byte: UInt8 = load(span, i)
            if byte == 0 { break }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// An address by the length of its attribute.
    static func address(_ span: RawSpan) -> IPAddress? {
        switch span.byteCount {
        case 4: .v4(IPv4Address(raw: UInt32(bigEndian: load(span, 0))))
        case 16: .v6(IPv6Address(high: UInt64(bigEndian: load(span, 0)), low: UInt64(bigEndian: load(span, 8))))
        default: nil
        }
    }
}
