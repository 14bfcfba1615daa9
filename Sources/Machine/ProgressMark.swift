/// A word in the world outside where a machine notes how far it is within one input, so that a signal handler can tell of
/// it when the machine dies. Written only; nothing that the machine does depends on it.
public struct ProgressMark: @unchecked Sendable {
    private let word: UnsafeMutablePointer<UInt64>?

    /// - Parameter word: outlives every copy of this mark. `nil`: nothing is noted.
    public init(_ word: UnsafeMutablePointer<UInt64>? = nil) { unsafe self.word = word }

    @inline(__always)
    public func note(_ value: UInt64) { unsafe word?.pointee = value }
}
