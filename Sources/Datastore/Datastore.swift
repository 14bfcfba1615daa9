import Dispatch
import Foundation
import Records
import Synchronization

/// What survives the process: configurations and their history, epochs, switchovers, events (FIG. 14).
///
/// The lock step never waits for it. It lives on a thread of its own and takes work through bounded queues; `log` can be
/// called from any thread and returns at once. A disk that is full, gone or damaged is an alarm and nothing more: what
/// cannot be written waits in memory, is readable there, and is tried again. A damaged file is moved aside and a new one
/// begun, which the twin or the configuration file fills.
public actor Datastore {
    /// Version of the tables of the file. No other is read, but for those that an older release left.
    public static let tablesVersion = DatastoreFile.version

    public struct Status: Hashable, Sendable {
        /// The failure that stands now; `nil` when everything is on disk.
        public var failure: DatastoreFailure?
        public var waitingTransactions: Int
        public var waitingEvents: Int
        /// Since start.
        public var droppedEvents: UInt64
        public var droppedTransactions: UInt64
    }

    public nonisolated let path: String
    private nonisolated let controller: ControllerID
    private nonisolated let limits: DatastoreLimits
    private nonisolated let notify: @Sendable (Event) -> Void
    private nonisolated let mirror: (@Sendable (DatastoreTransaction) -> Void)?
    private nonisolated let executor = DiskExecutor()
    public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private struct Intake {
        var buffer: EventBuffer
        var isFlushScheduled = false
    }
    private nonisolated let intake: Mutex<Intake>

    private var file: DatastoreFile?
    private var failure: DatastoreFailure?
    /// Not on disk yet, oldest first.
    private var waiting: [DatastoreTransaction] = []
    private var droppedTransactions: UInt64 = 0
    /// What a file that is begun anew while we run must hold at once.
    private var newest: (configuration: ConfigurationRevision?, mastership: MastershipEntry?)
    /// Why what the file holds now is not all that was held.
    private var loss: String?
    private var retryDelay: Duration?
    private var isRetryScheduled = false

    /// Opens the file, or goes on without it. Directories are not created.
    /// - Parameters:
    ///   - controller: whose events `log` takes.
    ///   - mirror: gets events of this controller that are on disk now, for the twin's `apply`, on the datastore's thread.
    ///     At most 256 of them at once. Debug events and the datastore's own stay here: a twin that refuses would otherwise
    ///     answer each event with one more.
    ///   - notify: gets what an operator should know about the datastore itself, on its thread. May call `log`.
    public static func open(
        path: String, controller: ControllerID, limits: DatastoreLimits = DatastoreLimits(),
        mirror: (@Sendable (DatastoreTransaction) -> Void)? = nil, notify: @escaping @Sendable (Event) -> Void
    ) async -> Datastore {
        let datastore = Datastore(path: path, controller: controller, limits: limits, mirror: mirror, notify: notify)
        await datastore.begin()
        return datastore
    }

    private init(
        path: String, controller: ControllerID, limits: DatastoreLimits,
        mirror: (@Sendable (DatastoreTransaction) -> Void)?, notify: @escaping @Sendable (Event) -> Void
    ) {
        self.path = path
        self.controller = controller
        self.limits = limits
        self.mirror = mirror
        self.notify = notify
        intake = Mutex(Intake(buffer: EventBuffer(nextNumber: 1, maximum: limits.waitingEvents)))
    }

    private func begin() {
        do throws(DatastoreFailure) {
            try openFile()
        } catch {
            fail(error)
        }
    }

    /// Writes what waits and closes the file.
    public func close() {
        flush()
        file?.close()
        file = nil
    }

    public var status: Status {
        let (events, dropped) = intake.withLock { ($0.buffer.entries.count, $0.buffer.dropped) }
        return Status(
            failure: failure, waitingTransactions: waiting.count, waitingEvents: events, droppedEvents: dropped,
            droppedTransactions: droppedTransactions)
    }

    // MARK: writing

    /// Takes an event. Returns at once, on any thread.
    /// - Returns: the entry with its number.
    @discardableResult
    public nonisolated func log(_ event: Event, at time: WallTime) -> EventEntry {
        let (entry, mustSchedule) = intake.withLock { intake in
            let entry = intake.buffer.append(event, time: time, controller: controller)
            defer { intake.isFlushScheduled = true }
            return (entry, !intake.isFlushScheduled)
        }
        if mustSchedule { Task { await self.flush() } }
        return entry
    }

    /// Stores a transaction of this controller; when it is stored, its octets go to the twin.
    public func store(_ transaction: DatastoreTransaction) -> DatastoreOutcome {
        // In order: an older one that waits goes first.
        if !waiting.isEmpty || file == nil { retry() }
        do throws(DatastoreFailure) {
            guard waiting.isEmpty else { throw failure ?? DatastoreFailure(.other, "older transactions wait") }
            try write(transaction)
            remember(transaction)
            return .stored
        } catch {
            if error.kind == .notUnderstood { return .refused(error) }
            remember(transaction)
            wait(transaction, error)
            return .deferred(error)
        }
    }

    /// Stores a transaction of the twin (FIG. 14, operation 1406). The same one may come again.
    public func apply(_ octets: [UInt8]) -> DatastoreOutcome {
        do {
            return store(try DatastoreTransaction(decoding: octets))
        } catch {
            return .refused(DatastoreFailure(.notUnderstood, "the transaction is not understood: \(error)"))
        }
    }

    /// Writes the events that wait, and returns those that are on disk now.
    @discardableResult
    public func flush() -> [EventEntry] {
        let entries = intake.withLock { intake in
            intake.isFlushScheduled = false
            return intake.buffer.take()
        }
        if entries.isEmpty { return [] }
        do throws(DatastoreFailure) {
            try write(.events(entries))
            mirror(entries)
            return entries
        } catch {
            // `isFlushScheduled` stays set while the disk is away, so that events do not each try it again.
            intake.withLock { intake in
                intake.buffer.putBack(entries)
                intake.isFlushScheduled = true
            }
            fail(error)
            return []
        }
    }

    private func mirror(_ entries: [EventEntry]) {
        guard let mirror else { return }
        let wanted = entries.filter { $0.event.severity > .debug && $0.event.component != "datastore" }
        for start in stride(from: 0, to: wanted.count, by: 256) {
            mirror(.events(Array(wanted[start..<min(start + 256, wanted.count)])))
        }
    }

    private func write(_ transaction: DatastoreTransaction) throws(DatastoreFailure) {
        guard let file else { throw failure ?? DatastoreFailure(.inaccessible, "the file is not open") }
        do throws(DatastoreFailure) {
            try file.write(transaction)
        } catch  where error.kind == .full {
            try file.makeRoom()
            try file.write(transaction)
        } catch  where error.kind == .damaged {
            // A new file takes it: what was in the old one comes again from the twin.
            try openFile()
            guard let file = self.file else { throw error }
            try file.write(transaction)
        }
    }

    private func wait(_ transaction: DatastoreTransaction, _ failure: DatastoreFailure) {
        waiting.append(transaction)
        if waiting.count > limits.waitingTransactions {
            // The newest configuration is the last thing to give up.
            let kept = waiting.lastIndex { $0.entersForce != nil }
            waiting.remove(at: kept == 0 ? 1 : 0)
            droppedTransactions += 1
        }
        fail(failure)
    }

    /// What is in force for this process, by the rule by which the file marks it.
    private func remember(_ transaction: DatastoreTransaction) {
        if var revision = transaction.entersForce, transaction.comes(after: newest.configuration) {
            if revision.author.isEmpty, let known = known(like: revision) {
                let position = transaction.isAuthoritative ? revision.position : max(revision.position, known.position)
                revision = known
                revision.position = position
            }
            newest.configuration = revision
        } else if case .mastership(let entry) = transaction, entry.epoch >= newest.mastership?.epoch ?? 0 {
            newest.mastership = entry
        }
    }

    /// The same configuration as its author wrote it: octets alone come with the log.
    private func known(like revision: ConfigurationRevision) -> ConfigurationRevision? {
        if let held = newest.configuration, held.isSame(as: revision) { return held }
        if let waits = waitingRevisions.first(where: { $0.isSame(as: revision) && !$0.author.isEmpty }) { return waits }
        return read([]) { file throws(DatastoreFailure) in
            try file.revisions(number: revision.number, withContents: true, limit: 8)
        }.first { $0.isSame(as: revision) }
    }

    // MARK: trouble

    /// Opens the file; a damaged one is moved aside first.
    private func openFile() throws(DatastoreFailure) {
        file?.close()
        file = nil
        let opened: DatastoreFile
        do throws(DatastoreFailure) {
            opened = try DatastoreFile(path: path, limits: limits)
        } catch  where error.kind == .damaged {
            let aside = try moveAside()
            loss = "the datastore was damaged (\(error.reason)) and moved to \(aside)"
            notify(
                Event(
                    .alarm, "datastore",
                    "\(path) is damaged (\(error.reason)); it was moved to \(aside) and a new one is begun"))
            opened = try DatastoreFile(path: path, limits: limits)
        }
        // What this process knows is later than whatever a file holds that could not be read before, and is not lost
        // with one that could not be read any more.
        if let entry = newest.mastership { try opened.write(.mastership(entry)) }
        if let revision = newest.configuration { try opened.write(.configurationInForce(revision)) }
        let last = try opened.lastEventNumber(of: controller)
        intake.withLock { $0.buffer.number(after: last) }
        if newest.configuration == nil { newest.configuration = try opened.inForce() }
        if newest.mastership == nil { newest.mastership = try opened.masterships(limit: 1).first }
        file = opened
    }

    private func moveAside() throws(DatastoreFailure) -> String {
        let manager = FileManager.default
        let places = Self.places(aside: path)
        let aside = places.first { !Self.isTaken($0) } ?? places[8]
        for suffix in ["", "-wal", "-shm"] {
            try? manager.removeItem(atPath: aside + suffix)
            guard manager.fileExists(atPath: path + suffix) else { continue }
            do {
                try manager.moveItem(atPath: path + suffix, toPath: aside + suffix)
            } catch {
                throw DatastoreFailure(.inaccessible, "\(path)\(suffix) is damaged and cannot be moved aside: \(error)")
            }
        }
        return aside
    }

    /// Whether a damaged file, or the log of one that was gone, lies there.
    private static func isTaken(_ place: String) -> Bool {
        FileManager.default.fileExists(atPath: place) || FileManager.default.fileExists(atPath: place + "-wal")
    }
    /// Where damaged files go.
    private static func places(aside path: String) -> [String] { (1...9).map { "\(path).damaged-\($0)" } }

    /// Notes a failure, says it once, and comes back later.
    private func fail(_ new: DatastoreFailure) {
        if failure?.kind != new.kind {
            notify(Event(.alarm, "datastore", "\(path): \(new.reason); the router goes on from memory and tries again"))
        }
        failure = new
        guard let minimum = limits.retryMinimum, !isRetryScheduled else { return }
        let delay = min(retryDelay ?? minimum, limits.retryMaximum)
        retryDelay = delay * 2
        isRetryScheduled = true
        Task {
            try? await Task.sleep(for: delay)
            self.retryScheduled()
        }
    }
    private func retryScheduled() {
        isRetryScheduled = false
        retry()
    }

    /// Tries again what waits. Called by itself after a while; an operator or a test need not wait.
    public func retry() {
        do throws(DatastoreFailure) {
            if file == nil { try openFile() }
            while let first = waiting.first {
                try write(first)
                waiting.removeFirst()
            }
        } catch {
            return fail(error)
        }
        let before = failure
        failure = nil
        flush()
        guard let before, failure == nil else { return }
        retryDelay = nil
        notify(Event(.notice, "datastore", "\(path) is written again (it was: \(before.reason))"))
    }

    // MARK: reading

    /// A read that cannot be done reads nothing: what waits in memory is there in any case.
    private func read<T>(_ nothing: T, _ body: (DatastoreFile) throws(DatastoreFailure) -> T) -> T {
        guard let file else { return nothing }
        do throws(DatastoreFailure) {
            return try body(file)
        } catch {
            if error.kind == .damaged {
                do throws(DatastoreFailure) { try openFile() } catch { fail(error) }
            } else {
                fail(error)
            }
            return nothing
        }
    }

    /// What to begin with. Ask before anything is stored.
    public func beginning() -> StoredConfiguration {
        guard let file else { return .lost("\(path): \(failure?.reason ?? "the file is not open")") }
        do throws(DatastoreFailure) {
            if let revision = try file.inForce() { return .inForce(revision) }
            if let loss { return .lost(loss) }
            let aside = Self.places(aside: path).first(where: Self.isTaken)
            if let aside { return .lost("the datastore holds no configuration, and an earlier one was moved to \(aside)") }
            if let entry = try file.masterships(limit: 1).first {
                return .lost("\(path) knows of epoch \(entry.epoch) and holds no configuration that was in force")
            }
            guard try file.revisions(withContents: false, limit: 1).isEmpty else {
                return .lost("\(path) does not say which of its configurations was in force last")
            }
            return .never
        } catch {
            return .lost("\(path): \(error.reason)")
        }
    }

    /// The newest `limit` revisions, newest first, without text and octets.
    public func history(limit: Int) -> [ConfigurationRevision] {
        let stored = read([]) { file throws(DatastoreFailure) in try file.revisions(withContents: false, limit: limit) }
        let inMemory = waitingRevisions.map { revision in
            var head = revision
            head.text = ""
            head.octets = []
            return head
        }
        return Array((inMemory + stored).prefix(max(0, limit)))
    }

    /// The revision with this number, the later one if there are two, or the one that is in force.
    public func configuration(_ number: UInt64? = nil) -> ConfigurationRevision? {
        guard let number else { return newest.configuration }
        if let found = waitingRevisions.first(where: { $0.number == number }) { return found }
        return read([]) { file throws(DatastoreFailure) in
            try file.revisions(number: number, withContents: true, limit: 1)
        }.first
    }

    private var waitingRevisions: [ConfigurationRevision] { waiting.reversed().compactMap(\.revision) }

    /// The greatest epoch that this controller knows.
    public func mastership() -> MastershipEntry? {
        let stored = read([]) { file throws(DatastoreFailure) in try file.masterships(limit: 1) }
        let inMemory = waiting.compactMap { if case .mastership(let entry) = $0 { entry } else { nil } }
        return (stored + inMemory).max { $0.epoch < $1.epoch }
    }

    /// Newest first.
    public func switchovers(limit: Int) -> [SwitchoverEntry] {
        let stored = read([]) { file throws(DatastoreFailure) in try file.switchovers(limit: limit) }
        let inMemory = waiting.reversed().compactMap { if case .switchover(let entry) = $0 { entry } else { nil } }
        return Array((inMemory + stored).prefix(max(0, limit)))
    }

    /// The newest `limit` events that the query selects, oldest first.
    public func events(_ query: EventSelection) -> [EventEntry] {
        let inMemory = intake.withLock { $0.buffer.entries }.filter(query.selects)
        let stored = read([]) { file throws(DatastoreFailure) in try file.events(query) }
        return Array((stored + inMemory).suffix(max(0, query.limit)))
    }

    /// What a twin that joins must be told, as transactions for its `apply`: first the configuration in force, then
    /// epochs and earlier configurations, oldest first, the last switchovers and this controller's last events.
    /// - Parameters:
    ///   - revisions: so many of the newest.
    public func everything(revisions limit: Int = 20) -> [DatastoreTransaction] {
        let stored = read([]) { file throws(DatastoreFailure) in try file.revisions(withContents: true, limit: limit) }
        let masterships = read([]) { file throws(DatastoreFailure) in try file.masterships(limit: 20) }
        let switchovers = read([]) { file throws(DatastoreFailure) in try file.switchovers(limit: 20) }
        let selection = EventSelection(controller: controller, severity: .info, limit: 256)
        let events = read([]) { file throws(DatastoreFailure) in try file.events(selection) }
        let inForce = newest.configuration
        let past = (stored.reversed() + waitingRevisions.reversed()).filter { revision in
            !(inForce.map(revision.isSame) ?? false)
        }
        // A twin that is cut off in the middle must not have epochs and no configuration.
        return (inForce.map { [.configurationInForce($0)] } ?? []) + masterships.reversed().map { .mastership($0) }
            + past.map { .pastConfiguration($0) } + switchovers.reversed().map { .switchover($0) }
            + (events.isEmpty ? [] : [.events(events)]) + waiting.filter { $0.revision == nil }
    }
}

extension DatastoreTransaction {
    /// The configuration in it.
    var revision: ConfigurationRevision? {
        switch self {
        case .configuration(let revision), .configurationInForce(let revision), .pastConfiguration(let revision): revision
        case .mastership, .switchover, .events: nil
        }
    }
    /// The configuration in it, if it may be the one to begin with.
    var entersForce: ConfigurationRevision? {
        if case .pastConfiguration = self { nil } else { revision }
    }
    /// Whether it is the one to begin with where this one was; the file decides by the same rule.
    func comes(after held: ConfigurationRevision?) -> Bool {
        guard case .configuration(let revision) = self, let held else { return true }
        return revision.isSame(as: held) || revision.position > held.position
    }
    /// Whether its position counts even if an earlier one was said before.
    var isAuthoritative: Bool { if case .configurationInForce = self { true } else { false } }
}

extension ConfigurationRevision {
    func isSame(as other: ConfigurationRevision) -> Bool { number == other.number && octets == other.octets }
}

/// Runs the datastore on a thread that may wait for a disk, so that no thread of the runtime's small pool does.
private final class DiskExecutor: SerialExecutor {
    private let queue = DispatchQueue(label: "datastore")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
