import Wire

/// What stands outside of every context: names, lists, static routes, what is FRR's own.
extension FRRReader {
    static let topRules: [Rule] = [
        Rule("hostname *") { $0.draft.hostname = $1[0] },
        Rule("frr version ...") { r, _ in r.needless("of FRR itself") },
        Rule("frr defaults *") { r, found in
            if found[0] == "datacenter" { r.changed("defaults of the datacenter profile, like short timers, are not taken over") }
        },
        Rule("log ...") { r, _ in r.needless("of FRR's own log") },
        Rule("no log ...") { r, _ in r.needless("of FRR's own log") },
        Rule("debug ...") { r, _ in r.needless("of FRR's own log") },
        Rule("no debug ...") { r, _ in r.needless("of FRR's own log") },
        Rule("password ...") { r, _ in r.needless("of FRR's own terminal") },
        Rule("enable ...") { r, _ in r.needless("of FRR's own terminal") },
        Rule("service ...") { r, _ in r.needless("of FRR itself") },
        Rule("no service ...") { r, _ in r.needless("of FRR itself") },
        Rule("username ...") { r, _ in r.needless("of FRR's own terminal") },
        Rule("banner ...") { r, _ in r.needless("of FRR's own terminal") },
        Rule("agentx") { r, _ in r.needless("of FRR itself") },
        Rule("zebra ...") { r, _ in r.needless("of FRR itself") },
        Rule("ip forwarding") { r, _ in r.needless("a router forwards") },
        Rule("ipv6 forwarding") { r, _ in r.needless("a router forwards") },
        Rule("no ip forwarding") { r, _ in r.needless("what the host forwards is the host's") },
        Rule("no ipv6 forwarding") { r, _ in r.needless("what the host forwards is the host's") },
        Rule("ip nht resolve-via-default") { r, _ in r.changed("next hops are resolved by any route") },
        Rule("ipv6 nht resolve-via-default") { r, _ in r.changed("next hops are resolved by any route") },
        Rule("ip route * * ...") { try $0.addStatic($1[0], $1[1], Array($1.dropFirst(2))) },
        Rule("ipv6 route * * ...") { try $0.addStatic($1[0], $1[1], Array($1.dropFirst(2))) },
        Rule("ip prefix-list * seq * * * ...") { try $0.addPrefix($1[0], $1[2], $1[3], Array($1.dropFirst(4)), $1[1]) },
        Rule("ip prefix-list * description ...") { r, _ in r.needless("a description") },
        Rule("ip prefix-list * * * ...") { try $0.addPrefix($1[0], $1[1], $1[2], Array($1.dropFirst(3)), nil) },
        Rule("ipv6 prefix-list * seq * * * ...") { try $0.addPrefix($1[0], $1[2], $1[3], Array($1.dropFirst(4)), $1[1]) },
        Rule("ipv6 prefix-list * description ...") { r, _ in r.needless("a description") },
        Rule("ipv6 prefix-list * * * ...") { try $0.addPrefix($1[0], $1[1], $1[2], Array($1.dropFirst(3)), nil) },
        Rule("access-list * seq * ...") { try $0.addAccess($1[0], Array($1.dropFirst(2))) },
        Rule("access-list * ...") { try $0.addAccess($1[0], Array($1.dropFirst())) },
        Rule("ipv6 access-list * seq * ...") { try $0.addAccess($1[0], Array($1.dropFirst(2))) },
        Rule("ipv6 access-list * ...") { try $0.addAccess($1[0], Array($1.dropFirst())) },
        Rule("bgp as-path access-list * seq * * ...") { try $0.addPath($1[0], $1[2], Array($1.dropFirst(3))) },
        Rule("bgp as-path access-list * * ...") { try $0.addPath($1[0], $1[1], Array($1.dropFirst(2))) },
        Rule("ip as-path access-list * seq * * ...") { try $0.addPath($1[0], $1[2], Array($1.dropFirst(3))) },
        Rule("ip as-path access-list * * ...") { try $0.addPath($1[0], $1[1], Array($1.dropFirst(2))) },
        Rule("bgp community-list ...") { try $0.addCommunities($1) },
        Rule("ip community-list ...") { try $0.addCommunities($1) },
        Rule("bgp large-community-list ...") { try $0.addCommunities($1) },
        Rule("bgp extcommunity-list ...") { try $0.addCommunities($1) },
        Rule("ip extcommunity-list ...") { try $0.addCommunities($1) },
        Rule("ip router-id *") { r, found in r.routerID(found[0]) },
        Rule("router-id *") { r, found in r.routerID(found[0]) },
    ]

    /// Zebra's, for protocols that do not say their own.
    mutating func routerID(_ id: String) { defaultRouterID = id }

    private mutating func addStatic(_ prefix: String, _ via: String, _ rest: [String]) throws {
        var words = ([via] + rest)[...]
        var prefix = prefix
        // `ip route 10.0.0.0 255.0.0.0 192.0.2.1`
        if !prefix.contains("/"), let mask = IPv4Address(via), let length = mask.prefixLength {
            prefix += "/\(length)"
            words = words.dropFirst()
        }
        guard let known = IPPrefix(prefix) else { throw Unmapped("'\(prefix)' is no prefix") }
        guard let hop = words.popFirst() else { throw Unmapped("a next hop is missing") }
        var route = Mapping(["prefix": .scalar("\(known)")])
        switch hop.lowercased() {
        case "null0", "blackhole", "reject": route["blackhole"] = Node(true)
        default:
            guard IPAddress(hop) != nil else { throw Unmapped("a static route leads to an address, not to an interface alone") }
            route["next-hop"] = .scalar(hop)
        }
        while let word = words.popFirst() {
            switch word {
            case "tag": route["tag"] = words.popFirst().map { .scalar($0) }
            case "vrf", "nexthop-vrf", "table", "label", "segments": throw Unmapped("'\(word)' is not carried")
            default:
                if let distance = Int(word) {
                    route["distance"] = Node(distance)
                } else {
                    changed("the next hop is looked up; the interface '\(word)' is not said")
                }
            }
        }
        draft.statics.append(.mapping(route))
    }
}

extension IPv4Address {
    /// The length of a mask; `nil` when it is none.
    var prefixLength: Int? {
        let length = (~raw).leadingZeroBitCount
        return length == 32 || raw << UInt32(length) == 0 ? length : nil
    }
}
