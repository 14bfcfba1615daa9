import Configuration
import CHost
import Controller
import Datastore
import Foundation
import LineCard
import Machine
import Management
import Records
import Redundancy
import TCP
import Wire

extension ManagementAnswers {
    func redundancy() async throws -> RedundancyView {
        let (status, router) = try await edge.look { controller, now in
            (controller.status(at: now), controller.routerTime(at: now))
        }
        let clerk = clerk.state.withLock { $0 }
        let survey = await self.survey()
        let now = Date()
        func span(_ microseconds: Int64) -> TimeSpan { TimeSpan(.microseconds(microseconds)) }
        func name(_ state: ControllerState) -> String { state == .activeAlone ? "active-alone" : "\(state)" }

        let local = RedundancyView.Controller(
            id: file.controller.letter, name: file.name, state: name(status.state), since: clerk.controllerState.since,
            release: Release.version)
        var view = RedundancyView(
            pair: file.pair, local: local, epoch: status.epoch, arbiter: arbiter, isReady: status.isRedundant,
            log: RedundancyView.Log(
                appended: status.lastIndex, committed: status.committedIndex, applied: status.appliedIndex))
        view.parts = status.parts.map {
            RedundancyView.Part(name: $0.name, isRedundant: $0.isReady, reason: $0.isReady ? nil : $0.reason)
        }
        if let last = status.switchovers.last { view.lastSwitchover = self.view(last, status, router, now) }
        if let failure = await datastore.status.failure { view.alarms.append("datastore: \(failure.reason)") }
        view.alarms += status.warnings
        guard let redundancy = file.redundancy else {
            view.notReady = ["this controller is configured to be alone"]
            return view
        }
        view.peer = RedundancyView.Controller(
            id: file.controller.other.letter, name: "\(file.pair)-\(file.controller.other.letter)",
            state: status.twin.isConnected
                ? status.twin.state.map(name) ?? "unknown" : status.twin.farewell == nil ? "unknown" : "left")
        view.channel = RedundancyView.Channel(
            isConnected: clerk.isChannelOpen, since: clerk.channelSince, local: "\(redundancy.local):\(redundancy.port)",
            peer: "\(redundancy.peer):\(redundancy.port)", security: security(redundancy, survey?.channelVersion),
            heartbeatInterval: TimeSpan(redundancy.heartbeatInterval),
            heartbeatMultiplier: Int(redundancy.heartbeatMultiplier),
            lastHeartbeat: status.twin.isConnected ? span(status.twin.silenceMicroseconds) : nil)
        view.log.held = Int(clamping: status.twin.lagRecords)
        view.log.heldOctets = status.twin.lagOctets
        if status.twin.isConnected, status.committedIndex > 0 { view.log.peerStored = status.committedIndex }
        if let bulk = survey?.lastBulkUpdate {
            let age = Double((monotonicNow() - bulk.finished).inNanoseconds) / 1e9
            view.lastBulkUpdate = RedundancyView.BulkUpdate(
                finished: now.addingTimeInterval(-age), octets: bulk.octets, duration: TimeSpan(bulk.duration),
                longestEnginePause: TimeSpan(bulk.longestEnginePause))
        }
        if !status.isRedundant { view.notReady = notReady(status, clerk.isChannelOpen) }
        return view
    }

    private func notReady(_ status: ControllerStatus, _ isChannelOpen: Bool) -> [String] {
        if !isChannelOpen {
            return [status.twin.farewell.map { "the twin has left, \($0)" } ?? "the replication channel to the twin is not open"]
        }
        var reasons = status.parts.filter { !$0.isReady && !$0.reason.isEmpty }.map { "\($0.name): \($0.reason)" }
        if !status.twin.health.isEmpty { reasons.append(status.twin.health) }
        return reasons.isEmpty ? ["the pair is not in lock step yet"] : reasons
    }

    private var arbiter: String {
        if file.isAlone { return "none" }
        return switch file.arbiter {
        case .link: "link"
        case .leaseFile: "leasefile"
        case .witness: "witness"
        case .etcd: "etcd"
        }
    }

    private func security(_ redundancy: RedundancyConfiguration, _ version: String?) -> String {
        switch redundancy.security {
        case .sharedKey: "psk"
        case .certificates: "certificates"
        case .insecure: "insecure"
        }
    }

    func survey() async -> Edge.Survey? {
        let answer = OneAnswer<Edge.Survey>()
        edge.commands.put(.survey { answer.succeed($0) })
        let alarm = Task {
            try? await Task.sleep(for: .seconds(2))
            answer.fail(EngineThread.Unavailable(description: "the edge did not answer"))
        }
        defer { alarm.cancel() }
        return try? await answer.value()
    }

    private func view(
        _ switchover: ControllerStatus.Switchover, _ status: ControllerStatus, _ router: Instant, _ now: Date
    ) -> SwitchoverView {
        let age = Double(router.nanoseconds - switchover.began) / 1e9
        let isDone = switchover.outcome == "done"
        // Who gave and who took: after one that was done the active is whoever took.
        let to = isDone ? status.active ?? file.controller : file.controller.other
        let last = switchover.steps.last?.microseconds ?? 0
        return SwitchoverView(
            started: now.addingTimeInterval(-age), kind: switchover.kind, reason: switchover.reason, from: to.other.letter,
            to: to.letter, epoch: status.epoch, duration: TimeSpan(.microseconds(last)),
            outcome: isDone ? "done" : "aborted: \(switchover.outcome)",
            steps: switchover.steps.map { StepView(name: $0.name, elapsed: TimeSpan(.microseconds($0.microseconds))) })
    }

