import Machine
import Policy
import Wire

/// RFC 6811 §2: a Validated ROA Payload. The AS may originate the prefix and what lies under it, up to the maximum length.
public struct VRP: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    public var prefix: IPPrefix
    /// From the prefix's own length to that of an address.
    public var maximumLength: UInt8
    /// An AS number; 0 says that nobody may (RFC 6483 §4).
    public var origin: UInt32

    public init(prefix: IPPrefix, maximumLength: UInt8, origin: UInt32) {
        self.prefix = prefix
        self.maximumLength = maximumLength
        self.origin = origin
    }
    public static func < (a: Self, b: Self) -> Bool {
        a.prefix != b.prefix ? a.prefix < b.prefix : (a.maximumLength, a.origin) < (b.maximumLength, b.origin)
    }
    public var description: String { "\(prefix)-\(maximumLength) AS\(origin)" }
}

/// Validated ROA payloads of several sources, flat: each is there once and is marked with those who say it. Whoever asks does
/// not tell the sources apart (RFC 8210 §10).
///
/// A source changes its part in steps that are in force together: `begin`, then `stage` for each payload, then `commit`, or
/// `rollback` as if nothing had been said. Until then nobody who asks sees anything of it. Of what a step costs the size of
/// the table has no part, but for the commit of a whole new part and for `remove`.
///
/// It is one value: a copy shares its arrays, and its digest and snapshot are those of the machine that fills it.
public struct VRPTable: Sendable {
    public static let sourcesMaximum = 8
    /// Payloads of one prefix: far above what anybody needs, and few enough to be walked.
    public static let perPrefixMaximum = 256
    /// Prefixes that `takeChanges` names one by one, of each address family.
    static let changesMaximum = 16_384

    /// What became of a staged payload.
    public enum Staging: Hashable, Sendable {
        case done
        /// Announced, and the source has it already.
        case duplicate
        /// Withdrawn, and the source does not have it.
        case unknown
        /// There is no room for another one.
        case full
    }

    var v4: VRPFamilyTable<IPv4Prefix>
    var v6: VRPFamilyTable<IPv6Prefix>

    /// - Parameter seed: of the hash; random per pair.
    public init(seed: UInt64) {
        v4 = VRPFamilyTable(seed: seed)
        v6 = VRPFamilyTable(seed: mix64(seed))
    }

    /// RFC 6811 §2.
    /// - Parameter origin: `nil` for "NONE": no payload matches it.
    public func validity(of prefix: IPPrefix, origin: UInt32?) -> OriginValidity {
        switch prefix {
        case .v4(let p): v4.validity(of: p, origin: origin)
        case .v6(let p): v6.validity(of: p, origin: origin)
        }
    }

    /// Payloads in force, of all sources.
    public var count: Int { v4.liveCount + v6.liveCount }
    public func count(of family: AddressFamily) -> Int { family == .ipv4 ? v4.liveCount : v6.liveCount }
    /// Those of one source.
    public func count(of source: Int) -> Int { v4.counts[source] + v6.counts[source] }

    // MARK: steps

    /// - Parameter isWhole: what is staged replaces all that the source has.
    public mutating func begin(_ source: Int, isWhole: Bool) {
        v4.begin(source, isWhole: isWhole)
        v6.begin(source, isWhole: isWhole)
    }

    /// - Parameters:
    ///   - vrp: with a maximum length that is in its bounds.
    ///   - maximum: payloads that the table may hold, staged ones included.
    public mutating func stage(_ vrp: VRP, isAnnounced: Bool, by source: Int, maximum: Int) -> Staging {
        let room = maximum - v4.nodeCount - v6.nodeCount
        return switch vrp.prefix {
        case .v4(let p): v4.stage(p, vrp.maximumLength, vrp.origin, isAnnounced: isAnnounced, by: source, room: room)
        case .v6(let p): v6.stage(p, vrp.maximumLength, vrp.origin, isAnnounced: isAnnounced, by: source, room: room)
        }
    }

    public mutating func commit(_ source: Int) {
        v4.commit(source)
        v6.commit(source)
    }

    public mutating func rollback(_ source: Int) {
        v4.rollback(source)
        v6.rollback(source)
    }

    /// The source has nothing in force any more, and nothing staged.
    /// - Parameter keepsStep: a step of a whole part goes on, since it does not build on what goes.
    public mutating func remove(_ source: Int, keepsStep: Bool = false) {
        v4.remove(source, keepsStep: keepsStep)
        v6.remove(source, keepsStep: keepsStep)
    }

    /// Prefixes under which routes may be valid otherwise than when this was asked before.
    public mutating func takeChanges() -> [IPPrefix] { v4.takeChanges().map(\.anyFamily) + v6.takeChanges().map(\.anyFamily) }

    // MARK: views

    /// Ascending; walks the table.
    public var all: [VRP] { v4.all + v6.all }
    /// Those in force that cover the prefix, the most specific first.
    public func covering(_ prefix: IPPrefix) -> [VRP] {
        switch prefix {
        case .v4(let p): v4.covering(p)
        case .v6(let p): v6.covering(p)
        }
    }

    public var digest: StateDigest {
        var digest = v4.digest
        digest.mix(v6.digest.value)
        digest.mix(UInt64(v4.journalCount) << 32 | UInt64(v6.journalCount))
        return digest
    }
}

extension VRPTable: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        v4.write(to: &writer)
        v6.write(to: &writer)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        v4 = try VRPFamilyTable(from: &reader)
        v6 = try VRPFamilyTable(from: &reader)
    }
}
