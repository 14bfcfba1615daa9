import Wire

extension PathAttributes {
    /// RFC 7606 §3 (d)
    static func missing(_ type: AttributeType) -> AttributeFault {
        AttributeFault(
            type: type, handling: .treatAsWithdraw, reason: "missing",
            notification: .update(.missingWellKnownAttribute, [type.rawValue]))
    }

    /// Reads a block of attributes, MP_REACH_NLRI and MP_UNREACH_NLRI already taken out, and checks it by RFC 7606.
    ///
    /// The block's attribute headers fit its length, as `UpdateMessage` has made sure.
    ///
    /// - Parameter hasReachableNLRI: whether the well-known mandatory attributes must be there.
    /// - Returns: the strongest fault (RFC 7606 §3 (h)), the first of equals; `nil` when there is none. After a fault of
    ///   `.attributeDiscard` the value is good to use; after a stronger one it is not.
    public mutating func decode(
        block: RawSpan, context: UpdateContext, hasReachableNLRI: Bool
    ) -> AttributeFault? {
        reset()
        var decoding = AttributeDecoding(context: context)
        var reader = ByteReader(block)
        while !reader.isAtEnd {
            let start = reader.position
            do {
                let flags = try reader.u8("attribute flags")
                let type = AttributeType(rawValue: try reader.u8("attribute type"))
                let length =
                    flags & AttributeFlags.extendedLength != 0
                    ? Int(try reader.u16("attribute length")) : Int(try reader.u8("attribute length"))
                let value = try reader.span(length, "attribute value")
                // RFC 7606 §3 (g): only the first of each type counts.
                if decoding.isRepeated(type) {
                    decoding.fault(
                        type, .attributeDiscard, "repeated", .update(.malformedAttributeList), block, start..<start)
                    continue
                }
                decode(type, flags, value, block, start..<reader.position, &decoding)
            } catch {
                decoding.fault(
                    nil, .treatAsWithdraw, "an attribute overruns the list", .update(.malformedAttributeList), block,
                    start..<start)
                break
            }
        }
        finishPath(&decoding)
        if hasReachableNLRI {
            // RFC 7606 §3 (d); LOCAL_PREF is mandatory from internal peers (RFC 4271 §5).
            var mandatory = [AttributeType.origin, .asPath]
            if context.isInternal { mandatory.append(.localPref) }
            for type in mandatory where !contains(type) { decoding.note(Self.missing(type)) }
        }
        return decoding.strongest
    }

