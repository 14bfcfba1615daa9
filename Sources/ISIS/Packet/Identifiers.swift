import Wire

/// The name of an intermediate system: six octets (ISO 10589 §7.1.1 with an ID length of 6), right-aligned in `raw`.
@frozen
public struct SystemID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt64
    @inlinable public init(raw: UInt64) { self.raw = raw & 0xffff_ffff_ffff }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    public static let zero = SystemID(raw: 0)

    /// Parses three groups of four hexadecimal digits with dots: `1921.6800.1001`.
    public init?(_ text: some StringProtocol) {
        let groups = text.split(separator: ".", omittingEmptySubsequences: false)
        guard groups.count == 3 else { return nil }
        var raw: UInt64 = 0
        for group in groups {
            guard group.utf8.count == 4, group.utf8.first != UInt8(ascii: "+"), let value = UInt16(group, radix: 16) else {
                return nil
            }
            raw = raw << 16 | UInt64(value)
        }
        self.raw = raw
    }

    public var description: String {
        "\(hexadecimal(raw >> 32, digits: 4)).\(hexadecimal(raw >> 16, digits: 4)).\(hexadecimal(raw, digits: 4))"
    }
}

/// A vertex of the graph: an intermediate system (pseudonode number 0), or a LAN by its designated IS and the number
/// that this one gave it. The seven octets that name a neighbour in LSPs and the LAN in hellos.
@frozen
public struct NodeID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// System in the upper six octets, pseudonode number in the lowest.
    public var raw: UInt64
    @inlinable public init(raw: UInt64) { self.raw = raw & 0xff_ffff_ffff_ffff }
    @inlinable public init(_ system: SystemID, pseudonode: UInt8 = 0) { raw = system.raw << 8 | UInt64(pseudonode) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    public static let zero = NodeID(raw: 0)

    @inlinable public var system: SystemID { SystemID(raw: raw >> 8) }
    @inlinable public var pseudonode: UInt8 { UInt8(truncatingIfNeeded: raw) }
    @inlinable public var isPseudonode: Bool { pseudonode != 0 }

    /// Parses `1921.6800.1001.02`.
    public init?(_ text: some StringProtocol) {
        guard let dot = text.lastIndex(of: "."), let system = SystemID(text[..<dot]) else { return nil }
        let last = text[text.index(after: dot)...]
        guard last.utf8.count == 2, last.utf8.first != UInt8(ascii: "+"), let number = UInt8(last, radix: 16) else {
            return nil
        }
        self.init(system, pseudonode: number)
    }

    public var description: String { "\(system).\(hexadecimal(UInt64(pseudonode), digits: 2))" }
}

/// The name of a link state PDU: system, pseudonode and LSP number (ISO 10589 §9.8, "LSP ID"), eight octets as one
/// number whose order is the order in which CSNPs list them.
@frozen
public struct LSPID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt64
    @inlinable public init(raw: UInt64) { self.raw = raw }
    @inlinable public init(_ node: NodeID, fragment: UInt8 = 0) { raw = node.raw << 8 | UInt64(fragment) }
    @inlinable public init(_ system: SystemID, pseudonode: UInt8 = 0, fragment: UInt8 = 0) {
        self.init(NodeID(system, pseudonode: pseudonode), fragment: fragment)
    }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    /// The bounds of a CSNP that covers everything.
    public static let minimum = LSPID(raw: 0)
    public static let maximum = LSPID(raw: .max)

    @inlinable public var node: NodeID { NodeID(raw: raw >> 8) }
    @inlinable public var system: SystemID { SystemID(raw: raw >> 16) }
    @inlinable public var pseudonode: UInt8 { UInt8(truncatingIfNeeded: raw >> 8) }
    /// The LSP number, 0…255.
    @inlinable public var fragment: UInt8 { UInt8(truncatingIfNeeded: raw) }

    /// Parses `1921.6800.1001.00-00`.
    public init?(_ text: some StringProtocol) {
        guard let dash = text.lastIndex(of: "-"), let node = NodeID(text[..<dash]) else { return nil }
        let last = text[text.index(after: dash)...]
        guard last.utf8.count == 2, last.utf8.first != UInt8(ascii: "+"), let number = UInt8(last, radix: 16) else {
            return nil
        }
        self.init(node, fragment: number)
    }

    public var description: String { "\(node)-\(hexadecimal(UInt64(fragment), digits: 2))" }
}

/// The lowest digits of a number, in lower case.
func hexadecimal(_ value: UInt64, digits: Int) -> String {
    let masked = digits >= 16 ? value : value & (1 << UInt64(4 * digits) - 1)
    let text = String(masked, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}

extension NodeID: TextCodable {}
extension LSPID: TextCodable {}

extension SystemID: LosslessStringConvertible {}
extension SystemID: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(raw: try decoder.singleValueContainer().decode(UInt64.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(raw)
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    @inlinable
    public mutating func systemID(_ field: StaticString) throws(DecodeError) -> SystemID {
        let high = try u16(field)
        return SystemID(raw: UInt64(high) << 32 | UInt64(try u32(field)))
    }
    @_lifetime(self: copy self)
    @inlinable
    public mutating func nodeID(_ field: StaticString) throws(DecodeError) -> NodeID {
        let system = try systemID(field)
        return NodeID(system, pseudonode: try u8(field))
    }
    @_lifetime(self: copy self)
    @inlinable
    public mutating func lspID(_ field: StaticString) throws(DecodeError) -> LSPID { LSPID(raw: try u64(field)) }
}

extension ByteWriter {
    @inlinable public mutating func systemID(_ system: SystemID) {
        u16(UInt16(truncatingIfNeeded: system.raw >> 32))
        u32(UInt32(truncatingIfNeeded: system.raw))
    }
    @inlinable public mutating func nodeID(_ node: NodeID) {
        systemID(node.system)
        u8(node.pseudonode)
    }
    @inlinable public mutating func lspID(_ id: LSPID) { u64(id.raw) }
}
