import Machine

/// What is known of the end of the twin's process, and of what it died.
struct TwinDeath {
    /// It does not run any more.
    var isKnown = false
    /// When that became known. What it had sent may still come by another path.
    var at: Instant = .zero
    static let lateBeats: Duration = .milliseconds(10)
    /// The channel ended as it does when a process dies. Proven when the twin's host refuses a datagram.
    var suspectedAt: Instant?
    /// All that it had sent was read then.
    var isStreamWhole = false
    var refusedAt: Instant?
    /// Of which start of the twin a gasp was heard.
    var gaspHeard: UInt64 = 0
    /// The BFD session whose packet killed the twin's line card, by its gasp.
    var session: UInt32?

    /// The twin is there: it has introduced itself.
    mutating func disprove() {
        isKnown = false
        suspectedAt = nil
        refusedAt = nil
    }
}
