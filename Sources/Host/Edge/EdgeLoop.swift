import CHost
import Controller
import Engine
import Glibc
import Machine
import Records
import Redundancy
import Synchronization
import Wire

/// What the edge thread owns, and its loop.
final class EdgeLoop {
    private enum Token {
        static let timer: UInt64 = 10, engine: UInt64 = 11, commands: UInt64 = 12, datagrams: UInt64 = 13, links: UInt64 = 14
    }
    /// What one device may bring in one turn, so that it can keep neither the others nor the twin's heartbeats waiting:
    /// at worst some milliseconds of work. Frames may be super-frames of 64 KiB.
    private static let framesPerTurn = 256, octetsPerTurn = 512 << 10

    private let edge: Edge
    private let engine: EngineThread
    private let poller: Poller
    private var timer: AlarmClock
    private let ports: PortTable
    private let channel: ReplicationChannel?
    private let leaseFile: LeaseFile?
    private let datagrams: LinkDatagrams?
    private let vote: (any VoteClient)?
    private let linkMonitor: Int32
    private let failedTests: [String]

    private var framesDiscarded: UInt64 = 0
    private var didReportDiscard = false
    private var isStopping = false
    /// What the turn under way has done, to say where the time went when it took too long.
    private var frameCount = 0, twinOctets = 0, reportCount = 0
    private var slowTurnSaidAt = Instant.zero
    /// A third of the time in which the twin's patience ends by default.
    private static let slowTurn = Duration.milliseconds(15)
    private var bulkBegan: Instant?
    private var bulkOctets = 0
    private var lastBulkUpdate: Edge.BulkUpdate?
    private var happenings: [ReplicationChannel.Happening] = []
    private var engineReports: [EngineReport] = []
    private var commands: [Edge.Command] = []

    init(_ settings: Edge.Settings, edge: Edge, engine: EngineThread) throws {
        self.edge = edge
        self.engine = engine
        failedTests = settings.failedTests
        poller = try Poller()
        timer = try AlarmClock()
        ports = PortTable(
            bindings: settings.bindings,
            advertisementType: settings.advertisementType, poller: poller, open: settings.openPort)
        if let channel = settings.channel {
            self.channel = ReplicationChannel(settings: channel.settings, identity: channel.identity, poller: poller)
            datagrams = LinkDatagrams(
                local: channel.settings.local, peer: channel.settings.peer, port: channel.gaspPort, poller: poller,
                token: Token.datagrams)
        } else {
            channel = nil
            datagrams = nil
        }
        if let file = settings.leaseFile, let controller = settings.channel?.settings.controller {
            leaseFile = try LeaseFile(path: file.path, controller: controller, lease: file.lease, staleWait: settings.staleWait)
            leaseFile?.releaseOnCrash()
        } else {
            leaseFile = nil
        }
        vote = try settings.makeVote?(
            VoteSink(
                answer: { [edge] in edge.give(.arbiter($0)) }, note: { [edge] in edge.reports.put(.event($0)) }))
        linkMonitor = chost_link_monitor()
        guard linkMonitor >= 0 else { throw SystemError("netlink", -linkMonitor) }
        try poller.add(timer.fd, token: Token.timer)
        try poller.add(engine.reports.bell, token: Token.engine)
        try poller.add(edge.commands.bell, token: Token.commands)
        try poller.add(linkMonitor, token: Token.links)
    }

    deinit {
        close(linkMonitor)
    }

    private func report(_ report: Edge.Report) { edge.reports.put(report) }
    private func tell(_ events: [Event]) { for event in events { report(.event(event)) } }

    // MARK: the loop

