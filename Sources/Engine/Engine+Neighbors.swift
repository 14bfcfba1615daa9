import BFD
import ISIS
import OSPF
import RIP
import Records
import Routing
import Wire

/// Whether there is whom an operator means. The command itself goes through the log and would find nobody in silence.
extension Engine {
    /// Names of neighbours that an answer tells of, at most.
    private static let namesMaximum = 32

    /// Why a command to clear a neighbour of a protocol would change nothing; `nil` if it would.
    /// - Parameter name: as the operator wrote it; empty: all of them, which is never refused.
    public func refusal(toClear packetProtocol: PacketProtocol, _ name: String) -> String? {
        let isKnown: Bool, names: [String]
        switch packetProtocol {
        case .ospfv2: (isKnown, names) = (ospf.knows(name), ospf.neighborNames)
        case .ospfv3:
            (isKnown, names) = (
                ospfv3.knows(name) || ospfv3IPv4.knows(name), ospfv3.neighborNames + ospfv3IPv4.neighborNames
            )
        case .isis: (isKnown, names) = (isis.knows(name), isis.neighborNames)
        case .rip: (isKnown, names) = (rip.knows(name), rip.neighborNames)
        case .ripng: (isKnown, names) = (ripng.knows(name), ripng.neighborNames)
        default: (isKnown, names) = (false, [])
        }
        return name.isEmpty || isKnown ? nil : Self.sentence(packetProtocol.name, name, names)
    }

    /// The same for BFD sessions.
    public func refusal(toClearBFD name: String) -> String? {
        if name.isEmpty || state.bfd.entries.contains(where: { state.isNamed($0.peer, NeighborName(name)) }) { return nil }
        return Self.sentence("BFD", name, state.bfd.entries.map { "\($0.peer.remote)" })
    }

    private static func sentence(_ kind: String, _ name: String, _ names: [String]) -> String {
        var distinct: [String] = []
        for other in names where !distinct.contains(other) && distinct.count <= namesMaximum { distinct.append(other) }
        guard !distinct.isEmpty else { return "there is no \(kind) neighbour '\(name.prefix(64))', and no other" }
        let list = distinct.prefix(namesMaximum).joined(separator: ", ")
        let more = distinct.count > namesMaximum ? ", …" : ""
        return "there is no \(kind) neighbour '\(name.prefix(64))'; there are: \(list)" + more
    }
}
