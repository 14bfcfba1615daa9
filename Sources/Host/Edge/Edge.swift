import Controller
import Engine
import Glibc
import Identity
import Machine
import Records
import Redundancy
import Synchronization
import Wire

/// The edge thread: one epoll loop that drives the `Controller` with the real world (DESIGN §11).
///
/// A turn takes what is ready (frames, the twin's octets, the engine's reports, commands, time), gives it to the
/// controller, ends the batch, and carries out what the controller wants: first the twin's octets, because everything
/// else waits for the twin, then frames. It waits for nothing but epoll, and it touches no file and no log.
final class Edge: Sendable {
    /// What other threads want of the edge. Bounded by what the management socket admits, and a few of our own.
    enum Command: Sendable {
        case input(ControllerInput)
        case look(@Sendable (inout Controller, Instant) -> Void)
        /// The same with the devices' counters and the channel's.
        case survey(@Sendable (Survey) -> Void)
        case stop
    }
    struct Survey: Sendable {
        var devices: [(device: String, counters: PortCounters)]
        var channelVersion: String?
        var channelOctetsIn: UInt64
        var channelOctetsOut: UInt64
        var framesDiscarded: UInt64
        var lastBulkUpdate: BulkUpdate?
    }
    /// A bulk update from the order to take the snapshot until the standby was in lock step.
    struct BulkUpdate: Sendable {
        var finished: Instant
        var duration: Duration
        var octets: Int
        var longestEnginePause: Duration
    }
    /// What the edge tells the rest of the process, in order.
    enum Report: Sendable {
        case event(Event)
        case state(ControllerState, Epoch)
        case interfaces([InterfaceConfiguration])
        case configured(ConfigurationPosition, [UInt8])
        case answer(OperatorRequestID, OperatorAnswer)
        case mirror(transaction: UInt64, [UInt8])
        case mirrorAnswered(transaction: UInt64, refusal: String?)
        case mirrorEverything
        case pairKey(PairKey)
        case channel(isOpen: Bool)
        case exit(String)
        case stopped
    }
    struct Settings: Sendable {
        var bindings: [SegmentMap.Binding]
        var advertisementType: UInt16
        var channel: (settings: ReplicationChannel.Settings, identity: Renewable<ChannelIdentity>, gaspPort: UInt16)?
        var leaseFile: (path: String, lease: Duration)?
        var staleWait = Duration.seconds(3)
        /// A vote elsewhere, given where its answers and events go.
        var makeVote: (@Sendable (VoteSink) throws -> any VoteClient)?
        var failedTests: [String]
        var openPort: DevicePortMaker = { try PacketPort(device: $0) }
    }

    let commands: Mailbox<Command>
    let reports: Mailbox<Report>
    private let engine: EngineThread
    let forwarding: Forwarding?
    /// Turns, for the watchdog: odd while one is going on.
    let progress = Atomic<UInt64>(0)
    private let thread = Mutex<HostThread?>(nil)

    init(engine: EngineThread, forwarding: Forwarding? = nil) throws {
        self.engine = engine
        self.forwarding = forwarding
        commands = try Mailbox()
        reports = try Mailbox()
    }

    /// Opens everything on the new thread and runs until told to stop.
    func start(
        _ settings: Settings, urgency: ThreadUrgency, makeController: @escaping @Sendable () -> Controller
    ) throws {
        let started = try HostThread("edge", urgency: urgency, report: { [reports] in reports.put(.event($0)) }) { [self] in
            do {
                let loop = try EdgeLoop(settings, edge: self, engine: engine)
                loop.run(makeController())
                reports.put(.stopped)
            } catch {
                reports.put(.exit("\(error)"))
            }
        }
        thread.withLock { $0 = started }
    }

    func give(_ input: ControllerInput) { commands.put(.input(input)) }

    /// Runs `body` on the edge thread between two turns. Keep it short.
    func look<T: Sendable>(
        timeout: Duration = .seconds(5), _ body: @escaping @Sendable (inout Controller, Instant) -> T
    ) async throws -> T {
        let answer = OneAnswer<T>()
        commands.put(.look { controller, now in answer.succeed(body(&controller, now)) })
        let alarm = Task {
            try? await Task.sleep(for: timeout)
            answer.fail(EngineThread.Unavailable(description: "the edge did not answer within \(timeout)"))
        }
        defer { alarm.cancel() }
        return try await answer.value()
    }

    func stop() {
        commands.put(.stop)
        thread.withLock { $0 }?.join()
    }
}
