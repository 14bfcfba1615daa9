import BFD
import BGP
import Engine
import Policy
import Wire

/// The `bgp` section.
struct BGPText {
    let networks: ConnectedNetworks
    let staticRoutes: [StaticRouteConfiguration]
    let definitions: PolicyDefinitions
    let bfd: BFDConfiguration?
    /// Lists of policies that were looked at: many neighbors have the same.
    let looked = Seen<[String]>()

    static let neighborsMaximum = 4_096
    static let networksMaximum = 65_536

    init(
        networks: ConnectedNetworks, staticRoutes: [StaticRouteConfiguration], definitions: PolicyDefinitions,
        bfd: BFDConfiguration?
    ) {
        self.networks = networks
        self.staticRoutes = staticRoutes
        self.definitions = definitions
        self.bfd = bfd
    }

    var section: Section<BGPConfiguration> {
        Section(
            BGPConfiguration(routerAS: .zero, routerID: RouterID(raw: 1)),
            foreign: [
                "local-as": "as", "asn": "as", "neighbours": "neighbors", "neighbor": "neighbors", "groups": "peer-groups",
                "listen-range": "listen", "dynamic-neighbors": "listen",
                "ebgp-requires-policy": "require-policy", "network": "networks",
                "local-preference": "default-local-preference", "cluster": "cluster-id", "rr-cluster-id": "cluster-id",
                "client-to-client": "client-to-client-reflection", "bestpath": "best-path", "best-path-selection": "best-path",
                "always-compare-med": "best-path: {always-compare-med: true}",
                "deterministic-med": "nothing; MED is always compared so",
                "confederation-identifier": "confederation: {identifier: N}",
                "confederation-peers": "confederation: {members: […]}",
            ].merging(GracefulRestartText.foreign) { own, _ in own }
        ) {
            Setting("as", \.routerAS, .asNumber, "The router's own.").required()
            Setting("router-id", \.routerID, .routerID, "Like an address, not 0.0.0.0 (RFC 6286 §2.1).").required()
            Setting(
                "require-policy", \.ebgpRequiresPolicy, .flag,
                "RFC 8212: an external neighbor without policy gets and gives nothing.")
            Setting(
                "default-local-preference", \.defaultLocalPreference, .number(0...UInt32.max),
                "Of routes to which no policy gives one.")
            Setting("cluster-id", \.clusterID, .routerID, "Of which we are a reflector (RFC 4456 §7); the router id otherwise.")
            Setting(
                "client-to-client-reflection", \.clientToClientReflection, .flag,
                "False where clients have sessions with each other.")
            Setting(
                "graceful-restart", in: \.gracefulRestart,
                "Of neighbors, and of the router itself where both controllers were away (RFC 4724)."
            ) { _ in GracefulRestartText.process }
            Setting(
                "confederation", in: \.confederation,
                "The router's AS is a member of one, that is one AS to the world outside (RFC 5065)."
            ) { confederation($0.routerAS) }
            Setting("best-path", in: \.bestPath, "Rules of the decision process that differ.") { _ in bestPath }
            Setting("distance", in: \.distances, "Administrative distances.") { _ in
                Section(DistanceConfiguration(), isWhole: true) {
                    Setting("external", \.external, .number(1...255), "Of routes of external neighbors.")
                    Setting("internal", \.internal, .number(1...255), "Of routes of internal neighbors.")
                    Setting("local", \.local, .number(1...255), "Of routes that the router originates.")
                }
            }
            Setting("networks", each: \.networks, atMost: Self.networksMaximum, "Routes that the router originates.") { _ in
                network
            }
            groups
            listen
            neighbors
        }
    }

    private func confederation(_ routerAS: ASNumber) -> Section<ConfederationConfiguration> {
        Section(
            ConfederationConfiguration(identifier: .zero), foreign: ["id": "identifier", "peers": "members", "as": "identifier"]
        ) {
            Setting("identifier", \.identifier, .asNumber, "The AS that the world outside sees.").required()
            Setting("members", \.members, .list(atMost: Self.membersMaximum, .asNumber), "The other members' AS numbers.")
        } check: { confederation, fields in
            if confederation.members.contains(routerAS) {
                fields["members"]?.error("AS \(routerAS) is the router's own; only the other members stand here")
            }
            if Set(confederation.members).count != confederation.members.count {
                fields["members"]?.error("a member stands there twice")
            }
            confederation.members.sort { $0.raw < $1.raw }
        }
    }
    private static let membersMaximum = 1_024

    private var bestPath: Section<BestPathConfiguration> {
        Section(
            BestPathConfiguration(),
            foreign: [
                "med-missing-as-worst": "missing-med-as-worst", "missing-as-worst": "missing-med-as-worst",
                "med-confed": "confederation-med", "as-path-ignore": "ignore-as-path",
                "deterministic-med": "nothing; MED is always compared so",
                "compare-router-id": "nothing; identifiers are always compared",
                "compare-routerid": "nothing; identifiers are always compared",
            ]
        ) {
            Setting("always-compare-med", \.alwaysCompareMED, .flag, "MED is compared whatever AS the paths are from.")
            Setting("missing-med-as-worst", \.missingMEDAsWorst, .flag, "A path without MED has the worst one, not the best.")
            Setting(
                "confederation-med", \.comparesConfederationMED, .flag,
                "MED is compared among paths from within the confederation that come over the same member.")
            Setting("ignore-as-path", \.ignoresPathLength, .flag, "The length of the AS path decides nothing.")
        }
    }

    // MARK: networks

    private var network: Section<OriginatedNetwork> {
        let prefix = Kind<IPPrefix>.prefix.once { "\($0) is originated twice" }
        let usual = OriginatedNetwork(prefix: .v4(IPv4Prefix(.any, 0)))
        return Section(
            usual, foreign: ["community": "communities", "metric": "med"],
            short: .init(values: prefix.values) { field, network in
                guard let value = prefix.read(field) else { return false }
                network.prefix = value
                return true
            } text: { network in
                network == OriginatedNetwork(prefix: network.prefix) ? prefix.text(network.prefix) : nil
            }
        ) {
            Setting("prefix", \.prefix, prefix, "What is originated.").required()
            Setting("next-hop", \.nextHop, .address, "For internal neighbors; our own address otherwise.")
            Setting("med", \.med, .number(0...UInt32.max), "MULTI_EXIT_DISC.")
            Setting("communities", \.communities, .list(atMost: 255, .community), "RFC 1997.")
            Setting("large-communities", \.largeCommunities, .list(atMost: 255, .largeCommunity), "RFC 8092.")
        } check: { network, fields in
            if let nextHop = network.nextHop, nextHop.family != network.prefix.family {
                fields["next-hop"]?.error("\(nextHop) is not of the family of \(network.prefix)")
            }
        }
    }
}

extension Kind where Value == RouterID {
    fileprivate static var routerID: Kind {
        .parsed("a router id", atMost: 40, { RouterID($0).flatMap { $0.raw == 0 ? nil : $0 } }) {
            "'\($0)' is no router id; write it like an IPv4 address that is not 0.0.0.0"
        }
    }
}
