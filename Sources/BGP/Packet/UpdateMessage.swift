import Machine
import Wire

/// What the reading of an UPDATE depends on besides its octets.
@frozen
public struct UpdateContext: Hashable, Sendable, BitwiseCopyable {
    public var routerAS: ASNumber
    /// RFC 6793: both ends offered four-octet AS numbers.
    public var fourOctetAS: Bool
    /// Of our AS, or of another member of our confederation.
    public var isInternal: Bool
    /// RFC 5065 §5: what segments of a confederation may stand in a path.
    public var confederation = ConfederationSegments.none
    /// Negotiated and not disabled since; what comes of other families is ignored.
    public var families: RouteFamilySet
    /// Those in whose NLRI a path identifier stands before each prefix (RFC 7911 §3).
    public var pathIDs: RouteFamilySet
    /// Those whose MP_REACH_NLRI may have an IPv6 next hop though the family alone allows none (RFC 8950 §4).
    public var ipv6NextHops: RouteFamilySet

    public init(
        routerAS: ASNumber, fourOctetAS: Bool, isInternal: Bool, families: RouteFamilySet,
        pathIDs: RouteFamilySet = [], ipv6NextHops: RouteFamilySet = []
    ) {
        self.routerAS = routerAS
        self.fourOctetAS = fourOctetAS
        self.isInternal = isInternal
        self.families = families
        self.pathIDs = pathIDs
        self.ipv6NextHops = ipv6NextHops
    }

    /// Two attribute blocks of equal octets mean the same when this is equal (within one router): the key under which
    /// a validated block may be used again without parsing.
    @inlinable public var attributeKey: UInt8 {
        (fourOctetAS ? 1 : 0) | (isInternal ? 2 : 0) | confederation.rawValue << 2
    }
    /// Bits of it.
    static let attributeKeyWidth: UInt32 = 4
}

/// RFC 5065 §5: whether AS_CONFED_SEQUENCE and AS_CONFED_SET may stand in a path that a neighbour sends.
public enum ConfederationSegments: UInt8, Hashable, Sendable, BitwiseCopyable {
    /// From outside of our confederation.
    case none = 0
    /// From our own member of it.
    case allowed = 1
    /// From another member, which begins each path with itself.
    case leading = 2
}

/// RFC 4271 §4.3: an UPDATE as views of the received octets. Making one walks the attribute headers, splits
/// MP_REACH_NLRI and MP_UNREACH_NLRI from the rest and checks them; the rest is left to `PathAttributes`, or to a table
/// of blocks that were checked before.
public struct UpdateMessage: ~Escapable {
    /// WITHDRAWN ROUTES, IPv4 unicast.
    public let withdrawn: RawSpan
    /// NETWORK LAYER REACHABILITY INFORMATION, IPv4 unicast.
    public let nlri: RawSpan

    /// The family of MP_REACH_NLRI, when there is one for a family in use.
    public private(set) var reachFamily: RouteFamily?
    /// RFC 4760 §3, whatever the family of the NLRI; IPv6: the global address, or the link-local one when it is the only
    /// one.
    public private(set) var reachNextHop: IPAddress = .v4(.any)
    /// RFC 2545 §3: the second address of a 32-octet next hop.
    public private(set) var reachLinkLocal: IPv6Address?
    /// Its NLRI; empty without `reachFamily`.
    public private(set) var reachNLRI: RawSpan
    /// The family of MP_UNREACH_NLRI, when there is one for a family in use.
    public private(set) var unreachFamily: RouteFamily?
    /// Empty without `unreachFamily`.
    public private(set) var unreachNLRI: RawSpan

    /// A family that this message disables (RFC 4760 §7); its views are then empty.
    public private(set) var disabling: AttributeFault?
    /// RFC 7606 §4: the attribute headers do not fit their list; the block then ends where they ceased to fit.
    public private(set) var listFault: AttributeFault?
    /// MP_REACH_NLRI of a family not in use: reachable NLRI that we do not read.
    private var ignoresReach = false

