import ISIS
import Machine
import OSPF
import RIP
import Records
import Routing
import Wire

/// What becomes of an interior gateway protocol whose timers killed a controller (DESIGN §7): a calculation or the end of an
/// age, in whichever record they fell due. No neighbour is to blame that one could name, and the same timers would be fatal
/// here before anything else is done.
///
/// The protocol is stopped in place of the process: what it had is forgotten without a word, its routes are withdrawn, its
/// BFD sessions end. It begins anew when somebody could survive it (`FatalMemory.hold`), or when an operator clears all its
/// neighbours. Should it be fatal again, then that costs the pair's redundancy for a moment, and the pause doubles.
extension EngineState {
    mutating func stop(_ number: UInt8, into effects: inout [IndexedEffect]) {
        guard let id = InteriorGatewayID(rawValue: number), interior.isActive(id) else {
            return note(.alarm, "a fault of timers belongs to no protocol that is configured", into: &effects)
        }
        interior.stop(id, at: now)
        routes.withdrawAll(from: id.routeProtocol, ipv4: id != .ospfv3, ipv6: id != .ospfv3IPv4)
        for peer in bfd.peers(of: .interior(id)) { bfd.unwant(peer, .interior(id)) }
        effects.append(IndexedEffect(index: applied, effect: .subscriptions(interior.subscriptions)))
        note(
            .alarm,
            "\(BFDClient.interior(id).name) is stopped: its timers were fatal to the other controller. It begins anew when "
                + "the pair is redundant again, after \(FatalMemory.holdMaximum.inMilliseconds / 60_000) minutes, or when all its "
                + "neighbors are cleared", into: &effects)
    }

    /// Protocols that were stopped and may begin anew.
    mutating func resume(_ ids: [InteriorGatewayID], _ wishes: inout Wishes, into effects: inout [IndexedEffect]) {
        for id in ids {
            interior.begin(id, configuration, at: now, into: &wishes.interior)
            guard interior.isActive(id) else { continue }
            tellRedistributed(id, &wishes)
            for place in configuration.interfaces.indices {
                let interface = InterfaceID(UInt16(place))
                interior.handle(
                    .interface(interface, isUp: routes.interfaceState(interface)), for: id, at: now, into: &wishes.interior)
            }
            note(.notice, "\(BFDClient.interior(id).name) begins anew", into: &effects)
        }
    }

    /// One that begins now was told nothing so far of what it announces for others.
    mutating func tellRedistributed(_ id: InteriorGatewayID, _ wishes: inout Wishes) {
        let updates = routes.redistributed(into: id.routeProtocol)
        interior.handle(.redistribute(updates), for: id, at: now, into: &wishes.interior)
    }
}

extension InteriorGateways {
    /// Forgets everything that the protocol had.
    mutating func stop(_ id: InteriorGatewayID, at now: Instant) {
        let place = Int(id.rawValue)
        switch id {
        case .ospf: ospf = Self.renewed(ospf, at: now)
        case .ospfv3: ospfv3 = Self.renewed(ospfv3, at: now)
        case .ospfv3IPv4: ospfv3IPv4 = Self.renewed(ospfv3IPv4, at: now)
        case .isis: isis = Self.renewed(isis, at: now)
        case .rip: rip = Self.renewed(rip, at: now)
        case .ripng: ripng = Self.renewed(ripng, at: now)
        }
        isConfigured[place] = false
        subscribed[place] = []
        stops[place].faults = min(stops[place].faults + 1, 1 << 16)
        stops[place].until = now + FatalMemory.hold(stops[place].faults, isRedundant)
    }

    /// Hash seeds and jitter of the next life follow from the last one.
    private static func renewed<Gateway: InteriorGateway>(_ old: Gateway, at now: Instant) -> Gateway {
        var new = Gateway(seed: seededHash(old.digest.value, UInt64(bitPattern: now.nanoseconds), seed: 0x7374_6f70))
        new.watch = old.watch
        return new
    }

    /// Those whose time is over, in the order of their numbers.
    mutating func takeReleased(at now: Instant) -> [InteriorGatewayID] {
        var released: [InteriorGatewayID] = []
        for id in InteriorGatewayID.allCases {
            guard let until = stops[Int(id.rawValue)].until, until <= now else { continue }
            stops[Int(id.rawValue)].until = nil
            released.append(id)
        }
        return released
    }

    /// The operator takes the risk.
    mutating func releaseHeld(_ ids: [InteriorGatewayID], at now: Instant) {
        for id in ids where stops[Int(id.rawValue)].until != nil { stops[Int(id.rawValue)].until = now }
    }

    func isStopped(_ id: InteriorGatewayID) -> Bool { stops[Int(id.rawValue)].until != nil }
}
