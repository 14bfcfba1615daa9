import CHost
import Configuration
import Controller
import Crypto
import Datastore
import Engine
import Foundation
import Identity
import Logging
import Machine
import Management
import Records
import Redundancy
import Synchronization

/// One `lockstepd`: reads its files, tests itself, starts its threads, and ends in order.
public final class Daemon: Sendable {
    /// What the process tells whoever started it.
    public enum ExitCode {
        public static let configuration: Int32 = 2
        public static let selfTest: Int32 = 3
        /// Something of the host failed while starting.
        public static let start: Int32 = 4
        /// The controller asked for a new start (an engine that hangs, lost mastership without a way back).
        public static let restart: Int32 = 5
    }
    public struct Options: Sendable {
        public var configuration: String
        /// Overrides the file's.
        public var logLevel: ControllerFile.LogLevel?
        /// How long a redundant active tries to hand over before it ends anyway.
        public var handoverLimit: Duration = .seconds(5)
        public var locksMemory = false
        /// Uses the router file although the datastore may have held a later configuration.
        public var acceptsFirstConfiguration = false
        public init(configuration: String) { self.configuration = configuration }
    }

    private let file: ControllerFile
    private let engine: EngineThread
    private let edge: Edge
    private let forwarding: Forwarding
    private let clerk: Clerk
    private let datastore: Datastore
    private let server: ManagementServer
    private let keys: KeyKeeper
    private let watchdog = Watchdog()
    private let options: Options

    /// Runs until a signal or a reason to end. Call it on the main thread, before any other thread exists.
    public static func run(_ options: Options) -> Int32 {
        // Threads inherit this mask: signals that end us are taken by `waitForSignal` alone.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
        // Whatever we write is ours alone, unless it is said otherwise where it is made; and our memory holds keys.
        umask(0o077)
        chost_keep_secrets()
        defer { StandardErrorLog.flush() }
        // For whatever our libraries have to say.
        LoggingSystem.bootstrap { StandardErrorLog(label: $0, logLevel: .warning) }

        let file: ControllerFile
        do {
            let (value, warnings) = try ConfigurationFiles.controller(options.configuration)
            file = value
            for warning in warnings { StandardErrorLog.write(level: .warning, component: "host", message: warning) }
        } catch {
            complain("\(error)")
            return ExitCode.configuration
        }
        do {
            try Gasp.install()
            // Before anything large is allocated and from the main thread; without it death is only noticed later.
            let kept = chost_keep_memory()
            if kept != 0 {
                StandardErrorLog.write(
                    level: .info, component: "host", message: "no memory keeper: \(SystemError.text(of: kept))")
            }
            if options.locksMemory {
                let locked = chost_lock_memory()
                if locked != 0 {
                    StandardErrorLog.write(
                        level: .warning, component: "host", message: "memory is not locked: \(SystemError.text(of: locked))")
                }
            }
            let daemon = try waitForResult { try await Daemon.make(file, options) }
            return daemon.serve(signals)
        } catch let refusal as ConfigurationFiles.Refusal {
            complain(refusal.description)
            return ExitCode.configuration
        } catch let failure as SelfTestFailure {
            complain("the self-test failed:\n" + failure.findings.map { "  - \($0)" }.joined(separator: "\n"))
            return ExitCode.selfTest
        } catch {
            complain("\(error)")
            return ExitCode.start
        }
    }

    /// Checks both configuration files and says what is wrong. Returns the exit code.
    public static func check(_ path: String) -> Int32 {
        do {
            let (file, warnings) = try ConfigurationFiles.controller(path)
            for warning in warnings { complain(warning) }
            if let redundancy = file.redundancy {
                // As it will be used: a certificate without its key, or what is no certificate, is found here.
                let (_, renewal) = try channelKeys(file, redundancy, path)
                warn(renewal)
                if case .insecure = redundancy.security {
                    complain("\(path): the redundancy channel is not protected (insecure): whoever reaches it is the twin")
                }
            }
            if let vote = try Vote.maker(file, session: 1, place: path) { warn(vote.renewal) }
            if let router = file.routerConfiguration {
                let (loaded, warnings) = try RouterFile.read(router)
                for warning in warnings { complain(warning) }
                for interface in loaded.configuration.interfaces
                where !interface.isLoopback && file.device(for: interface.name) == nil {
                    complain("\(path): interfaces: the router's interface '\(interface.name)' has no device here")
                }
            }
            print("\(path): accepted")
            return 0
        } catch {
            complain("\(error)")
            return ExitCode.configuration
        }
    }

    private static func warn(_ renewal: KeyKeeper.Renewal) {
        for path in renewal.files.certificates {
            if let (_, text) = CertificateFile.warning(path, at: Date()) { complain(text) }
        }
    }

