import Wire

/// What the decision process and the export rules need of a set of path attributes, read once when the set is first
/// seen. 64 octets without padding.
struct AttributeSet: BitwiseCopyable, Sendable {
    /// RFC 4271 §9.1.2.2 up to (b) in one number, the lower the better: long-lived stale (RFC 9494 §4.4, 1 bit), the weight inverted
    /// (16 bits), LOCAL_PREF inverted (32 bits), AS path length (13 bits, which is as long as anybody tells paths apart), ORIGIN
    /// (2 bits).
    var rank: UInt64 = 0
    /// Of the canonical octets and the marks.
    var hash: UInt64 = 0
    /// Routes that hold this set. In a free entry: the next free one + 1.
    var references: UInt32 = 0
    /// Place of the canonical octets in the arena.
    var octets: UInt32 = 0
    /// Their number; `freeLength` in a free entry.
    var length: UInt32 = 0
    /// Number in the next hop table.
    var nextHop: UInt32 = 0
    /// 0 when absent: RFC 4271 §9.1.2.2 (c) takes a missing MED as the lowest value; the highest if the operator wants that.
    var med: UInt32 = 0
    /// The AS from which the route came, 0 for one that began in our own AS or confederation (RFC 5065 §5.3).
    var neighborAS: UInt32 = 0
    /// RFC 4456 §8; 0 when absent.
    var originatorID: UInt32 = 0
    /// First of the received forms + 1.
    var firstAlias: UInt32 = 0
    var flags: Flags = []
    /// RFC 4456 §9: clusters that the route passed.
    var clusterCount: UInt32 = 0
    /// How often our own AS stands in the path, at most 255.
    var ownASCount: UInt8 = 0
    /// `Marks`
    var marks: Marks = []
    /// In a snapshot alone: the weight, which `rank` has otherwise.
    private var storedWeight: UInt16 = 0
    /// RFC 9234 §5: of the OTC attribute, if the flag says that there is one.
    var onlyToCustomer: UInt32 = 0

    static let freeLength = UInt32.max
    var isFree: Bool { length == Self.freeLength }

    struct Flags: OptionSet, BitwiseCopyable, Sendable {
        var rawValue: UInt32
        static let hasMED = Flags(rawValue: 1)
        static let hasLocalPreference = Flags(rawValue: 2)
        static let hasNextHop = Flags(rawValue: 4)
        /// RFC 1997
        static let noExport = Flags(rawValue: 8)
        static let noAdvertise = Flags(rawValue: 16)
        static let noExportSubconfed = Flags(rawValue: 32)
        /// RFC 4456 §8: our own identifier is the ORIGINATOR_ID, or our cluster is in the list.
        static let isReflectedBack = Flags(rawValue: 64)
        /// The next hop is an IPv6 one.
        static let isIPv6 = Flags(rawValue: 128)
        /// RFC 9234 §5: the OTC attribute is there.
        static let isOnlyToCustomer = Flags(rawValue: 256)
        /// RFC 9494: LLGR_STALE and NO_LLGR are there.
        static let isLongLivedStale = Flags(rawValue: 512)
        static let refusesLongLived = Flags(rawValue: 1024)
        /// The path ends with our own AS: the route began there.
        static let beganInOwnAS = Flags(rawValue: 2048)
    }

    /// What policy and the rules around it decided and no attribute can say. Part of a set's identity.
    struct Marks: OptionSet, Hashable, BitwiseCopyable, Sendable {
        var rawValue: UInt8
        /// MULTI_EXIT_DISC was set on the way out, or with a network of our own: it goes to external neighbours, too.
        static let medIsOurs = Marks(rawValue: 1)
        /// NEXT_HOP was set on the way out: it is not replaced.
        static let nextHopIsOurs = Marks(rawValue: 2)
        /// RFC 9234 §5: a route leak, in a set that stands in place of what import policy would have made.
        static let isLeak = Marks(rawValue: 4)
        /// RFC 4456 §8: reflected, with ORIGINATOR_ID and our cluster in CLUSTER_LIST; nothing else of it is changed.
        static let isReflected = Marks(rawValue: 8)
        /// RFC 7705: the path has the AS that we are to this neighbour alone, in a set that stands in place of what import policy
        /// would have made.
        static let isLoop = Marks(rawValue: 16)
    }

