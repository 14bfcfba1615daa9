import Engine
import LineCard
import Machine
import Records
import Redundancy

/// One controller: line card, log, RCM and SRM, wired by values. The host drives it with the real world, the simulator
/// with virtual time.
///
/// `now` is this machine's own monotonic clock; what the router calls time is made here (`routerTime`).
public struct Controller: Sendable {
    public private(set) var configuration: ControllerConfiguration

    public init(configuration: ControllerConfiguration) {
        self.configuration = configuration
    }

    /// A frame came in on an interface. Ignored unless this controller is the router, except `link` advertisements.
    public mutating func receive(
        _ frame: RawSpan, on interface: InterfaceID, at now: Instant, into outputs: inout [ControllerOutput]
    ) {}

    public mutating func handle(_ input: ControllerInput, at now: Instant, into outputs: inout [ControllerOutput]) {}

    /// When `.time` is next wanted, on the clock of `now`.
    public var nextDeadline: Instant? { nil }

    public var state: ControllerState { .booting }
    public var epoch: Epoch { .zero }

    /// Router time at a moment of the local clock. Meaningful on the active, an estimate on a standby.
    public func routerTime(at now: Instant) -> Instant { now }

    public func status(at now: Instant) -> ControllerStatus {
        ControllerStatus(
            id: configuration.id, routerName: configuration.routerName, state: state, epoch: epoch.value,
            isRedundant: false)
    }
}