    private static func complain(_ text: String) {
        for line in text.split(separator: "\n") { FileHandle.standardError.write(Data("lockstepd: \(line)\n".utf8)) }
    }

    struct SelfTestFailure: Error {
        var findings: [String]
    }

    private static func identity(
        _ file: ControllerFile, _ redundancy: RedundancyConfiguration
    ) throws -> ChannelIdentity {
        let security: ChannelSecurity =
            switch redundancy.security {
            case .sharedKey(let paths): .sharedKeys(try paths.map(ConfigurationFiles.sharedKey))
            case .certificates(let certificate, let privateKey, let authority, let peerName):
                .certificates(certificate: certificate, privateKey: privateKey, authority: authority, peerName: peerName)
            case .insecure: .insecure
            }
        return try ChannelIdentity(security, pair: file.pair, controller: file.controller)
    }

    /// The channel's identity, and how it is made again.
    /// - Parameter place: path of the controller's file.
    private static func channelKeys(
        _ file: ControllerFile, _ redundancy: RedundancyConfiguration, _ place: String
    ) throws -> (Renewable<ChannelIdentity>, KeyKeeper.Renewal) {
        let identity = Renewable(try identity(file, redundancy))
        let renewal = KeyKeeper.Renewal(name: "redundancy channel", place: place, files: files(redundancy)) {
            guard let now = try ConfigurationFiles.controller(place).0.redundancy else { return files(redundancy) }
            // Everything else in the file counts from the next start.
            identity.renew(try Self.identity(file, now))
            return files(now)
        }
        return (identity, renewal)
    }

    private static func files(_ redundancy: RedundancyConfiguration) -> KeyKeeper.Files {
        switch redundancy.security {
        case .sharedKey(let paths): .init(paths: paths)
        case .certificates(let certificate, let privateKey, let authority, _):
            .init(paths: [certificate, privateKey, authority], certificates: [certificate, authority])
        case .insecure: .init()
        }
    }

    // MARK: start

    private static func make(_ file: ControllerFile, _ options: Options) async throws -> Daemon {
        let level = Self.level(options.logLevel ?? file.logLevel)
        func say(_ level: Logger.Level, _ text: String) {
            StandardErrorLog.write(level: level, component: "host", message: text)
        }
        say(.notice, "lockstepd \(Release.version) begins as controller \(file.controller) of pair \(file.pair)")
        // Of a first start. Where more than the last folder is missing, a disk is, and that is an alarm.
        mkdir(URL(fileURLWithPath: file.datastore).deletingLastPathComponent().path, 0o750)
        let early = EarlyEvents()
        let mirror = LateMirror()
        let datastore = await Datastore.open(
            path: file.datastore, controller: file.controller, mirror: { mirror.take($0) }, notify: { early.note($0) })

        let first = try FirstConfiguration.choose(
            await datastore.beginning(), newest: await datastore.history(limit: 1).first?.number ?? 0,
            routerFile: file.routerConfiguration, acceptsFile: options.acceptsFirstConfiguration
        ) { path in
            let (loaded, warnings) = try RouterFile.read(path)
            for warning in warnings { say(.warning, warning) }
            return loaded
        }
        let router = first.router
        switch first {
        case .none: say(.notice, "router configuration: none yet; 'lockstepctl config apply FILE' gives one")
        case .stored(let revision, _): say(.info, "router configuration: \(revision.position) of the datastore")
        case .file(let number, _, let path): say(.info, "router configuration: \(path), as revision \(number)")
        case .lost(let reason):
            early.note(
                Event(
                    .alarm, "datastore",
                    FirstConfiguration.advice(reason, isAlone: file.isAlone, routerFile: file.routerConfiguration)))
        }

        try selfTest(file, router, say)
        let mastership = await datastore.mastership()
        let (memory, warning) = PairMemory.load(datastore: file.datastore)
        if let warning { say(.warning, warning) }
        if case .insecure? = file.redundancy?.security {
            say(.warning, "the redundancy channel is neither encrypted nor authenticated ('insecure: true')")
        }
        let settings = ControllerSettings.make(
            file, memory: memory,
            lastEpoch: max(Epoch(mastership?.epoch ?? 0), first.position.epoch),
            wasActive: mastership?.controller == file.controller, first: first,
            acceptsFirst: options.acceptsFirstConfiguration, testing: router?.testing.isEnabled ?? false)
        var edgeSettings = Edge.Settings(
            bindings: file.interfaces.map { .init(name: $0.name, device: $0.device, advertises: $0.advertises) },
            advertisementType: Beat.etherType, channel: nil,
            leaseFile: nil, failedTests: [])
        var renewals: [KeyKeeper.Renewal] = []
        if let redundancy = file.redundancy {
            let (identity, renewal) = try channelKeys(file, redundancy, options.configuration)
            renewals.append(renewal)
            edgeSettings.channel = (
                ReplicationChannel.Settings(
                    controller: file.controller, local: redundancy.local, peer: redundancy.peer, port: redundancy.port),
                identity, redundancy.gaspPort
            )
            if case .leaseFile(let path, let lease) = file.arbiter { edgeSettings.leaseFile = (path, lease) }
            edgeSettings.staleWait = redundancy.staleWait
            if let vote = try Vote.maker(file, session: settings.bootNonce, place: options.configuration) {
                edgeSettings.makeVote = vote.make
                renewals.append(vote.renewal)
            }
        }
        let daemon = try Daemon(
            file, options, datastore, settings, edgeSettings, level, early, first, renewals)
        let clerk = daemon.clerk
        mirror.begin { clerk.mirror($0) }
        return daemon
    }