    /// Set by policy, and part of a set's identity: it comes before LOCAL_PREF and stays in this router.
    var weight: UInt16 { ~UInt16(truncatingIfNeeded: rank >> 47) }
    var localPreference: UInt32 { ~UInt32(truncatingIfNeeded: rank >> 15) }
    /// At most `pathLengthMaximum`; longer paths are equally long.
    var pathLength: UInt32 { UInt32(truncatingIfNeeded: rank >> 2) & Self.pathLengthMaximum }
    var origin: Origin { Origin(rawValue: UInt8(truncatingIfNeeded: rank & 3)) ?? .incomplete }
    static let pathLengthMaximum: UInt32 = 0x1fff

    static func rank(
        weight: UInt16, localPreference: UInt32, pathLength: UInt32, origin: UInt8, isLongLivedStale: Bool
    ) -> UInt64 {
        (isLongLivedStale ? 1 << 63 : 0) | UInt64(~weight) << 47 | UInt64(~localPreference) << 15
            | UInt64(min(pathLength, pathLengthMaximum)) << 2 | UInt64(min(origin, 3))
    }

    /// As a snapshot has it: LOCAL_PREF inverted (32 bits), AS path length (24 bits), ORIGIN (8 bits), and the weight apart.
    var stored: AttributeSet {
        if isFree { return self }
        var stored = self
        stored.rank = UInt64(~localPreference) << 32 | UInt64(pathLength) << 8 | rank & 3
        stored.storedWeight = weight
        return stored
    }
    init(stored: AttributeSet) {
        self = stored
        if isFree { return }
        rank = Self.rank(
            weight: stored.storedWeight, localPreference: ~UInt32(truncatingIfNeeded: stored.rank >> 32),
            pathLength: UInt32(truncatingIfNeeded: stored.rank >> 8) & 0xff_ffff, origin: UInt8(truncatingIfNeeded: stored.rank),
            isLongLivedStale: stored.flags.contains(.isLongLivedStale))
        storedWeight = 0
    }
    init() {}
}

/// Attribute types that the database looks into.
enum AttributeCode {
    static let origin: UInt8 = 1
    static let asPath: UInt8 = 2
    static let nextHop: UInt8 = 3
    static let med: UInt8 = 4
    static let localPreference: UInt8 = 5
    static let atomicAggregate: UInt8 = 6
    static let aggregator: UInt8 = 7
    static let communities: UInt8 = 8
    static let originatorID: UInt8 = 9
    static let clusterList: UInt8 = 10
    static let mpReach: UInt8 = 14
    static let mpUnreach: UInt8 = 15
    static let extendedCommunities: UInt8 = 16
    static let as4Path: UInt8 = 17
    static let as4Aggregator: UInt8 = 18
    static let largeCommunities: UInt8 = 32
    static let onlyToCustomer: UInt8 = 35
}

/// Walks canonical attribute octets. What does not fit ends the walk: the octets were validated before they came here.
@inline(__always)
func forEachAttribute(_ octets: RawSpan, _ body: (_ flags: UInt8, _ type: UInt8, _ value: RawSpan) -> Void) {
    let count = octets.byteCount
    var i = 0
    while i &+ 3 <= count {
        let flags = octets.u8(i)
        let type = octets.u8(i &+ 1)
        var length = Int(octets.u8(i &+ 2))
        i &+= 3
        if flags & 0x10 != 0 {
            guard i < count else { return }
            length = length << 8 | Int(octets.u8(i))
            i &+= 1
        }
        guard length <= count &- i else { return }
        body(flags, type, octets.extracting(i..<(i &+ length)))
        i &+= length
    }
}

extension RawSpan {
    @inline(__always) func u8(_ offset: Int) -> UInt8 { unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self) }
    @inline(__always) func u16(_ offset: Int) -> UInt16 {
        precondition(offset >= 0 && offset &+ 2 <= byteCount)
        return unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
    }
    @inline(__always) func u32(_ offset: Int) -> UInt32 {
        precondition(offset >= 0 && offset &+ 4 <= byteCount)
        return unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    @inline(__always) func u64(_ offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset &+ 8 <= byteCount)
        return unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    @inline(__always) private func unsafeLoad(fromUncheckedByteOffset offset: Int, as: UInt8.Type) -> UInt8 {
        precondition(offset >= 0 && offset < byteCount)
        return unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self)
    }
}
