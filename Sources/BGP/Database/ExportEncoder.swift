import Wire

/// Turns canonical attributes into the octets that a group's neighbours get: RFC 4271 §5.1, RFC 4760 §3, RFC 6793 §4.2.
///
/// Ascending by type, but MP_REACH_NLRI, which `MessageBuilder` puts in front (RFC 7606 §5.1).
struct ExportEncoder {
    let parameters: ExportParameters
    /// `RoutedFamily`
    let hasOwnFields: Bool
    /// Forms of next hop that these neighbours take with the family.
    private let nextHops: NextHopForms

    init<Family: RoutedFamily>(_: Family.Type, parameters: ExportParameters) {
        self.parameters = parameters
        hasOwnFields = Family.hasOwnFields
        nextHops = parameters.takesIPv6NextHops ? Family.nextHops.union([.ipv6, .ipv6Pair]) : Family.nextHops
    }

    /// What goes on the wire besides the NLRI.
    struct Result {
        /// The next hop of MP_REACH_NLRI; `nil`: it is among the attributes.
        var nextHop: IPAddress?
        var linkLocal: IPv6Address?
        /// `false`: these attributes cannot be sent to these neighbours.
        var isSendable = true
        /// The next hop is the router itself.
        var isOurs = false
    }

    /// Appends the attributes to `out`.
    func encode(
        _ canonical: RawSpan, marks: AttributeSet.Marks, to out: inout [UInt8]
    ) -> Result {
        var result = Result()
        let start = out.count
        var hasLocalPreference = false
        var wroteLocalPreference = false
        var as4Path: [UInt8] = []
        var as4Aggregator: [UInt8] = []
        // RFC 9234 §5, egress 1: marked with our AS unless it is marked.
        var owesMark = parameters.role?.isAboveOrBeside == true
        let p = parameters
        // RFC 4271 §5.1.5 asks for LOCAL_PREF towards internal neighbours; it stands between 4 and 6.
        func addLocalPreference(_ out: inout [UInt8]) {
            if p.isExternal || hasLocalPreference || wroteLocalPreference { return }
            wroteLocalPreference = true
            out.append(contentsOf: [0x40, AttributeCode.localPreference, 4])
            Self.append(p.defaultLocalPreference, to: &out)
        }
        func addAS4(_ type: UInt8, _ out: inout [UInt8]) {
            // RFC 6793 §3: optional transitive.
            if type > AttributeCode.as4Path, !as4Path.isEmpty {
                Self.appendAttribute(0xc0, AttributeCode.as4Path, as4Path, to: &out)
                as4Path = []
            }
            if type > AttributeCode.as4Aggregator, !as4Aggregator.isEmpty {
                Self.appendAttribute(0xc0, AttributeCode.as4Aggregator, as4Aggregator, to: &out)
                as4Aggregator = []
            }
        }
        func addMark(_ type: UInt8, _ out: inout [UInt8]) {
            guard owesMark, type >= AttributeCode.onlyToCustomer else { return }
            owesMark = false
            if type == AttributeCode.onlyToCustomer { return }
            out.append(contentsOf: [0xc0, AttributeCode.onlyToCustomer, 4])
            Self.append(p.localAS, to: &out)
        }
        forEachAttribute(canonical) { flags, type, value in
            if type >= AttributeCode.localPreference {
                if type == AttributeCode.localPreference { hasLocalPreference = true }
                addLocalPreference(&out)
                addAS4(type, &out)
                addMark(type, &out)
            }
            switch type {
            case AttributeCode.asPath:
                path(value, to: &out, &as4Path)
            case AttributeCode.nextHop:
                // RFC 4271 §5.1.3: ourselves towards external neighbours and wherever the route is our own; the received
                // next hop towards internal ones.
                let address = value.byteCount == 4 ? value.u32(0) : 0
                let nextHop = nextHop(
                    .v4(IPv4Address(raw: address)), replaces: replacesNextHop(isUnspecified: address == 0, marks), &result)
                if case .v4(let address)? = nextHop, hasOwnFields {
                    out.append(contentsOf: [0x40, AttributeCode.nextHop, 4])
                    Self.append(address.raw, to: &out)
                } else {
                    result.nextHop = nextHop
                }
            case AttributeCode.mpReach:
                guard value.byteCount >= 20 else {
                    result.isSendable = false
                    return
                }
                let address = IPv6Address(high: value.u64(4), low: value.u64(12))
                let nextHop = nextHop(
                    .v6(address), replaces: replacesNextHop(isUnspecified: address == .any, marks), &result)
                if case .v4(let address)? = nextHop, hasOwnFields {
                    insertNextHop(address, into: &out, from: start)
                } else {
                    result.nextHop = nextHop
                }
            case AttributeCode.med:
                // RFC 4271 §5.1.4: what one AS gave us goes to no other.
                if p.isExternal, !marks.contains(.medIsOurs) { return }
                Self.copy(flags, type, value, to: &out)
            case AttributeCode.localPreference:
                if !p.isExternal { Self.copy(flags, type, value, to: &out) }
            case AttributeCode.aggregator:
                aggregator(flags, value, to: &out, &as4Aggregator)
            case AttributeCode.communities where !p.sendCommunities:
                staleCommunities(flags, value, to: &out)
            case AttributeCode.communities, AttributeCode.largeCommunities:
                if p.sendCommunities { Self.copy(flags, type, value, to: &out) }
            case AttributeCode.extendedCommunities:
                if p.sendCommunities { extendedCommunities(flags, value, to: &out) }
            case AttributeCode.originatorID, AttributeCode.clusterList:
                // RFC 4456 §8: non-transitive, within the AS; a member of a confederation is one here.
                if !p.isExternal, !p.isOtherMember { Self.copy(flags, type, value, to: &out) }
            case AttributeCode.onlyToCustomer where value.byteCount == 4 && p.members.contains(value.u32(0)):
                // RFC 9234 §5: outside of a confederation nobody hears of its members.
                out.append(contentsOf: [flags & ~0x10, type, 4])
                Self.append(p.localAS, to: &out)
            case AttributeCode.origin, AttributeCode.atomicAggregate, AttributeCode.onlyToCustomer:
                Self.copy(flags, type, value, to: &out)
            default:
                // RFC 4271 §5: optional transitive attributes that we do not know go on with the partial bit.
                if flags & 0xc0 == 0xc0 { Self.copy(flags | 0x20, type, value, to: &out) }
            }
        }
        addLocalPreference(&out)
        addAS4(255, &out)
        addMark(255, &out)
        return result
    }

