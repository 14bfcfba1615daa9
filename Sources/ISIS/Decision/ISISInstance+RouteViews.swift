import Machine
import Records
import Routing
import SPF
import Wire

/// A route as it was offered: `show isis routes`.
public struct ISISRouteView: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    @AsText public var kind: ISISRouteKind
    public var metric: UInt32
    public var distance: UInt8
    /// 0 is none.
    public var tag: UInt32
    /// The announcement that won has the X bit, or came in TLV 130.
    public var isExternal: Bool
    public var nextHops: [String]
}

/// A node of the tree of shortest paths: `show isis spf`.
public struct ISISPathView: Hashable, Sendable, Codable {
    public var level: Level
    /// `standard`, `ipv6-unicast`
    public var topology: String
    public var node: NodeID
    public var hostname: String?
    public var metric: UInt32
    /// Neighbour and interface, or the LAN itself; none for this router.
    public var firstHops: [String]
    public var isOverloaded: Bool
    public var isAttached: Bool
}

extension ISISInstance {
    /// Ascending, IPv4 before IPv6.
    ///
    /// - Parameters:
    ///   - only: this prefix alone.
    ///   - after: begin behind this prefix.
    public func routeViews(only: IPPrefix? = nil, after: IPPrefix? = nil, limit: Int = .max) -> [ISISRouteView] {
        var views: [ISISRouteView] = []
        func add<Key>(_ routes: PrefixRoutes<Key>) {
            for (prefix, route) in routes.inOrder {
                let prefix = prefix.anyFamily
                if views.count >= limit { return }
                if let only, only != prefix { continue }
                if let after, prefix <= after { continue }
                views.append(
                    ISISRouteView(
                        prefix: prefix, kind: ISISRouteKind(rawValue: route.offer.kind) ?? .discard,
                        metric: route.offer.metric, distance: route.offer.distance, tag: route.offer.tag,
                        isExternal: route.flags.contains(.external),
                        nextHops: route.offer.nextHops.map { hop in
                            guard case .via(let address, let interface) = hop else { return "dropped" }
                            return "\(address) \(interfaceName(interface))"
                        }))
            }
        }
        add(calculation.routes.ipv4)
        add(calculation.routes.ipv6)
        return views
    }

    /// All nodes with a path, by topology, then distance, then name.
    public func pathViews(_ level: Level) -> [ISISPathView] {
        let topology = calculation.routes.levels[level.index]
        var views: [ISISPathView] = []
        for plane in topology.planes.indices {
            let kind = topology.planes[plane].topology
            var list: [ISISPathView] = []
            for (number, node) in topology.nodes.places.enumerated() where node.isUsable {
                guard let path = topology.path(to: UInt32(number), plane: plane) else { continue }
                let hops = topology.planes[plane].tree.firstHops(inSet: path.set).map { hop in
                    let name = interfaceName(InterfaceID(UInt16(truncatingIfNeeded: hop.tag)))
                    return hop.neighbor.map { "\(NodeID(raw: $0).system) \(name)" } ?? name
                }
                list.append(
                    ISISPathView(
                        level: level, topology: kind == .standard ? "standard" : "ipv6-unicast", node: node.id,
                        hostname: hostname(node.id, topology),
                        metric: path.distance, firstHops: hops, isOverloaded: !node.isTransit(kind),
                        isAttached: node.isAttached(kind)))
            }
            views += list.sorted { ($0.metric, $0.node) < ($1.metric, $1.node) }
        }
        return views
    }

    private func hostname(_ node: NodeID, _ topology: LevelTopology) -> String? {
        guard let number = topology.number(of: NodeID(node.system)) else { return nil }
        return topology.nodes[number].fragments.first?.hostname
    }

    private func interfaceName(_ id: InterfaceID) -> String {
        Int(id.value) < interfaces.count ? interfaces[Int(id.value)].name : "\(id)"
    }
}
