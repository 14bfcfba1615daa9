/// Bounds of what is kept, on disk and while the disk is away.
public struct DatastoreLimits: Hashable, Sendable {
    /// Pages of 4096 octets that the file may have: 1 GiB by default.
    public var pages: Int = 262_144
    public var revisions = 200
    public var masterships = 1_000
    public var switchovers = 1_000
    /// Events of each controller.
    public var events = 100_000
    /// Events that wait for the disk; beyond it the least important and oldest are dropped, and counted.
    public var waitingEvents = 4_096
    /// Other transactions that wait for the disk; beyond it the oldest are dropped.
    public var waitingTransactions = 64
    /// The first pause before a failed write is tried again; it doubles up to `retryMaximum`. `nil` waits for `retry()`.
    public var retryMinimum: Duration? = .seconds(1)
    public var retryMaximum: Duration = .seconds(60)

    /// Pages of SQLite's write-ahead log after which it is copied into the file.
    public var checkpointPages = 1_000

    public init() {}
}
