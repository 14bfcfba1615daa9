import Wire

/// RFC 8210 §5: the types of PDUs.
enum PDUType: UInt8, CaseIterable {
    case serialNotify = 0
    case serialQuery = 1
    case resetQuery = 2
    case cacheResponse = 3
    case ipv4Prefix = 4
    case ipv6Prefix = 6
    case endOfData = 7
    case cacheReset = 8
    case routerKey = 9
    case errorReport = 10
}

/// The 8 octets that every PDU begins with (RFC 8210 §5.1).
struct PDUHeader: Equatable {
    static let size = 8
    /// Octets of a PDU that is no Error Report: a router key of any kind in use has less than a quarter of this.
    static let payloadMaximum = 4096
    /// Octets of an Error Report, which holds another PDU and a text.
    static let reportMaximum = 65_536

    var version: UInt8
    /// As the wire has it; see `PDUType`.
    var type: UInt8
    /// Session ID, error code, or flags and zero, by type.
    var field: UInt16
    /// Of the whole PDU.
    var length: Int

    init(version: UInt8, type: UInt8, field: UInt16, length: Int) {
        self.version = version
        self.type = type
        self.field = field
        self.length = length
    }

    @_lifetime(r: copy r)
    init(from r: inout ByteReader) throws(DecodeError) {
        version = try r.u8("version")
        type = try r.u8("PDU type")
        field = try r.u16("session")
        length = Int(try r.u32("length"))
    }

    /// Whether a PDU of this type can be so long: what cannot is not waited for.
    var isPlausible: Bool {
        switch PDUType(rawValue: type) {
        case .serialNotify, .serialQuery: length == 12
        case .resetQuery, .cacheResponse, .cacheReset: length == 8
        case .ipv4Prefix: length == 20
        case .ipv6Prefix: length == 32
        case .endOfData: length == (version == 0 ? 12 : 24)
        case .routerKey: length >= 32 && length <= Self.payloadMaximum
        case .errorReport: length >= 16 && length <= Self.reportMaximum
        case nil: length >= Self.size && length <= Self.payloadMaximum
        }
    }
}

/// RFC 8210 §12: what an Error Report says.
enum RTRErrorCode: UInt16 {
    case corruptData = 0
    case internalError = 1
    case noDataAvailable = 2
    case invalidRequest = 3
    case unsupportedVersion = 4
    case unsupportedType = 5
    case unknownWithdrawal = 6
    case duplicateAnnouncement = 7
    case unexpectedVersion = 8

    static func name(_ code: UInt16) -> String {
        switch RTRErrorCode(rawValue: code) {
        case .corruptData: "Corrupt Data"
        case .internalError: "Internal Error"
        case .noDataAvailable: "No Data Available"
        case .invalidRequest: "Invalid Request"
        case .unsupportedVersion: "Unsupported Protocol Version"
        case .unsupportedType: "Unsupported PDU Type"
        case .unknownWithdrawal: "Withdrawal of Unknown Record"
        case .duplicateAnnouncement: "Duplicate Announcement Received"
        case .unexpectedVersion: "Unexpected Protocol Version"
        case nil: "error \(code)"
        }
    }
}
