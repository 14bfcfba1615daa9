import Controller
import Datastore
import Foundation
import Logging
import Machine
import Management
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
        var isActive = false
        /// What the controller was told of the datastore's configuration.
        var lastLearned = ConfigurationPosition.none
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
    /// Configurations that were committed here, with their texts, until the controller says that they are in force.
    private let pendingTexts = Mutex<[UInt64: ConfigurationRevision]>([:])
    /// By revision: in force, and where it is stored.
    private let commits = OpenQuestions<CommitResult>()
    /// By transaction: what the twin says. `nil` inside: stored.
    private let mirrors = OpenQuestions<ConfigurationStorage.Absence?>()
    private let throttle = Mutex(EventThrottle())
    private let followers = Mutex<[UInt64: AsyncStream<EventEntry>.Continuation]>([:])
    private let nextFollower = Atomic<UInt64>(1)
    private let work: AsyncStream<Edge.Report>.Continuation
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
        Task { [self] in
            while !Task.isCancelled {
                try await Task.sleep(for: EventThrottle.patience)
                tellLeftOut()
            }
        }
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
                    state.withLock {
                        $0.controllerState = ControllerStateSince(text: "\(controllerState)", since: Date())
                        $0.isActive = controllerState.isActive
                    }
                    work.yield(report)
                case .channel(let isOpen):
                    state.withLock {
                        $0.isChannelOpen = isOpen
                        $0.channelSince = Date()
                    }
                    if !isOpen { mirrors.settleAll(.failed("the connection to it was lost before it answered")) }
                case .mirrorAnswered(let transaction, let refusal):
                    let isAwaited = mirrors.settle(
                        transaction, refusal.map { $0 == Controller.noTwin ? .noTwin : .failed($0) })
                    if let refusal, !isAwaited {
                        note(Event(.warning, "datastore", "the twin did not store a transaction: \(refusal)"))
                    }
                case .answer(let id, let answer):
                    waitingAnswers.withLock { $0.removeValue(forKey: id.value) }?.resume(returning: answer)
                case .exit(let reason): onExit(reason)
                case .stopped: isStopped.signal()
                case .interfaces, .configured, .mirror, .mirrorEverything, .pairKey: work.yield(report)
                }
            }
            reports.removeAll()
        }
    }

    // MARK: events

    /// Any thread.
    func note(_ event: Event) {
        for event in throttle.withLock({ $0.admit(event, at: monotonicNow()) }) { pass(event) }
    }

    /// What floods have left out, told now and then while there is any.
    private func tellLeftOut() {
        for event in throttle.withLock({ $0.overdue(at: monotonicNow()) }) { pass(event) }
    }

    private func pass(_ event: Event) {
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

    // MARK: commits

    /// How long an operator waits until a configuration is in force, and then until it is known where it is stored.
    static let inForceMaximum: Duration = .seconds(15)
    static let storedMaximum: Duration = .seconds(5)

    enum CommitResult: Sendable {
        case stored(ConfigurationStorage)
        case unknown
    }

    /// The text that belongs to a revision that comes into force without an operator: the router file of a first start.
    func expect(_ revision: ConfigurationRevision) { pendingTexts.withLock { $0[revision.number] = revision } }

    /// Commits a configuration, and says where it is stored when it is in force.
    func commit(_ revision: ConfigurationRevision) async throws -> ConfigurationStorage {
        expect(revision)
        commits.open(revision.number)
        if case .refused(let reason) = await ask(.commit(revision: revision.number, revision.octets)) {
            _ = pendingTexts.withLock { $0.removeValue(forKey: revision.number) }
            commits.forget(revision.number)
            throw ManagementFailure(.refused, reason)
        }
        switch await commits.answer(to: revision.number, within: Self.inForceMaximum + Self.storedMaximum, otherwise: .unknown) {
        case .stored(let storage): return storage
        case .unknown:
            throw ManagementFailure(
                .failed,
                "revision \(revision.number) is in the log of controller \(controller.letter), and it is not known whether it is in "
                    + "force and stored; see 'lockstepctl show redundancy' and 'config history' on both controllers")
        }
    }

    // MARK: the datastore (FIG. 14)

    private func keep(_ report: Edge.Report) async {
        switch report {
        case .state(let controllerState, let epoch):
            if controllerState.isActive, epoch != .zero {
                await storeAndMirror(.mastership(MastershipEntry(epoch: epoch.value, controller: controller, time: .now)))
            }
        case .configured(let position, let octets): await configured(position, octets)
        case .mirror(let transaction, let octets): await store(transaction, octets)
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

    /// A transaction of the twin. It is told when the disk has it.
    private func store(_ transaction: UInt64, _ octets: [UInt8]) async {
        let outcome = await datastore.apply(octets)
        edge.give(.mirrored(transaction: transaction, refusal: outcome.refusal))
        await tellPosition()
    }

    /// A standby learns from its datastore where the active's configuration stands: its own engine's copy does not say.
    private func tellPosition() async {
        guard let position = await datastore.configuration()?.position else { return }
        let isNews = state.withLock { state in
            defer { state.lastLearned = position }
            return state.lastLearned != position
        }
        guard isNews else { return }
        _ = try? await edge.look { controller, _ in controller.learnedConfiguration(position) }
    }

    /// Without a twin there is nothing to do: one that joins gets everything.
    func mirror(_ transaction: DatastoreTransaction) { _ = send(transaction, isAwaited: false) }

    /// The number under which the twin's answer comes, or why there will be none.
    private func send(
        _ transaction: DatastoreTransaction, isAwaited: Bool
    ) -> Result<UInt64, TwinAbsence> {
        guard state.withLock({ $0.isChannelOpen }) else { return .failure(TwinAbsence(.noTwin)) }
        let octets: [UInt8]
        do { octets = try transaction.encoded() } catch { return .failure(TwinAbsence(.failed("\(error)"))) }
        let number = nextTransaction.add(1, ordering: .relaxed).oldValue
        if isAwaited { mirrors.open(number) }
        edge.give(.mirror(transaction: number, octets))
        return .success(number)
    }
    private struct TwinAbsence: Error {
        var reason: ConfigurationStorage.Absence
        init(_ reason: ConfigurationStorage.Absence) { self.reason = reason }
    }

    /// A configuration is in force. Where an operator gave it its text is at hand; elsewhere it is written from the octets
    /// at once, and the twin's datastore adds who wrote it and how.
    private func configured(_ position: ConfigurationPosition, _ octets: [UInt8]) async {
        let pending = pendingTexts.withLock { $0.removeValue(forKey: position.revision) }
        var revision: ConfigurationRevision
        if let pending, pending.octets == octets {
            revision = pending
        } else if let known = await datastore.configuration(position.revision), known.octets == octets {
            revision = known
        } else {
            revision = ConfigurationRevision(
                number: position.revision, time: .now, author: "", comment: "", text: RouterFile.text(octets), octets: octets)
        }
        revision.position = position
        let transaction = DatastoreTransaction.configuration(revision)
        let outcome = await datastore.store(transaction)
        guard state.withLock({ $0.isActive }) || pending != nil else { return await tellPosition() }
        // In order with what else is told; its answer is waited for elsewhere, or a twin that is slow would hold up all.
        let sent = send(transaction, isAwaited: pending != nil)
        guard pending != nil else { return }
        Task { [self] in
            var storage = ConfigurationStorage(here: outcome.refusal.map { .failed($0) })
            switch sent {
            case .failure(let absence): storage.twin = absence.reason
            case .success(let number):
                storage.twin = await mirrors.answer(
                    to: number, within: Self.storedMaximum,
                    otherwise: .failed("it did not answer within \(Self.storedMaximum)"))
            }
            commits.settle(position.revision, .stored(storage))
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
