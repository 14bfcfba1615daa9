/// An instance of a protocol that speaks over TCP connections. The engine gives the numbers, and they are the same on both
/// controllers; nobody below the engine knows what they stand for.
@frozen
public struct StreamProtocolID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt8
    @inlinable public init(_ value: UInt8) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public var description: String { "stream protocol \(value)" }
}

/// What a stream protocol connects or listens to, by a number of its own: a neighbour of BGP, a cache of RPKI.
@frozen
public struct StreamEndpointID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt16
    @inlinable public init(_ value: UInt16) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public var description: String { "endpoint \(value)" }
}

/// Whose a connection is. Listeners and connect requests name it; the line card carries it and looks at nothing of it.
@frozen
public struct ConnectionOwner: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var instance: StreamProtocolID
    public var endpoint: StreamEndpointID
    @inlinable
    public init(_ instance: StreamProtocolID = StreamProtocolID(0), _ endpoint: StreamEndpointID = StreamEndpointID(0)) {
        self.instance = instance
        self.endpoint = endpoint
    }
    public var description: String { "\(endpoint) of \(instance)" }
}
