import CHost
import Machine

/// This machine's monotonic clock as the controller wants it.
func monotonicNow() -> Instant { Instant(nanoseconds: chost_now()) }
