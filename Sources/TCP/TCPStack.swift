import Machine
import Records
import Wire

/// The skeleton of the interface; its body follows in the next commits.
public struct TCPStack: Sendable {
    public let configuration: TCPConfiguration
    public private(set) var counters = TCPCounters()

    public init(configuration: TCPConfiguration = TCPConfiguration()) {
        self.configuration = configuration
    }

    /// Applies one input and appends what follows from it.
    public mutating func handle(_ input: TCPInput, at now: Instant, into effects: inout [TCPEffect]) {
    }

    /// Takes one TCP segment (header and payload, which may be a super-frame of up to 65,535 octets).
    public mutating func receive(
        _ segment: RawSpan, from remote: IPAddress, to local: IPAddress, interface: InterfaceID, hopLimit: UInt8,
        checksum: TCPChecksumState = .verify, at now: Instant, into effects: inout [TCPEffect]
    ) {
        counters.segmentsIn += 1
    }

    /// When the stack next wants `.time`.
    public var nextDeadline: Instant? { nil }

    /// All connections in order of their number; for display.
    public func connectionStatuses() -> [TCPConnectionStatus] { [] }
}

extension TCPStack: Machine {}