    /// The whole list and what to leave out of it, in ascending order.
    private let attributes: RawSpan
    private var listEnd: Int
    private var firstCut = (start: 0, end: 0)
    private var secondCut = (start: 0, end: 0)

    /// - Parameter body: the message after its header, at least four octets.
    /// - Throws: what ends the session: lengths that do not fit each other, MP attributes that cannot be located or read.
    @_lifetime(copy body)
    @inline(__always)
    public init(body: RawSpan, context: UpdateContext) throws(NotificationMessage) {
        // RFC 4271 §6.3: Withdrawn Routes Length + Total Attribute Length + 23 must not exceed the message.
        let count = body.byteCount
        guard count >= 4 else { throw .update(.malformedAttributeList) }
        let withdrawnCount = Int(
            UInt16(bigEndian: unsafe body.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self)))
        guard withdrawnCount + 4 <= count else { throw .update(.malformedAttributeList) }
        let attributeCount = Int(
            UInt16(bigEndian: unsafe body.unsafeLoadUnaligned(fromByteOffset: 2 + withdrawnCount, as: UInt16.self)))
        let attributesAt = 4 + withdrawnCount
        guard attributesAt + attributeCount <= count else { throw .update(.malformedAttributeList) }
        withdrawn = body.extracting(2..<(2 + withdrawnCount))
        attributes = body.extracting(attributesAt..<(attributesAt + attributeCount))
        nlri = body.extracting((attributesAt + attributeCount)..<count)
        reachNLRI = body.extracting(0..<0)
        unreachNLRI = body.extracting(0..<0)
        listEnd = attributeCount