    private func replacesNextHop(isUnspecified: Bool, _ marks: AttributeSet.Marks) -> Bool {
        if isUnspecified { return true }
        if marks.contains(.nextHopIsOurs) { return false }
        if parameters.isExternal { return true }
        // RFC 4456 §10: a reflector does not change the next hop, unless it is told to.
        return marks.contains(.isReflected) ? parameters.nextHopSelfReflected : parameters.nextHopSelf
    }

    /// The next hop that these neighbours get: the one the route has, or ourselves. `nil`: there is none that they take.
    @inline(__always)
    private func nextHop(_ received: IPAddress, replaces: Bool, _ result: inout Result) -> IPAddress? {
        if !replaces {
            if nextHops.contains(received.family == .ipv4 ? .ipv4 : .ipv6) { return received }
            result.isSendable = false
            return nil
        }
        result.isOurs = true
        if nextHops.contains(.ipv4), let own = parameters.nextHopIPv4 { return .v4(own) }
        if nextHops.contains(.ipv6), let own = parameters.nextHopIPv6 {
            // RFC 2545 §3: beside our own address, on a shared link.
            if nextHops.contains(.ipv6Pair) { result.linkLocal = parameters.linkLocal }
            return .v6(own)
        }
        result.isSendable = false
        return nil
    }

    /// Puts NEXT_HOP where it belongs among the attributes from `start` on: the route came with another form of it.
    private func insertNextHop(_ address: IPv4Address, into out: inout [UInt8], from start: Int) {
        let at = AttributeTable.place(of: AttributeCode.nextHop, in: out, from: start)
        var attribute: [UInt8] = [0x40, AttributeCode.nextHop, 4]
        Self.append(address.raw, to: &attribute)
        out.insert(contentsOf: attribute, at: at)
    }

