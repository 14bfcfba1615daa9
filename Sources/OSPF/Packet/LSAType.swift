/// How far an LSA is flooded (RFC 5340 §4.4.1 and A.4.2.1; RFC 2328 §13.3 and RFC 5250 §3 say the same of OSPFv2's
/// types).
public enum FloodingScope: UInt8, Hashable, Comparable, Sendable, CaseIterable {
    case link = 0
    case area = 1
    case autonomousSystem = 2

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The LS type. OSPFv2's octet (1…11) fills the low half; OSPFv3's sixteen bits hold U bit, scope and function code.
public struct LSAType: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    // RFC 2328 A.4.1, RFC 3101 §2, RFC 5250 §3
    public static let router = LSAType(rawValue: 1)
    public static let network = LSAType(rawValue: 2)
    public static let summaryNetwork = LSAType(rawValue: 3)
    public static let summaryRouter = LSAType(rawValue: 4)
    public static let external = LSAType(rawValue: 5)
    public static let nssa = LSAType(rawValue: 7)
    public static let opaqueLink = LSAType(rawValue: 9)
    public static let opaqueArea = LSAType(rawValue: 10)
    public static let opaqueAS = LSAType(rawValue: 11)

    // RFC 5340 A.4.2.1, RFC 5187 §2.2, RFC 7770 §2.2
    public static let routerV3 = LSAType(rawValue: 0x2001)
    public static let networkV3 = LSAType(rawValue: 0x2002)
    public static let interAreaPrefix = LSAType(rawValue: 0x2003)
    public static let interAreaRouter = LSAType(rawValue: 0x2004)
    public static let externalV3 = LSAType(rawValue: 0x4005)
    public static let nssaV3 = LSAType(rawValue: 0x2007)
    public static let link = LSAType(rawValue: 0x0008)
    public static let intraAreaPrefix = LSAType(rawValue: 0x2009)
    public static let grace = LSAType(rawValue: 0x000b)
    public static let routerInformationLink = LSAType(rawValue: 0x800c)
    public static let routerInformationArea = LSAType(rawValue: 0xa00c)
    public static let routerInformationAS = LSAType(rawValue: 0xc00c)

    /// RFC 5340 A.4.2.1: the low thirteen bits of an OSPFv3 type.
    @inlinable public var functionCode: UInt16 { rawValue & 0x1fff }
    /// RFC 5340 A.4.2.1: whether a router that does not know the function code floods the LSA as if it did.
    @inlinable public var isFloodedWhenUnknown: Bool { rawValue & 0x8000 != 0 }

    /// RFC 5250 §3
    @inlinable public var isOpaque: Bool { rawValue >= 9 && rawValue <= 11 }

    /// Whether this release knows what the body means.
    public func isKnown(in version: OSPFVersion) -> Bool {
        switch version {
        case .v2:
            switch rawValue {
            case 1...5, 7, 9...11: true
            default: false
            }
        case .v3:
            switch self {
            case .routerV3, .networkV3, .interAreaPrefix, .interAreaRouter, .externalV3, .nssaV3, .link,
                .intraAreaPrefix, .grace, .routerInformationLink, .routerInformationArea, .routerInformationAS:
                true
            default: false
            }
        }
    }

    /// How far to flood; `nil` for an OSPFv2 type that is not to be stored (RFC 2328 §13 (2)) and for OSPFv3's reserved
    /// scope (RFC 5340 §4.5.1 (3)).
    ///
    /// RFC 5340 §4.5.1 (2): an OSPFv3 LSA of unknown function code whose U bit is clear stays on its link.
    public func scope(in version: OSPFVersion) -> FloodingScope? {
        switch version {
        case .v2:
            switch rawValue {
            case 1...4, 7, 10: .area
            case 5, 11: .autonomousSystem
            case 9: .link
            default: nil
            }
        case .v3:
            switch rawValue >> 13 & 3 {
            case 3: nil
            case let bits where isKnown(in: .v3) || isFloodedWhenUnknown: FloodingScope(rawValue: UInt8(bits))
            default: .link
            }
        }
    }

    /// Router and network LSAs of either version: what shortest paths are made of.
    @inlinable public var isTopology: Bool {
        rawValue == 1 || rawValue == 2 || rawValue == 0x2001 || rawValue == 0x2002
    }

    public var description: String {
        switch self {
        case .router, .routerV3: "router"
        case .network, .networkV3: "network"
        case .summaryNetwork: "summary-network"
        case .summaryRouter: "summary-router"
        case .external, .externalV3: "as-external"
        case .nssa, .nssaV3: "nssa"
        case .opaqueLink: "opaque-link"
        case .opaqueArea: "opaque-area"
        case .opaqueAS: "opaque-as"
        case .interAreaPrefix: "inter-area-prefix"
        case .interAreaRouter: "inter-area-router"
        case .link: "link"
        case .intraAreaPrefix: "intra-area-prefix"
        case .grace: "grace"
        case .routerInformationLink, .routerInformationArea, .routerInformationAS: "router-information"
        default: "0x" + String(rawValue, radix: 16)
        }
    }
}
