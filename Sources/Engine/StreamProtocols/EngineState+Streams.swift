import Machine
import Records
import Routing
import Wire

extension EngineState {
    mutating func settle(
        _ wish: StreamProtocolEffect, of id: StreamProtocolID, _ wishes: inout Wishes, into effects: inout [IndexedEffect]
    ) {
        func emit(_ effect: EngineEffect) { effects.append(IndexedEffect(index: applied, effect: effect)) }
        switch wish {
        case .send(let connection, let slice):
            if transport.send(connection, slice) { emit(.tcpSend(connection, slice)) }
        case .finish(let connection):
            if transport.finish(connection) { emit(.tcpFinish(connection)) }
        case .abort(let connection):
            transport.close(connection, .aborted, at: now)
            emit(.tcpAbort(connection))
        case .listen(let endpoints):
            streams.listen(id, to: endpoints)
            routes.setDestinations(streams.destinations, for: .streams)
            emit(.listeners(listeners))
        case .connect(let endpoint):
            guard let interface = routes.egress(to: endpoint.remote),
                let local = endpoint.local ?? routes.localAddress(on: interface, towards: endpoint.remote)
            else {
                streams.handle(.cannotConnect(endpoint.number), for: id, at: now, into: &wishes.streams)
                return
            }
            let tuple = ConnectionTuple(
                interface: interface, local: local, localPort: ephemeralPort(), remote: endpoint.remote,
                remotePort: endpoint.remotePort)
            let request = transport.connect(
                ConnectionOwner(id, endpoint.number), tuple: tuple, options: endpoint.options, at: now)
            emit(.tcpConnect(request))
            streams.handle(.connecting(endpoint.number, request.connection), for: id, at: now, into: &wishes.streams)
        case .track(let address):
            streams.track(address, for: id)
            streams.handle(.nextHop(address, routes.watch(address)), for: id, at: now, into: &wishes.streams)
        case .untrack(let address):
            if streams.untrack(address, for: id) { routes.unwatch(address) }
        case .routes(let updates):
            if let source = id.routeProtocol { routes.apply(updates, from: source) }
        case .event(let event):
            emit(.event(event))
        }
    }

    /// A handshake is complete: of a connection that an instance asked for, or of one that a peer opened.
    mutating func open(
        _ id: ConnectionID, _ identity: ConnectionIdentity, _ wishes: inout Wishes, into effects: inout [IndexedEffect]
    ) {
        let isOurs = id.value & 1 == 1
        guard let owner = isOurs ? transport.owner(of: id) : streams.owner(of: identity.tuple) else {
            // The configuration changed while the handshake went on.
            transport.refuse(id)
            effects.append(IndexedEffect(index: applied, effect: .tcpAbort(id)))
            return
        }
        transport.establish(id, identity, owner)
        let addresses = sessionAddresses(of: identity)
        streams.handle(
            .opened(id, identity, addresses, owner.endpoint, isOurs: isOurs), for: owner.instance, at: now,
            into: &wishes.streams)
        if owner.instance == .bgp { watchNeighbor(identity.tuple) }
    }

    /// From whom connections are accepted, by the addresses that the interfaces have now. One whose own address is not
    /// known, because no interface that is up reaches it, is left out until one does. A range is spoken to from every address.
    var listeners: [Listener] {
        streams.listening.flatMap { owner, endpoint -> [Listener] in
            if endpoint.remoteLength != nil {
                let family = endpoint.remote.family
                let own = configuration.interfaces.flatMap(\.addresses).map(\.address).filter { $0.family == family }
                return (endpoint.local.map { [$0] } ?? own).map {
                    Listener(
                        owner: owner, local: $0, localPort: endpoint.localPort, remote: endpoint.remote,
                        remoteLength: endpoint.remoteLength, options: endpoint.options)
                }
            }
            let local =
                endpoint.local
                ?? routes.egress(to: endpoint.remote).flatMap { routes.localAddress(on: $0, towards: endpoint.remote) }
            guard let local else { return [] }
            return [
                Listener(
                    owner: owner, local: local, localPort: endpoint.localPort, remote: endpoint.remote,
                    options: endpoint.options)
            ]
        }
    }

    /// What NEXT_HOP says on a session when we name ourselves (RFC 4271 §5.1.3, RFC 2545 §3).
    func sessionAddresses(of identity: ConnectionIdentity) -> SessionAddresses {
        let interface = identity.tuple.interface
        var addresses = SessionAddresses()
        switch identity.tuple.local {
        case .v4(let own):
            addresses.ipv4 = own
            if case .v6(let own)? = routes.ownAddress(.ipv6, on: interface) { addresses.ipv6 = own }
        case .v6(let own):
            if own.isLinkLocal {
                if case .v6(let global)? = routes.ownAddress(.ipv6, on: interface) { addresses.ipv6 = global }
            } else {
                addresses.ipv6 = own
            }
            if case .v4(let own)? = routes.ownAddress(.ipv4, on: interface) { addresses.ipv4 = own }
        }
        if routes.interface(reaching: identity.tuple.remote) == interface || identity.tuple.remote.isLinkLocal {
            addresses.linkLocal = routes.linkLocalAddress(on: interface)
        }
        return addresses
    }

    /// RFC 6056 §3.3.1 in spirit: from the dynamic range (RFC 6335 §6), hard to guess from outside. Numbers of
    /// connections grow, so the same port comes again only after 16,384 of them.
    private mutating func ephemeralPort() -> UInt16 {
        let number = UInt64(transport.nextRequested.value >> 1)
        let offset = seededHash(0, 0x706f_7274, seed: transport.sequenceSecret)
        return 49152 + UInt16((number &+ offset) & 0x3fff)
    }
}
