import Machine
import Records
import Routing
import Wire

/// What was fatal to a controller, so that its sender can say it again, as every speaker does after a new beginning, and
/// nobody dies of it a second time.
///
/// The dying gasp names the message; if it could not, every message of the record is meant. Each announcement in it is
/// remembered by what is the same however its sender packs it next time: the octets of its attributes without any NLRI, and
/// its prefix, without the path identifier, which may be another one then (RFC 7911 §5). An UPDATE that holds both again is treated as the withdrawal of that prefix (RFC 7606 §2). A message that
/// announces nothing is known by its octets. A neighbour that is fatal once more, in another form, is known from then on by
/// what both forms have in common, prefixes or attributes, alone; by either of the two if they have nothing in common.
///
/// Bounds: `routesMaximum` announcements and `messagesMaximum` other messages, of which the oldest give way; each is
/// forgotten after a day, or when an operator clears the neighbour.
struct FatalInputs: Sendable {
    static let routesMaximum = 4096
    static let messagesMaximum = 256
    static let sourcesMaximum = 256
    static let memory = FatalMemory.memory

    struct Route: Sendable, BitwiseCopyable {
        /// See `name`.
        var source: UInt64
        var attributes: UInt64
        var prefix: UInt64
        /// Which fault of its source it was in, from 1.
        var fault: UInt32
        var until: Instant
        /// Another fault of the source had the same prefix, or the same attributes: derived.
        var sharesPrefix = false
        var sharesAttributes = false
    }
    struct Message: Sendable, BitwiseCopyable {
        var source: UInt64
        var digest: UInt64
        var until: Instant
    }
    struct Source: Sendable, BitwiseCopyable {
        var name: UInt64
        var faults: UInt32
        var until: Instant
    }
    /// The oldest first.
    private(set) var routes: [Route] = []
    private(set) var messages: [Message] = []
    private(set) var sources: [Source] = []
    /// Positions in `routes`, in ascending order of what is looked for: derived.
    private var byPrefix: [Int32] = []
    private var byAttributes: [Int32] = []

    var isEmpty: Bool { sources.isEmpty }

    static func name(_ address: IPAddress) -> UInt64 {
        switch address {
        case .v4(let a): seededHash(UInt64(a.raw), 4, seed: 0)
        case .v6(let a): seededHash(a.high, a.low, seed: 6)
        }
    }

    /// How often a neighbour was fatal; 0 for one that nothing is remembered of.
    func faults(of source: UInt64, at now: Instant) -> UInt32 {
        for known in sources where known.name == source && known.until > now { return known.faults }
        return 0
    }

    // MARK: learning

    /// A record with these octets of the neighbour's stream was fatal; the first message begins with them.
    /// - Parameters:
    ///   - message: which one, from 1; 0: any of them.
    ///   - pathIDs: families whose prefixes have path identifiers. Of more than one set it is not known which holds, since the
    ///     record began before the session: what is announced is remembered as each of them reads it.
    mutating func learn(
        _ octets: [UInt8], message: Int = 0, from source: UInt64, pathIDs: [RouteFamilySet] = [[]], at now: Instant
    ) {
        forget { $0 <= now }
        let until = now + Self.memory
        var fault: UInt32 = 1
        if let i = sources.firstIndex(where: { $0.name == source }) {
            sources[i].faults = min(sources[i].faults + 1, 1 << 16)
            fault = sources[i].faults
            sources[i].until = until
        } else {
            if sources.count == Self.sourcesMaximum { sources.removeFirst() }
            sources.append(Source(name: source, faults: 1, until: until))
        }
        var position = 0, number = 0
        while octets.count - position >= MessageHeader.size {
            let length = Int(octets[position + 16]) << 8 | Int(octets[position + 17])
            // Whatever cannot be a message ends what can be told apart.
            guard length >= MessageHeader.size, octets.count - position >= length else { break }
            let type = octets[position + 18]
            let body = octets.span.bytes.extracting((position + MessageHeader.size)..<(position + length))
            position += length
            number += 1
            // A record holds a few thousand prefixes at most; they are cut to the bound at once, not one by one.
            if message == 0 || message == number { learn(type, body, source, pathIDs, fault, until) }
        }
        routes.removeFirst(max(0, routes.count - Self.routesMaximum))
        index()
    }

