/// A point of the router's own time, in nanoseconds. It never goes back.
///
/// Machines get it as an argument and never ask for it. It begins with the time of day of the host whose controller began
/// as the router, in nanoseconds since 1970-01-01T00:00:00Z, and counts that host's monotonic clock from there: so it is the
/// time of day as far as that host knew it then, and what an operator writes as a date is compared with it as it stands
/// (`CalendarTime.swift`). A clock of a host that is set later moves it no more. Simulations and tests begin with zero.
@frozen
public struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable, Codable, CustomStringConvertible {
    public var nanoseconds: Int64
    @inlinable public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)
    public static let distantFuture = Instant(nanoseconds: .max)

    @inlinable public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
    /// Saturates at `distantFuture`.
    @inlinable public static func + (a: Self, d: Duration) -> Self {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(d.inNanoseconds)
        return Instant(nanoseconds: overflow ? .max : sum)
    }
    @inlinable public static func - (a: Self, d: Duration) -> Self {
        Instant(nanoseconds: a.nanoseconds &- d.inNanoseconds)
    }
    @inlinable public static func - (a: Self, b: Self) -> Duration { .nanoseconds(a.nanoseconds &- b.nanoseconds) }

    public var description: String {
        let micro = nanoseconds / 1000
        let fraction = String(micro % 1_000_000)
        return "\(micro / 1_000_000)." + String(repeating: "0", count: max(0, 6 - fraction.count)) + fraction
    }
}

extension Duration {
    /// Whole nanoseconds, saturating.
    @inlinable public var inNanoseconds: Int64 {
        // Below nine seconds, as nearly all are, one division of words; else one of 128 bits, which is slow.
        let whole = attoseconds
        if let word = Int64(exactly: whole) { return word / 1_000_000_000 }
        return Int64(clamping: whole / 1_000_000_000)
    }
    /// Whole milliseconds.
    @inlinable public var inMilliseconds: Int64 { inNanoseconds / 1_000_000 }
    @inlinable public static func minutes(_ count: Int) -> Duration { .seconds(count * 60) }

    // The library's own go through generics and 128 bits.
    /// In whole nanoseconds, saturating.
    @inlinable public static func * (duration: Duration, factor: Int) -> Duration {
        let nanoseconds = duration.inNanoseconds
        let (product, overflow) = nanoseconds.multipliedReportingOverflow(by: Int64(factor))
        return .nanoseconds(overflow ? ((nanoseconds < 0) == (factor < 0) ? .max : .min) : product)
    }
    /// In whole nanoseconds, towards zero. The divisor is positive.
    @inlinable public static func / (duration: Duration, divisor: Int) -> Duration {
        .nanoseconds(duration.inNanoseconds / Int64(divisor))
    }
}
