/// Something an operator would want in the event log. The edge adds the time of day and the controller.
public struct Event: Hashable, Sendable, Codable, CustomStringConvertible {
    public enum Severity: UInt8, Hashable, Sendable, Codable, Comparable, CaseIterable {
        case debug = 0
        case info = 1
        /// Normal but significant: a session came up, a switchover step.
        case notice = 2
        case warning = 3
        /// Somebody should look now: redundancy lost, digests differ, disk full.
        case alarm = 4
        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }
    public var severity: Severity
    /// The part that speaks: `bgp`, `tcp`, `srm`, `rcm`, `linecard`, `datastore`, `host`.
    public var component: String
    /// One sentence that names what and where.
    public var message: String

    public init(_ severity: Severity, _ component: String, _ message: String) {
        self.severity = severity
        self.component = component
        self.message = message
    }
    public var description: String { "[\(severity)] \(component): \(message)" }
}
