import Records
import SPF
import Wire

/// From LSAs to graph and sources. A body that cannot be read says nothing.
extension RouteCalculation {
    private var version: OSPFVersion { local?.configuration.version ?? .v2 }
    private var family: AddressFamily { local?.configuration.family ?? .ipv4 }

    /// Takes in that an LSA is new, has another content, or is gone.
    mutating func apply(_ change: LSDB.Change, _ database: LSDB) {
        let key = change.key
        let lsa = database.lsa(key, in: change.database)
        switch change.database.scope {
        case .link:
            // RFC 5340 §4.8.2: a link-LSA says what a neighbour's address is.
            if key.type == .link { areNeighborsDirty = true }
        case .area:
            guard let at = areaPosition(change.database.number) else { return }
            applyArea(UInt32(at), change.database, key, lsa, database)
        case .autonomousSystem:
            let isExternal = key.type == (version == .v2 ? .external : .externalV3)
            if isExternal { replaceSources(change.database, key, external(key, lsa)) }
        }
    }

    private mutating func replaceSources(_ database: DatabaseID, _ key: LSAKey, _ new: [PathSource]) {
        removeSources(database, key)
        addSources(new, database, key)
    }

    private mutating func applyArea(
        _ area: UInt32, _ id: DatabaseID, _ key: LSAKey, _ lsa: LSA?, _ database: LSDB
    ) {
        switch (version, key.type) {
        case (.v2, .router), (.v3, .routerV3):
            // The flooding takes no other; a database of before may hold one.
            guard key.isSound(version: version) else { return }
            let vertex = areas[Int(area)].vertexOrNew(LinkStateGraph.Key(UInt64(key.advertisingRouter)))
            notePart(key, isPresent: lsa != nil, area, vertex, database)
            if version == .v2 { replaceSources(id, key, stubs(area, vertex, key, lsa)) }
        case (.v2, .network):
            // RFC 2328 §12.2: the vertex is named by the address of the Designated Router. Should two routers claim it,
            // the one with the higher Router ID is believed.
            let vertex = areas[Int(area)].vertexOrNew(
                LinkStateGraph.Key(UInt64(key.linkStateID), isNetwork: true))
            notePart(key, isPresent: lsa != nil, area, vertex, database)
            let parts = areas[Int(area)].vertices[vertex].parts
            for part in parts where part != parts.last { removeSources(id, part) }
            removeSources(id, key)
            if let part = parts.last {
                replaceSources(id, part, network(area, vertex, part, database.lsa(part, in: id)))
            }
        case (.v3, .networkV3):
            let vertex = areas[Int(area)].vertexOrNew(Self.network(key.advertisingRouter, key.linkStateID))
            notePart(key, isPresent: lsa != nil, area, vertex, database)
        case (.v3, .intraAreaPrefix): replaceSources(id, key, intraAreaPrefixes(area, key, lsa))
        case (.v2, .summaryNetwork), (.v3, .interAreaPrefix): replaceSources(id, key, summary(area, key, lsa))
        case (.v2, .summaryRouter), (.v3, .interAreaRouter): replaceSources(id, key, routerSummary(area, key, lsa))
        case (.v2, .nssa), (.v3, .nssaV3): replaceSources(id, key, nssa(area, key, lsa))
        default: break
        }
    }

    /// RFC 5340 §4.8.1: an OSPFv3 network is named by the Designated Router and its Interface ID.
    static func network(_ router: UInt32, _ interface: UInt32) -> LinkStateGraph.Key {
        LinkStateGraph.Key(UInt64(router) << 32 | UInt64(interface), isNetwork: true)
    }

