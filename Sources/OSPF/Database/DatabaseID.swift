import Machine
import Wire

/// Which of the databases an LSA is in: that of the AS, that of an area, or that of a link (RFC 2328 §12, RFC 5340
/// §4.4.1).
public struct DatabaseID: Hashable, Comparable, Sendable, CustomStringConvertible {
    public var scope: FloodingScope
    /// The area ID, the `InterfaceID`, or 0 for the AS.
    public var number: UInt32

    @inlinable public init(scope: FloodingScope, number: UInt32) {
        self.scope = scope
        self.number = number
    }
    public static let autonomousSystem = DatabaseID(scope: .autonomousSystem, number: 0)
    @inlinable public static func area(_ id: UInt32) -> DatabaseID { DatabaseID(scope: .area, number: id) }
    @inlinable public static func link(_ interface: UInt16) -> DatabaseID {
        DatabaseID(scope: .link, number: UInt32(interface))
    }

    @inlinable public static func < (a: Self, b: Self) -> Bool {
        a.scope != b.scope ? a.scope < b.scope : a.number < b.number
    }
    public var description: String {
        switch scope {
        case .link: "link \(number)"
        case .area: "area \(IPv4Address(raw: number))"
        case .autonomousSystem: "AS"
        }
    }
}

/// A small number for an LSA in the databases: valid until the LSA is removed, and the same on both controllers.
@frozen
public struct LSAHandle: Hashable, Comparable, Sendable, BitwiseCopyable {
    public var raw: UInt32
    @inlinable public init(_ raw: UInt32) { self.raw = raw }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }
}

extension DatabaseID {
    func write(to writer: inout SnapshotWriter) {
        writer.write(scope.rawValue)
        writer.write(number)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let scope = FloodingScope(rawValue: try reader.read()) else {
            throw DecodeError("database", at: reader.position, .badValue)
        }
        self.init(scope: scope, number: try reader.read())
    }
}
