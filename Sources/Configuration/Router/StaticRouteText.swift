import BFD
import Engine
import Wire

/// The section `static-routes`.
struct StaticRouteText {
    let networks: ConnectedNetworks
    let bfd: BFDConfiguration?
    private let seen = Seen<StaticRouteConfiguration>()

    init(networks: ConnectedNetworks, bfd: BFDConfiguration?) {
        self.networks = networks
        self.bfd = bfd
    }

    var section: Section<StaticRouteConfiguration> {
        Section(
            StaticRouteConfiguration(prefix: .v4(IPv4Prefix(.any, 0)), destination: .blackhole),
            foreign: ["via": "next-hop", "gateway": "next-hop", "metric": "distance"]
        ) {
            Setting("prefix", \.prefix, .prefix, "Where it leads.").required()
            Setting("next-hop", \.nextHop, .address, "On a connected network, or beyond: then another route leads there.")
            Setting("blackhole", \.isBlackhole, .flag, "Or drop.").written { $0.isBlackhole }
            Setting("distance", \.distance, .number(1...255), "Of several distances the lowest that leads anywhere counts.")
            Setting("tag", \.tag, .number(0...UInt32.max), "For policies.")
            Setting("bfd", \.bfd, .bfdWish(bfd), "Only while BFD says that the next hop lives.")
        } check: { route, fields in
            guard checkDestination(route, fields) else { return }
            if route.isBlackhole { fields["bfd"]?.error("nobody is there to watch; the route has no next hop") }
            // Distance and tag apart, it is the same route.
            if !seen.note(StaticRouteConfiguration(prefix: route.prefix, destination: route.destination)) {
                fields.field.error("the route to \(route.prefix) with this destination is written twice")
            }
        }
    }

    /// - Returns: whether there is one.
    private func checkDestination(_ route: StaticRouteConfiguration, _ fields: MappingReader) -> Bool {
        let isBlackhole = fields["blackhole"]?.scalar ?? "false"
        guard let field = fields["next-hop"] else {
            if isBlackhole == "false" {
                fields.field.error("the destination is missing; write next-hop or blackhole: true")
            }
            return isBlackhole == "true"
        }
        if isBlackhole == "true" {
            field.error("'next-hop' and 'blackhole' exclude each other")
            return false
        }
        guard case .nextHop(let nextHop) = route.destination else { return false }
        if nextHop.family != route.prefix.family {
            field.error("\(nextHop) is not of the family of \(route.prefix)")
        } else if networks.isOwn(nextHop) {
            field.error("\(nextHop) is the router itself")
        } else if networks.interface(reaching: nextHop) == nil {
            field.warn(
                "\(nextHop) is on no connected network\(networks.hint(nextHop.family)); the route waits for one that leads there")
        }
        return true
    }
}

extension StaticRouteConfiguration {
    fileprivate var nextHop: IPAddress? {
        get { if case .nextHop(let address) = destination { address } else { nil } }
        set { destination = newValue.map { .nextHop($0) } ?? .blackhole }
    }
    fileprivate var isBlackhole: Bool {
        get { destination == .blackhole }
        set { if newValue { destination = .blackhole } }
    }
}
