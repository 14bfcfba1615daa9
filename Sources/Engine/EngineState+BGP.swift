import BGP
import Machine
import Records
import Wire

extension EngineState {
    /// Turns BGP's wishes into effects, and tells BGP what follows from them, until nothing follows any more.
    mutating func settle(_ wishes: inout [BGPEffect], into effects: inout [IndexedEffect]) {
        repeat {
            let round = wishes
            wishes.removeAll(keepingCapacity: true)
            for wish in round { settle(wish, &wishes, into: &effects) }

            let ipv4 = bgp.takeIPv4Changes()
            if !ipv4.isEmpty { routes.apply(ipv4) }
            let ipv6 = bgp.takeIPv6Changes()
            if !ipv6.isEmpty { routes.apply(ipv6) }
            // Only connected and static routes resolve next hops, so this ends after one turn.
            for change in routes.takeNextHopChanges() {
                bgp.handle(.nextHop(change.address, change.state), at: now, into: &wishes)
            }
        } while !wishes.isEmpty
    }

    private mutating func settle(
        _ wish: BGPEffect, _ wishes: inout [BGPEffect], into effects: inout [IndexedEffect]
    ) {
        func emit(_ effect: EngineEffect) { effects.append(IndexedEffect(index: applied, effect: effect)) }
        switch wish {
        case .send(let id, let slice):
            if transport.send(id, slice) { emit(.tcpSend(id, slice)) }
        case .finish(let id):
            if transport.finish(id) { emit(.tcpFinish(id)) }
        case .abort(let id):
            transport.close(id)
            emit(.tcpAbort(id))
        case .listeners(let listeners):
            emit(.listeners(listeners))
        case .connect(let peer, let local, let remote, let port, let options):
            guard let interface = routes.egress(to: remote),
                let own = local ?? routes.localAddress(on: interface, towards: remote)
            else {
                bgp.handle(.connectFailed(peer: peer, .unreachable), at: now, into: &wishes)
                return
            }
            let tuple = ConnectionTuple(
                interface: interface, local: own, localPort: ephemeralPort(), remote: remote, remotePort: port)
            let request = transport.connect(tuple: tuple, options: options, at: now)
            emit(.tcpConnect(request))
            bgp.handle(.connecting(peer: peer, request.connection), at: now, into: &wishes)
        case .trackNextHop(let address):
            let state = routes.watch(address)
            bgp.handle(.nextHop(address, state), at: now, into: &wishes)
        case .untrackNextHop(let address):
            routes.unwatch(address)
        case .event(let event):
            emit(.event(event))
        }
    }

    /// RFC 6056 §3.3.1 in spirit: from the dynamic range (RFC 6335 §6), hard to guess from outside. Numbers of
    /// connections grow, so the same port comes again only after 16,384 of them.
    private mutating func ephemeralPort() -> UInt16 {
        let number = UInt64(transport.nextRequested.value >> 1)
        let offset = seededHash(0, 0x706f_7274, seed: transport.sequenceSecret)
        return 49152 + UInt16((number &+ offset) & 0x3fff)
    }
}