    private mutating func decode(
        _ type: AttributeType, _ flags: UInt8, _ value: RawSpan, _ block: RawSpan, _ range: Range<Int>,
        _ decoding: inout AttributeDecoding
    ) {
        let length = value.byteCount
        let kind = flags & (AttributeFlags.optional | AttributeFlags.transitive)
        guard let specified = type.specifiedFlags else {
            if flags & AttributeFlags.optional == 0 {
                // RFC 4271 §6.3: a well-known attribute that we do not know. RFC 7606 leaves that as it was.
                decoding.fault(
                    type, nil, "unrecognized well-known attribute", .update(.unrecognizedWellKnownAttribute), block,
                    range)
            } else if flags & AttributeFlags.transitive != 0 {
                keep(type, flags | AttributeFlags.partial, value, &decoding)
            }
            return
        }
        // What an external neighbour must not say is dropped before anything about it is judged (RFC 7606 §7.5, 7.9,
        // 7.10); so are the AS4 attributes of a four-octet speaker (RFC 6793 §6).
        switch type {
        case .localPref, .originatorID, .clusterList:
            if !decoding.context.isInternal {
                return decoding.fault(
                    type, .attributeDiscard, "from an external neighbor", .update(.optionalAttributeError), block, range)
            }
        case .as4Path, .as4Aggregator:
            if decoding.context.fourOctetAS {
                return decoding.fault(
                    type, .attributeDiscard, "from a four-octet speaker", .update(.optionalAttributeError), block, range)
            }
        default: break
        }
        guard kind == specified else {
            // RFC 7606 §3 (c)
            return decoding.fault(
                type, .treatAsWithdraw, "wrong flags", .update(.attributeFlagsError), block, range)
        }
        func u32(_ at: Int) -> UInt32 {
            UInt32(bigEndian: unsafe value.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self))
        }
        func u16(_ at: Int) -> UInt16 {
            UInt16(bigEndian: unsafe value.unsafeLoadUnaligned(fromByteOffset: at, as: UInt16.self))
        }
        switch type {
        case .origin:
            guard length == 1 else { return decoding.lengthFault(type, .treatAsWithdraw, block, range) }
            guard let known = Origin(rawValue: unsafe value.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt8.self))
            else {
                return decoding.fault(type, .treatAsWithdraw, "undefined value", .update(.invalidOrigin), block, range)
            }
            origin = known
        case .asPath:
            if let reason = decoding.readPath(value, fourOctets: decoding.context.fourOctetAS, into: &self) {
                return decoding.fault(type, .treatAsWithdraw, reason, .update(.malformedASPath), block, nil)
            }
        case .nextHop:
            guard length == 4 else { return decoding.lengthFault(type, .treatAsWithdraw, block, range) }
            nextHop = IPv4Address(raw: u32(0))
            // RFC 4271 §6.3: a valid IP host address. By RFC 7606 §3 (e) the routes go, not the session.
            guard nextHop.isValidNextHop else {
                return decoding.fault(
                    type, .treatAsWithdraw, "not a host address", .update(.invalidNextHop), block, range)
            }
        case .multiExitDisc:
            guard length == 4 else { return decoding.lengthFault(type, .treatAsWithdraw, block, range) }
            med = u32(0)
        case .localPref:
            guard length == 4 else { return decoding.lengthFault(type, .treatAsWithdraw, block, range) }
            localPreference = u32(0)
        case .atomicAggregate:
            guard length == 0 else { return decoding.lengthFault(type, .attributeDiscard, block, range) }
        case .aggregator:
            guard length == (decoding.context.fourOctetAS ? 8 : 6) else {
                return decoding.lengthFault(type, .attributeDiscard, block, range)
            }
            aggregatorAS = ASNumber(decoding.context.fourOctetAS ? u32(0) : UInt32(u16(0)))
            aggregatorAddress = IPv4Address(raw: u32(length - 4))
            // RFC 7607 §2
            if aggregatorAS == .zero {
                aggregatorAddress = .any
                return decoding.fault(
                    type, .attributeDiscard, "AS 0", .update(.optionalAttributeError), block, range)
            }
        case .communities:
            guard length > 0, length % 4 == 0 else {
                return decoding.lengthFault(type, .treatAsWithdraw, block, range)
            }
            unsafe value.withUnsafeBytes { unsafe communities.append(contentsOf: $0) }
        case .originatorID:
            guard length == 4 else { return decoding.lengthFault(type, .treatAsWithdraw, block, range) }
            originatorID = RouterID(raw: u32(0))
        case .clusterList:
            guard length > 0, length % 4 == 0 else {
                return decoding.lengthFault(type, .treatAsWithdraw, block, range)
            }
            unsafe value.withUnsafeBytes { unsafe clusterList.append(contentsOf: $0) }
        case .extendedCommunities:
            guard length > 0, length % 8 == 0 else {
                return decoding.lengthFault(type, .treatAsWithdraw, block, range)
            }
            unsafe value.withUnsafeBytes { unsafe extendedCommunities.append(contentsOf: $0) }
        case .largeCommunities:
            // RFC 8092 §6
            guard length > 0, length % 12 == 0 else {
                return decoding.lengthFault(type, .treatAsWithdraw, block, range)
            }
            unsafe value.withUnsafeBytes { unsafe largeCommunities.append(contentsOf: $0) }
        case .ipv6ExtendedCommunities:
            guard length > 0, length % 20 == 0 else {
                return decoding.lengthFault(type, .treatAsWithdraw, block, range)
            }
            keep(type, flags, value, &decoding)
        case .onlyToCustomer:
            // RFC 9234 §5; whoever it is for, it stays as it came. It is no bit of `present`, which ends at type 32.
            guard length == 4 else { return decoding.lengthFault(type, .treatAsWithdraw, block, range) }
            keep(type, flags, value, &decoding)
            return
        case .as4Path:
            if let reason = decoding.readAS4Path(value) {
                return decoding.fault(type, .attributeDiscard, reason, .update(.optionalAttributeError), block, range)
            }
            return
        case .as4Aggregator:
            guard length == 8 else { return decoding.lengthFault(type, .attributeDiscard, block, range) }
            guard u32(0) != 0 else {
                return decoding.fault(
                    type, .attributeDiscard, "AS 0", .update(.optionalAttributeError), block, range)
            }
            decoding.as4Aggregator = (ASNumber(u32(0)), IPv4Address(raw: u32(4)))
            return
        default:
            // The multiprotocol attributes were taken out before.
            return
        }
        present |= Self.bit(type)
        if flags & AttributeFlags.partial != 0, flags & AttributeFlags.optional != 0,
            flags & AttributeFlags.transitive != 0
        {
            partial |= Self.bit(type)
        }
    }

    /// Puts a whole attribute into `others`, where its type says.
    private mutating func keep(
        _ type: AttributeType, _ flags: UInt8, _ value: RawSpan, _ decoding: inout AttributeDecoding
    ) {
        var writer = ByteWriter(capacity: value.byteCount + 4)
        writer.attribute(type, flags, count: value.byteCount)
        writer.append(value)
        // Almost always ascending already.
        if type.rawValue > decoding.lastKept {
            others.append(contentsOf: writer.bytes)
            decoding.lastKept = type.rawValue
            return
        }
        var at = 0
        while at < others.count, others[at + 1] < type.rawValue { at += Self.attributeSize(others, at) }
        others.insert(contentsOf: writer.bytes, at: at)
    }

    /// Octets of the attribute at `at` of a sound list.
    static func attributeSize(_ list: [UInt8], _ at: Int) -> Int {
        list[at] & AttributeFlags.extendedLength != 0
            ? 4 + (Int(list[at + 2]) << 8 | Int(list[at + 3])) : 3 + Int(list[at + 2])
    }

    /// RFC 6793 §4.2.3: takes AS4_PATH and AS4_AGGREGATOR into account, then derives length and ends of the path.
    private mutating func finishPath(_ decoding: inout AttributeDecoding) {
        var usesAS4Path = !decoding.as4Path.isEmpty
        if contains(.aggregator), let as4 = decoding.as4Aggregator {
            if aggregatorAS == .transition {
                (aggregatorAS, aggregatorAddress) = as4
            } else {
                usesAS4Path = false
            }
        }
        guard contains(.asPath) else { return }
        if usesAS4Path {
            let total = AttributeDecoding.length(of: asPath)
            let tail = AttributeDecoding.length(of: decoding.as4Path)
            if total >= tail { replacePath(AttributeDecoding.leading(total - tail, of: asPath, before: decoding.as4Path)) }
        }
        summarizePath(routerAS: decoding.context.routerAS)
    }
}

