import Records
import Wire

/// RFC 2328 §12.4.1 and §12.4.2, RFC 5340 §4.4.3: what we say of our own links: router, network, link and intra-area
/// prefix LSAs, as a function of interfaces and adjacencies.
struct OwnTopology {
    var local: LocalState
    var isBorder: Bool
    var isBoundary: Bool
    /// RFC 3101 §3.1: bit Nt.
    var isTranslator = false
    /// LSAs of a link, which the DR of an OSPFv3 link gathers prefixes from.
    var database: LSDB

    private var version: OSPFVersion { local.configuration.version }
    private var routerID: UInt32 { local.routerID }
    /// RFC 6987 §2
    private static let maxLinkMetric = UInt16.max

    /// The LSAs of an area and of the links in it.
    func lsas(of area: UInt32) -> [WantedLSA] {
        let interfaces = local.interfaces.filter { $0.areaID == area && $0.state != .down }
        var list = [router(area, interfaces)]
        for interface in interfaces where isTransit(interface) && isDR(interface) { list.append(network(interface)) }
        guard version == .v3 else { return list }
        for interface in interfaces where interface.state > .loopback { list.append(link(interface)) }
        if let prefixes = prefixes(area, interfaces) { list.append(prefixes) }
        for interface in interfaces where isTransit(interface) && isDR(interface) {
            if let gathered = networkPrefixes(interface) { list.append(gathered) }
        }
        return list
    }

    // MARK: links

    private func identity(_ interface: LocalInterface) -> UInt32 {
        version == .v2 ? primary(interface)?.address.raw ?? 0 : routerID
    }
    private func isDR(_ interface: LocalInterface) -> Bool { interface.state == .dr }

    private func primary(_ interface: LocalInterface) -> (address: IPv4Address, length: UInt8)? {
        for entry in interface.device.addresses {
            if case .v4(let address) = entry.address { return (address, entry.prefixLength) }
        }
        return nil
    }

    /// §12.4.1.2: a broadcast network is one for transit if we are Full with its DR, or are it and Full with somebody.
    private func isTransit(_ interface: LocalInterface) -> Bool {
        guard interface.configuration.network == .broadcast, interface.state > .waiting else { return false }
        if isDR(interface) { return interface.neighbors.contains(where: \.isAdjacent) }
        return designated(interface)?.isAdjacent == true
    }

    private func designated(_ interface: LocalInterface) -> LocalNeighbor? {
        interface.neighbors.first {
            if version == .v3 { return $0.routerID == interface.dr }
            return $0.address == .v4(IPv4Address(raw: interface.dr))
        }
    }

    private func options(_ area: UInt32) -> OSPFOptions {
        let kind = local.configuration.area(IPv4Address(raw: area)).kind
        var options: OSPFOptions = []
        if kind.importsExternals { options.insert(.external) }
        if kind.isNSSA, version == .v3 { options.insert(.nssa) }
        if version == .v3 {
            options.insert(.activeRouter)
            if local.configuration.family == .ipv6 { options.insert(.ipv6) }
            if local.configuration.instanceID > 31 { options.insert(.addressFamily) }
        }
        return options
    }

    // MARK: router LSA

    private func router(_ area: UInt32, _ interfaces: [LocalInterface]) -> WantedLSA {
        var links: [RouterLSABody.Link] = []
        for interface in interfaces {
            if version == .v2 { addLinksV2(interface, &links) } else { addLinksV3(interface, &links) }
        }
        var flags: RouterLSABody.Flags = []
        if isBorder { flags.insert(.border) }
        let kind = local.configuration.area(IPv4Address(raw: area)).kind
        // RFC 2328 §12.4.1: not in a stub area; RFC 3101 §2.3: a border router of an NSSA says it there.
        if isBoundary, !kind.isStub { flags.insert(.boundary) }
        if isTranslator, kind.isNSSA { flags.insert(.translator) }
        let options = options(area)
        let body = RouterLSABody(flags: flags, options: options, links: links).encoded(version: version)
        switch version {
        case .v2:
            return WantedLSA(
                database: .area(area),
                key: LSAKey(type: .router, linkStateID: routerID, advertisingRouter: routerID),
                options: UInt8(truncatingIfNeeded: options.rawValue), body: body)
        case .v3:
            return WantedLSA(
                database: .area(area), key: LSAKey(type: .routerV3, linkStateID: 0, advertisingRouter: routerID), body: body)
        }
    }

