/// A number in a view, with what was counted.
public struct Counter: Hashable, Sendable, Codable {
    public var name: String
    public var count: UInt64
    public init(_ name: String, _ count: UInt64) {
        self.name = name
        self.count = count
    }

    /// Of all cases those that occurred, in their order.
    public static func occurred<Reason: CaseIterable>(_ count: (Reason) -> UInt64) -> [Counter] {
        Reason.allCases.map { Counter("\($0)", count($0)) }.filter { $0.count > 0 }
    }
}