    private mutating func learn(
        _ type: UInt8, _ body: RawSpan, _ source: UInt64, _ pathIDs: [RouteFamilySet], _ fault: UInt32, _ until: Instant
    ) {
        guard type != MessageType.keepalive.rawValue else { return }
        var count = 0
        for families in type == MessageType.update.rawValue ? pathIDs : [] {
            guard let outline = UpdateOutline(body, pathIDs: families) else { continue }
            for prefix in outline.prefixes(of: body) {
                count += 1
                // Known from before; what stands twice in one record does no harm.
                if hasPrefix(prefix, source, { $0.attributes == outline.attributes }) { continue }
                routes.append(
                    Route(source: source, attributes: outline.attributes, prefix: prefix, fault: fault, until: until))
            }
        }
        guard count == 0 else { return }
        if messages.count == Self.messagesMaximum { messages.removeFirst() }
        messages.append(Message(source: source, digest: Self.digest(type, body), until: until))
    }

    private static func digest(_ type: UInt8, _ body: RawSpan) -> UInt64 { seededHash(body, seed: UInt64(type)) }

    private mutating func index() {
        byPrefix = (0..<Int32(routes.count)).sorted {
            (routes[Int($0)].prefix, routes[Int($0)].attributes) < (routes[Int($1)].prefix, routes[Int($1)].attributes)
        }
        byAttributes = (0..<Int32(routes.count)).sorted { routes[Int($0)].attributes < routes[Int($1)].attributes }
        share(byPrefix, { $0.prefix }) { $0.sharesPrefix = $1 }
        share(byAttributes, { $0.attributes }) { $0.sharesAttributes = $1 }
    }

    /// Notes of each route whether one of its source with the same key was in another fault.
    private mutating func share(_ list: [Int32], _ key: (Route) -> UInt64, _ note: (inout Route, Bool) -> Void) {
        var start = 0
        while start < list.count {
            var end = start + 1
            while end < list.count, key(routes[Int(list[end])]) == key(routes[Int(list[start])]) { end += 1 }
            // Of each source the first fault and the last.
            var faults: [UInt64: (UInt32, UInt32)] = [:]
            for i in list[start..<end] {
                let route = routes[Int(i)], known = faults[route.source] ?? (route.fault, route.fault)
                faults[route.source] = (min(known.0, route.fault), max(known.1, route.fault))
            }
            for i in list[start..<end] { note(&routes[Int(i)], faults[routes[Int(i)].source].map { $0.0 != $0.1 } ?? false) }
            start = end
        }
    }

    // MARK: forgetting

    mutating func forget(_ source: UInt64) {
        sources.removeAll { $0.name == source }
        routes.removeAll { $0.source == source }
        messages.removeAll { $0.source == source }
        index()
    }

    private mutating func forget(_ isOver: (Instant) -> Bool) {
        sources.removeAll { isOver($0.until) }
        routes.removeAll { isOver($0.until) }
        messages.removeAll { isOver($0.until) }
        index()
    }

    // MARK: knowing again

    /// Whether a message that announces nothing is one of those that were fatal.
    func isKnown(_ type: UInt8, _ body: RawSpan, from source: UInt64) -> Bool {
        guard !messages.isEmpty else { return false }
        let digest = Self.digest(type, body)
        return messages.contains { $0.source == source && $0.digest == digest }
    }

