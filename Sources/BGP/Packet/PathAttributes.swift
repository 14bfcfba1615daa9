import Machine
import Wire

/// The attributes of a route, read and checked: fixed fields as numbers, the rest as canonical octets, so that no later
/// step parses again. MP_REACH_NLRI and MP_UNREACH_NLRI are not here: they are about NLRI.
///
/// A value is reused for many blocks: `decode` keeps the capacity of its arrays.
public struct PathAttributes: Hashable, Sendable {
    /// Which attributes are there: bit `type - 1`, for types 1…32.
    public var present: UInt32 = 0
    /// Which of them came with the Partial bit, in the same numbering (RFC 4271 §5: it is never taken back).
    public var partial: UInt32 = 0
    public var origin: Origin = .igp
    /// Of NEXT_HOP, so of the IPv4 NLRI outside MP_REACH_NLRI.
    public var nextHop = IPv4Address.any
    public var med: UInt32 = 0
    public var localPreference: UInt32 = 0
    public var aggregatorAS = ASNumber.zero
    public var aggregatorAddress = IPv4Address.any
    public var originatorID = RouterID(raw: 0)

    /// RFC 4271 §9.1.2.2 (a): AS numbers in sequences, and one for each AS_SET. At most 65,535.
    public private(set) var asPathLength: UInt16 = 0
    /// How often the router's own AS number occurs, at most 255.
    public private(set) var ownASCount: UInt8 = 0
    /// The first AS of the path; zero when it is empty or begins with a set.
    public private(set) var neighborAS = ASNumber.zero
    /// RFC 6811 §2: the last AS of the path; zero when it is empty or ends with a set.
    public private(set) var originAS = ASNumber.zero

    /// Segments with four-octet numbers, whatever came on the wire. Changed through the functions below only.
    public private(set) var asPath: [UInt8] = []
    /// RFC 4456: four octets each.
    public var clusterList: [UInt8] = []
    /// RFC 1997: four octets each, in the order received.
    public var communities: [UInt8] = []
    /// RFC 4360: eight octets each.
    public var extendedCommunities: [UInt8] = []
    /// RFC 8092: twelve octets each.
    public var largeCommunities: [UInt8] = []
    /// Whole transitive attributes that are only passed on, in ascending order of type, Partial set where we did not
    /// know the type.
    public var others: [UInt8] = []

    public init() {}

    @inlinable @inline(__always)
    public static func bit(_ type: AttributeType) -> UInt32 { 1 << UInt32(type.rawValue &- 1 & 31) }
    @inlinable @inline(__always)
    public func contains(_ type: AttributeType) -> Bool { present & Self.bit(type) != 0 }

    // MARK: changes

    public mutating func setNextHop(_ address: IPv4Address?) {
        nextHop = address ?? .any
        set(.nextHop, address != nil)
    }
    public mutating func setMED(_ value: UInt32?) {
        med = value ?? 0
        set(.multiExitDisc, value != nil)
    }
    public mutating func setLocalPreference(_ value: UInt32?) {
        localPreference = value ?? 0
        set(.localPref, value != nil)
    }
    public mutating func setOrigin(_ value: Origin) {
        origin = value
        set(.origin, true)
    }
    public mutating func setCommunities(_ octets: [UInt8]) {
        communities = octets
        set(.communities, !octets.isEmpty)
    }
    public mutating func setLargeCommunities(_ octets: [UInt8]) {
        largeCommunities = octets
        set(.largeCommunities, !octets.isEmpty)
    }

    private mutating func set(_ type: AttributeType, _ isPresent: Bool) {
        if isPresent {
            present |= Self.bit(type)
        } else {
            present &= ~Self.bit(type)
            partial &= ~Self.bit(type)
        }
    }

    /// RFC 4271 §5.1.2 (b): puts `asNumber` `count` times in front, into the first segment while that is a sequence
    /// with room, else into a new one.
    public mutating func prepend(_ asNumber: ASNumber, count: Int = 1, routerAS: ASNumber) {
        for _ in 0..<count {
            let octets = (0..<4).map { UInt8(truncatingIfNeeded: asNumber.raw >> UInt32(24 - 8 * $0)) }
            if asPath.count >= 2, asPath[0] == ASPathSegment.sequence, asPath[1] < 255 {
                asPath[1] += 1
                asPath.insert(contentsOf: octets, at: 2)
            } else {
                asPath.insert(contentsOf: [ASPathSegment.sequence, 1] + octets, at: 0)
            }
        }
        set(.asPath, true)
        summarizePath(routerAS: routerAS)
    }

