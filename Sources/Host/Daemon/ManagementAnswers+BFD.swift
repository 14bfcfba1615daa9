import BFD
import Engine
import LineCard
import Management
import Records

extension ManagementAnswers {
    /// Sessions as both controllers know them, with what the line card counted where they run.
    func bfd() async throws -> BFDView {
        let status = try await edge.look { controller, _ in controller.lineCardStatus }
        let (known, names) = try await engine.inspect { engine in
            (engine.bfdSessions, engine.configuration.interfaces.map(\.name))
        }
        let live = Dictionary(status.bfdSessions.map { ($0.session.discriminator, $0) }, uniquingKeysWith: { first, _ in first })
        var view = BFDView(
            sessions: known.map { known in
                BFDSessionView(
                    known.session, live[known.session.discriminator],
                    interface: known.session.peer.interface.map { Int($0.value) < names.count ? names[Int($0.value)] : "\($0)" },
                    clients: known.clients)
            })
        if status.isSpeaking {
            view.counters =
                [
                    Counter("packets received", status.bfd.packetsIn), Counter("packets sent", status.bfd.packetsOut),
                    Counter("packets dropped", status.bfd.drops),
                ] + Counter.occurred { (reason: BFDDropReason) in status.bfd[reason] }
        }
        return view
    }
}
