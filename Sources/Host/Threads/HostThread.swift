import CHost
import Glibc
import Records
import Synchronization

/// How much of the processor a thread may claim.
public enum ThreadUrgency: Sendable, Hashable {
    case normal
    /// Below everything: snapshots, disk, operators.
    case background
    /// A negative nice value where that is permitted.
    case raised
    /// SCHED_FIFO with this priority (1…99) where that is permitted, else as `raised`.
    case realtime(Int32)
}

/// A kernel thread with a name, a priority and an alternate signal stack.
///
/// Not `Foundation.Thread` and no task: the edge and the engine each own a thread for as long as the process lives, never
/// wait for a pool, and must be able to gasp when their stack overflows.
final class HostThread: Sendable {
    private struct Start {
        var name: String
        var urgency: ThreadUrgency
        var report: @Sendable (Event) -> Void
        var body: @Sendable () -> Void
    }
    private final class Box {
        let start: Start
        init(_ start: Start) { self.start = start }
    }
    /// `nil` once the thread was waited for: from then on the number may be another thread's.
    private let handle: Mutex<pthread_t?>

    init(
        _ name: String, urgency: ThreadUrgency = .normal, stackSize: Int = 8 << 20,
        report: @escaping @Sendable (Event) -> Void = { _ in }, _ body: @escaping @Sendable () -> Void
    ) throws {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackSize)
        let box = Unmanaged.passRetained(Box(Start(name: name, urgency: urgency, report: report, body: body)))
        var handle = pthread_t()
        let status = pthread_create(
            &handle, &attributes,
            { argument in
                let start = unsafe Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().start
                chost_name_thread(start.name)
                _ = chost_gasp_thread_stack()
                HostThread.apply(start.urgency, name: start.name, report: start.report)
                start.body()
                return nil
            }, box.toOpaque())
        guard status == 0 else {
            box.release()
            throw SystemError("pthread_create", status)
        }
        self.handle = Mutex(handle)
    }

    deinit {
        // Nobody will wait for it any more; its stack goes when it ends.
        handle.withLock { if let handle = $0 { pthread_detach(handle) } }
    }

    /// The clock of the calling thread's CPU time, readable from every thread of this process. 0: there is none.
    static var ownCPUClock: clockid_t {
        var clock: clockid_t = 0
        return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? clock : 0
    }

    /// Returns when the thread has ended; at once if somebody has waited for it before.
    func join() {
        handle.withLock { handle in
            if let thread = handle { pthread_join(thread, nil) }
            handle = nil
        }
    }

    private static func apply(_ urgency: ThreadUrgency, name: String, report: (Event) -> Void) {
        switch urgency {
        case .normal: break
        case .background: _ = chost_nice(10)
        case .raised:
            if chost_nice(-10) != 0 {
                report(Event(.info, "host", "thread \(name) runs at normal priority: CAP_SYS_NICE is missing"))
            }
        case .realtime(let priority):
            let status = chost_realtime(priority)
            if status != 0 {
                report(
                    Event(
                        .warning, "host",
                        "thread \(name) is not real-time (\(SystemError.text(of: status))): on a busy machine "
                            + "heartbeats come late, and the twin takes over without need. Give the process CAP_SYS_NICE or "
                            + "LimitRTPRIO=\(priority), and a control group that may use real-time scheduling"))
                apply(.raised, name: name, report: report)
            }
        }
    }
}