    func run(_ initial: consuming Controller) {
        var controller = initial
        // Which session's packet is to blame if this thread dies of it.
        chost_gasp_edge_thread()
        unsafe controller.noteSessions(in: ProgressMark(chost_gasp_session()))
        var turn = Turn()
        var ready: [Poller.Readiness] = []
        refreshLinks(&controller, &turn, monotonicNow(), everything: true)
        turn.hear(.start(failedTests: failedTests), &controller, at: monotonicNow())
        channel?.tick(now: chost_now(), into: &happenings)
        if let event = datagrams?.tick(now: chost_now()) { report(.event(event)) }
        finish(&turn, &controller)
        while !isStopping {
            armTimer(turn.deadline(controller.nextDeadline))
            edge.progress.add(1, ordering: .relaxed)
            ready.removeAll(keepingCapacity: true)
            poller.wait(milliseconds: -1) { ready.append($0) }
            edge.progress.add(1, ordering: .relaxed)
            chost_stop_if_dying()
            let now = monotonicNow()
            for source in ready { take(source, &controller, &turn, now) }
            // What the twin has sent is heard before its silence is judged.
            deliverHappenings(&controller, &turn)
            turn.tellTime(&controller, at: now, isTwinConnected: channel?.isOpen ?? false)
            channel?.tick(now: now.nanoseconds, into: &happenings)
            if let event = datagrams?.tick(now: now.nanoseconds) { report(.event(event)) }
            if datagrams?.hasNews ?? false { takeDatagrams(&controller, &turn, now) }
            if let retry = ports.retryAt, retry <= now {
                refreshLinks(&controller, &turn, now, everything: false)
            }
            lookAtLeaseFile(now)
            deliverHappenings(&controller, &turn)
            let worked = monotonicNow() - now
            finish(&turn, &controller)
            noteSlowTurn(since: now, worked)
        }
        vote?.stop()
    }

    /// Every 100 ms: one stat(2), on a memory file system.
    private func lookAtLeaseFile(_ now: Instant) {
        guard let leaseFile else { return }
        leaseFile.look(at: now)
        guard !leaseFile.events.isEmpty else { return }
        tell(leaseFile.events)
        leaseFile.events = []
        if let fault = leaseFile.fault { report(.exit(fault)) }
    }

    /// Once a second at most: a turn in which neither heartbeats nor anything else could move.
    private func noteSlowTurn(since began: Instant, _ worked: Duration) {
        let now = monotonicNow()
        if now - began >= Self.slowTurn, now - slowTurnSaidAt >= .seconds(1) {
            slowTurnSaidAt = now
            report(
                .event(
                    Event(
                        .info, "host",
                        "a turn of the edge took \((now - began).inMilliseconds) ms, "
                            + "\(worked.inMilliseconds) ms of them for input: \(frameCount) frames, \(twinOctets) octets from the twin, "
                            + "\(reportCount) reports of the engine")))
        }
        (frameCount, twinOctets, reportCount) = (0, 0, 0)
    }

    private func armTimer(_ deadline: Instant?) {
        var next = deadline ?? .distantFuture
        if let deadline = channel?.deadline { next = min(next, Instant(nanoseconds: max(1, deadline))) }
        if let retry = ports.retryAt { next = min(next, retry) }
        if let retry = datagrams?.retryAt { next = min(next, Instant(nanoseconds: max(1, retry))) }
        if let leaseFile { next = min(next, leaseFile.nextLook) }
        timer.set(next == .distantFuture ? 0 : max(1, next.nanoseconds))
    }

