import Machine
import Records
import Routing
import Wire

/// What the protocols asked for while a record is applied, in order, not yet carried out.
struct Wishes {
    var streams = StreamWishes(repeating: [])
    var interior: [InteriorGatewayWish] = []

    var isEmpty: Bool {
        guard interior.isEmpty else { return false }
        for number in streams.indices where !streams[number].isEmpty { return false }
        return true
    }
}

extension EngineState {
    /// Turns wishes into effects and routes, and tells each protocol what follows from them, until nothing follows any
    /// more.
    ///
    /// It ends: only the route in force is redistributed, never into the protocol that it comes from, and no protocol
    /// offers the routing table what it announces for another. `roundsMaximum` is the net under that reasoning: what is
    /// left then is dropped, on both controllers alike, and said loudly.
    mutating func settle(_ wishes: inout Wishes, into effects: inout [IndexedEffect]) {
        var rounds = 0
        repeat {
            rounds += 1
            let round = wishes
            wishes = Wishes()
            for wish in round.interior { settle(wish, &wishes, into: &effects) }
            for number in round.streams.indices where !round.streams[number].isEmpty {
                let id = StreamProtocolID(UInt8(number))
                for wish in round.streams[number] { settle(wish, of: id, &wishes, into: &effects) }
            }

            let ipv4 = streams.bgp.rib.takeIPv4Changes()
            if !ipv4.isEmpty { routes.apply(ipv4) }
            let ipv6 = streams.bgp.rib.takeIPv6Changes()
            if !ipv6.isEmpty { routes.apply(ipv6) }
            streams.forgetForeignRoutes()
            tellRoutes(&wishes, into: &effects)
        } while (!wishes.isEmpty || streams.bgp.rib.hasRouteChanges) && rounds < Self.roundsMaximum
        if rounds == Self.roundsMaximum, !wishes.isEmpty {
            note(.alarm, "protocols do not settle at record \(applied): a loop between them is cut", into: &effects)
            wishes = Wishes()
        }
    }

    static let roundsMaximum = 64

    /// What the routing table manager has for others since it was asked last.
    mutating func tellRoutes(_ wishes: inout Wishes, into effects: inout [IndexedEffect]) {
        let changes = routes.takeNextHopChanges()
        if !changes.isEmpty { streams.tell(changes, at: now, into: &wishes.streams) }
        for (target, updates) in routes.takeRedistribution() {
            for id in StreamProtocolID.announcers(for: target) {
                streams.handle(.redistribute(updates), for: id, at: now, into: &wishes.streams)
            }
            for id in InteriorGatewayID.announcers(for: target) {
                interior.handle(.redistribute(updates), for: id, at: now, into: &wishes.interior)
            }
        }
        if let gateways = routes.takeGateways() {
            effects.append(IndexedEffect(index: applied, effect: .gateways(gateways)))
            // The way to a neighbour decides which of our addresses it is to find us at.
            effects.append(IndexedEffect(index: applied, effect: .listeners(listeners)))
        }
    }
}
