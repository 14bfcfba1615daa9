/// When a configuration came into force: the epoch and index of its `configure` record, and its revision number.
///
/// The order of positions is the order in which configurations were in force. Numbers alone are not: each of two
/// controllers that went on alone may have counted up on its own, and the one with more edits is not the later one.
public struct ConfigurationPosition: Hashable, Comparable, Sendable {
    /// Zero for a configuration that was never in force: it is earlier than every other.
    public var epoch: Epoch
    public var index: LogIndex
    /// 0: there is none.
    public var revision: UInt64

    public init(epoch: Epoch = .zero, index: LogIndex = .zero, revision: UInt64 = 0) {
        self.epoch = epoch
        self.index = index
        self.revision = revision
    }
    /// No configuration.
    public static let none = ConfigurationPosition()

    public static func < (a: Self, b: Self) -> Bool {
        (a.epoch, a.index, a.revision) < (b.epoch, b.index, b.revision)
    }
}

extension ConfigurationPosition: CustomStringConvertible {
    public var description: String { "revision \(revision) (epoch \(epoch), record \(index))" }
}