    private func take(
        _ source: Poller.Readiness, _ controller: inout Controller, _ turn: inout Turn, _ now: Instant
    ) {
        switch source.token {
        case PortTable.tokenBase...: takeFrames(Int(source.token - PortTable.tokenBase), &controller, &turn, now)
        case Token.engine:
            engine.reports.take(into: &engineReports)
            reportCount += engineReports.count
            for report in engineReports {
                if case .snapshot(let snapshot) = report {
                    encode(snapshot)
                } else {
                    turn.hear(.engine(report), &controller, at: now)
                }
            }
            engineReports.removeAll(keepingCapacity: true)
        case Token.timer: timer.acknowledge()
        case Token.commands: takeCommands(&controller, &turn, now)
        case Token.datagrams: takeDatagrams(&controller, &turn, now)
        case Token.links:
            withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
                // What changed is asked anew; the messages are only the bell.
                while recv(linkMonitor, buffer.baseAddress!, buffer.count, 0) > 0 {}
            }
            refreshLinks(&controller, &turn, now, everything: false)
        default: channel?.ready(source, now: now.nanoseconds, into: &happenings)
        }
    }

    private func takeFrames(
        _ position: Int, _ controller: inout Controller, _ turn: inout Turn, _ now: Instant
    ) {
        guard let port = ports.port(at: position) else { return }
        do {
            let count = try port.receive(limit: Self.framesPerTurn, octets: Self.octetsPerTurn) { frame in
                guard let interface = ports.interface(for: frame, at: position) else { return }
                unsafe frame.withUnsafeBytes { unsafe chost_gasp_frame($0.baseAddress, $0.count, interface.value) }
                turn.receive(frame, on: interface, &controller, at: now)
                chost_gasp_frame(nil, 0, 0)
            }
            frameCount += count
            // A ring that is not emptied in one turn may have been full.
            if count == Self.framesPerTurn, port.takeHasLostFrames() {
                for interface in ports.interfaces(at: position) { turn.hear(.framesLost(interface), &controller, at: now) }
            }
        } catch {
            report(.event(Event(.alarm, "host", "\(error)")))
            ports.fail(position, at: now)
            refreshLinks(&controller, &turn, now, everything: false)
        }
    }

    private func takeCommands(_ controller: inout Controller, _ turn: inout Turn, _ now: Instant) {
        edge.commands.take(into: &commands)
        for command in commands {
            switch command {
            case .input(let input):
                if case .snapshotEncoded(_, let bytes) = input { bulkOctets = bytes.count }
                turn.hear(input, &controller, at: now)
            case .look(let body): body(&controller, now)
            case .survey(let body):
                body(
                    Edge.Survey(
                        devices: ports.counters, channelVersion: channel?.version, channelOctetsIn: channel?.octetsIn ?? 0,
                        channelOctetsOut: channel?.octetsOut ?? 0, framesDiscarded: framesDiscarded,
                        lastBulkUpdate: lastBulkUpdate))
            case .stop: isStopping = true
            }
        }
        commands.removeAll(keepingCapacity: true)
    }

    private func takeDatagrams(_ controller: inout Controller, _ turn: inout Turn, _ now: Instant) {
        datagrams?.receive(now: now.nanoseconds) { news in
            switch news {
            case .datagram(let octets): turn.hear(.datagram(octets), &controller, at: now)
            case .refused: turn.hear(.datagramRefused, &controller, at: now)
            }
        }
    }

    private func refreshLinks(
        _ controller: inout Controller, _ turn: inout Turn, _ now: Instant, everything: Bool
    ) {
        var events: [Event] = []
        for (interface, isUp) in ports.refresh(at: now, everything: everything, &events) {
            turn.hear(.link(interface, isUp: isUp), &controller, at: now)
        }
        tell(events)
    }

    /// On a thread of its own, at low priority: it takes as long as the tables are large.
    private func encode(_ snapshot: EngineSnapshot) {
        do {
            _ = try HostThread("snapshot", urgency: .background) { [edge] in
                edge.give(.snapshotEncoded(snapshot.index, snapshot.encoded()))
            }
        } catch {
            report(.event(Event(.alarm, "host", "no thread for a snapshot: \(error)")))
        }
    }

    // MARK: the end of a turn

    private func finish(_ turn: inout Turn, _ controller: inout Controller) {
        turn.end()
        while true {
            switch turn.next(&controller, at: monotonicNow()) {
            case .carryOut(let output): carryOut(output, &controller, &turn)
            case .flushChannel:
                channel?.flush(now: chost_now(), into: &happenings)
                deliverHappenings(&controller, &turn)
            case .releaseFrames(let isAllowed): sendFrames(isAllowed: isAllowed)
            case .done: return
            }
        }
    }

    private func deliverHappenings(_ controller: inout Controller, _ turn: inout Turn) {
        guard !happenings.isEmpty else { return }
        var list: [ReplicationChannel.Happening] = []
        swap(&list, &happenings)
        let now = monotonicNow()
        for happening in list {
            switch happening {
            case .opened:
                report(.channel(isOpen: true))
                leaseFile?.isTwinSaidDead = false
                turn.hear(.channelOpened, &controller, at: now)
            case .received(let bytes):
                twinOctets += bytes.count
                turn.hear(.channelReceived(bytes), &controller, at: now)
            case .closed(let reason, let isProcessDead, let isStreamWhole):
                report(.channel(isOpen: false))
                leaseFile?.isTwinSaidDead = isProcessDead
                turn.hear(
                    .channelClosed(reason: reason, isProcessDead: isProcessDead, isStreamWhole: isStreamWhole), &controller,
                    at: now)
            case .event(let event): report(.event(event))
            }
        }
    }

    private func carryOut(_ output: ControllerOutput, _ controller: inout Controller, _ turn: inout Turn) {
        switch output {
        case .transmit(let interface, let frame): ports.send(frame, on: interface)
        case .advertise(let interface, let frame): ports.advertise(frame, on: interface)
        case .ask(let interface, let frame): ports.ask(frame, on: interface)
        case .lease: break
        case .channelSend(let bytes): channel?.send(bytes)
        case .channelClose(let reason):
            if channel?.isOpen ?? false {
                report(.channel(isOpen: false))
                report(.event(Event(.info, "host", "redundancy channel closed: \(reason)")))
            }
            channel?.close(now: chost_now())
        case .prepareGasp(let message):
            datagrams?.prepareGasp(message)
        case .datagram(let octets): datagrams?.send(octets, now: chost_now())
        case .pairKey(let key): report(.pairKey(key))
        case .arbiter(let request):
            if let vote {
                // Its answer comes as a command, in a later turn.
                vote.ask(request)
                break
            }
            let now = monotonicNow()
            let answer = leaseFile?.answer(request, at: now) ?? .unavailable("no arbiter is configured")
            turn.hear(.arbiter(answer), &controller, at: now)
        case .engine(let work):
            if case .snapshot = work {
                bulkBegan = monotonicNow()
                engine.longestPause.store(0, ordering: .relaxed)
            }
            engine.perform(work)
        case .event(let event): report(.event(event))
        case .state(let state, let epoch):
            // In this turn, before the announcements of the line card leave at its end.
            edge.forwarding?.set(isActive: state.isActive)
            if state == .active, let began = bulkBegan {
                let now = monotonicNow()
                lastBulkUpdate = Edge.BulkUpdate(
                    finished: now, duration: now - began, octets: bulkOctets,
                    longestEnginePause: .nanoseconds(engine.longestPause.load(ordering: .relaxed)))
                bulkBegan = nil
            }
            report(.state(state, epoch))
        case .interfaces(let list):
            var events: [Event] = []
            for interface in ports.setInterfaces(list, &events) {
                events.append(
                    Event(
                        .alarm, "host",
                        "interface \(interface.name) of the router has no device on this "
                            + "controller: add it under 'interfaces' of the controller file"))
            }
            tell(events)
            edge.forwarding?.set(interfaces: list)
            report(.interfaces(list))
            refreshLinks(&controller, &turn, monotonicNow(), everything: true)
        case .configured(let position, let bytes): report(.configured(position, bytes))
        case .answer(let id, let answer): report(.answer(id, answer))
        case .mirror(let transaction, let bytes): report(.mirror(transaction: transaction, bytes))
        case .mirrorAnswered(let transaction, let refusal): report(.mirrorAnswered(transaction: transaction, refusal: refusal))
        case .mirrorEverything: report(.mirrorEverything)
        case .exit(let reason): report(.exit(reason))
        }
    }

    /// The gate of the host: whoever lost the right to speak while frames were made sends none of them (DESIGN §8).
    private func sendFrames(isAllowed: Bool) {
        guard ports.hasWaiting else { return }
        chost_stop_if_dying()
        if isAllowed, leaseFile?.maySpeak(at: monotonicNow()) ?? true {
            ports.flush()
            didReportDiscard = false
            return
        }
        let count = ports.discard()
        framesDiscarded += UInt64(count)
        if !didReportDiscard {
            didReportDiscard = true
            report(.event(Event(.warning, "host", "the lease is gone: \(count) frames that were ready are not sent")))
        }
    }
}