    /// RFC 6987 §2: links to routers at MaxLinkMetric, so that nobody goes through us while there is another way.
    private func transitMetric(_ interface: LocalInterface) -> UInt16 {
        local.isStubRouter ? Self.maxLinkMetric : interface.configuration.cost
    }
    private var isStubExpensive: Bool {
        local.isStubRouter && local.configuration.stubRouter?.includesStubs == true
    }
    private func stubMetric(_ interface: LocalInterface) -> UInt16 {
        isStubExpensive ? Self.maxLinkMetric : interface.configuration.cost
    }

    private func addLinksV2(_ interface: LocalInterface, _ links: inout [RouterLSABody.Link]) {
        let isHost = interface.device.isLoopback || interface.configuration.network == .loopback
        var isAnnounced = false
        switch interface.configuration.network {
        case .pointToPoint where interface.state == .pointToPoint:
            // §12.4.1.1
            for neighbor in interface.neighbors where neighbor.isAdjacent {
                links.append(
                    RouterLSABody.Link(
                        type: .pointToPoint, metric: transitMetric(interface), id: neighbor.routerID,
                        data: identity(interface)))
            }
        case .broadcast where isTransit(interface):
            links.append(
                RouterLSABody.Link(
                    type: .transit, metric: transitMetric(interface), id: interface.dr, data: identity(interface)))
            isAnnounced = true
        default: break
        }
        // RFC 6860 §2: the network of a link between routers is left out on demand.
        if interface.configuration.suppressesPrefixes, interface.state > .loopback { return }
        for (i, entry) in interface.device.addresses.enumerated() {
            guard case .v4(let address) = entry.address, entry.prefixLength <= 32 else { continue }
            // The network LSA tells of the network of the primary address.
            if isAnnounced, i == interface.device.addresses.firstIndex(where: { $0.address.family == .ipv4 }) { continue }
            let length = isHost ? 32 : entry.prefixLength
            let prefix = IPv4Prefix(address, length)
            // §12.4.1: the host route of an address in state Loopback costs nothing, whatever the interface's cost.
            let isFree = isHost && !isStubExpensive
            let metric = isFree ? 0 : stubMetric(interface)
            links.append(
                RouterLSABody.Link(
                    type: .stub, metric: metric, id: prefix.address.raw, data: IPv4Prefix.mask(length)))
        }
    }

    private func addLinksV3(_ interface: LocalInterface, _ links: inout [RouterLSABody.Link]) {
        switch interface.configuration.network {
        case .pointToPoint:
            for neighbor in interface.neighbors where neighbor.isAdjacent {
                links.append(
                    RouterLSABody.Link(
                        type: .pointToPoint, metric: transitMetric(interface), id: neighbor.routerID,
                        data: interface.interfaceNumber, neighborInterfaceID: neighbor.interfaceNumber))
            }
        case .broadcast where isTransit(interface):
            let number = isDR(interface) ? interface.interfaceNumber : designated(interface)?.interfaceNumber ?? 0
            links.append(
                RouterLSABody.Link(
                    type: .transit, metric: transitMetric(interface), id: interface.dr, data: interface.interfaceNumber,
                    neighborInterfaceID: number))
        default: break
        }
    }

    // MARK: network LSA

    /// §12.4.2: the routers that are Full with us, and we.
    private func network(_ interface: LocalInterface) -> WantedLSA {
        var routers = interface.neighbors.filter(\.isAdjacent).map(\.routerID)
        routers.append(routerID)
        routers.sort()
        switch version {
        case .v2:
            let length = primary(interface)?.length ?? 0
            // RFC 6860 §2.2: a mask of all ones says that nobody is to route to the network.
            let mask = interface.configuration.suppressesPrefixes ? UInt32.max : IPv4Prefix.mask(length)
            return WantedLSA(
                database: .area(interface.areaID),
                key: LSAKey(type: .network, linkStateID: identity(interface), advertisingRouter: routerID),
                options: UInt8(truncatingIfNeeded: options(interface.areaID).rawValue),
                body: NetworkLSABody(mask: mask, routers: routers).encoded(version: .v2))
        case .v3:
            return WantedLSA(
                database: .area(interface.areaID),
                key: LSAKey(type: .networkV3, linkStateID: interface.interfaceNumber, advertisingRouter: routerID),
                body: NetworkLSABody(options: options(interface.areaID), routers: routers).encoded(version: .v3))
        }
    }

    // MARK: OSPFv3's prefixes