    // MARK: AS_PATH

    /// RFC 4271 §5.1.2: our AS in front towards external neighbours, unchanged towards internal ones. RFC 5065 §4.1: towards
    /// other members of our confederation in a segment of its kind; no such segment leaves it.
    private func path(_ value: RawSpan, to out: inout [UInt8], _ as4Path: inout [UInt8]) {
        let p = parameters
        if !p.isExternal, !p.isOtherMember, p.fourOctetAS {
            Self.appendAttribute(0x40, AttributeCode.asPath, value, to: &out)
            return
        }
        // The path with four-octet numbers as it will be, then shrunk for a neighbour that wants two.
        let isSequence = value.byteCount >= 2 && value.u8(0) == 2 && value.u8(1) > 0
        let fits = isSequence && value.u8(1) < 255
        if p.isExternal, p.fourOctetAS, !p.removePrivateAS, p.overriddenAS == 0, p.secondAS == 0, value.byteCount < 240,
            !Self.hasConfederation(value)
        {
            // The usual case without a detour.
            let size = value.byteCount + (fits ? 4 : 6)
            out.append(0x40)
            out.append(AttributeCode.asPath)
            out.append(UInt8(size))
            out.append(2)
            out.append(fits ? value.u8(1) + 1 : 1)
            Self.append(p.localAS, to: &out)
            let rest = fits ? value.extracting(2..<value.byteCount) : value
            unsafe rest.withUnsafeBytes { unsafe out.append(contentsOf: $0) }
            return
        }
        var path = RouteAttributes()
        var i = 0
        while i + 2 <= value.byteCount {
            let count = Int(value.u8(i + 1))
            guard i + 2 + 4 * count <= value.byteCount else { break }
            var numbers = (0..<count).map { ASNumber(value.u32(i + 2 + 4 * $0)) }
            // RFC 5065 §4.1: confederation segments stay inside.
            let isConfederation = value.u8(i) > 2
            if p.isExternal { change(&numbers) }
            if !numbers.isEmpty, !(p.isExternal && isConfederation) {
                path.path.append(RouteAttributes.Segment(type: value.u8(i), numbers: numbers))
            }
            i += 2 + 4 * count
        }
        if p.isExternal {
            if p.secondAS != 0 { path.prepend(ASNumber(p.secondAS)) }
            path.prepend(ASNumber(p.localAS))
        } else if p.isOtherMember {
            path.prependMember(ASNumber(p.localAS))
        }
        var octets: [UInt8] = []
        for segment in path.path {
            octets.append(segment.type)
            octets.append(UInt8(segment.numbers.count))
            for number in segment.numbers {
                if p.fourOctetAS {
                    Self.append(number.raw, to: &octets)
                } else {
                    octets.append(UInt8(number.twoOctets >> 8))
                    octets.append(UInt8(number.twoOctets & 0xff))
                }
            }
        }
        Self.appendAttribute(0x40, AttributeCode.asPath, octets, to: &out)
        // RFC 6793 §4.2.2: AS4_PATH when a number did not fit, without confederation segments.
        if !p.fourOctetAS, path.path.contains(where: { $0.numbers.contains { $0.raw > 0xffff } }) {
            for segment in path.path where segment.type <= 2 {
                as4Path.append(segment.type)
                as4Path.append(UInt8(segment.numbers.count))
                for number in segment.numbers { Self.append(number.raw, to: &as4Path) }
            }
        }
    }

    private static func hasConfederation(_ path: RawSpan) -> Bool {
        var i = 0
        while i + 2 <= path.byteCount {
            if path.u8(i) > 2 { return true }
            i += 2 + 4 * Int(path.u8(i + 1))
        }
        return false
    }

