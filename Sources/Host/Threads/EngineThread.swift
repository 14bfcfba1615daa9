import CHost
import Engine
import Glibc
import Records
import Routing
import Synchronization

/// The thread that owns the engine: it takes work in order, answers each piece with a report, and between two pieces
/// lets management look.
///
/// Its queue is bounded by the edge, which keeps a limit on the records that are appended and not yet applied.
final class EngineThread: Sendable {
    private enum Item: Sendable {
        case work(EngineWork)
        case look(@Sendable (borrowing Engine) -> Void)
        case stop
    }
    struct Unavailable: Error, CustomStringConvertible {
        let description: String
    }

    private let queue: Mailbox<Item>
    /// What the engine answered, for the edge. As long as the work that was asked for.
    let reports: Mailbox<EngineReport>
    /// Pieces of work taken up, for the watchdog: odd while one is being done.
    let progress = Atomic<UInt64>(0)
    /// The longest piece of work since somebody set this to 0, nanoseconds. After a snapshot this shows what sharing the
    /// tables costs the engine.
    let longestPause = Atomic<Int64>(0)
    private let thread = Mutex<HostThread?>(nil)
    private let cpuClock = Atomic<Int32>(0)

    /// CPU time that the engine's thread has used, nanoseconds; `nil` before it runs.
    var cpuTime: Int64? {
        let clock = cpuClock.load(ordering: .relaxed)
        guard clock != 0 else { return nil }
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return nil }
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// Takes what changed in the forwarding table as soon as it is applied, on both controllers.
    private let forward: @Sendable (FIBUpdate) -> Void

    init(forward: @escaping @Sendable (FIBUpdate) -> Void = { _ in }) throws {
        self.forward = forward
        queue = try Mailbox()
        reports = try Mailbox()
    }

    /// - Parameter seed: random per pair, part of the engine's state.
    func start(seed: UInt64, urgency: ThreadUrgency, report: @escaping @Sendable (Event) -> Void) throws {
        // A policy or an attribute may be nested deeper than a thread's usual stack allows for; memory that is not
        // touched costs nothing.
        let started = try HostThread("engine", urgency: urgency, stackSize: 64 << 20, report: report) { [self] in
            run(seed: seed)
        }
        thread.withLock { $0 = started }
    }

    func perform(_ work: EngineWork) { queue.put(.work(work)) }

    /// Runs `body` on the engine between two pieces of work. Keep it short: the router waits for it.
    func inspect<T: Sendable>(
        timeout: Duration = .seconds(5), _ body: @escaping @Sendable (borrowing Engine) -> T
    ) async throws -> T {
        let answer = OneAnswer<T>()
        guard queue.put(.look { engine in answer.succeed(body(engine)) }) else {
            throw Unavailable(description: "the engine has stopped")
        }
        let alarm = Task {
            try? await Task.sleep(for: timeout)
            answer.fail(Unavailable(description: "the engine did not answer within \(timeout)"))
        }
        defer { alarm.cancel() }
        return try await answer.value()
    }

    func stop() {
        queue.put(.stop)
        thread.withLock { $0 }?.join()
    }

    private func run(seed: UInt64) {
        chost_gasp_engine_thread()
        cpuClock.store(HostThread.ownCPUClock, ordering: .relaxed)
        var engine = unsafe Engine(seed: seed, applying: chost_gasp_applying())
        var items: [Item] = []
        while true {
            queue.waitForBell()
            queue.take(into: &items)
            for item in items {
                switch item {
                case .work(let work):
                    progress.add(1, ordering: .relaxed)
                    let began = chost_now()
                    let report = engine.perform(work)
                    let took = chost_now() - began
                    if took > longestPause.load(ordering: .relaxed) { longestPause.store(took, ordering: .relaxed) }
                    switch report {
                    case .applied(_, _, let fib, _, _), .restored(_, let fib, _, _): forward(fib)
                    default: break
                    }
                    reports.put(report)
                    progress.add(1, ordering: .relaxed)
                case .look(let body):
                    body(engine)
                case .stop:
                    queue.close()
                    return
                }
            }
            // Not in the next round: what the records hold should be freed while nobody waits.
            items.removeAll(keepingCapacity: true)
        }
    }
}

/// An answer that comes once, or not in time.
final class OneAnswer<Value: Sendable>: Sendable {
    private enum State: Sendable {
        case nothing
        case waiting(CheckedContinuation<Value, any Error>)
        case answered(Result<Value, any Error>)
        case done
    }
    private let state = Mutex(State.nothing)

    func succeed(_ value: Value) { finish(.success(value)) }
    func fail(_ error: any Error) { finish(.failure(error)) }

    private func finish(_ result: Result<Value, any Error>) {
        let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
            switch state {
            case .nothing:
                state = .answered(result)
                return nil
            case .waiting(let continuation):
                state = .done
                return continuation
            case .answered, .done:
                return nil
            }
        }
        waiting?.resume(with: result)
    }

    func value() async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let ready: Result<Value, any Error>? = state.withLock { state in
                if case .answered(let result) = state {
                    state = .done
                    return result
                }
                state = .waiting(continuation)
                return nil
            }
            if let ready { continuation.resume(with: ready) }
        }
    }
}