    /// Takes every private AS number out of the path (RFC 6996 §4); segments that become empty go too.
    public mutating func removePrivateAS(routerAS: ASNumber) {
        var writer = ByteWriter(capacity: asPath.count)
        var walk = ASPathWalk(asPath)
        while let segment = walk.next() {
            let kept = segment.numbers(of: asPath).filter { !$0.isPrivate }
            guard !kept.isEmpty else { continue }
            writer.u8(segment.type)
            writer.u8(UInt8(kept.count))
            for number in kept { writer.u32(number.raw) }
        }
        asPath = writer.bytes
        summarizePath(routerAS: routerAS)
    }

    // MARK: reset and summary

    mutating func reset() {
        present = 0
        partial = 0
        origin = .igp
        nextHop = .any
        med = 0
        localPreference = 0
        aggregatorAS = .zero
        aggregatorAddress = .any
        originatorID = RouterID(raw: 0)
        asPathLength = 0
        ownASCount = 0
        neighborAS = .zero
        originAS = .zero
        asPath.removeAll(keepingCapacity: true)
        clusterList.removeAll(keepingCapacity: true)
        communities.removeAll(keepingCapacity: true)
        extendedCommunities.removeAll(keepingCapacity: true)
        largeCommunities.removeAll(keepingCapacity: true)
        others.removeAll(keepingCapacity: true)
    }

    mutating func replacePath(_ segments: [UInt8]) { asPath = segments }
    mutating func appendToPath(_ span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe asPath.append(contentsOf: $0) }
    }
    mutating func appendToPath(_ octet: UInt8) { asPath.append(octet) }

    /// Recomputes what is derived from `asPath`, which is sound.
    mutating func summarizePath(routerAS: ASNumber) {
        var length = 0
        var own = 0
        var first = ASNumber.zero, last = ASNumber.zero
        var isFirst = true
        var walk = ASPathWalk(asPath)
        while let segment = walk.next() {
            for i in 0..<segment.count where ASPathWalk.number(asPath, segment.start + 4 * i) == routerAS.raw { own += 1 }
            // RFC 5065 §5.3
            if segment.type > ASPathSegment.sequence { continue }
            if segment.type == ASPathSegment.sequence {
                length += segment.count
                if isFirst { first = ASNumber(ASPathWalk.number(asPath, segment.start)) }
                last = ASNumber(ASPathWalk.number(asPath, segment.start + 4 * (segment.count - 1)))
            } else {
                length += 1
                last = .zero
            }
            isFirst = false
        }
        asPathLength = UInt16(min(length, 0xffff))
        ownASCount = UInt8(min(own, 255))
        neighborAS = first
        originAS = last
    }
}

/// RFC 4271 §4.3 (b): segment types, and those of confederations (RFC 5065 §3).
enum ASPathSegment {
    static let set: UInt8 = 1
    static let sequence: UInt8 = 2
    static let confederationSequence: UInt8 = 3
    static let confederationSet: UInt8 = 4
}

/// Walks the segments of a canonical path (four-octet numbers, already checked).
struct ASPathWalk {
    struct Segment {
        var type: UInt8
        var count: Int
        /// Where its first number lies.
        var start: Int
        func numbers(of path: [UInt8]) -> [ASNumber] {
            (0..<count).map { ASNumber(ASPathWalk.number(path, start + 4 * $0)) }
        }
    }
    private let path: [UInt8]
    private var position = 0
    init(_ path: [UInt8]) { self.path = path }

    mutating func next() -> Segment? {
        guard position + 2 <= path.count else { return nil }
        let segment = Segment(type: path[position], count: Int(path[position + 1]), start: position + 2)
        position += 2 + 4 * segment.count
        return segment
    }

    @inline(__always)
    static func number(_ path: [UInt8], _ at: Int) -> UInt32 {
        let span = path.span.bytes
        return UInt32(bigEndian: unsafe span.unsafeLoadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}

extension PathAttributes {
    /// The path as people write it: numbers in order, sets in braces.
    public var asPathDescription: String { Self.description(ofPath: asPath) }

    public static func description(ofPath path: [UInt8]) -> String {
        var parts: [String] = []
        var walk = ASPathWalk(path)
        while let segment = walk.next() {
            let numbers = segment.numbers(of: path).map(\.description)
            let text = numbers.joined(separator: " ")
            switch segment.type {
            case ASPathSegment.set: parts.append("{\(text)}")
            case ASPathSegment.confederationSequence: parts.append("(\(text))")
            case ASPathSegment.confederationSet: parts.append("[\(text)]")
            default: parts.append(text)
            }
        }
        return parts.joined(separator: " ")
    }
}
