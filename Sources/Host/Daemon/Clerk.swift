import Controller
import Datastore
import Foundation
import Logging
import Machine
import Records
import Redundancy
import Synchronization

/// Takes what the edge reports and does everything with it that may wait: log, datastore, answers to operators.
///
/// Events go out at once and in order, on the clerk's own thread. What touches the disk goes on to a task, in order as
/// well, so that a disk that hangs delays neither the log nor anybody's answer.
final class Clerk: Sendable {
    struct State: Sendable {
        var controllerState = ControllerStateSince()
        var isChannelOpen = false
        var channelSince: Date?
        var lastConfigured: UInt64 = 0
    }
    struct ControllerStateSince: Sendable {
        var text = "booting"
        var since = Date()
    }

    private let edge: Edge
    private let datastore: Datastore
    private let controller: ControllerID
    private let identity: UInt64
    private let logLevel: Logger.Level
    private let installsGuard: Bool
    private let onExit: @Sendable (String) -> Void
    let state = Mutex(State())
    private let waitingAnswers = Mutex<[UInt64: CheckedContinuation<OperatorAnswer, Never>]>([:])
    private let nextRequest = Atomic<UInt64>(1)
    private let nextTransaction = Atomic<UInt64>(1)
    /// Texts of configurations that were committed here, until the record comes back.
    private let pendingTexts = Mutex<[UInt64: ConfigurationRevision]>([:])
    private let followers = Mutex<[UInt64: AsyncStream<EventEntry>.Continuation]>([:])
    private let nextFollower = Atomic<UInt64>(1)
    private let work: AsyncStream<Edge.Report>.Continuation
    private let isMirrored = Mutex<[UInt64: String?]>([:])
    let isStopped = DispatchSemaphore(value: 0)

    init(
        edge: Edge, datastore: Datastore, controller: ControllerID, identity: UInt64, logLevel: Logger.Level, installsGuard: Bool,
        onExit: @escaping @Sendable (String) -> Void
    ) throws {
        self.edge = edge
        self.datastore = datastore
        self.controller = controller
        self.identity = identity
        self.logLevel = logLevel
        self.installsGuard = installsGuard
        self.onExit = onExit
        let (stream, work) = AsyncStream<Edge.Report>.makeStream()
        self.work = work
        Task { [self] in for await report in stream { await keep(report) } }
        _ = try HostThread("clerk") { [self] in run() }
    }

    private func run() {
        var reports: [Edge.Report] = []
        while true {
            edge.reports.waitForBell()
            edge.reports.take(into: &reports)
            for report in reports {
                switch report {
                case .event(let event): note(event)
                case .state(let controllerState, _):
                    state.withLock { $0.controllerState = ControllerStateSince(text: "\(controllerState)", since: Date()) }
                    work.yield(report)
                case .channel(let isOpen):
                    state.withLock {
                        $0.isChannelOpen = isOpen
                        $0.channelSince = Date()
                    }
                case .answer(let id, let answer):
                    waitingAnswers.withLock { $0.removeValue(forKey: id.value) }?.resume(returning: answer)
                case .exit(let reason): onExit(reason)
                case .stopped: isStopped.signal()
                case .interfaces, .configured, .mirror, .mirrorAnswered, .mirrorEverything, .pairKey: work.yield(report)
                }
            }
            reports.removeAll()
        }
    }

    // MARK: events

    /// Any thread.
    func note(_ event: Event) {
        if event.severity.level >= logLevel {
            StandardErrorLog.write(level: event.severity.level, component: event.component, message: event.message)
        }
        let entry = datastore.log(event, at: WallTime.now)
        let all = followers.withLock { Array($0.values) }
        for follower in all { follower.yield(entry) }
    }

    /// New events from now on, until the stream is dropped. At most 1,000 wait for a slow reader.
    func follow() -> AsyncStream<EventEntry> {
        let id = nextFollower.add(1, ordering: .relaxed).oldValue
        let (stream, continuation) = AsyncStream<EventEntry>.makeStream(bufferingPolicy: .bufferingNewest(1000))
        continuation.onTermination = { [weak self] _ in
            _ = self?.followers.withLock { $0.removeValue(forKey: id) }
        }
        followers.withLock { $0[id] = continuation }
        return stream
    }

