import Machine
import Records

/// Whether this controller may be the router at all.
struct Availability {
    /// Taken out by the operator.
    var isOffline = false
    /// Why it is of no use any more.
    var failure: String?
    /// The process ends when mastership is handed back, or then at the latest.
    var exitBy: (at: Instant, reason: String, fatal: LogIndex)?

    var isServing: Bool { !isOffline && failure == nil }
}
