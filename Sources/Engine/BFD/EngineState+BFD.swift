import BGP
import Machine
import Records
import Routing
import Wire

/// BFD's clients in the engine (RFC 5882): which sessions they want, and what they make of them.
extension EngineState {
    /// The line card says that a session changed.
    mutating func apply(_ report: BFDReport, _ wishes: inout Wishes, into effects: inout [IndexedEffect]) {
        let news = bfd.apply(report)
        // A shutdown is no news, but it may make a next hop usable again.
        if bfd.isWanted(report.discriminator, by: .staticRoutes) { updateStaticRoutes() }
        guard let first = news.first else { return }
        let cause = first.isUp ? "" : ": \(report.status.diagnostic)"
        let state = first.isUp ? "up" : "down"
        let event = Event(first.isUp ? .notice : .warning, "bfd", "session with \(name(first.peer)) is \(state)\(cause)")
        effects.append(IndexedEffect(index: applied, effect: .event(event)))
        for entry in news {
            switch entry.client {
            case .bgp:
                // RFC 5882 §4.3.1: ours never shares fate with the control plane.
                let news = StreamProtocolNews.bfd(
                    entry.peer.remote, isUp: entry.isUp, isIndependent: report.status.remoteIsIndependent)
                streams.handle(news, for: .bgp, at: now, into: &wishes.streams)
            case .staticRoutes:
                break
            case .interior(let id):
                interior.handle(.bfd(entry.peer, isUp: entry.isUp), for: id, at: now, into: &wishes.interior)
            }
        }
    }

    private func name(_ peer: BFDPeer) -> String {
        guard let id = peer.interface, Int(id.value) < configuration.interfaces.count else { return "\(peer)" }
        return "\(peer.remote) on \(configuration.interfaces[Int(id.value)].name)"
    }

    /// Whether an operator means this session.
    func isNamed(_ peer: BFDPeer, _ name: NeighborName) -> Bool {
        let interface = peer.interface.flatMap { id -> String? in
            Int(id.value) < configuration.interfaces.count ? configuration.interfaces[Int(id.value)].name : nil
        }
        return name.matches(peer.remote, on: interface)
    }

    /// An interior gateway protocol wants a neighbour watched, or no longer.
    mutating func watch(_ peer: BFDPeer, isWanted: Bool, for id: InteriorGatewayID, _ wishes: inout Wishes) {
        guard isWanted else { return bfd.unwant(peer, .interior(id)) }
        if bfd.want(peer, .interior(id)) == true {
            interior.handle(.bfd(peer, isUp: true), for: id, at: now, into: &wishes.interior)
        }
    }

    /// Effects for the line card, after everything else of the record.
    mutating func tellBFD(into effects: inout [IndexedEffect]) {
        let changes = bfd.takeChanges()
        guard !changes.isEmpty else { return }
        // First the way to a peer several hops away, then the session with it.
        routes.setDestinations(bfd.entries.filter { $0.peer.interface == nil }.map(\.peer.remote), for: .bfd)
        if let gateways = routes.takeGateways() {
            effects.append(IndexedEffect(index: applied, effect: .gateways(gateways)))
        }
        effects.append(IndexedEffect(index: applied, effect: .bfdSessions(changes)))
    }

    // MARK: BGP neighbours and static routes

    /// After a configuration and after interfaces came or went: who is reached how.
    mutating func updateBFDClients() {
        var neighbors: [(remote: IPAddress, peer: BFDPeer?, profile: String)] = []
        for neighbor in configuration.bgp?.neighbors ?? [] where !neighbor.isShutdown {
            guard let profile = neighbor.bfd else { continue }
            neighbors.append((neighbor.address, bfdPeer(neighbor.address, local: neighbor.localAddress), profile))
        }
        update(.bgp, neighbors)
        var nextHops: [(remote: IPAddress, peer: BFDPeer?, profile: String)] = []
        for route in configuration.staticRoutes {
            guard let profile = route.bfd, case .nextHop(let address) = route.destination else { continue }
            nextHops.append((address, nil, profile))
        }
        // Many routes may share a next hop: it is watched once, under the first profile that one of them names.
        nextHops.sort { ($0.remote, $1.profile) < ($1.remote, $0.profile) }
        var distinct: [(remote: IPAddress, peer: BFDPeer?, profile: String)] = []
        for entry in nextHops where distinct.last?.remote != entry.remote {
            distinct.append((entry.remote, bfdPeer(entry.remote, local: nil), entry.profile))
        }
        update(.staticRoutes, distinct)
        updateStaticRoutes()
    }

    /// A session of BGP is established: now the address of our end is known.
    mutating func watchNeighbor(_ tuple: ConnectionTuple) {
        guard let neighbor = configuration.bgp?.neighbors.first(where: { $0.address == tuple.remote }),
            let profile = neighbor.bfd, let peer = bfdPeer(tuple.remote, local: tuple.local)
        else { return }
        for old in bfd.peers(of: .bgp) where old.remote == tuple.remote && old != peer { bfd.unwant(old, .bgp) }
        bfd.want(peer, .bgp, profile: profile.isEmpty ? nil : profile)
    }

    private mutating func update(_ client: BFDClient, _ wanted: [(remote: IPAddress, peer: BFDPeer?, profile: String)]) {
        var kept: [BFDPeer] = []
        let before = bfd.peers(of: client)
        for entry in wanted {
            let profile = entry.profile.isEmpty ? nil : entry.profile
            var peers = entry.peer.map { [$0] } ?? []
            // A neighbour to whom no interface leads now goes on being watched where it was: that is how its client
            // hears that it is gone. One that is several hops away keeps the address that its connection chose.
            if entry.peer?.interface == nil {
                let old = before.filter { $0.remote == entry.remote && isOwn($0.local) }
                if !old.isEmpty { peers = old }
            }
            for peer in peers {
                bfd.want(peer, client, profile: profile)
                kept.append(peer)
            }
        }
        for peer in before where !kept.contains(peer) { bfd.unwant(peer, client) }
    }

    private func isOwn(_ address: IPAddress) -> Bool {
        configuration.interfaces.contains { $0.addresses.contains { $0.address == address } }
    }

    /// RFC 5882 §10.1: one hop when the neighbour is on a network of ours and our end is that network's, several else.
    private func bfdPeer(_ remote: IPAddress, local: IPAddress?) -> BFDPeer? {
        if let interface = routes.interface(reaching: remote),
            let own = local ?? routes.localAddress(on: interface, towards: remote),
            configuration.interfaces[Int(interface.value)].addresses.contains(where: { $0.address == own })
        {
            return BFDPeer(interface: interface, local: own, remote: remote)
        }
        // A link-local address is nobody's without its link.
        guard !remote.isLinkLocal else { return nil }
        guard let own = local ?? routes.egress(to: remote).flatMap({ routes.localAddress(on: $0, towards: remote) }) else {
            return nil
        }
        return BFDPeer(interface: nil, local: own, remote: remote)
    }

    /// Next hops of static routes whose session is not up keep their routes out of the table.
    mutating func updateStaticRoutes() {
        var usable: [IPAddress] = []
        for entry in bfd.entries where entry.isUsable && entry.interests.contains(where: { $0.client == .staticRoutes }) {
            usable.append(entry.peer.remote)
        }
        usable.sort()
        routes.setUsableNextHops(usable)
    }
}