    /// What is left of an UPDATE without the announcements that were fatal, or `nil` if none was among them.
    /// - Parameters:
    ///   - faults: of this source, more than 0.
    ///   - pathIDs: families whose prefixes have path identifiers in this session.
    func screened(
        _ body: RawSpan, from source: UInt64, faults: UInt32, pathIDs: RouteFamilySet = []
    ) -> ScreenedUpdate? {
        if isKnown(MessageType.update.rawValue, body, from: source) { return ScreenedUpdate() }
        guard let outline = UpdateOutline(body, pathIDs: pathIDs) else { return nil }
        let attributes = outline.attributes
        guard faults > 1 || hasAttributes(attributes, source, { _ in true }) else { return nil }
        // Fatal in two forms that have nothing in common: the attributes alone are enough, or the prefix.
        let isEither = faults > 1 && !routes.contains { $0.source == source && ($0.sharesPrefix || $0.sharesAttributes) }
        let isAnyPrefix = hasAttributes(attributes, source) { isEither || $0.sharesAttributes }
        func isFatal(_ prefix: UInt64) -> Bool {
            isAnyPrefix || hasPrefix(prefix, source) { isEither || $0.sharesPrefix || $0.attributes == attributes }
        }
        guard outline.prefixes(of: body).contains(where: isFatal) else { return nil }
        return outline.screened(body, isFatal)
    }

    private func hasAttributes(_ attributes: UInt64, _ source: UInt64, _ isMeant: (Route) -> Bool) -> Bool {
        var i = byAttributes.sortedIndex { routes[Int($0)].attributes < attributes }
        while i < byAttributes.count, routes[Int(byAttributes[i])].attributes == attributes {
            let route = routes[Int(byAttributes[i])]
            if route.source == source, isMeant(route) { return true }
            i += 1
        }
        return false
    }

    private func hasPrefix(_ prefix: UInt64, _ source: UInt64, _ isMeant: (Route) -> Bool) -> Bool {
        var i = byPrefix.sortedIndex { routes[Int($0)].prefix < prefix }
        while i < byPrefix.count, routes[Int(byPrefix[i])].prefix == prefix {
            let route = routes[Int(byPrefix[i])]
            if route.source == source, isMeant(route) { return true }
            i += 1
        }
        return false
    }

    var digest: UInt64 {
        var digest = StateDigest()
        for source in sources { digest.mix(source.name ^ UInt64(source.faults)) }
        digest.mix(UInt64(routes.count) << 32 | UInt64(messages.count))
        return digest.value
    }
}

/// An UPDATE without what was fatal in it.
struct ScreenedUpdate: Sendable {
    /// Its body, to be processed as usual; empty: nothing is left.
    var body: [UInt8] = []
    /// To be withdrawn besides: NLRI of the family of its MP_REACH_NLRI, with path identifiers where that family has them.
    var withdrawn: [UInt8] = []
    var family: RouteFamily?
    /// Announcements that were taken out.
    var count = 0
}

/// Where the parts of an UPDATE are, read with nothing but the lengths in it (RFC 4271 §4.3, RFC 4760 §3) and what was agreed
/// on path identifiers (RFC 7911 §3). Apart from the decoder on purpose: an octet string that was fatal to that one must not meet it again to be recognised.
struct UpdateOutline {
    /// Of the attributes' types and values, without NLRI.
    private(set) var attributes: UInt64 = 0
    private var withdrawn: Range<Int>
    private var list: Range<Int>
    private var nlri: Range<Int>
    /// The whole attribute MP_REACH_NLRI with its header, and its NLRI.
    private var reach: (whole: Range<Int>, nlri: Range<Int>, family: RouteFamily)?
    private var unreach: Range<Int>?
    private let pathIDs: RouteFamilySet

