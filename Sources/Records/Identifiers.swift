import Machine

/// A position in the log. The first record has index 1; 0 means "before the log began".
@frozen
public struct LogIndex: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt64
    @inlinable public init(_ value: UInt64) { self.value = value }
    public static let zero = LogIndex(0)
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    @inlinable public var next: LogIndex { LogIndex(value + 1) }
    public var description: String { "\(value)" }
}

/// The number of a mastership: it grows with every change of who may speak as the router. 0 means "nobody yet".
@frozen
public struct Epoch: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt64
    @inlinable public init(_ value: UInt64) { self.value = value }
    public static let zero = Epoch(0)
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    @inlinable public var next: Epoch { Epoch(value + 1) }
    public var description: String { "\(value)" }
}

/// Which of the two controllers.
public enum ControllerID: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case a = 0
    case b = 1
    public var other: ControllerID { self == .a ? .b : .a }
    public var description: String { self == .a ? "A" : "B" }
}

/// A TCP connection of the router. Even numbers are given by the line card when it accepts one, odd ones by the engine
/// when it asks for one; both counters are engine state, so a number is never used twice, whoever is active.
@frozen
public struct ConnectionID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt32
    @inlinable public init(_ value: UInt32) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public var description: String { "#\(value)" }
}

/// An interface of the router: its position in the configuration's list, the same on both controllers.
@frozen
public struct InterfaceID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt16
    @inlinable public init(_ value: UInt16) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public var description: String { "if\(value)" }
}