    private static func selfTest(
        _ file: ControllerFile, _ router: RouterConfiguration?, _ say: (Logger.Level, String) -> Void
    ) throws {
        let interfaces = router?.interfaces ?? []
        let addresses = interfaces.flatMap { $0.addresses.map(\.address) }
        if file.guard == .install, file.forwarding.mode != .kernel, !addresses.isEmpty,
            let reason = GuardRule.install(for: addresses)
        {
            say(.warning, "guard: \(reason)")
        }
        let findings = SelfTest.findings(SelfTest.survey(file, interfaces: interfaces), guard: file.guard)
        for finding in findings where !finding.isFatal { say(.warning, "self-test: \(finding.message)") }
        let fatal = findings.filter(\.isFatal).map(\.message)
        guard fatal.isEmpty else { throw SelfTestFailure(findings: fatal) }
        let conflicts = SelfTest.conflicts(file, interfaces: interfaces)
        // Whoever answers for our address must not be able to keep the router off its own LAN (RFC 5227 §2.4 (b)).
        for conflict in conflicts { say(.error, "self-test: \(conflict): the router's address is in use by somebody else") }
    }

    private init(
        _ file: ControllerFile, _ options: Options, _ datastore: Datastore, _ settings: ControllerSettings,
        _ edgeSettings: Edge.Settings, _ level: Logger.Level, _ early: EarlyEvents,
        _ first: FirstConfiguration, _ renewals: [KeyKeeper.Renewal]
    ) throws {
        self.file = file
        self.options = options
        self.datastore = datastore
        let forwarding = try Forwarding(Forwarding.Settings(file)) { early.note($0) }
        self.forwarding = forwarding
        engine = try EngineThread { forwarding.put($0) }
        edge = try Edge(engine: engine, forwarding: forwarding)
        clerk = try Clerk(
            edge: edge, datastore: datastore, controller: file.controller, identity: settings.identity, logLevel: level,
            installsGuard: file.guard == .install && file.forwarding.mode != .kernel
        ) { reason in
            StandardErrorLog.write(level: .error, component: "host", message: "the process ends: \(reason)")
            StandardErrorLog.flush()
            // Not exit(3): a thread may hang, and nothing of ours must run any more.
            _exit(ExitCode.restart)
        }
        let clerk = clerk
        early.forward { clerk.note($0) }
        keys = KeyKeeper(renewals) { clerk.note($0) }
        // It is stored when it is in force, not before: one that never was must not look as if.
        if case .file(let number, let loaded, let path) = first {
            clerk.expect(
                ConfigurationRevision(
                    number: number, time: .now, author: "lockstepd", comment: "from \(path)", text: loaded.text,
                    octets: loaded.octets))
        }
        // First of all: a gate that a life before left open closes.
        try forwarding.start(interfaces: first.router?.interfaces)
        server = try ManagementServer(
            path: file.managementSocket,
            handler: ManagementAnswers(
                file: file, edge: edge, engine: engine, clerk: clerk, datastore: datastore,
                forwarding: forwarding))
        try engine.start(seed: settings.randomSeed, urgency: .raised) { clerk.note($0) }
        let made = UncheckedBox(settings)
        try edge.start(edgeSettings, urgency: .realtime(10)) { Controller(configuration: made.value) }
        try startWatchdog()
        startMemoryWatch()
        Task { [keys] in await keys.run() }
    }

    private func startWatchdog() throws {
        let (edge, engine) = (edge, engine)
        try watchdog.start(
            limit: file.watchdog,
            watches: [
                .init("the engine", blames: .record, warn: { edge.give(.engineStuck(LogIndex($0))) }, spent: { engine.cpuTime }) {
                    let applying = unsafe chost_load_relaxed(chost_gasp_applying())
                    return applying == 0 || engine.progress.load(ordering: .relaxed) & 1 == 0 ? nil : applying
                },
                .init("the edge", blames: .frame) {
                    let turns = edge.progress.load(ordering: .relaxed)
                    return turns & 1 == 1 ? nil : turns
                },
            ])
    }

