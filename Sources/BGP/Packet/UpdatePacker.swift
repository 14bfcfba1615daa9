import Wire

/// The next hop as MP_REACH_NLRI carries it; IPv4 unicast has its own in the attributes (RFC 4271 §5.1.3).
@frozen
public struct MultiprotocolNextHop: Hashable, Sendable, BitwiseCopyable {
    public var global: IPv6Address
    /// RFC 2545 §3: only towards a peer on the same link; `.any` for none.
    public var linkLocal: IPv6Address
    public init(global: IPv6Address, linkLocal: IPv6Address = .any) {
        self.global = global
        self.linkLocal = linkLocal
    }
}

/// Writes UPDATE messages one after another, as many prefixes in each as fit. One kind of thing per message, the
/// multiprotocol attribute first (RFC 7606 §5.1).
///
/// Use: `beginReach` or `beginWithdraw`, any number of `add`, `end`; again; then take `writer.bytes`. A message without
/// prefixes is not written.
public struct UpdatePacker: Sendable {
    private enum Kind: Sendable { case idle, reach, withdraw }

    public var writer: ByteWriter
    /// 4096, or 65535 when both ends speak RFC 8654.
    public let lengthMaximum: Int
    /// Messages begun and not empty.
    public private(set) var messageCount = 0

    private var kind = Kind.idle
    private var family = RouteFamily.ipv4Unicast
    private var attributes: [UInt8] = []
    private var nextHop = MultiprotocolNextHop(global: .any)
    /// Where the open message begins; `nil` between messages.
    private var messageAt: Int?
    /// Where a length field of the open message lies that `close` fills in.
    private var lengthAt = 0
    private var multiprotocolAt = 0
    /// The open message must not grow past this.
    private var limit = 0

    public init(lengthMaximum: Int, capacity: Int = 0) {
        self.lengthMaximum = lengthMaximum
        writer = ByteWriter(capacity: capacity)
    }

    /// Announcements that share `attributes` (encoded by `PathAttributes.encode`, NEXT_HOP in them for IPv4).
    ///
    /// - Returns: false when no prefix would fit beside the attributes; they cannot be announced then (RFC 8654 §5:
    ///   what was announced before is withdrawn instead).
    public mutating func beginReach(
        _ family: RouteFamily, attributes: [UInt8], nextHop: MultiprotocolNextHop = MultiprotocolNextHop(global: .any)
    ) -> Bool {
        end()
        // Header, two length fields, the head of MP_REACH_NLRI at its longest, the longest prefix.
        let overhead = MessageHeader.size + 4 + (family == .ipv4Unicast ? 5 : 4 + 5 + 32 + 17)
        guard attributes.count + overhead <= lengthMaximum else { return false }
        kind = .reach
        self.family = family
        self.attributes = attributes
        self.nextHop = nextHop
        return true
    }

    public mutating func beginWithdraw(_ family: RouteFamily) {
        end()
        kind = .withdraw
        self.family = family
        attributes = []
    }

    @inline(__always)
    public mutating func add<Prefix: NLRIPrefix>(_ prefix: Prefix) {
        if messageAt == nil || writer.count + prefix.encodedSize > limit { open() }
        prefix.encodeNLRI(into: &writer)
    }

    /// Closes the open message. Safe to call at any time.
    public mutating func end() {
        close()
        kind = .idle
    }

    /// RFC 4724 §2
    public mutating func endOfRIB(_ family: RouteFamily) {
        end()
        let at = writer.beginMessage(.update)
        writer.u16(0)
        if family == .ipv4Unicast {
            writer.u16(0)
        } else {
            writer.u16(6)
            writer.attribute(.mpUnreachNLRI, AttributeFlags.optional, count: 3)
            writer.u16(family.afi)
            writer.u8(family.safi)
        }
        writer.endMessage(at)
        messageCount += 1
    }

    /// What was written so far; the packer starts anew.
    public mutating func take() -> [UInt8] {
        end()
        let bytes = writer.bytes
        writer = ByteWriter()
        messageCount = 0
        return bytes
    }

    private mutating func open() {
        close()
        precondition(kind != .idle, "prefixes belong to an announcement or a withdrawal that was begun")
        let at = writer.beginMessage(.update)
        messageAt = at
        messageCount += 1
        limit = at + lengthMaximum
        switch (kind, family) {
        case (.idle, _): break
        case (.withdraw, .ipv4Unicast):
            lengthAt = writer.reserve16()
            limit -= 2
        case (.withdraw, .ipv6Unicast):
            writer.u16(0)
            lengthAt = writer.reserve16()
            writer.u8(AttributeFlags.optional | AttributeFlags.extendedLength)
            writer.u8(AttributeType.mpUnreachNLRI.rawValue)
            multiprotocolAt = writer.reserve16()
            writer.u16(family.afi)
            writer.u8(family.safi)
        case (.reach, .ipv4Unicast):
            writer.u16(0)
            writer.u16(UInt16(attributes.count))
            writer.append(attributes)
        case (.reach, .ipv6Unicast):
            writer.u16(0)
            lengthAt = writer.reserve16()
            writer.u8(AttributeFlags.optional | AttributeFlags.extendedLength)
            writer.u8(AttributeType.mpReachNLRI.rawValue)
            multiprotocolAt = writer.reserve16()
            writer.u16(family.afi)
            writer.u8(family.safi)
            writer.u8(nextHop.linkLocal == .any ? 16 : 32)
            writer.ipv6(nextHop.global)
            if nextHop.linkLocal != .any { writer.ipv6(nextHop.linkLocal) }
            writer.u8(0)
            limit -= attributes.count
        }
    }

    private mutating func close() {
        guard let at = messageAt else { return }
        messageAt = nil
        switch (kind, family) {
        case (.idle, _), (.reach, .ipv4Unicast): break
        case (.withdraw, .ipv4Unicast):
            writer.patchLength16(lengthAt)
            writer.u16(0)
        case (.withdraw, .ipv6Unicast):
            writer.patchLength16(multiprotocolAt)
            writer.patchLength16(lengthAt)
        case (.reach, .ipv6Unicast):
            writer.patchLength16(multiprotocolAt)
            writer.append(attributes)
            writer.patchLength16(lengthAt)
        }
        writer.endMessage(at)
    }
}
