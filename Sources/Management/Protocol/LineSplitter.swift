/// Cuts a stream of octets into lines, and never holds more than one line's maximum.
public struct LineSplitter: Sendable {
    /// A line grew longer than `ManagementProtocol.lineLengthMaximum`; the connection must end.
    public struct LineTooLong: Error, Hashable, Sendable {}

    private let maximum: Int
    private var partial: [UInt8] = []
    /// Where in `partial` the search for a line feed goes on.
    private var searched = 0

    /// Octets of a line whose end has not come.
    public var pendingOctets: Int { partial.count }

    public init(maximum: Int = ManagementProtocol.lineLengthMaximum) { self.maximum = maximum }

    /// Takes octets and returns the lines that are complete with them, without their line feed. Empty lines are left out.
    public mutating func append(_ bytes: some Collection<UInt8>) throws(LineTooLong) -> [[UInt8]] {
        partial.append(contentsOf: bytes)
        var lines: [[UInt8]] = []
        var start = 0
        while let end = partial[searched...].firstIndex(of: UInt8(ascii: "\n")) {
            guard end - start <= maximum else { throw LineTooLong() }
            if end > start { lines.append(Array(partial[start..<end])) }
            start = end + 1
            searched = start
        }
        partial.removeFirst(start)
        searched = partial.count
        guard partial.count <= maximum else { throw LineTooLong() }
        return lines
    }
}
