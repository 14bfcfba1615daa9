import Engine
import Records
import Wire

/// No octet that a peer was told is safe may be lost: when a line card is rebuilt, its engine state holds at least what
/// each peer's TCP has seen acknowledged.
struct AcknowledgementChecker {
    /// How many connections were compared.
    private(set) var comparisons = 0

    mutating func engine(
        _ report: EngineReport, of node: ControllerNode, quarantined: [ConnectionID], in simulation: Simulation
    ) {
        // A standby asks for an image, too, to know the interfaces; only who has mastership will speak from it.
        guard case .image(let image) = report, node.lease.until > node.clock(simulation.now) else { return }
        for station in simulation.stations {
            for theirs in station.lineCard.status.connections {
                guard let ours = image.connections.first(where: { Self.isSame($0.identity.tuple, theirs.tuple) }) else {
                    continue
                }
                // What was fatal is dropped on purpose, and its connection ends: the session is told by a NOTIFICATION.
                if quarantined.contains(ours.connection) { continue }
                comparisons += 1
                // A FIN has a number of its own (RFC 9293 §3.4), and is no octet.
                if ours.receivedOffset + (ours.peerFinished ? 1 : 0) < theirs.sendUnacknowledged {
                    simulation.find(
                        "AS \(station.speaker.asNumber) had \(theirs.sendUnacknowledged) octets acknowledged, "
                            + "\(node.id) takes over with \(ours.receivedOffset)")
                }
                // The other way: the router's twin cannot have heard more acknowledged than the peer received.
                if ours.stream.start > theirs.receiveNext {
                    simulation.find(
                        "\(node.id) takes over with octets up to \(ours.stream.start) forgotten, "
                            + "AS \(station.speaker.asNumber) has received \(theirs.receiveNext)")
                }
            }
        }
    }

    private static func isSame(_ a: ConnectionTuple, _ b: ConnectionTuple) -> Bool {
        a.local == b.remote && a.remote == b.local && a.localPort == b.remotePort && a.remotePort == b.localPort
    }
}