    /// What an external neighbour is not to see of a path: its own AS first, which may be a private one.
    private func change(_ numbers: inout [ASNumber]) {
        let own = ASNumber(parameters.localAS)
        if parameters.overriddenAS != 0 {
            for i in numbers.indices where numbers[i].raw == parameters.overriddenAS { numbers[i] = own }
        }
        guard parameters.removePrivateAS else { return }
        // Its own AS stays, by which the neighbour knows a loop.
        let kept = parameters.keptAS
        if parameters.replacesPrivateAS {
            for i in numbers.indices where numbers[i].isPrivate && numbers[i].raw != kept { numbers[i] = own }
        } else {
            numbers.removeAll { $0.isPrivate && $0.raw != kept && !(parameters.overriddenAS != 0 && $0 == own) }
        }
    }

    private func aggregator(_ flags: UInt8, _ value: RawSpan, to out: inout [UInt8], _ as4: inout [UInt8]) {
        if parameters.fourOctetAS || value.byteCount != 8 {
            Self.copy(flags, AttributeCode.aggregator, value, to: &out)
            return
        }
        let number = ASNumber(value.u32(0))
        out.append(contentsOf: [flags & ~0x10, AttributeCode.aggregator, 6])
        out.append(UInt8(number.twoOctets >> 8))
        out.append(UInt8(number.twoOctets & 0xff))
        Self.append(value.u32(4), to: &out)
        if number.raw > 0xffff { as4 = [UInt8](copying: value) }
    }

    /// RFC 9494 §4.3, §4.6: where no communities are sent, those that a long-lived stale route must not lose.
    private func staleCommunities(_ flags: UInt8, _ value: RawSpan, to out: inout [UInt8]) {
        var isStale = false, isRestricted = false
        for i in stride(from: 0, to: value.byteCount / 4 * 4, by: 4) {
            if value.u32(i) == Community.llgrStale.raw { isStale = true }
            if value.u32(i) == Community.noExport.raw { isRestricted = true }
        }
        guard isStale else { return }
        Self.appendHeader(flags, AttributeCode.communities, isRestricted ? 8 : 4, to: &out)
        if isRestricted { Self.append(Community.noExport.raw, to: &out) }
        Self.append(Community.llgrStale.raw, to: &out)
    }

    /// RFC 4360 §6: towards another AS only those of transitive types.
    private func extendedCommunities(_ flags: UInt8, _ value: RawSpan, to out: inout [UInt8]) {
        if !parameters.isExternal {
            Self.copy(flags, AttributeCode.extendedCommunities, value, to: &out)
            return
        }
        var kept: [UInt8] = []
        var i = 0
        while i + 8 <= value.byteCount {
            if value.u8(i) & 0x40 == 0 { kept.append(contentsOf: [UInt8](copying: value.extracting(i..<(i + 8)))) }
            i += 8
        }
        if !kept.isEmpty { Self.appendAttribute(flags, AttributeCode.extendedCommunities, kept, to: &out) }
    }

    // MARK: octets

    @inline(__always)
    static func append(_ value: UInt32, to out: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { unsafe out.append(contentsOf: $0) }
    }
    private static func copy(_ flags: UInt8, _ type: UInt8, _ value: RawSpan, to out: inout [UInt8]) {
        appendAttribute(flags, type, value, to: &out)
    }
    static func appendHeader(_ flags: UInt8, _ type: UInt8, _ count: Int, to out: inout [UInt8]) {
        out.append(count > 255 ? flags | 0x10 : flags & ~0x10)
        out.append(type)
        if count > 255 { out.append(UInt8(truncatingIfNeeded: count >> 8)) }
        out.append(UInt8(truncatingIfNeeded: count))
    }
    static func appendAttribute(_ flags: UInt8, _ type: UInt8, _ value: RawSpan, to out: inout [UInt8]) {
        appendHeader(flags, type, value.byteCount, to: &out)
        unsafe value.withUnsafeBytes { unsafe out.append(contentsOf: $0) }
    }
    private static func appendAttribute(_ flags: UInt8, _ type: UInt8, _ value: [UInt8], to out: inout [UInt8]) {
        appendHeader(flags, type, value.count, to: &out)
        out.append(contentsOf: value)
    }
}
