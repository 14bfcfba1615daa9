import Wire

/// An IPv6 next hop as MP_REACH_NLRI carries it; an IPv4 one is kept as NEXT_HOP (RFC 4271 §5.1.3).
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

extension FamilyCode {
    /// What stands before an IPv6 next hop in canonical attributes. It says nothing of the routes that have it: attributes
    /// are shared by routes of all families.
    static var canonicalReach: FamilyCode { FamilyCode(afi: 2, safi: 1) }
}

extension ByteWriter {
    /// The header of an attribute, with the extended length only where it is needed.
    mutating func attribute(_ type: AttributeType, _ flags: UInt8, count: Int) {
        if count > 255 {
            u8(flags | AttributeFlags.extendedLength)
            u8(type.rawValue)
            // More than 65,535 does not fit any message: the packer refuses such a block as a whole.
            u16(UInt16(truncatingIfNeeded: count))
        } else {
            u8(flags & ~AttributeFlags.extendedLength)
            u8(type.rawValue)
            u8(UInt8(count))
        }
    }
}

extension PathAttributes {
    /// Appends the attributes in ascending order of type (RFC 4271 §5), in their one canonical form: equal values give
    /// equal octets on both controllers.
    ///
    /// - Parameter fourOctetAS: RFC 6793 was negotiated. Otherwise AS numbers that do not fit become AS_TRANS and
    ///   AS4_PATH and AS4_AGGREGATOR carry the true ones.
    /// - Parameter reach: writes MP_REACH_NLRI with this next hop and no NLRI among the others: the form in which tables
    ///   keep the attributes of a route with an IPv6 next hop, of whatever family.
    public func encode(into writer: inout ByteWriter, fourOctetAS: Bool, reach: MultiprotocolNextHop? = nil) {
        var other = 0
        /// Attributes that are only passed on, up to the type that is written next.
        func passOn(before type: UInt8, _ writer: inout ByteWriter) {
            while other < others.count, others[other + 1] < type {
                let size = Self.attributeSize(others, other)
                writer.append(others[other..<(other + size)])
                other += size
            }
        }
        func header(_ type: AttributeType, count: Int, _ writer: inout ByteWriter) {
            passOn(before: type.rawValue, &writer)
            let isPartial = partial & Self.bit(type) != 0
            writer.attribute(type, type.specifiedFlags! | (isPartial ? AttributeFlags.partial : 0), count: count)
        }
        if contains(.origin) {
            header(.origin, count: 1, &writer)
            writer.u8(origin.rawValue)
        }
        var needsAS4Path = false
        if contains(.asPath) {
            if fourOctetAS {
                header(.asPath, count: asPath.count, &writer)
                writer.append(asPath)
            } else {
                let (path, lossy) = twoOctetPath
                needsAS4Path = lossy
                header(.asPath, count: path.count, &writer)
                writer.append(path)
            }
        }
        if contains(.nextHop) {
            header(.nextHop, count: 4, &writer)
            writer.ipv4(nextHop)
        }
        if contains(.multiExitDisc) {
            header(.multiExitDisc, count: 4, &writer)
            writer.u32(med)
        }
        if contains(.localPref) {
            header(.localPref, count: 4, &writer)
            writer.u32(localPreference)
        }
        if contains(.atomicAggregate) { header(.atomicAggregate, count: 0, &writer) }
        if contains(.aggregator) {
            header(.aggregator, count: fourOctetAS ? 8 : 6, &writer)
            if fourOctetAS { writer.u32(aggregatorAS.raw) } else { writer.u16(aggregatorAS.twoOctets) }
            writer.ipv4(aggregatorAddress)
        }
        if contains(.communities) {
            header(.communities, count: communities.count, &writer)
            writer.append(communities)
        }
        if contains(.originatorID) {
            header(.originatorID, count: 4, &writer)
            writer.u32(originatorID.raw)
        }
        if contains(.clusterList) {
            header(.clusterList, count: clusterList.count, &writer)
            writer.append(clusterList)
        }
        if let reach {
            let count = reach.linkLocal == .any ? 16 : 32
            header(.mpReachNLRI, count: 5 + count, &writer)
            writer.u16(FamilyCode.canonicalReach.afi)
            writer.u8(FamilyCode.canonicalReach.safi)
            writer.u8(UInt8(count))
            writer.ipv6(reach.global)
            if reach.linkLocal != .any { writer.ipv6(reach.linkLocal) }
            writer.u8(0)
        }
        if contains(.extendedCommunities) {
            header(.extendedCommunities, count: extendedCommunities.count, &writer)
            writer.append(extendedCommunities)
        }
        if needsAS4Path {
            header(.as4Path, count: asPath.count, &writer)
            writer.append(asPath)
        }
        // RFC 6793 §4.2.2: not when the number fits.
        if contains(.aggregator), !fourOctetAS, aggregatorAS.raw > 0xffff {
            header(.as4Aggregator, count: 8, &writer)
            writer.u32(aggregatorAS.raw)
            writer.ipv4(aggregatorAddress)
        }
        if contains(.largeCommunities) {
            header(.largeCommunities, count: largeCommunities.count, &writer)
            writer.append(largeCommunities)
        }
        // Type 255 is reserved, but somebody may have sent it.
        while other < others.count {
            let size = Self.attributeSize(others, other)
            writer.append(others[other..<(other + size)])
            other += size
        }
    }

    /// RFC 6793 §4.2.2: the path in two-octet numbers, and whether any of them had to become AS_TRANS.
    private var twoOctetPath: (path: [UInt8], isLossy: Bool) {
        var writer = ByteWriter(capacity: asPath.count)
        var isLossy = false
        var walk = ASPathWalk(asPath)
        while let segment = walk.next() {
            writer.u8(segment.type)
            writer.u8(UInt8(segment.count))
            for number in segment.numbers(of: asPath) {
                if number.raw > 0xffff { isLossy = true }
                writer.u16(number.twoOctets)
            }
        }
        return (writer.bytes, isLossy)
    }
}