    /// The networks on an interface, of the instance's family and not link-local.
    private func networks(_ interface: LocalInterface) -> [IPPrefix] {
        var list: [IPPrefix] = []
        for entry in interface.device.addresses {
            switch entry.address {
            case .v4(let address) where local.configuration.family == .ipv4 && entry.prefixLength <= 32:
                list.append(.v4(IPv4Prefix(address, entry.prefixLength)))
            case .v6(let address)
            where local.configuration.family == .ipv6 && entry.prefixLength <= 128 && !address.isLinkLocal:
                list.append(.v6(IPv6Prefix(address, entry.prefixLength)))
            default: break
            }
        }
        list.sort()
        return list
    }

    private func hosts(_ interface: LocalInterface) -> [IPPrefix] {
        var list: [IPPrefix] = []
        for entry in interface.device.addresses {
            switch entry.address {
            case .v4(let address) where local.configuration.family == .ipv4: list.append(.v4(IPv4Prefix(address, 32)))
            case .v6(let address) where local.configuration.family == .ipv6 && !address.isLinkLocal:
                list.append(.v6(IPv6Prefix(address, 128)))
            default: break
            }
        }
        list.sort()
        return list
    }

    /// RFC 5340 §4.4.3.8
    private func link(_ interface: LocalInterface) -> WantedLSA {
        var address = IPAddress.v6(interface.linkLocal)
        // RFC 5838 §2.5: IPv4 next hops are IPv4 addresses.
        if local.configuration.family == .ipv4, let own = primary(interface) { address = .v4(own.address) }
        let prefixes = interface.configuration.suppressesPrefixes ? [] : networks(interface).map { LSAPrefix($0) }
        let body = LinkLSABody(
            priority: interface.configuration.priority, options: options(interface.areaID), address: address,
            prefixes: prefixes)
        return WantedLSA(
            database: .link(interface.id.value),
            key: LSAKey(type: .link, linkStateID: interface.interfaceNumber, advertisingRouter: routerID),
            body: body.encoded())
    }

    /// RFC 5340 §4.4.3.9: prefixes of links that are not for transit, with the router LSA.
    private func prefixes(_ area: UInt32, _ interfaces: [LocalInterface]) -> WantedLSA? {
        var list: [LSAPrefix] = []
        for interface in interfaces where !isTransit(interface) {
            if interface.device.isLoopback || interface.configuration.network == .loopback {
                for prefix in hosts(interface) { list.append(LSAPrefix(prefix, options: .localAddress, metric: 0)) }
            } else if !interface.configuration.suppressesPrefixes || interface.state <= .loopback {
                for prefix in networks(interface) { list.append(LSAPrefix(prefix, metric: stubMetric(interface))) }
            }
        }
        guard !list.isEmpty else { return nil }
        let reference = LSAKey(type: .routerV3, linkStateID: 0, advertisingRouter: routerID)
        return WantedLSA(
            database: .area(area), key: LSAKey(type: .intraAreaPrefix, linkStateID: 0, advertisingRouter: routerID),
            body: IntraAreaPrefixLSABody(reference: reference, prefixes: list).encoded())
    }

    /// RFC 5340 §4.4.3.9: the DR gathers the prefixes of all routers on the link that are Full with it.
    private func networkPrefixes(_ interface: LocalInterface) -> WantedLSA? {
        var list = interface.configuration.suppressesPrefixes ? [] : networks(interface)
        let adjacent = interface.neighbors.filter(\.isAdjacent).map(\.routerID)
        for entry in database.entries(of: .link, in: .link(interface.id.value)) {
            guard adjacent.contains(entry.lsa.key.advertisingRouter), !entry.lsa.header.isMaxAge else { continue }
            var reader = entry.lsa.body
            guard let body = try? LinkLSABody(from: &reader, family: local.configuration.family) else { continue }
            for prefix in body.prefixes
            where prefix.options.isDisjoint(with: [.noUnicast, .localAddress]) && !isLinkLocal(prefix.prefix) {
                list.append(prefix.prefix)
            }
        }
        list.sort()
        var unique: [LSAPrefix] = []
        for prefix in list where unique.last?.prefix != prefix { unique.append(LSAPrefix(prefix)) }
        guard !unique.isEmpty else { return nil }
        let reference = LSAKey(type: .networkV3, linkStateID: interface.interfaceNumber, advertisingRouter: routerID)
        return WantedLSA(
            database: .area(interface.areaID),
            key: LSAKey(type: .intraAreaPrefix, linkStateID: interface.interfaceNumber, advertisingRouter: routerID),
            body: IntraAreaPrefixLSABody(reference: reference, prefixes: unique).encoded())
    }

    private func isLinkLocal(_ prefix: IPPrefix) -> Bool {
        if case .v6(let prefix) = prefix { return prefix.address.isLinkLocal }
        return false
    }
}
