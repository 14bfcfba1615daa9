import BFD
import Engine
import LineCard
import Management
import Records
import Wire

extension ManagementAnswers {
    /// Sessions as both controllers know them, with what the line card counted where they run.
    func bfd() async throws -> BFDView {
        let status = try await edge.look { controller, _ in controller.lineCardStatus }
        let (known, names) = try await engine.inspect { engine in
            (engine.bfdSessions, engine.configuration.interfaces.map(\.name))
        }
        let live = Dictionary(status.bfdSessions.map { ($0.session.discriminator, $0) }, uniquingKeysWith: { first, _ in first })
        var view = BFDView(sessions: known.map { Self.session($0, live[$0.session.discriminator], names) })
        if status.isSpeaking {
            view.counters =
                [
                    Counter("packets received", status.bfd.packetsIn), Counter("packets sent", status.bfd.packetsOut),
                    Counter("packets dropped", status.bfd.drops),
                ] + BFDDropReason.allCases.map { Counter("\($0)", status.bfd[$0]) }.filter { $0.count > 0 }
        }
        return view
    }

    private static func session(_ known: BFDClientSession, _ live: BFDSessionView?, _ names: [String]) -> BFDView.Session {
        let session = live?.session ?? known.session
        let status = session.status
        var view = BFDView.Session(
            remote: "\(session.peer.remote)", local: "\(session.peer.local)",
            interface: session.peer.interface.map { Int($0.value) < names.count ? names[Int($0.value)] : "\($0)" },
            state: "\(status.state)")
        view.remoteState = "\(status.remoteState)"
        view.diagnostic = "\(status.diagnostic)"
        view.remoteDiagnostic = "\(status.remoteDiagnostic)"
        view.clients = known.clients
        view.localDiscriminator = session.discriminator
        view.remoteDiscriminator = status.remoteDiscriminator
        view.desiredTransmit = session.parameters.desiredMinTx
        view.requiredReceive = session.parameters.requiredMinRx
        view.multiplier = session.parameters.multiplier
        view.remoteDesiredTransmit = status.remoteDesiredMinTx
        view.remoteRequiredReceive = status.remoteMinRx
        view.remoteMultiplier = status.remoteMultiplier
        view.authentication = session.parameters.authentication.map { "\($0.type)" }
        view.isPolling = !status.isPolled
        if let live {
            view.transmitInterval = UInt64(clamping: live.transmitInterval)
            view.detectionTime = UInt64(clamping: live.detectionTime)
            view.counters = BFDView.Counters(
                packetsReceived: live.counters.packetsIn, packetsSent: live.counters.packetsOut,
                packetsDropped: live.counters.drops, timesUp: live.counters.timesUp, timesDown: live.counters.timesDown)
        } else {
            view.transmitInterval = UInt64(max(status.transmitInUse, status.remoteMinRx))
            view.detectionTime = UInt64(status.remoteMultiplier) * UInt64(max(status.receiveInUse, status.remoteDesiredMinTx))
        }
        return view
    }
}
