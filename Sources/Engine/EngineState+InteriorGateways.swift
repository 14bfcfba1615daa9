import Machine
import Records
import Routing
import Wire

extension EngineState {
    mutating func settle(_ wish: InteriorGatewayWish, _ wishes: inout Wishes, into effects: inout [IndexedEffect]) {
        switch wish.effect {
        case .send(let packet):
            effects.append(IndexedEffect(index: applied, effect: .send(packet)))
        case .subscriptions(let list):
            let before = interior.subscriptions
            interior.subscribe(wish.id, to: list)
            let after = interior.subscriptions
            if after != before { effects.append(IndexedEffect(index: applied, effect: .subscriptions(after))) }
        case .routes(let updates):
            routes.apply(updates, from: wish.id.routeProtocol)
        case .bfd(let peer, let isWanted):
            watch(peer, isWanted: isWanted, for: wish.id, &wishes)
        case .event(let event):
            effects.append(IndexedEffect(index: applied, effect: .event(event)))
        }
    }

    /// A packet of a routing protocol goes to whoever speaks it.
    mutating func receive(_ packet: ReceivedPacket, _ wishes: inout Wishes) {
        for id in InteriorGatewayID.receivers(of: packet.packetProtocol) {
            interior.handle(.packet(packet), for: id, at: now, into: &wishes.interior)
        }
    }

    /// The sender of a fatal packet will say it again, as a retransmission or after a new beginning: its protocol knows it
    /// then. Its adjacency ends, so that both sides begin from what both have.
    mutating func quarantine(_ packet: ReceivedPacket, message: Int, _ wishes: inout Wishes) {
        for id in InteriorGatewayID.receivers(of: packet.packetProtocol) {
            interior.handle(.fault(packet, message: message), for: id, at: now, into: &wishes.interior)
        }
    }
}