    // MARK: requests

    /// Gives the controller an operator's request and waits for its answer.
    func ask(_ request: OperatorRequest, timeout: Duration = .seconds(30)) async -> OperatorAnswer {
        let id = nextRequest.add(1, ordering: .relaxed).oldValue
        let alarm = Task {
            try? await Task.sleep(for: timeout)
            self.waitingAnswers.withLock { $0.removeValue(forKey: id) }?
                .resume(returning: .refused("the controller did not answer within \(timeout)"))
        }
        defer { alarm.cancel() }
        return await withCheckedContinuation { continuation in
            waitingAnswers.withLock { $0[id] = continuation }
            edge.give(.request(OperatorRequestID(id), request))
        }
    }

    /// The text that belongs to a revision that is about to be committed.
    func expect(_ revision: ConfigurationRevision) { pendingTexts.withLock { $0[revision.number] = revision } }
    func forget(_ revision: UInt64) { _ = pendingTexts.withLock { $0.removeValue(forKey: revision) } }

    // MARK: the datastore (FIG. 14)

    private func keep(_ report: Edge.Report) async {
        switch report {
        case .state(let controllerState, let epoch):
            if controllerState.isActive, epoch != .zero {
                await storeAndMirror(.mastership(MastershipEntry(epoch: epoch.value, controller: controller, time: .now)))
            }
        case .configured(let revision, let octets): await configured(revision, octets)
        case .mirror(let transaction, let octets):
            let outcome = await datastore.apply(octets)
            edge.give(.mirrored(transaction: transaction, refusal: outcome.refusal))
        case .mirrorAnswered(_, let refusal):
            if let refusal { note(Event(.warning, "datastore", "the twin did not store a transaction: \(refusal)")) }
        case .interfaces(let list):
            let addresses = list.flatMap { $0.addresses.map(\.address) }
            if installsGuard, !addresses.isEmpty, let reason = GuardRule.install(for: addresses) {
                note(Event(.warning, "host", "guard: \(reason)"))
            }
        case .pairKey(let key):
            if let failure = PairMemory(identity: identity, key: key).store(datastore: datastore.path) {
                note(Event(.alarm, "host", "the key of the pair's beats cannot be kept: \(failure)"))
            }
        case .mirrorEverything:
            for transaction in await datastore.everything() { mirror(transaction) }
        default: break
        }
    }

    private func storeAndMirror(_ transaction: DatastoreTransaction) async {
        _ = await datastore.store(transaction)
        mirror(transaction)
    }

    /// Without a twin there is nothing to do: one that joins gets everything.
    func mirror(_ transaction: DatastoreTransaction) {
        guard state.withLock({ $0.isChannelOpen }) else { return }
        guard let octets = try? transaction.encoded() else { return }
        edge.give(.mirror(transaction: nextTransaction.add(1, ordering: .relaxed).oldValue, octets))
    }

    /// A configuration came into force. Where it was committed its text is at hand; elsewhere the twin mirrors it, and if
    /// it does not, the text is written from the octets.
    private func configured(_ revision: UInt64, _ octets: [UInt8]) async {
        state.withLock { $0.lastConfigured = revision }
        if let pending = pendingTexts.withLock({ $0.removeValue(forKey: revision) }) {
            await storeAndMirror(.configuration(pending))
            return
        }
        Task { [self] in
            try? await Task.sleep(for: .seconds(3))
            let known = await datastore.configuration(revision)
            guard known?.octets != octets else { return }
            _ = await datastore.store(.configuration(ConfigurationRevision(
                number: revision, time: .now, author: "", comment: "from the twin",
                text: RouterFile.text(octets), octets: octets)))
        }
    }
}

extension WallTime {
    static var now: WallTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return WallTime(microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
    var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1e6) }
}
