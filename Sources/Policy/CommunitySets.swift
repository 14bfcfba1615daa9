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

public enum CommunityKind: CaseIterable, Sendable {
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
