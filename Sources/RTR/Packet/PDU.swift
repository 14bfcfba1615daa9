import Routing
import Wire

/// RFC 8210 §5.10
struct RouterKey: Hashable {
    /// 20 octets.
    var identifier: [UInt8]
    var asNumber: UInt32
    /// ASN.1 DER.
    var publicKeyInfo: [UInt8]
}

/// RFC 8210 §6, in seconds.
struct CacheTiming: Hashable, Sendable {
    var refresh: UInt32 = 3600
    var retry: UInt32 = 600
    var expire: UInt32 = 7200

    /// Within the bounds of RFC 8210 §6, and polled before the data expire.
    var bounded: CacheTiming {
        let expire = min(max(expire, 600), 172_800)
        return CacheTiming(
            refresh: min(max(refresh, 1), 86_400, expire - 1), retry: min(max(retry, 1), 7200, expire - 1), expire: expire)
    }
}

/// A PDU of RFC 8210 or, where it has the same, of RFC 6810, as a value.
enum PDU: Equatable {
    case serialNotify(session: UInt16, serial: UInt32)
    case serialQuery(session: UInt16, serial: UInt32)
    case resetQuery
    case cacheResponse(session: UInt16)
    /// IPv4 Prefix or IPv6 Prefix.
    case payload(VRP, isAnnounced: Bool)
    /// Version 0 has no timing.
    case endOfData(session: UInt16, serial: UInt32, CacheTiming?)
    case cacheReset
    case routerKey(RouterKey, isAnnounced: Bool)
    /// What it answers, which may be cut off, and a text in UTF-8.
    case errorReport(code: UInt16, pdu: [UInt8], text: String)

    /// - Parameters:
    ///   - header: of a known type, with a plausible length.
    ///   - body: the octets after it.
    @inline(__always)
    init(_ header: PDUHeader, body: RawSpan) throws(DecodeError) {
        guard let type = PDUType(rawValue: header.type) else { throw DecodeError("PDU type", at: 1, .unsupported) }
        var r = ByteReader(body, base: PDUHeader.size)
        switch type {
        case .serialNotify: self = .serialNotify(session: header.field, serial: try r.u32("serial number"))
        case .serialQuery: self = .serialQuery(session: header.field, serial: try r.u32("serial number"))
        case .resetQuery: self = .resetQuery
        case .cacheResponse: self = .cacheResponse(session: header.field)
        case .ipv4Prefix:
            let (flags, length, maximum) = try Self.lengths(&r, maximum: 32)
            let address = try r.ipv4("prefix")
            let prefix = IPv4Prefix(address, length)
            guard prefix.address == address else { throw DecodeError("prefix", at: 12, .badValue) }
            self = .payload(
                VRP(prefix: .v4(prefix), maximumLength: maximum, origin: try r.u32("AS number")), isAnnounced: flags & 1 == 1)
        case .ipv6Prefix:
            let (flags, length, maximum) = try Self.lengths(&r, maximum: 128)
            let address = try r.ipv6("prefix")
            let prefix = IPv6Prefix(address, length)
            guard prefix.address == address else { throw DecodeError("prefix", at: 12, .badValue) }
            self = .payload(
                VRP(prefix: .v6(prefix), maximumLength: maximum, origin: try r.u32("AS number")), isAnnounced: flags & 1 == 1)
        case .endOfData:
            let serial = try r.u32("serial number")
            guard header.version > 0 else {
                self = .endOfData(session: header.field, serial: serial, nil)
                break
            }
            let refresh = try r.u32("refresh interval"), retry = try r.u32("retry interval")
            self = .endOfData(
                session: header.field, serial: serial,
                CacheTiming(refresh: refresh, retry: retry, expire: try r.u32("expire interval")))
        case .cacheReset: self = .cacheReset
        case .routerKey:
            let identifier = try r.array(20, "subject key identifier")
            let asNumber = try r.u32("AS number")
            self = .routerKey(
                RouterKey(
                    identifier: identifier, asNumber: asNumber,
                    publicKeyInfo: try r.array(r.remaining, "subject public key info")),
                isAnnounced: header.field >> 8 & 1 == 1)
        case .errorReport:
            let pdu = try r.array(Int(try r.u32("length of encapsulated PDU")), "erroneous PDU")
            let text = try r.array(Int(try r.u32("length of error text")), "error text")
            self = .errorReport(code: header.field, pdu: pdu, text: String(decoding: text, as: UTF8.self))
        }
        try r.expectEnd("PDU")
    }

    /// Flags, Prefix Length and Max Length, with the zero after them (RFC 8210 §5.6).
    @_lifetime(r: copy r)
    @inline(__always)
    private static func lengths(_ r: inout ByteReader, maximum: UInt8) throws(DecodeError) -> (UInt8, UInt8, UInt8) {
        let flags = try r.u8("flags"), length = try r.u8("prefix length"), longest = try r.u8("max length")
        try r.skip(1, "zero")
        guard length <= longest, longest <= maximum else { throw DecodeError("max length", at: 10, .badValue) }
        return (flags, length, longest)
    }

    // MARK: encoding

    /// - Parameter version: 0 or 1.
    func encoded(version: UInt8) -> [UInt8] {
        var w = ByteWriter(capacity: 40)
        func head(_ type: PDUType, _ field: UInt16 = 0) {
            w.u8(version)
            w.u8(type.rawValue)
            w.u16(field)
            w.u32(0)
        }
        switch self {
        case .serialNotify(let session, let serial):
            head(.serialNotify, session)
            w.u32(serial)
        case .serialQuery(let session, let serial):
            head(.serialQuery, session)
            w.u32(serial)
        case .resetQuery: head(.resetQuery)
        case .cacheResponse(let session): head(.cacheResponse, session)
        case .payload(let vrp, let isAnnounced):
            let flags: UInt8 = isAnnounced ? 1 : 0
            switch vrp.prefix {
            case .v4(let prefix):
                head(.ipv4Prefix)
                for octet in [flags, prefix.length, vrp.maximumLength, 0] { w.u8(octet) }
                w.ipv4(prefix.address)
            case .v6(let prefix):
                head(.ipv6Prefix)
                for octet in [flags, prefix.length, vrp.maximumLength, 0] { w.u8(octet) }
                w.ipv6(prefix.address)
            }
            w.u32(vrp.origin)
        case .endOfData(let session, let serial, let timing):
            head(.endOfData, session)
            w.u32(serial)
            if version > 0 {
                let timing = timing ?? CacheTiming()
                w.u32(timing.refresh)
                w.u32(timing.retry)
                w.u32(timing.expire)
            }
        case .cacheReset: head(.cacheReset)
        case .routerKey(let key, let isAnnounced):
            head(.routerKey, isAnnounced ? 0x100 : 0)
            w.append(key.identifier)
            w.u32(key.asNumber)
            w.append(key.publicKeyInfo)
        case .errorReport(let code, let pdu, let text):
            head(.errorReport, code)
            w.u32(UInt32(pdu.count))
            w.append(pdu)
            let octets = Array(text.utf8)
            w.u32(UInt32(octets.count))
            w.append(octets)
        }
        w.patch32(4, UInt32(w.count))
        return w.bytes
    }
}