extension IPv4Address {
    /// RFC 4271 §6.3: a valid IP host address, so neither 0/8, 127/8 nor 224/3.
    var isValidNextHop: Bool { raw >> 24 != 0 && !isLoopback && raw >> 29 != 7 }
}
extension IPv6Address {
    var isValidNextHop: Bool { self != .any && !isLoopback && !isMulticast }
}
extension IPAddress {
    /// Whether a route may have it as next hop, by its form alone.
    public var isValidNextHop: Bool {
        switch self {
        case .v4(let a): a.isValidNextHop
        case .v6(let a): a.isValidNextHop
        }
    }
}

/// What is known while one block is read.
struct AttributeDecoding {
    let context: UpdateContext
    var strongest: AttributeFault?
    var as4Path: [UInt8] = []
    var as4Aggregator: (ASNumber, IPv4Address)?
    var lastKept: UInt8 = 0
    private var seen = InlineArray<4, UInt64>(repeating: 0)

    init(context: UpdateContext) { self.context = context }

    mutating func isRepeated(_ type: AttributeType) -> Bool {
        let word = Int(type.rawValue >> 6)
        let bit = UInt64(1) << UInt64(type.rawValue & 63)
        if seen[word] & bit != 0 { return true }
        seen[word] |= bit
        return false
    }

    mutating func note(_ fault: AttributeFault) {
        if let strongest, strongest.handling.strength >= fault.handling.strength { return }
        strongest = fault
    }

    /// - Parameters:
    ///   - handling: `nil` is session reset.
    ///   - range: the attribute in `block`, for the notification's data; `nil` for none (RFC 4271 §6.3 names none for
    ///     AS_PATH).
    mutating func fault(
        _ type: AttributeType?, _ handling: ErrorHandling?, _ reason: StaticString, _ notification: NotificationMessage,
        _ block: RawSpan, _ range: Range<Int>?
    ) {
        var notification = notification
        if let range, !range.isEmpty { notification.data = [UInt8](copying: block.extracting(range)) }
        note(
            AttributeFault(
                type: type, handling: handling ?? .sessionReset(notification), reason: reason,
                notification: notification))
    }

    mutating func lengthFault(
        _ type: AttributeType, _ handling: ErrorHandling, _ block: RawSpan, _ range: Range<Int>
    ) {
        fault(type, handling, "wrong length", .update(.attributeLengthError), block, range)
    }

