import BGP
import Machine
import Records
import Wire

extension EngineState {
    mutating func settle(_ wish: BGPInstance.Effect, _ wishes: inout Wishes, into effects: inout [IndexedEffect]) {
        func emit(_ effect: EngineEffect) { effects.append(IndexedEffect(index: applied, effect: effect)) }
        switch wish {
        case .send(let id, let slice):
            if transport.send(id, slice) { emit(.tcpSend(id, slice)) }
        case .finish(let id):
            if transport.finish(id) { emit(.tcpFinish(id)) }
        case .abort(let id):
            transport.close(id, .aborted, at: now)
            emit(.tcpAbort(id))
        case .listeners(let endpoints):
            self.endpoints = endpoints
            routes.setDestinations(endpoints.map(\.remote), for: .bgp)
            emit(.listeners(listeners))
        case .connect(let endpoint):
            guard let interface = routes.egress(to: endpoint.remote),
                let local = endpoint.local ?? routes.localAddress(on: interface, towards: endpoint.remote)
            else {
                bgp.handle(.cannotConnect(endpoint.peer), at: now, into: &wishes.bgp)
                return
            }
            let tuple = ConnectionTuple(
                interface: interface, local: local, localPort: ephemeralPort(), remote: endpoint.remote,
                remotePort: endpoint.port)
            let request = transport.connect(tuple: tuple, options: endpoint.options, at: now)
            emit(.tcpConnect(request))
            bgp.handle(.connecting(endpoint.peer, request.connection), at: now, into: &wishes.bgp)
        case .trackNextHop(let address):
            bgp.handle(.nextHop(address, routes.watch(address)), at: now, into: &wishes.bgp)
        case .untrackNextHop(let address):
            routes.unwatch(address)
        case .event(let event):
            emit(.event(event))
        }
    }

    /// From whom connections are accepted, by the addresses that the interfaces have now. One whose own address is not
    /// known, because no interface that is up reaches it, is left out until one does.
    var listeners: [Listener] {
        endpoints.compactMap { endpoint in
            let local =
                endpoint.local
                ?? routes.egress(to: endpoint.remote).flatMap { routes.localAddress(on: $0, towards: endpoint.remote) }
            guard let local else { return nil }
            return Listener(local: local, localPort: 179, remote: endpoint.remote, options: endpoint.options)
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

extension SessionEndpoint {
    func write(to writer: inout SnapshotWriter) {
        writer.write(peer.value)
        writer.write(local != nil)
        local?.write(to: &writer)
        remote.write(to: &writer)
        writer.write(port)
        options.write(to: &writer)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let peer = PeerIndex(try reader.read())
        let local = try reader.readBool() ? try IPAddress(from: &reader) : nil
        let remote = try IPAddress(from: &reader)
        let port: UInt16 = try reader.read()
        self.init(peer: peer, local: local, remote: remote, port: port, options: try TransportOptions(from: &reader))
    }
}
