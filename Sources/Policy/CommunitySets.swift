import Machine
import Wire

/// A named set of communities, standard (RFC 1997), large (RFC 8092) and extended (RFC 4360).
public struct CommunitySetConfiguration: Hashable, Sendable, Codable {
    public enum Entry: Hashable, Sendable, Codable {
        case standard(Community)
        /// `high:*`
        case standardOfAS(UInt16)
        /// `high:low`, each a range.
        case standardRange(ClosedRange<UInt16>, ClosedRange<UInt16>)
        case large(LargeCommunity)
        /// `global:*:*`
        case largeOfAS(UInt32)
        /// `global:local1:*`
        case largeOfFunction(UInt32, UInt32)
        /// `global:local1:local2`, each a range.
        case largeRange(ClosedRange<UInt32>, ClosedRange<UInt32>, ClosedRange<UInt32>)
        case extended(ExtendedCommunity)
        case extendedPattern(ExtendedCommunityPattern)

        public func matches(_ community: Community) -> Bool {
            switch self {
            case .standard(let wanted): community == wanted
            case .standardOfAS(let high): community.raw >> 16 == UInt32(high)
            case .standardRange(let high, let low):
                high.contains(UInt16(community.raw >> 16)) && low.contains(UInt16(community.raw & 0xffff))
            default: false
            }
        }
        public func matches(_ community: LargeCommunity) -> Bool {
            switch self {
            case .large(let wanted): community == wanted
            case .largeOfAS(let global): community.global == global
            case .largeOfFunction(let global, let local1): community.global == global && community.local1 == local1
            case .largeRange(let global, let local1, let local2):
                global.contains(community.global) && local1.contains(community.local1) && local2.contains(community.local2)
            default: false
            }
        }
        public func matches(_ community: ExtendedCommunity) -> Bool {
            switch self {
            case .extended(let wanted): community == wanted
            case .extendedPattern(let pattern): pattern.matches(community)
            default: false
            }
        }

        public var kind: CommunityKind {
            switch self {
            case .standard, .standardOfAS, .standardRange: .standard
            case .large, .largeOfAS, .largeOfFunction, .largeRange: .large
            case .extended, .extendedPattern: .extended
            }
        }
    }
    public var name: String
    public var entries: [Entry]
    public init(name: String, entries: [Entry]) {
        self.name = name
        self.entries = entries
    }
}

public enum CommunityKind: Sendable {
    case standard, large, extended
}

/// Extended communities that have something in common.
public enum ExtendedCommunityPattern: Hashable, Sendable, Codable {
    /// Those that have these bits where the mask has ones.
    case bits(UInt64, mask: UInt64)
    /// `rt` or `soo` (the low-order octet of the type), in forms of which each has a bit (`ExtendedCommunity.Form`).
    case administered(kind: UInt8, forms: UInt8, global: ClosedRange<UInt32>, local: ClosedRange<UInt32>)

    func matches(_ community: ExtendedCommunity) -> Bool {
        switch self {
        case .bits(let wanted, let mask): return community.raw & mask == wanted & mask
        case .administered(let kind, let forms, let global, let local):
            guard let form = community.form, let own = community.kind else { return false }
            return own.rawValue == kind && forms >> form.rawValue & 1 == 1 && global.contains(community.global)
                && local.contains(community.local)
        }
    }
}

/// A set of communities made ready to be asked: whether it has a community is found by a search, however many it names.
public struct CommunityMatcher: Sendable {
    public let entries: [CommunitySetConfiguration.Entry]
    /// Those that are named one by one, ascending.
    private let standard: [Community]
    private let large: [LargeCommunity]
    private let extended: [ExtendedCommunity]
    /// The others.
    private let patterns: [CommunitySetConfiguration.Entry]
    /// Kinds that occur.
    private let hasStandard, hasLarge, hasExtended: Bool

    init(_ entries: [CommunitySetConfiguration.Entry]) {
        self.entries = entries
        standard = entries.compactMap { if case .standard(let community) = $0 { community } else { nil } }.sorted()
        large = entries.compactMap { if case .large(let community) = $0 { community } else { nil } }.sorted()
        extended = entries.compactMap { if case .extended(let community) = $0 { community } else { nil } }.sorted()
        patterns = entries.filter { entry in
            switch entry {
            case .standard, .large, .extended: false
            default: true
            }
        }
        hasStandard = entries.contains { $0.kind == .standard }
        hasLarge = entries.contains { $0.kind == .large }
        hasExtended = entries.contains { $0.kind == .extended }
    }

    private static func has<Value: Comparable>(_ values: [Value], _ wanted: Value) -> Bool {
        let at = values.sortedIndex { $0 < wanted }
        return at < values.count && values[at] == wanted
    }
    public func matches(_ community: Community) -> Bool {
        hasStandard && (Self.has(standard, community) || patterns.contains { $0.matches(community) })
    }
    public func matches(_ community: LargeCommunity) -> Bool {
        hasLarge && (Self.has(large, community) || patterns.contains { $0.matches(community) })
    }
    public func matches(_ community: ExtendedCommunity) -> Bool {
        hasExtended && (Self.has(extended, community) || patterns.contains { $0.matches(community) })
    }

    /// Whether one of these is in the set.
    public func matchesAny(
        _ communities: [Community], _ largeCommunities: [LargeCommunity],
        _ extendedCommunities: @autoclosure () -> [ExtendedCommunity]
    ) -> Bool {
        hasStandard && communities.contains { matches($0) } || hasLarge && largeCommunities.contains { matches($0) }
            || hasExtended && extendedCommunities().contains { matches($0) }
    }
    /// Whether each of these is in the set, of the kinds that occur in it.
    public func matchesAll(
        _ communities: [Community], _ largeCommunities: [LargeCommunity],
        _ extendedCommunities: @autoclosure () -> [ExtendedCommunity]
    ) -> Bool {
        (!hasStandard || communities.allSatisfy { matches($0) }) && (!hasLarge || largeCommunities.allSatisfy { matches($0) })
            && (!hasExtended || extendedCommunities().allSatisfy { matches($0) })
    }
}