    /// RFC 7606 §7.2, RFC 7607 §2 and RFC 5065 §5. Appends the path with four-octet numbers to `attributes`.
    mutating func readPath(_ value: RawSpan, fourOctets: Bool, into attributes: inout PathAttributes) -> StaticString? {
        let size = fourOctets ? 4 : 2
        var i = 0
        if context.confederation == .leading, value.byteCount == 0 { return "no AS_CONFED_SEQUENCE of the neighbor" }
        while i < value.byteCount {
            guard value.byteCount - i >= 2 else { return "a single octet is left over" }
            let type = unsafe value.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
            let count = Int(unsafe value.unsafeLoadUnaligned(fromByteOffset: i + 1, as: UInt8.self))
            guard type >= ASPathSegment.set, type <= ASPathSegment.confederationSet else { return "unrecognized segment type" }
            if type > ASPathSegment.sequence, context.confederation == .none {
                return "a segment of a confederation from outside of it"
            }
            if i == 0, context.confederation == .leading, type != ASPathSegment.confederationSequence {
                return "no AS_CONFED_SEQUENCE of the neighbor"
            }
            guard count > 0 else { return "empty segment" }
            guard i + 2 + count * size <= value.byteCount else { return "a segment overruns the attribute" }
            for k in 0..<count {
                let at = i + 2 + k * size
                let isZero =
                    fourOctets
                    ? unsafe value.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self) == 0
                    : unsafe value.unsafeLoadUnaligned(fromByteOffset: at, as: UInt16.self) == 0
                if isZero { return "AS 0" }
            }
            if fourOctets {
                attributes.appendToPath(value.extracting(i..<(i + 2 + count * 4)))
            } else {
                attributes.appendToPath(type)
                attributes.appendToPath(UInt8(count))
                for k in 0..<count {
                    attributes.appendToPath(0)
                    attributes.appendToPath(0)
                    attributes.appendToPath(value.extracting((i + 2 + k * 2)..<(i + 4 + k * 2)))
                }
            }
            i += 2 + count * size
        }
        return nil
    }

    /// RFC 6793 §6: confederation segments are left out, anything else that is wrong discards the attribute.
    mutating func readAS4Path(_ value: RawSpan) -> StaticString? {
        var path: [UInt8] = []
        guard value.byteCount >= 6, value.byteCount % 2 == 0 else { return "wrong length" }
        var i = 0
        while i < value.byteCount {
            let type = unsafe value.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
            let count = Int(unsafe value.unsafeLoadUnaligned(fromByteOffset: i + 1, as: UInt8.self))
            guard type >= ASPathSegment.set, type <= ASPathSegment.confederationSet else {
                return "unrecognized segment type"
            }
            let end = i + 2 + 4 * count
            guard count > 0, end <= value.byteCount else { return "wrong segment length" }
            for k in 0..<count
            where unsafe value.unsafeLoadUnaligned(fromByteOffset: i + 2 + 4 * k, as: UInt32.self) == 0 {
                return "AS 0"
            }
            if type <= ASPathSegment.sequence { path += [UInt8](copying: value.extracting(i..<end)) }
            i = end
        }
        as4Path = path
        return nil
    }

    /// RFC 4271 §9.1.2.2 (a)
    static func length(of path: [UInt8]) -> Int {
        var total = 0
        var walk = ASPathWalk(path)
        while let segment = walk.next() {
            // RFC 5065 §5.3
            if segment.type > ASPathSegment.sequence { continue }
            total += segment.type == ASPathSegment.sequence ? segment.count : 1
        }
        return total
    }

    /// The first `count` AS numbers (a set is one) of `path`, then all of `tail`. Segments of a confederation lead the path and do
    /// not count (RFC 6793 §4.2.3).
    static func leading(_ count: Int, of path: [UInt8], before tail: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var left = count
        var lastAt = 0
        var walk = ASPathWalk(path)
        while let segment = walk.next() {
            if segment.type > ASPathSegment.sequence {
                result += [segment.type, UInt8(segment.count)]
                result += path[segment.start..<(segment.start + 4 * segment.count)]
                continue
            }
            guard left > 0 else { break }
            let take = segment.type == ASPathSegment.sequence ? min(left, segment.count) : segment.count
            left -= segment.type == ASPathSegment.sequence ? take : 1
            lastAt = result.count
            result += [segment.type, UInt8(take)]
            result += path[segment.start..<(segment.start + 4 * take)]
        }
        // One sequence when both halves are sequences and fit, as the path was before an old speaker split it.
        if !result.isEmpty, tail.count >= 2, result[lastAt] == ASPathSegment.sequence,
            tail[0] == ASPathSegment.sequence, Int(result[lastAt + 1]) + Int(tail[1]) <= 255
        {
            result[lastAt + 1] += tail[1]
            return result + tail[2...]
        }
        return result + tail
    }
}
