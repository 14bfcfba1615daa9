/// A `Duration` that scripts can read: on the wire a number of seconds. Of views only, as it is not exact.
public struct TimeSpan: Hashable, Comparable, Sendable, Codable {
    public var duration: Duration
    public init(_ duration: Duration) { self.duration = duration }
    /// What has not begun or is over is no time.
    public init(atLeastZero duration: Duration) { self.duration = max(.zero, duration) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let seconds = try container.decode(Double.self)
        // What `Duration` can hold in whole seconds, with room to spare.
        guard seconds.isFinite, abs(seconds) < 1e15 else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a number of seconds")
        }
        duration = .nanoseconds(0) + .seconds(seconds)
    }
    /// To the microsecond: more is noise, and digits of a binary fraction would only confuse.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode((seconds * 1e6).rounded() / 1e6)
    }
    public var seconds: Double {
        let (whole, attoseconds) = duration.components
        return Double(whole) + Double(attoseconds) / 1e18
    }
    public static func < (a: Self, b: Self) -> Bool { a.duration < b.duration }
}
