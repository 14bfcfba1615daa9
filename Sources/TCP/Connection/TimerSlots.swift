import Machine

/// The timers of one connection: a fixed table, so that setting one is a store.
struct TimerSlots: Sendable, BitwiseCopyable {
    enum Slot: Int, CaseIterable {
        /// RFC 6298, for SYN, data and FIN.
        case retransmit = 0
        /// RFC 9293 §3.8.6.1, zero-window probes.
        case persist = 1
        /// RFC 9293 §3.8.6.3
        case delayedAcknowledgment = 2
        /// `.tcpAcknowledged` is due.
        case report = 3
        /// The end of SYN-SENT, FIN-WAIT-2 or TIME-WAIT.
        case lifetime = 4
        /// More may be sent at once; the last burst was long enough.
        case burst = 5
        /// RFC 8985 §6.2, step 5: what may only be late is lost now.
        case reorder = 6
        /// RFC 8985 §7.2, PTO. RTO runs beside it, and is set anew when a probe goes.
        case lossProbe = 7
    }
    private static let none = Int64.max
    private var deadlines = InlineArray<8, Int64>(repeating: none)

    mutating func set(_ slot: Slot, at deadline: Instant) { deadlines[slot.rawValue] = min(deadline.nanoseconds, .max - 1) }
    /// Makes a running timer go off no later than this.
    mutating func advance(_ slot: Slot, to deadline: Instant) {
        if isRunning(slot) { deadlines[slot.rawValue] = min(deadlines[slot.rawValue], deadline.nanoseconds) }
    }
    mutating func cancel(_ slot: Slot) { deadlines[slot.rawValue] = Self.none }
    mutating func cancelAll() { deadlines = InlineArray(repeating: Self.none) }
    func deadline(_ slot: Slot) -> Instant? {
        isRunning(slot) ? Instant(nanoseconds: deadlines[slot.rawValue]) : nil
    }
    func isRunning(_ slot: Slot) -> Bool { deadlines[slot.rawValue] != Self.none }

    /// Stops the timer and says whether it was due.
    mutating func take(_ slot: Slot, at now: Instant) -> Bool {
        guard deadlines[slot.rawValue] <= now.nanoseconds else { return false }
        deadlines[slot.rawValue] = Self.none
        return true
    }

    var next: Instant? {
        var least = Self.none
        for i in 0..<8 where deadlines[i] < least { least = deadlines[i] }
        return least == Self.none ? nil : Instant(nanoseconds: least)
    }
}