    /// An LSA that describes a vertex came, changed, or went.
    private mutating func notePart(
        _ key: LSAKey, isPresent: Bool, _ area: UInt32, _ vertex: UInt32, _ database: LSDB
    ) {
        var parts = areas[Int(area)].vertices[vertex].parts
        let at = parts.firstIndex { $0 >= key } ?? parts.count
        let isKnown = at < parts.count && parts[at] == key
        if isPresent, !isKnown { parts.insert(key, at: at) }
        if !isPresent, isKnown { parts.remove(at: at) }
        areas[Int(area)].vertices[vertex].parts = parts
        // RFC 5340 §4.8.1: of several router LSAs the one with the lowest Link State ID has the say.
        if !areas[Int(area)].vertices[vertex].key.isNetwork {
            let body = parts.first.flatMap { routerBody($0, area, database) }
            areas[Int(area)].vertices[vertex].flags = body?.flags ?? []
            areas[Int(area)].vertices[vertex].options = body?.options ?? []
        }
        noteVertexChange(area: area, vertex)
        loose.append((area, vertex))
    }

    private func routerBody(_ key: LSAKey, _ area: UInt32, _ database: LSDB) -> RouterLSABody? {
        guard let lsa = database.lsa(key, in: .area(areas[Int(area)].id)) else { return nil }
        var reader = lsa.body
        return try? RouterLSABody(from: &reader, version: version)
    }

    // MARK: the graph

    /// Brings the graph of an area up to date with the LSAs of its dirty vertices.
    mutating func updateGraph(_ i: Int, _ database: LSDB) {
        let dirty = areas[i].dirtyVertices
        areas[i].dirtyVertices.removeAll(keepingCapacity: true)
        for number in dirty {
            areas[i].vertices[number].isDirty = false
            let vertex = areas[i].vertices[number]
            let isChanged: Bool
            if let links = links(of: vertex, UInt32(i), database) {
                isChanged = areas[i].graph.set(vertex.key, isTransit: isTransit(vertex), links: links)
            } else {
                isChanged = areas[i].graph.remove(vertex.key)
            }
            if isChanged { areas[i].needsSPF = true }
        }
    }

    /// RFC 5340 §4.8.1: neither the V6-bit (in an IPv6 instance; RFC 5838 §2.7 frees the others of it) nor the R-bit
    /// may be clear where paths are to lead through.
    private func isTransit(_ vertex: VertexRecord) -> Bool {
        if version == .v2 || vertex.key.isNetwork { return true }
        if family == .ipv6, !vertex.options.contains(.ipv6) { return false }
        return vertex.options.contains(.activeRouter)
    }

    private func links(of vertex: VertexRecord, _ area: UInt32, _ database: LSDB) -> [LinkStateGraph.Link]? {
        guard !vertex.parts.isEmpty, let local else { return nil }
        if vertex.key.isNetwork {
            guard let part = vertex.parts.last, let lsa = database.lsa(part, in: .area(areas[Int(area)].id)) else {
                return nil
            }
            var reader = lsa.body
            guard let body = try? NetworkLSABody(from: &reader, version: version) else { return nil }
            return body.routers.map { LinkStateGraph.Link(to: LinkStateGraph.Key(UInt64($0)), metric: 0) }
        }
        let isRoot = vertex.key.identifier == UInt64(local.routerID)
        var links: [LinkStateGraph.Link] = []
        for part in vertex.parts {
            guard let body = routerBody(part, area, database) else { continue }
            for link in body.links {
                let to: LinkStateGraph.Key
                switch link.type {
                case .pointToPoint, .virtual: to = LinkStateGraph.Key(UInt64(link.id))
                case .transit where version == .v2: to = LinkStateGraph.Key(UInt64(link.id), isNetwork: true)
                case .transit: to = Self.network(link.id, link.neighborInterfaceID)
                case .stub: continue
                }
                var tag: UInt32 = 0
                if isRoot {
                    guard let interface = ownInterface(link, area) else { continue }
                    tag = UInt32(interface.id.value)
                }
                links.append(LinkStateGraph.Link(to: to, metric: UInt32(link.metric), tag: tag))
            }
        }
        return links
    }

