import Wire

/// RFC 4271 §4.5: why a session ends. As a Swift error it is what decoding throws when the RFC asks for the end of the
/// session; its fields are then exactly what goes to the peer.
public struct NotificationMessage: Error, Hashable, Sendable, CustomStringConvertible {
    public var code: UInt8
    public var subcode: UInt8
    public var data: [UInt8]

    public init(code: UInt8, subcode: UInt8, data: [UInt8] = []) {
        self.code = code
        self.subcode = subcode
        self.data = data
    }

    /// RFC 4271 §4.5
    public enum Code: UInt8, Sendable {
        case header = 1
        case open = 2
        case update = 3
        case holdTimerExpired = 4
        case finiteStateMachine = 5
        case cease = 6
        /// RFC 7313 §5
        case routeRefresh = 7
        /// RFC 9687 §4
        case sendHoldTimerExpired = 8
    }

    /// RFC 4271 §6.1
    public enum HeaderSubcode: UInt8, Sendable {
        case connectionNotSynchronized = 1
        case badMessageLength = 2
        case badMessageType = 3
    }

    /// RFC 4271 §6.2, RFC 5492 §5, RFC 9234 §4.2
    public enum OpenSubcode: UInt8, Sendable {
        case unspecific = 0
        case unsupportedVersionNumber = 1
        case badPeerAS = 2
        case badBGPIdentifier = 3
        case unsupportedOptionalParameter = 4
        case unacceptableHoldTime = 6
        case unsupportedCapability = 7
        case roleMismatch = 11
    }

    /// RFC 4271 §6.3
    public enum UpdateSubcode: UInt8, Sendable {
        case malformedAttributeList = 1
        case unrecognizedWellKnownAttribute = 2
        case missingWellKnownAttribute = 3
        case attributeFlagsError = 4
        case attributeLengthError = 5
        case invalidOrigin = 6
        case invalidNextHop = 8
        case optionalAttributeError = 9
        case invalidNetworkField = 10
        case malformedASPath = 11
    }

    /// RFC 6608
    public enum StateSubcode: UInt8, Sendable {
        case unspecified = 0
        case unexpectedInOpenSent = 1
        case unexpectedInOpenConfirm = 2
        case unexpectedInEstablished = 3
    }

    /// RFC 4486 §4, RFC 8538 §3, RFC 9384
    public enum CeaseSubcode: UInt8, Sendable {
        case maximumPrefixes = 1
        case administrativeShutdown = 2
        case peerDeconfigured = 3
        case administrativeReset = 4
        case connectionRejected = 5
        case otherConfigurationChange = 6
        case connectionCollision = 7
        case outOfResources = 8
        case hardReset = 9
        case bfdDown = 10
    }

    public static func header(_ subcode: HeaderSubcode, _ data: [UInt8] = []) -> Self {
        Self(code: Code.header.rawValue, subcode: subcode.rawValue, data: data)
    }
    public static func open(_ subcode: OpenSubcode, _ data: [UInt8] = []) -> Self {
        Self(code: Code.open.rawValue, subcode: subcode.rawValue, data: data)
    }
    public static func update(_ subcode: UpdateSubcode, _ data: [UInt8] = []) -> Self {
        Self(code: Code.update.rawValue, subcode: subcode.rawValue, data: data)
    }
    public static func state(_ subcode: StateSubcode, _ data: [UInt8] = []) -> Self {
        Self(code: Code.finiteStateMachine.rawValue, subcode: subcode.rawValue, data: data)
    }
    public static func cease(_ subcode: CeaseSubcode, _ data: [UInt8] = []) -> Self {
        Self(code: Code.cease.rawValue, subcode: subcode.rawValue, data: data)
    }
    public static let holdTimerExpired = Self(code: Code.holdTimerExpired.rawValue, subcode: 0)
    public static let sendHoldTimerExpired = Self(code: Code.sendHoldTimerExpired.rawValue, subcode: 0)

    /// RFC 9003 §2: Cease/2 or Cease/4 with a text for people. The text is cut at a character when it is longer than
    /// 255 octets.
    public static func cease(_ subcode: CeaseSubcode, communication: String) -> Self {
        guard !communication.isEmpty else { return .cease(subcode) }
        var text: [UInt8] = []
        for character in communication {
            let octets = Array(String(character).utf8)
            if text.count + octets.count > 255 { break }
            text += octets
        }
        return .cease(subcode, [UInt8(text.count)] + text)
    }

