import Machine

/// Turns the size of the process into what a controller is told of it.
///
/// Tables keep what they have got: when routes go, their room is used again and is not given back, so a process does not
/// become smaller when a neighbour was let go of. What it must not do is grow on. So beyond the limit the next neighbour is
/// called for only when the process has grown by `step` since the last one, and not before `pause`, in which the routes of
/// that one are removed.
public struct MemoryWatch: Sendable {
    /// A neighbour's routes are removed in slices, while others go on announcing.
    public static let pause = Duration.seconds(30)
    /// Growth beyond the limit that calls for the next neighbour, as a part of the limit: a fiftieth.
    static let stepDivisor: UInt64 = 50
    /// A size that swings around a bound is one event: it must fall below nine tenths of the bound to be another.
    static let returnTenths: UInt64 = 9

    private let warning: UInt64
    private let limit: UInt64
    private var pressure = MemoryPressure.none
    /// Size and time of the last `.critical`.
    private var told: (octets: UInt64, at: Instant)?

    /// - Parameters:
    ///   - warning: octets; `nil`: none.
    ///   - limit: octets, not less than `warning`; `nil`: none.
    public init(warning: UInt64?, limit: UInt64?) {
        self.warning = warning ?? .max
        self.limit = limit ?? .max
    }

    /// - Parameter octets: the size of the process now.
    /// - Returns: what the controller is told; `nil`: nothing.
    public mutating func look(_ octets: UInt64, at now: Instant) -> MemoryPressure? {
        if octets >= limit {
            if let told, octets < told.octets + max(1, limit / Self.stepDivisor) || now - told.at < Self.pause { return nil }
            told = (octets, now)
            pressure = .critical
            return .critical
        }
        if octets < limit / 10 * Self.returnTenths { told = nil }
        let isBack = octets < min(warning, limit) / 10 * Self.returnTenths
        if pressure == .none, octets >= warning {
            pressure = .warning
            return .warning
        }
        guard pressure != .none, isBack else { return nil }
        pressure = .none
        return MemoryPressure.none
    }
}