    /// The interface that a link of our own router LSA is about, if it may carry packets now.
    private func ownInterface(_ link: RouterLSABody.Link, _ area: UInt32) -> LocalInterface? {
        guard let local else { return nil }
        return local.interfaces.first { interface in
            guard interface.areaID == areas[Int(area)].id, interface.state > .loopback else { return false }
            switch version {
            case .v2: guard interface.hasAddress(IPv4Address(raw: link.data)) else { return false }
            case .v3: guard interface.interfaceNumber == link.data else { return false }
            }
            switch link.type {
            case .pointToPoint: return interface.neighbors.contains { $0.routerID == link.id && $0.isAdjacent }
            case .transit: return interface.state >= .drOther
            case .stub, .virtual: return false
            }
        }
    }

    // MARK: sources

    /// RFC 2328 §16.1, second stage: the stub networks of a router.
    private mutating func stubs(_ area: UInt32, _ vertex: UInt32, _ key: LSAKey, _ lsa: LSA?) -> [PathSource] {
        guard let lsa else { return [] }
        var reader = lsa.body
        guard let body = try? RouterLSABody(from: &reader, version: .v2) else { return [] }
        var sources: [PathSource] = []
        for link in body.links where link.type == .stub && isMask(link.data) {
            sources.append(
                PathSource(
                    kind: .intraArea, destination: prefixOrNew(.v4(OSPF.prefix(link.id, mask: link.data))), area: area,
                    owner: vertex, metric: UInt32(link.metric), advertisingRouter: key.advertisingRouter))
        }
        return sources
    }

    /// RFC 2328 §16.1 (4): a transit network.
    private mutating func network(
        _ area: UInt32, _ vertex: UInt32, _ key: LSAKey, _ lsa: LSA?
    ) -> [PathSource] {
        guard let lsa else { return [] }
        var reader = lsa.body
        guard let body = try? NetworkLSABody(from: &reader, version: .v2) else { return [] }
        let number = prefixOrNew(.v4(OSPF.prefix(key.linkStateID, mask: body.mask)))
        return [
            PathSource(
                kind: .intraArea, destination: number, area: area, owner: vertex, metric: 0,
                advertisingRouter: key.advertisingRouter)
        ]
    }

    /// RFC 5340 §4.8.1: prefixes of a router or network, by the LSA that refers to it.
    private mutating func intraAreaPrefixes(_ area: UInt32, _ key: LSAKey, _ lsa: LSA?) -> [PathSource] {
        guard let lsa else { return [] }
        var reader = lsa.body
        guard let body = try? IntraAreaPrefixLSABody(from: &reader, family: family) else { return [] }
        // A.4.10: both router and network LSA that it refers to are its originator's own. Nobody else has a say in where
        // a router's prefixes are.
        guard body.reference.advertisingRouter == key.advertisingRouter else { return [] }
        let reference: LinkStateGraph.Key
        switch body.reference.type {
        case .routerV3 where body.reference.linkStateID == 0:
            reference = LinkStateGraph.Key(UInt64(body.reference.advertisingRouter))
        case .networkV3:
            reference = Self.network(body.reference.advertisingRouter, body.reference.linkStateID)
        default: return []
        }
        let vertex = areas[Int(area)].vertexOrNew(reference)
        loose.append((area, vertex))
        var sources: [PathSource] = []
        for prefix in body.prefixes where !prefix.options.contains(.noUnicast) {
            sources.append(
                PathSource(
                    kind: .intraArea, destination: prefixOrNew(prefix.prefix), area: area, owner: vertex,
                    metric: UInt32(prefix.metric), advertisingRouter: key.advertisingRouter))
        }
        return sources
    }

