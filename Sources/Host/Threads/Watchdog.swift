import CHost
import Glibc
import Machine
import Synchronization

/// Looks whether the engine and the edge make progress, and ends the process when one does not: SIGABRT, the dying gasp
/// with the index of the record that the engine cannot finish, and the twin goes on without it (DESIGN §7).
///
/// It counts its own looks and not the clock, so a process that was stopped (SIGSTOP, a frozen host) and wakes up is not
/// taken for one that hangs.
final class Watchdog: Sendable {
    /// How often it looks within the limit.
    static let looks = 10

    private let stopping = Atomic<Bool>(false)
    private let thread = Mutex<HostThread?>(nil)

    /// One thing that is watched: a number that changes as long as there is progress, or `nil` while there is nothing
    /// to be done.
    struct Watch: Sendable {
        enum Blame: Sendable {
            case nobody
            /// The record that the engine applies.
            case record
            /// The frame that the edge has in hand.
            case frame
        }
        var name: String
        var value: @Sendable () -> UInt64?
        /// CPU time that the watched thread has used, nanoseconds. A look during which it got less than half of the
        /// time counts for a tenth: a machine that is too busy to run us is not an engine that hangs.
        var spent: (@Sendable () -> Int64?)?
        /// Called once before the process is ended, which then happens only if this changes nothing within another limit:
        /// the edge can still hand over in order when it is only the engine that hangs.
        var warn: (@Sendable (UInt64) -> Void)?
        /// Whose fault it is when this hangs.
        var blames: Blame

        init(
            _ name: String, blames: Blame = .nobody, warn: (@Sendable (UInt64) -> Void)? = nil,
            spent: (@Sendable () -> Int64?)? = nil,
            value: @escaping @Sendable () -> UInt64?
        ) {
            self.name = name
            self.blames = blames
            self.value = value
            self.spent = spent
            self.warn = warn
        }
    }

    /// The rule without the thread.
    struct Rule {
        private var last: [UInt64?]
        /// In tenths of a look.
        private var unchanged: [Int]
        private var lastSpent: [Int64]
        /// Nanoseconds from one look to the next.
        private let interval: Int64
        private var isWarned: [Bool]
        let watches: [Watch]

        init(_ watches: [Watch], interval: Int64 = 0) {
            self.watches = watches
            self.interval = interval
            lastSpent = Array(repeating: 0, count: watches.count)
            last = Array(repeating: nil, count: watches.count)
            unchanged = Array(repeating: 0, count: watches.count)
            isWarned = Array(repeating: false, count: watches.count)
        }
        /// The position of what hangs.
        mutating func look() -> Int? {
            for i in watches.indices {
                let value = watches[i].value()
                var weight = 10
                if let spent = watches[i].spent?() {
                    if spent - lastSpent[i] < interval / 2 { weight = 1 }
                    lastSpent[i] = spent
                }
                if let value, value == last[i] {
                    unchanged[i] += weight
                    if unchanged[i] >= Watchdog.looks * 10 {
                        guard let warn = watches[i].warn, !isWarned[i] else { return i }
                        isWarned[i] = true
                        unchanged[i] = 0
                        warn(value)
                    }
                } else {
                    unchanged[i] = 0
                    isWarned[i] = false
                }
                last[i] = value
            }
            return nil
        }
    }

    func start(limit: Duration, watches: [Watch]) throws {
        let interval = max(1_000, limit.inNanoseconds / 1000 / Int64(Self.looks))
        let started = try HostThread("watchdog", urgency: .realtime(20)) { [self] in
            var rule = Rule(watches, interval: interval * 1000)
            while !stopping.load(ordering: .relaxed) {
                usleep(UInt32(interval))
                guard let position = rule.look() else { continue }
                let hung = watches[position].name
                switch rule.watches[position].blames {
                case .nobody: break
                case .record: chost_gasp_engine_hangs()
                case .frame: chost_gasp_edge_hangs()
                }
                StandardErrorLog.writeWithoutWaiting(
                    "lockstepd: watchdog: \(hung) makes no progress for \(limit), the process ends\n")
                abort()
            }
        }
        thread.withLock { $0 = started }
    }

    func stop() {
        stopping.store(true, ordering: .relaxed)
        thread.withLock { $0 }?.join()
    }
}
