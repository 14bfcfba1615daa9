import Wire

/// Path attributes taken apart, for policies that change them and for operators who look at them. Made from canonical
/// octets and turned into canonical octets again.
struct RouteAttributes: Hashable, Sendable {
    struct Segment: Hashable, Sendable {
        /// RFC 4271 §4.3: 1 AS_SET, 2 AS_SEQUENCE; RFC 5065: 3 and 4.
        var type: UInt8
        var numbers: [ASNumber]
    }
    /// An attribute that is carried along. `flags` without the extended length bit, which follows from the value.
    struct Other: Hashable, Sendable {
        var flags: UInt8
        var type: UInt8
        var value: [UInt8]
    }
    var origin: Origin = .incomplete
    var path: [Segment] = []
    var nextHop: IPAddress?
    /// RFC 2545 §3
    var linkLocal: IPv6Address?
    var med: UInt32?
    var localPreference: UInt32?
    var communities: [Community] = []
    var largeCommunities: [LargeCommunity] = []
    /// Everything else, ascending by type.
    var others: [Other] = []
    var marks: AttributeSet.Marks = []
    /// What no attribute says: `AttributeSet.weight`.
    var weight: UInt16 = 0

    init() {}

    init(canonical: RawSpan, marks: AttributeSet.Marks = [], weight: UInt16 = 0) {
        self.marks = marks
        var a = RouteAttributes()
        forEachAttribute(canonical) { flags, type, value in
            switch type {
            case AttributeCode.origin where value.byteCount >= 1:
                a.origin = Origin(rawValue: value.u8(0)) ?? .incomplete
            case AttributeCode.asPath:
                var i = 0
                while i + 2 <= value.byteCount {
                    let count = Int(value.u8(i + 1))
                    guard i + 2 + 4 * count <= value.byteCount else { break }
                    a.path.append(
                        Segment(type: value.u8(i), numbers: (0..<count).map { ASNumber(value.u32(i + 2 + 4 * $0)) }))
                    i += 2 + 4 * count
                }
            case AttributeCode.nextHop where value.byteCount == 4:
                a.nextHop = .v4(IPv4Address(raw: value.u32(0)))
            case AttributeCode.mpReach where value.byteCount >= 20:
                a.nextHop = .v6(IPv6Address(high: value.u64(4), low: value.u64(12)))
                if value.u8(3) == 32, value.byteCount >= 36 {
                    a.linkLocal = IPv6Address(high: value.u64(20), low: value.u64(28))
                }
            case AttributeCode.med where value.byteCount == 4: a.med = value.u32(0)
            case AttributeCode.localPreference where value.byteCount == 4: a.localPreference = value.u32(0)
            case AttributeCode.communities:
                a.communities = (0..<(value.byteCount / 4)).map { Community(raw: value.u32(4 * $0)) }
            case AttributeCode.largeCommunities:
                a.largeCommunities = (0..<(value.byteCount / 12)).map {
                    LargeCommunity(value.u32(12 * $0), value.u32(12 * $0 + 4), value.u32(12 * $0 + 8))
                }
            default: a.others.append(Other(flags: flags & ~0x10, type: type, value: [UInt8](copying: value)))
            }
        }
        a.marks = marks
        a.weight = weight
        self = a
    }

    /// RFC 4271 §5.1.2: puts a number in front, in a sequence that has room for it. Segments of our confederation, which lead the
    /// path, are the way to us from there.
    mutating func prepend(_ number: ASNumber, count: Int = 1) {
        let place = path.firstIndex { $0.type <= 2 } ?? path.count
        for _ in 0..<count {
            if place < path.count, path[place].type == 2, path[place].numbers.count < 255 {
                path[place].numbers.insert(number, at: 0)
            } else {
                path.insert(Segment(type: 2, numbers: [number]), at: place)
            }
        }
    }

    /// RFC 5065 §4.1: puts a member of our confederation in front.
    mutating func prependMember(_ number: ASNumber) {
        if let first = path.first, first.type == 3, first.numbers.count < 255 {
            path[0].numbers.insert(number, at: 0)
        } else {
            path.insert(Segment(type: 3, numbers: [number]), at: 0)
        }
    }