    /// The border router that a summary comes from. RFC 2328 §16.2 (2): our own are not looked at.
    private mutating func border(_ area: UInt32, _ key: LSAKey) -> UInt32? {
        guard key.advertisingRouter != local?.routerID else { return nil }
        let vertex = areas[Int(area)].vertexOrNew(LinkStateGraph.Key(UInt64(key.advertisingRouter)))
        loose.append((area, vertex))
        return vertex
    }

    private mutating func summary(_ area: UInt32, _ key: LSAKey, _ lsa: LSA?) -> [PathSource] {
        guard let lsa else { return [] }
        var reader = lsa.body
        // RFC 2328 §16.2 (1): LSInfinity is no path.
        guard
            let body = try? InterAreaPrefixLSABody(
                from: &reader, version: version, family: family, linkStateID: key.linkStateID),
            body.metric < InterAreaPrefixLSABody.infinity, !body.prefixOptions.contains(.noUnicast),
            let vertex = border(area, key)
        else { return [] }
        return [
            PathSource(
                kind: .interArea, destination: prefixOrNew(body.prefix), area: area, owner: vertex, metric: body.metric,
                advertisingRouter: key.advertisingRouter)
        ]
    }

    private mutating func routerSummary(_ area: UInt32, _ key: LSAKey, _ lsa: LSA?) -> [PathSource] {
        guard let lsa else { return [] }
        var reader = lsa.body
        guard
            let body = try? InterAreaRouterLSABody(from: &reader, version: version, linkStateID: key.linkStateID),
            body.metric < InterAreaPrefixLSABody.infinity, body.router != local?.routerID,
            let vertex = border(area, key)
        else { return [] }
        return [
            PathSource(
                kind: .interAreaRouter, destination: routerOrNew(body.router), area: area, owner: vertex,
                metric: body.metric, advertisingRouter: key.advertisingRouter, options: body.options)
        ]
    }

    private func externalBody(_ key: LSAKey, _ lsa: LSA?) -> ExternalLSABody? {
        // RFC 2328 §16.4 (1), (2): LSInfinity is no path, and our own are not looked at.
        guard let lsa, key.advertisingRouter != local?.routerID else { return nil }
        var reader = lsa.body
        guard
            let body = try? ExternalLSABody(
                from: &reader, version: version, family: family, linkStateID: key.linkStateID),
            body.metric < InterAreaPrefixLSABody.infinity, !body.prefixOptions.contains(.noUnicast)
        else { return nil }
        return body
    }

    private mutating func external(_ key: LSAKey, _ lsa: LSA?) -> [PathSource] {
        guard let body = externalBody(key, lsa) else { return [] }
        return [
            PathSource(
                kind: .external, destination: prefixOrNew(body.prefix), area: 0,
                owner: routerOrNew(key.advertisingRouter), metric: body.metric, isType2: body.isType2, tag: body.tag,
                advertisingRouter: key.advertisingRouter, forwardingAddress: body.forwardingAddress)
        ]
    }

    private mutating func nssa(_ area: UInt32, _ key: LSAKey, _ lsa: LSA?) -> [PathSource] {
        guard areas[Int(area)].kind.isNSSA, let lsa, let body = externalBody(key, lsa) else { return [] }
        let isPropagated =
            version == .v2
            ? OSPFOptions(rawValue: UInt32(lsa.header.options)).contains(.propagate)
            : body.prefixOptions.contains(.propagate)
        let vertex = areas[Int(area)].vertexOrNew(LinkStateGraph.Key(UInt64(key.advertisingRouter)))
        loose.append((area, vertex))
        return [
            PathSource(
                kind: .nssa, destination: prefixOrNew(body.prefix), area: area, owner: vertex, metric: body.metric,
                isType2: body.isType2, isPropagated: isPropagated, tag: body.tag,
                advertisingRouter: key.advertisingRouter, forwardingAddress: body.forwardingAddress)
        ]
    }
}

extension LocalInterface {
    func hasAddress(_ address: IPv4Address) -> Bool { device.addresses.contains { $0.address == .v4(address) } }
}