    /// RFC 8538 §3.1: the same, so that the neighbour keeps nothing: code, subcode and data become the data of a Cease/9.
    public var asHardReset: Self { isHardReset ? self : .cease(.hardReset, [code, subcode] + data) }
    /// RFC 8538 §3.2
    public var isHardReset: Bool { code == Code.cease.rawValue && subcode == CeaseSubcode.hardReset.rawValue }
    /// RFC 8538 §3.1: what a Hard Reset was made of, if it says.
    public var encapsulated: Self? {
        guard isHardReset, data.count >= 2 else { return nil }
        return Self(code: data[0], subcode: data[1], data: Array(data.dropFirst(2)))
    }
    /// Whether the end that this announces is meant to last, so that no route may outlive the session: RFC 8538 §5.1, with
    /// Administrative Reset, of which it leaves the choice to us, among those that are. Cease/8 means here that there is
    /// no room for the routes, and Cease/10 (RFC 9384) that the way to the neighbour is lost.
    public var isLasting: Bool {
        guard code == Code.cease.rawValue, let subcode = CeaseSubcode(rawValue: subcode) else { return false }
        return switch subcode {
        case .connectionRejected, .otherConfigurationChange, .connectionCollision: false
        case .maximumPrefixes, .administrativeShutdown, .peerDeconfigured, .administrativeReset, .outOfResources, .hardReset,
            .bfdDown:
            true
        }
    }

    /// RFC 4486 §4: Cease/1 may say which family reached which bound.
    public static func maximumPrefixes(_ family: RouteFamily, _ maximum: UInt32) -> Self {
        var writer = ByteWriter(capacity: 7)
        writer.u16(family.afi)
        writer.u8(family.safi)
        writer.u32(maximum)
        return .cease(.maximumPrefixes, writer.bytes)
    }

    /// The text of RFC 9003, when this is such a message and the text is sound: its length is within the data and it
    /// is UTF-8. Control characters are replaced, since the text comes from outside and ends on somebody's terminal.
    public var communication: String? {
        guard code == Code.cease.rawValue,
            subcode == CeaseSubcode.administrativeShutdown.rawValue
                || subcode == CeaseSubcode.administrativeReset.rawValue,
            let length = data.first, length > 0, Int(length) < data.count,
            let text = String(validating: data[1...Int(length)], as: UTF8.self)
        else { return nil }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { scalar -> Unicode.Scalar in
                    scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value) ? " " : scalar
                }))
    }

    /// Reads the body of a NOTIFICATION. It cannot fail: RFC 4271 §6.4 knows no answer to a bad one, and the header
    /// check has seen to the minimum length.
    public init(body: RawSpan) {
        let bytes = [UInt8](copying: body)
        code = bytes.first ?? 0
        subcode = bytes.count > 1 ? bytes[1] : 0
        data = Array(bytes.dropFirst(2))
    }

    /// The whole message, cut so that it fits 4096 octets.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 21 + data.count)
        let at = writer.beginMessage(.notification)
        writer.u8(code)
        writer.u8(subcode)
        writer.append(data.prefix(MessageHeader.lengthMaximum - 21))
        writer.endMessage(at)
        return writer.bytes
    }

    /// What the registries call it.
    public var description: String { phrase + (encapsulated.map { ", \($0.phrase)" } ?? "") }

    private var phrase: String {
        let name: String
        switch Code(rawValue: code) {
        case .header: name = "Message Header Error" + detail(HeaderSubcode(rawValue: subcode))
        case .open: name = "OPEN Message Error" + detail(OpenSubcode(rawValue: subcode))
        case .update: name = "UPDATE Message Error" + detail(UpdateSubcode(rawValue: subcode))
        case .holdTimerExpired: name = "Hold Timer Expired"
        case .finiteStateMachine: name = "Finite State Machine Error" + detail(StateSubcode(rawValue: subcode))
        case .cease: name = "Cease" + detail(CeaseSubcode(rawValue: subcode))
        case .routeRefresh: name = "ROUTE-REFRESH Message Error"
        case .sendHoldTimerExpired: name = "Send Hold Timer Expired"
        case nil: name = "Unknown Error"
        }
        let text = communication.map { " \"\($0)\"" } ?? ""
        return "\(name) (\(code)/\(subcode))\(text)"
    }

    private func detail<Subcode: RawRepresentable>(_ subcode: Subcode?) -> String {
        guard let subcode else { return "" }
        // "connectionCollision" reads as "connection collision".
        var words = ": "
        var wasUpper = true
        for character in "\(subcode)" {
            if character.isUppercase, !wasUpper { words += " " }
            wasUpper = character.isUppercase
            words.append(contentsOf: character.lowercased())
        }
        return words
    }
}