    /// Canonical octets (see `RIB`).
    func encoded() -> [UInt8] {
        var out = ByteWriter(capacity: 128)
        func header(_ flags: UInt8, _ type: UInt8, _ count: Int, _ out: inout ByteWriter) {
            out.u8(count > 255 ? flags | 0x10 : flags & ~0x10)
            out.u8(type)
            if count > 255 { out.u16(UInt16(truncatingIfNeeded: count)) } else { out.u8(UInt8(count)) }
        }
        var pending = others[...]
        func passOthers(below type: Int, _ out: inout ByteWriter) {
            while let next = pending.first, Int(next.type) < type {
                header(next.flags, next.type, next.value.count, &out)
                out.append(next.value)
                pending.removeFirst()
            }
        }
        header(0x40, AttributeCode.origin, 1, &out)
        out.u8(origin.rawValue)
        header(0x40, AttributeCode.asPath, path.reduce(0) { $0 + 2 + 4 * $1.numbers.count }, &out)
        for segment in path {
            out.u8(segment.type)
            out.u8(UInt8(segment.numbers.count))
            for number in segment.numbers { out.u32(number.raw) }
        }
        if case .v4(let address)? = nextHop {
            header(0x40, AttributeCode.nextHop, 4, &out)
            out.ipv4(address)
        }
        if let med {
            header(0x80, AttributeCode.med, 4, &out)
            out.u32(med)
        }
        if let localPreference {
            header(0x40, AttributeCode.localPreference, 4, &out)
            out.u32(localPreference)
        }
        passOthers(below: Int(AttributeCode.communities), &out)
        if !communities.isEmpty {
            header(0xc0, AttributeCode.communities, communities.count * 4, &out)
            for community in communities { out.u32(community.raw) }
        }
        passOthers(below: Int(AttributeCode.mpReach), &out)
        if case .v6(let address)? = nextHop {
            header(0x80, AttributeCode.mpReach, linkLocal == nil ? 21 : 37, &out)
            out.u16(2)
            out.u8(1)
            out.u8(linkLocal == nil ? 16 : 32)
            out.ipv6(address)
            if let linkLocal { out.ipv6(linkLocal) }
            out.u8(0)
        }
        passOthers(below: Int(AttributeCode.largeCommunities), &out)
        if !largeCommunities.isEmpty {
            header(0xc0, AttributeCode.largeCommunities, largeCommunities.count * 12, &out)
            for c in largeCommunities {
                out.u32(c.global)
                out.u32(c.local1)
                out.u32(c.local2)
            }
        }
        passOthers(below: 256, &out)
        return out.bytes
    }

    /// RFC 4360: kept among the others.
    var extendedCommunities: [ExtendedCommunity] {
        get {
            guard let value = others.first(where: { $0.type == AttributeCode.extendedCommunities })?.value else { return [] }
            return stride(from: 0, to: value.count / 8 * 8, by: 8).map { at in
                ExtendedCommunity(raw: value[at..<(at + 8)].reduce(0) { $0 << 8 | UInt64($1) })
            }
        }
        set {
            let place = others.firstIndex { $0.type >= AttributeCode.extendedCommunities } ?? others.count
            let isThere = place < others.count && others[place].type == AttributeCode.extendedCommunities
            if newValue.isEmpty {
                if isThere { others.remove(at: place) }
                return
            }
            if !isThere { others.insert(Other(flags: 0xc0, type: AttributeCode.extendedCommunities, value: []), at: place) }
            others[place].value = newValue.flatMap { community in
                (0..<8).map { UInt8(truncatingIfNeeded: community.raw >> UInt64(56 - 8 * $0)) }
            }
        }
    }

    var pathLength: Int { path.reduce(0) { $0 + ($1.type == 2 ? $1.numbers.count : $1.type == 1 ? 1 : 0) } }
    /// RFC 5065 §5.3: the first one outside of our confederation.
    var neighborAS: ASNumber? { path.first { $0.type <= 2 }.flatMap { $0.type == 2 ? $0.numbers.first : nil } }
    var originAS: ASNumber? { path.last.flatMap { $0.type == 2 ? $0.numbers.last : nil } }
    /// As operators write it: sets in braces, confederation segments in parentheses.
    var pathText: String {
        path.map { segment in
            let text = segment.numbers.map(\.description).joined(separator: segment.type == 1 || segment.type == 4 ? "," : " ")
            return switch segment.type {
            case 1: "{\(text)}"
            case 3: "(\(text))"
            case 4: "[\(text)]"
            default: text
            }
        }.joined(separator: " ")
    }
}