    private func startMemoryWatch() {
        guard file.memoryWarning != nil || file.memoryLimit != nil else { return }
        let (edge, bounds) = (edge, MemoryWatch(warning: file.memoryWarning, limit: file.memoryLimit))
        Task {
            var watch = bounds
            while !Task.isCancelled {
                if let pressure = watch.look(Self.residentOctets, at: monotonicNow()) { edge.give(.memory(pressure)) }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    static var residentOctets: UInt64 {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return 0 }
        let fields = text.split(separator: " ")
        return fields.count > 1 ? (UInt64(fields[1]) ?? 0) * UInt64(sysconf(Int32(_SC_PAGESIZE))) : 0
    }

    // MARK: end

    private func serve(_ signals: sigset_t) -> Int32 {
        var signals = signals
        while true {
            var number: Int32 = 0
            sigwait(&signals, &number)
            if number == SIGHUP {
                clerk.note(
                    Event(.info, "host", "SIGHUP: looking at keys and certificates; a configuration is applied by lockstepctl"))
                Self.waitFor { [keys] in await keys.look(at: Date()) }
                continue
            }
            clerk.note(Event(.notice, "host", "\(number == SIGTERM ? "SIGTERM" : "SIGINT"): ending"))
            break
        }
        handOver()
        // So that the twin knows that this is no failure.
        Self.waitFor { [clerk] in _ = await clerk.ask(.leave(reason: "stopped"), timeout: .seconds(1)) }
        server.stop()
        watchdog.stop()
        edge.stop()
        forwarding.stop()
        _ = clerk.isStopped.wait(timeout: .now() + 1)
        Self.waitFor { [datastore] in await datastore.close() }
        StandardErrorLog.write(level: .notice, component: "host", message: "ended")
        return 0
    }

    /// A redundant active gives mastership to its twin before it goes, so that nobody notices.
    private func handOver() {
        let (edge, clerk, limit) = (edge, clerk, options.handoverLimit)
        Self.waitFor {
            let status = try? await edge.look(timeout: .seconds(1)) { controller, now in controller.status(at: now) }
            guard let status, status.state.isActive, status.isRedundant else { return }
            let answer = await clerk.ask(.switchover(reason: "lockstepd ends"), timeout: limit)
            if case .refused(let reason) = answer {
                clerk.note(Event(.warning, "host", "no graceful switchover before the end: \(reason)"))
            }
        }
    }

    private static func level(_ level: ControllerFile.LogLevel) -> Logger.Level {
        switch level {
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}

/// The main thread is not one of the runtime's, so it may wait for a task.
private func waitForResult<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    let done = DispatchSemaphore(value: 0)
    let result = UncheckedBox<Result<T, any Error>?>(nil)
    Task {
        do { result.value = .success(try await body()) } catch { result.value = .failure(error) }
        done.signal()
    }
    done.wait()
    return try result.value!.get()
}

extension Daemon {
    fileprivate static func waitFor(_ body: @escaping @Sendable () async -> Void) {
        let done = DispatchSemaphore(value: 0)
        Task {
            await body()
            done.signal()
        }
        done.wait()
    }
}

/// A value that is handed over once; a semaphore or a thread's start orders the two sides.
private final class UncheckedBox<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}

/// The way of events to the twin, once there is one; a twin that joins gets older ones from nowhere.
private final class LateMirror: Sendable {
    private let sink = Mutex<(@Sendable (DatastoreTransaction) -> Void)?>(nil)
    func begin(_ sink: @escaping @Sendable (DatastoreTransaction) -> Void) { self.sink.withLock { $0 = sink } }
    func take(_ transaction: DatastoreTransaction) { sink.withLock { $0 }?(transaction) }
}

/// What the datastore has to say before there is a clerk.
private final class EarlyEvents: Sendable {
    private struct State: Sendable {
        var waiting: [Event] = []
        var sink: (@Sendable (Event) -> Void)?
    }
    private let state = Mutex(State())

    func note(_ event: Event) {
        let sink = state.withLock { state in
            if state.sink == nil { state.waiting.append(event) }
            return state.sink
        }
        sink?(event)
    }
    func forward(_ sink: @escaping @Sendable (Event) -> Void) {
        let waiting = state.withLock { state in
            state.sink = sink
            defer { state.waiting = [] }
            return state.waiting
        }
        waiting.forEach(sink)
    }
}

public enum Release {
    public static let version = "0.1"
}