    func switchover(
        _ order: SwitchoverOrder, _ progress: @Sendable (ManagementResult) async throws -> Void
    ) async throws -> SwitchoverView {
        let before = try await edge.look { controller, now in controller.status(at: now) }
        let reason = order.reason.isEmpty ? "operator" : order.reason
        _ = try await request(order.force ? .forcedSwitchover(reason: reason) : .switchover(reason: reason))
        let (status, router) = try await edge.look { controller, now in
            (controller.status(at: now), controller.routerTime(at: now))
        }
        guard let last = status.switchovers.last,
            status.switchovers.count > before.switchovers.count
                || last != before.switchovers.last
        else {
            return SwitchoverView(
                started: Date(), kind: order.force ? "non-graceful" : "graceful", reason: reason,
                from: file.controller.letter, to: file.controller.other.letter, epoch: status.epoch,
                duration: TimeSpan(.zero), outcome: "done", steps: [])
        }
        let view = view(last, status, router, Date())
        for step in view.steps { try await progress(.step(step)) }
        return view
    }

    /// An active hands over first.
    func offline(
        _ reason: String, _ progress: @Sendable (ManagementResult) async throws -> Void
    ) async throws -> String {
        let status = try await edge.look { controller, now in controller.status(at: now) }
        guard status.state.isActive else { return try await request(.goOffline(reason: reason)) }
        guard status.isRedundant else {
            throw ManagementFailure(
                .refused,
                "this controller is the router and its twin cannot take over: "
                    + notReady(status, status.twin.isConnected).joined(separator: "; "))
        }
        _ = try await switchover(SwitchoverOrder(reason: "offline\(reason.isEmpty ? "" : ": \(reason)")"), progress)
        // It is the standby when the new active has taken it in.
        for _ in 0..<Self.offlineAttempts {
            if case .done(let text) = await clerk.ask(.goOffline(reason: reason)) { return text }
            try await Task.sleep(for: .milliseconds(20))
        }
        return try await request(.goOffline(reason: reason))
    }
    private static let offlineAttempts = 100

    // MARK: interfaces and TCP

    func tcp() async throws -> TCPView {
        let status = try await edge.look { controller, _ in controller.lineCardStatus }
        return TCPView(
            connections: status.connections.map { connection in
                var options = ["mss \(connection.maximumSegmentSize)"]
                if connection.selectiveAcknowledgment { options.append("sack") }
                if connection.timestamps { options.append("timestamps") }
                if connection.authenticated { options.append("md5") }
                return TCPView.Connection(
                    id: connection.connection.value, local: Self.endpoint(connection.tuple.local, connection.tuple.localPort),
                    remote: Self.endpoint(connection.tuple.remote, connection.tuple.remotePort),
                    state: connection.state.description, inFlight: connection.sendNext - connection.sendUnacknowledged,
                    unsent: connection.sendEnd &- min(connection.sendNext, connection.sendEnd),
                    uncommitted: UInt64(connection.heldBack), received: connection.receiveNext,
                    acknowledged: connection.sendUnacknowledged, congestionWindow: UInt64(connection.congestionWindow),
                    peerWindow: UInt64(connection.sendWindow),
                    smoothedRoundTrip: connection.smoothedRoundTripTime.map { TimeSpan($0) },
                    retransmissionTimeout: TimeSpan(connection.retransmissionTimeout),
                    retransmissions: connection.retransmittedSegments, options: options)
            })
    }

    private static func endpoint(_ address: IPAddress, _ port: UInt16) -> String {
        address.family == .ipv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
    }

    func interfaces() async throws -> InterfacesView {
        let status = try await edge.look { controller, _ in controller.lineCardStatus }
        let configured = try await engine.inspect { engine in engine.configuration.interfaces }
        let survey = await survey()
        return InterfacesView(
            interfaces: configured.enumerated().map { position, interface in
                let device = file.device(for: interface.name)
                let id = InterfaceID(UInt16(position))
                let counters = survey?.devices.first { $0.device == device }?.counters
                let flags = device.map { chost_interface_flags($0) } ?? -1
                let up = interface.isLoopback || flags >= 0 && flags & Int32(IFF_RUNNING) != 0
                var view = InterfacesView.Interface(
                    name: interface.name, device: device, isUp: up, mac: interface.virtualMAC.description, vlan: interface.vlan,
                    mtu: interface.mtu, addresses: interface.addresses.map { "\($0.address)/\($0.prefixLength)" },
                    framesReceived: counters?.framesIn ?? 0, octetsReceived: counters?.octetsIn ?? 0,
                    framesSent: counters?.framesOut ?? 0, octetsSent: counters?.octetsOut ?? 0)
                view.dropped =
                    [
                        Counter("kernel", counters?.kernelDrops ?? 0),
                        Counter("refused by the device", counters?.framesRefused ?? 0),
                    ] + Counter.occurred { (reason: DropReason) in status.counters[reason] }
                view.adjacencies = status.neighbors.filter { $0.interface == id }.map {
                    "\($0.address) \($0.mac?.description ?? "-") \($0.state.rawValue)"
                }
                return view
            })
    }
}