    /// `nil` for lengths that do not fit each other, or NLRI that cannot be told apart.
    /// - Parameter pathIDs: families whose prefixes have path identifiers.
    init?(_ body: RawSpan, pathIDs: RouteFamilySet = []) {
        self.pathIDs = pathIDs
        let count = body.byteCount
        guard count >= 4 else { return nil }
        let withdrawnEnd = 2 + Self.u16(body, 0)
        guard withdrawnEnd + 2 <= count else { return nil }
        let listEnd = withdrawnEnd + 2 + Self.u16(body, withdrawnEnd)
        guard listEnd <= count else { return nil }
        withdrawn = 2..<withdrawnEnd
        list = (withdrawnEnd + 2)..<listEnd
        nlri = listEnd..<count
        guard isList(body, nlri, .ipv4Unicast) else { return nil }
        var i = list.lowerBound
        while i < list.upperBound {
            let isLong = Self.octet(body, i) & 0x10 != 0
            let head = isLong ? 4 : 3
            guard list.upperBound - i >= head else { return nil }
            let type = Self.octet(body, i + 1), length = isLong ? Self.u16(body, i + 2) : Int(Self.octet(body, i + 2))
            let value = (i + head)..<(i + head + length)
            guard value.upperBound <= list.upperBound else { return nil }
            var counted = value
            switch type {
            case 14:
                guard length >= 5 else { return nil }
                let nlriStart = value.lowerBound + 5 + Int(Self.octet(body, value.lowerBound + 3))
                guard nlriStart <= value.upperBound else { return nil }
                counted = value.lowerBound..<nlriStart
                let afi = UInt16(Self.u16(body, value.lowerBound)), safi = Self.octet(body, value.lowerBound + 2)
                guard reach == nil, let family = RouteFamily(afi: afi, safi: safi) else { return nil }
                guard isList(body, nlriStart..<value.upperBound, family) else { return nil }
                reach = (i..<value.upperBound, nlriStart..<value.upperBound, family)
            case 15:
                unreach = i..<value.upperBound
                counted = value.lowerBound..<value.lowerBound
            default: break
            }
            if type != 15 { attributes = seededHash(body.extracting(counted), seed: attributes ^ UInt64(type)) }
            i = value.upperBound
        }
    }

    /// Checked, whatever the lengths above have promised.
    private static func octet(_ body: RawSpan, _ i: Int) -> UInt8 { unsafe body.unsafeLoad(fromByteOffset: i, as: UInt8.self) }
    private static func u16(_ body: RawSpan, _ i: Int) -> Int { Int(octet(body, i)) << 8 | Int(octet(body, i + 1)) }

    /// Octets in front of each prefix of the family.
    private func before(_ family: RouteFamily) -> Int { pathIDs.contains(family) ? 4 : 0 }

    private func isList(_ body: RawSpan, _ range: Range<Int>, _ family: RouteFamily) -> Bool {
        let before = before(family), bits = Int(family.type.bitsMaximum)
        var i = range.lowerBound
        while i < range.upperBound {
            i += before
            guard i < range.upperBound else { return false }
            let length = Int(Self.octet(body, i))
            guard length <= bits else { return false }
            i += 1 + (length + 7) / 8
        }
        return i == range.upperBound
    }

    /// The names of prefixes, and where each of them lies with its identifier.
    private func prefixes(_ body: RawSpan, _ range: Range<Int>, _ family: RouteFamily) -> [(
        name: UInt64, octets: Range<Int>
    )] {
        let before = before(family)
        var found: [(name: UInt64, octets: Range<Int>)] = []
        var i = range.lowerBound
        while i < range.upperBound {
            let at = i + before
            let end = at + 1 + (Int(Self.octet(body, at)) + 7) / 8
            found.append((seededHash(body.extracting(at..<end), seed: UInt64(family.index)), i..<end))
            i = end
        }
        return found
    }

    /// Digests of the prefixes that are announced.
    func prefixes(of body: RawSpan) -> [UInt64] {
        let own = prefixes(body, nlri, .ipv4Unicast).map(\.name)
        return reach.map { own + prefixes(body, $0.nlri, $0.family).map(\.name) } ?? own
    }