        var i = 0
        while i < attributeCount {
            // RFC 7606 §4: fewer than three octets left (four with the extended length), or a length that runs over.
            let left = attributeCount &- i
            var headerSize = 3
            var length = 0
            var type: UInt8 = 0
            var flags: UInt8 = 0
            var fits = left >= 3
            if fits {
                flags = unsafe attributes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
                type = unsafe attributes.unsafeLoadUnaligned(fromByteOffset: i &+ 1, as: UInt8.self)
                if flags & AttributeFlags.extendedLength != 0 {
                    headerSize = 4
                    fits = left >= 4
                    if fits {
                        length = Int(
                            UInt16(
                                bigEndian: unsafe attributes.unsafeLoadUnaligned(
                                    fromByteOffset: i &+ 2, as: UInt16.self)))
                    }
                } else {
                    length = Int(unsafe attributes.unsafeLoadUnaligned(fromByteOffset: i &+ 2, as: UInt8.self))
                }
                if fits { fits = headerSize &+ length <= left }
            }
            if !fits {
                if left >= 2, type == AttributeType.mpReachNLRI.rawValue || type == AttributeType.mpUnreachNLRI.rawValue {
                    // RFC 7606 §3 (j): its NLRI cannot be located.
                    throw .update(.malformedAttributeList)
                }
                listEnd = i
                listFault = AttributeFault(
                    type: nil, handling: .treatAsWithdraw, reason: "an attribute overruns the list",
                    notification: .update(.malformedAttributeList))
                break
            }
            let end = i &+ headerSize &+ length
            if type == AttributeType.mpReachNLRI.rawValue || type == AttributeType.mpUnreachNLRI.rawValue {
                try readMultiprotocol(
                    type: type, flags: flags, start: i, value: i + headerSize, end: end, context: context)
            }
            i = end
        }
    }

    /// Whether the message announces anything, be it of a family not in use.
    public var hasReachableNLRI: Bool { !nlri.isEmpty || !reachNLRI.isEmpty || ignoresReach }

    /// RFC 4724 §2: the family whose initial routes are complete.
    public var endOfRIB: RouteFamily? {
        guard withdrawn.isEmpty, nlri.isEmpty, listFault == nil, disabling == nil else { return nil }
        if attributes.isEmpty { return .ipv4Unicast }
        guard let family = unreachFamily, unreachNLRI.isEmpty, firstCut.start == 0, firstCut.end == attributes.byteCount
        else { return nil }
        return family
    }

    // MARK: the block

    /// Whether the attributes other than the multiprotocol ones lie in one piece.
    @inline(__always)
    public var isBlockContiguous: Bool {
        firstCut.end == 0 || secondCut.end == 0 && (firstCut.start == 0 || firstCut.end == listEnd)
            || secondCut.end != 0 && firstCut.start == 0
                && (secondCut.start == firstCut.end || secondCut.end == listEnd)
            || secondCut.end == listEnd && secondCut.end != 0 && secondCut.start == firstCut.end
    }

    /// The attributes other than the multiprotocol ones. Only when `isBlockContiguous`.
    public var block: RawSpan {
        @_lifetime(copy self)
        @inline(__always)
        get {
            if firstCut.end == 0 { return attributes.extracting(0..<listEnd) }
            let cutEnd = secondCut.end == 0 ? firstCut.end : secondCut.end
            if secondCut.end == 0 || secondCut.start == firstCut.end {
                // One hole: at the front, or at the end.
                return firstCut.start == 0
                    ? attributes.extracting(cutEnd..<listEnd) : attributes.extracting(0..<firstCut.start)
            }
            // One at the front and one at the end.
            return attributes.extracting(firstCut.end..<secondCut.start)
        }
    }

    /// Replaces `buffer` by the block, whatever pieces it lies in.
    public func gatherBlock(into buffer: inout [UInt8]) {
        buffer.removeAll(keepingCapacity: true)
        var position = 0
        for cut in [firstCut, secondCut] where cut.end != 0 {
            append(position..<cut.start, to: &buffer)
            position = cut.end
        }
        append(position..<listEnd, to: &buffer)
    }

    private func append(_ range: Range<Int>, to buffer: inout [UInt8]) {
        unsafe attributes.extracting(range).withUnsafeBytes { unsafe buffer.append(contentsOf: $0) }
    }

    // MARK: what a fault means for this message

    /// RFC 7606 §5.2: without reachable NLRI nobody can be sure that the message was read as it was meant, so anything
    /// stronger than a discard ends the session. Also lets the list's own fault count (RFC 7606 §3 (h)).
    ///
    /// - Parameter fault: the strongest that `PathAttributes` found in the block.
    public func handling(of fault: AttributeFault?) -> AttributeFault? {
        var strongest = fault
        if let listFault, strongest == nil || strongest!.handling.strength < listFault.handling.strength {
            strongest = listFault
        }
        guard var fault = strongest else { return nil }
        if case .treatAsWithdraw = fault.handling, !hasReachableNLRI {
            fault.handling = .sessionReset(fault.notification)
        }
        return fault
    }

    /// What is missing for this message's NLRI from attributes that are sound in themselves: RFC 7606 §3 (d), and of
    /// the mandatory ones only NEXT_HOP depends on where the NLRI are (RFC 4760 §3).
    @inline(__always)
    public func missingAttribute(in attributes: borrowing PathAttributes) -> AttributeFault? {
        if nlri.isEmpty || attributes.contains(.nextHop) { return nil }
        return PathAttributes.missing(.nextHop)
    }

    /// How to go on when one of this message's fields of NLRI cannot be read.
    public func nlriFault(inMultiprotocol family: RouteFamily?, context: UpdateContext) -> AttributeFault {
        guard let family else {
            return AttributeFault(
                type: nil, handling: .sessionReset(.update(.invalidNetworkField)), reason: "invalid NLRI",
                notification: .update(.invalidNetworkField))
        }
        return Self.multiprotocolFault(
            .mpReachNLRI, family: family, data: [], context: context, reason: "invalid NLRI")
    }

    // MARK: multiprotocol attributes

    /// RFC 4760 §7 and RFC 7606 §7.11: with another family in use only this one goes; else the session.
    private static func multiprotocolFault(
        _ type: AttributeType, family: RouteFamily, data: [UInt8], context: UpdateContext, reason: StaticString
    ) -> AttributeFault {
        let notification = NotificationMessage.update(.optionalAttributeError, data)
        let isOnly = context.families == RouteFamilySet(family)
        return AttributeFault(
            type: type, handling: isOnly ? .sessionReset(notification) : .disableAddressFamily(family), reason: reason,
            notification: notification)
    }

    @_lifetime(self: copy self)
    private mutating func readMultiprotocol(
        type: UInt8, flags: UInt8, start: Int, value: Int, end: Int, context: UpdateContext
    ) throws(NotificationMessage) {
        let isReach = type == AttributeType.mpReachNLRI.rawValue
        // RFC 7606 §3 (g): a second one of either.
        let first = UInt8(
            firstCut.end == 0
                ? 0 : unsafe attributes.unsafeLoadUnaligned(fromByteOffset: firstCut.start + 1, as: UInt8.self))
        if firstCut.end != 0, first == type || secondCut.end != 0 { throw .update(.malformedAttributeList) }
        if firstCut.end == 0 { firstCut = (start, end) } else { secondCut = (start, end) }

        let whole = attributes.extracting(start..<end)
        // RFC 7606 §5.3: shorter than its fixed part.
        guard end - value >= (isReach ? 5 : 3) else { throw .update(.optionalAttributeError, [UInt8](copying: whole)) }
        let afi = UInt16(bigEndian: unsafe attributes.unsafeLoadUnaligned(fromByteOffset: value, as: UInt16.self))
        let safi = unsafe attributes.unsafeLoadUnaligned(fromByteOffset: value + 2, as: UInt8.self)
        guard let family = RouteFamily(afi: afi, safi: safi), context.families.contains(family) else {
            if isReach { ignoresReach = true }
            return
        }
        func fail(_ reason: StaticString) throws(NotificationMessage) {
            let fault = Self.multiprotocolFault(
                AttributeType(rawValue: type), family: family, data: [UInt8](copying: whole), context: context,
                reason: reason)
            if case .sessionReset(let notification) = fault.handling { throw notification }
            if isReach { ignoresReach = true }
            // Both may fail, then of different families: there is one slot, so the second ends the session.
            guard disabling == nil else { throw fault.notification }
            disabling = fault
        }
        let kind = AttributeFlags.optional | AttributeFlags.transitive
        guard flags & kind == AttributeFlags.optional else { return try fail("wrong flags") }
        if !isReach {
            unreachFamily = family
            unreachNLRI = attributes.extracting((value + 3)..<end)
            return
        }
        // RFC 7606 §7.11: the next hop's length must be one that the family has, or that was agreed on for it (RFC 8950 §3), and
        // within the attribute.
        let nextHopCount = Int(unsafe attributes.unsafeLoadUnaligned(fromByteOffset: value + 3, as: UInt8.self))
        let nextHopAt = value + 4
        guard nextHopAt + nextHopCount + 1 <= end else { return try fail("the next hop overruns the attribute") }
        var forms = family.type.nextHops
        if context.ipv6NextHops.contains(family) { forms.formUnion([.ipv6, .ipv6Pair]) }
        switch forms.intersection(NextHopForms(octets: nextHopCount)) {
        case .ipv4:
            reachNextHop = .v4(
                IPv4Address(
                    raw: UInt32(
                        bigEndian: unsafe attributes.unsafeLoadUnaligned(
                            fromByteOffset: nextHopAt, as: UInt32.self))))
        case .ipv6, .ipv6Pair:
            reachNextHop = .v6(ipv6(at: nextHopAt))
            if nextHopCount == 32 {
                let second = ipv6(at: nextHopAt + 16)
                // Some speakers repeat the global address or leave zeros; only a link-local one is of use.
                if second.isLinkLocal { reachLinkLocal = second }
                if case .v6(.any) = reachNextHop, second.isLinkLocal { reachNextHop = .v6(second) }
            }
        default:
            return try fail("the next hop has a length that the family does not know")
        }
        reachFamily = family
        // One reserved octet, ignored upon receipt.
        reachNLRI = attributes.extracting((nextHopAt + nextHopCount + 1)..<end)
    }

    private func ipv6(at offset: Int) -> IPv6Address {
        IPv6Address(
            high: UInt64(bigEndian: unsafe attributes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            low: UInt64(bigEndian: unsafe attributes.unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)))
    }
}
