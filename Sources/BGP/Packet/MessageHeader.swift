import Wire

/// RFC 4271 §4.1, RFC 2918 §3.
@frozen
public enum MessageType: UInt8, Sendable, Hashable, CaseIterable, BitwiseCopyable {
    case open = 1
    case update = 2
    case notification = 3
    case keepalive = 4
    case routeRefresh = 5
}

/// RFC 4271 §4.1: the nineteen octets before each message.
public struct MessageHeader: Hashable, Sendable, BitwiseCopyable {
    /// Octets of the header.
    public static let size = 19
    /// RFC 4271 §4: the longest message without RFC 8654.
    public static let lengthMaximum = 4096
    /// RFC 8654 §3
    public static let extendedLengthMaximum = 65535

    /// Of the whole message.
    public var length: Int
    public var type: MessageType

    public init(length: Int, type: MessageType) {
        self.length = length
        self.type = type
    }

    /// Checks the header at `offset`, where at least nineteen octets lie.
    ///
    /// - Parameter extended: RFC 8654 was negotiated. OPEN and KEEPALIVE stay within 4,096 octets all the same.
    @inline(__always)
    public init(_ bytes: RawSpan, at offset: Int, extended: Bool) throws(NotificationMessage) {
        precondition(offset >= 0 && offset + Self.size <= bytes.byteCount, "a header is nineteen octets")
        // RFC 4271 §6.1: the marker is all ones.
        let high = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let low = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        guard high & low == .max else { throw .header(.connectionNotSynchronized) }
        let length = UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset + 16, as: UInt16.self))
        let rawType = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset + 18, as: UInt8.self)
        // The length comes before the type, in the order of §6.1: with a wrong length nothing after it can be trusted.
        guard length >= Self.size, extended || length <= Self.lengthMaximum else { throw Self.badLength(length) }
        guard let type = MessageType(rawValue: rawType) else { throw .header(.badMessageType, [rawType]) }
        let isSound =
            switch type {
            case .open: length >= 29 && length <= Self.lengthMaximum
            case .update: length >= 23
            case .notification: length >= 21
            case .keepalive: length == 19
            case .routeRefresh: length >= 23
            }
        guard isSound else { throw Self.badLength(length) }
        self.length = Int(length)
        self.type = type
    }

    private static func badLength(_ length: UInt16) -> NotificationMessage {
        .header(.badMessageLength, [UInt8(length >> 8), UInt8(length & 0xff)])
    }
}

extension ByteWriter {
    /// Writes a header whose length `endMessage` fills in.
    mutating func beginMessage(_ type: MessageType) -> Int {
        let at = count
        u64(.max)
        u64(.max)
        u16(0)
        u8(type.rawValue)
        return at
    }
    mutating func endMessage(_ at: Int) { patch16(at + 16, UInt16(truncatingIfNeeded: count - at)) }
}

/// RFC 4271 §4.4
enum KeepaliveMessage {
    static let encoded: [UInt8] = Array(repeating: 0xff, count: 16) + [0, 19, MessageType.keepalive.rawValue]
}

/// RFC 2918 §3 and RFC 7313 §3.2.
public struct RouteRefreshMessage: Hashable, Sendable {
    public enum Subtype: UInt8, Sendable {
        case request = 0
        case beginning = 1
        case end = 2
    }
    public var afi: UInt16
    public var safi: UInt8
    /// `nil`: one that RFC 7313 does not define; such a message is ignored.
    public var subtype: Subtype?

    public init(_ family: RouteFamily, _ subtype: Subtype = .request) {
        afi = family.afi
        safi = family.safi
        self.subtype = subtype
    }

    /// - Parameter enhanced: RFC 7313 was negotiated; without it the octet is reserved and ignored (RFC 2918).
    public init(body: RawSpan, enhanced: Bool) throws(NotificationMessage) {
        var reader = ByteReader(body)
        do {
            afi = try reader.u16("AFI")
            let rawSubtype = try reader.u8("subtype")
            safi = try reader.u8("SAFI")
            subtype = enhanced ? Subtype(rawValue: rawSubtype) : .request
        } catch {
            throw Self.lengthError(body)
        }
        // RFC 7313 §5: subtypes 1 and 2 are exactly four octets; a plain request may carry RFC 5291's entries, which we
        // did not offer to read.
        if enhanced, let subtype, subtype != .request, !reader.isAtEnd { throw Self.lengthError(body) }
    }

    private static func lengthError(_ body: RawSpan) -> NotificationMessage {
        // RFC 7313 §5: the data is the complete ROUTE-REFRESH message.
        var writer = ByteWriter(capacity: 32)
        let at = writer.beginMessage(.routeRefresh)
        writer.append(body)
        writer.endMessage(at)
        return NotificationMessage(
            code: NotificationMessage.Code.routeRefresh.rawValue, subcode: 1, data: writer.bytes)
    }

    public var family: RouteFamily? { RouteFamily(afi: afi, safi: safi) }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 23)
        let at = writer.beginMessage(.routeRefresh)
        writer.u16(afi)
        writer.u8(subtype?.rawValue ?? 0)
        writer.u8(safi)
        writer.endMessage(at)
        return writer.bytes
    }
}