    /// The same UPDATE with the announcements that `isFatal` names turned into withdrawals.
    func screened(_ body: RawSpan, _ isFatal: (UInt64) -> Bool) -> ScreenedUpdate {
        var result = ScreenedUpdate()
        var withdrawn = [UInt8](copying: body.extracting(self.withdrawn))
        var kept: [UInt8] = [], keptReach: [UInt8] = []
        for prefix in prefixes(body, nlri, .ipv4Unicast) {
            let octets = [UInt8](copying: body.extracting(prefix.octets))
            if isFatal(prefix.name) {
                withdrawn += octets
                result.count += 1
            } else {
                kept += octets
            }
        }
        if let reach {
            for prefix in prefixes(body, reach.nlri, reach.family) {
                let octets = [UInt8](copying: body.extracting(prefix.octets))
                if isFatal(prefix.name) {
                    result.withdrawn += octets
                    result.count += 1
                } else {
                    keptReach += octets
                }
            }
            result.family = reach.family
        }
        // Attributes without anything that they belong to are not looked at again.
        var attributes: [UInt8] = []
        if !kept.isEmpty || !keptReach.isEmpty {
            var start = list.lowerBound
            if let reach {
                attributes += [UInt8](copying: body.extracting(start..<reach.whole.lowerBound))
                start = reach.whole.upperBound
                if !keptReach.isEmpty {
                    let head = reach.nlri.lowerBound - reach.whole.lowerBound
                    let isLong = Self.octet(body, reach.whole.lowerBound) & 0x10 != 0
                    let fixed = [UInt8](
                        copying: body.extracting((reach.nlri.lowerBound - head + (isLong ? 4 : 3))..<reach.nlri.lowerBound))
                    let length = fixed.count + keptReach.count
                    attributes += [Self.octet(body, reach.whole.lowerBound) | 0x10, 14, UInt8(length >> 8), UInt8(length & 255)]
                    attributes += fixed + keptReach
                }
            }
            attributes += [UInt8](copying: body.extracting(start..<list.upperBound))
        } else if let unreach {
            attributes = [UInt8](copying: body.extracting(unreach))
        }
        guard !withdrawn.isEmpty || !attributes.isEmpty else { return result }
        result.body = [UInt8(withdrawn.count >> 8), UInt8(withdrawn.count & 255)] + withdrawn
        result.body += [UInt8(attributes.count >> 8), UInt8(attributes.count & 255)] + attributes + kept
        return result
    }
}

extension FatalInputs.Source: Fielded {
    static var blank: Self { .init(name: 0, faults: 0, until: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&name)
        try visitor.field(&faults)
        try visitor.field(&until)
    }
}

extension FatalInputs.Route: Fielded {
    static var blank: Self { .init(source: 0, attributes: 0, prefix: 0, fault: 0, until: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&source)
        try visitor.field(&attributes)
        try visitor.field(&prefix)
        try visitor.field(&fault)
        try visitor.field(&until)
        visitor.derived(sharesPrefix)
        visitor.derived(sharesAttributes)
    }
}

extension FatalInputs.Message: Fielded {
    static var blank: Self { .init(source: 0, digest: 0, until: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&source)
        try visitor.field(&digest)
        try visitor.field(&until)
    }
}

extension FatalInputs: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeList(sources) { $0.write(to: &$1) }
        writer.writeList(routes) { $0.write(to: &$1) }
        writer.writeList(messages) { $0.write(to: &$1) }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        sources = try reader.readList { r throws(DecodeError) in try Source(from: &r) }
        routes = try reader.readList { r throws(DecodeError) in try Route(from: &r) }
        messages = try reader.readList { r throws(DecodeError) in try Message(from: &r) }
        guard sources.count <= Self.sourcesMaximum, routes.count <= Self.routesMaximum, messages.count <= Self.messagesMaximum
        else { throw DecodeError("fatal inputs", at: reader.position, .badLength) }
        index()
    }
}
