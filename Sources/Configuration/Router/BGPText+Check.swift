import BGP
import Wire

extension BGPText {
    /// What concerns a neighbour as a whole.
    func check(_ neighbor: NeighborConfiguration, _ fields: MappingReader, _ bgp: BGPConfiguration) {
        let address = neighbor.address, place = fields["address"] ?? fields.field
        // Of another AS, be it a member of our confederation.
        let isOther = bgp.routerAS != .zero && neighbor.remoteAS != bgp.routerAS
        switch address {
        case .v4(let v4) where v4.isMulticast || v4.isLoopback || v4 == .any || v4 == .broadcast:
            return place.error("\(address) cannot be a neighbor's address")
        case .v6(let v6) where v6.isMulticast || v6.isLoopback || v6 == .any:
            return place.error("\(address) cannot be a neighbor's address")
        case .v6(let v6) where v6.isLinkLocal:
            return place.error("a link-local address does not say on which interface; use a global address of the neighbor")
        default: break
        }
        if networks.isOwn(address) { return place.error("\(address) is the router itself") }
        let isConnected = networks.interface(reaching: address) != nil
        if !isConnected, isOther, neighbor.multihop == 0, neighbor.ttlSecurityHops < 2 {
            place.error(
                "\(address) is on no connected network\(networks.hint(address.family)); "
                    + "for a neighbor farther away write multihop: 2 or more")
        } else if !isConnected, !staticRoutes.contains(where: { $0.prefix.contains(address) }) {
            place.warn("no connected network or static route leads to \(address)")
        }
        checkTraits(neighbor, fields, place, bgp)
    }

    /// What does not depend on one address.
    func checkTraits(
        _ neighbor: NeighborConfiguration, _ fields: MappingReader, _ place: Field, _ bgp: BGPConfiguration
    ) {
        let address = neighbor.address
        let isOther = bgp.routerAS != .zero && neighbor.remoteAS != bgp.routerAS
        let isExternal = bgp.routerAS != .zero && bgp.kind(of: neighbor) == .external
        if neighbor.remoteAS != .zero, neighbor.remoteAS == bgp.confederation?.identifier, isOther {
            (fields["remote-as"] ?? place).error("\(neighbor.remoteAS) is our confederation; write the member's AS")
        }
        if neighbor.ttlSecurityHops > 0, neighbor.multihop > 0 {
            (fields["multihop"] ?? place).error("'multihop' and 'ttl-security' exclude each other; ttl-security: N allows N hops")
        }
        if let local = neighbor.localAS, bgp.routerAS != .zero {
            let place = fields["local-as"] ?? place
            if local.asNumber == bgp.routerAS {
                place.error("\(local.asNumber) is the router's own AS; leave local-as out")
            } else if !isExternal {
                place.error("local-as is towards external neighbors; this one is internal")
            } else if local.asNumber == bgp.confederation?.identifier {
                place.error("\(local.asNumber) is our confederation, as which external neighbors know us anyway")
            } else if local.asNumber == neighbor.remoteAS {
                place.error("\(local.asNumber) is the neighbor's AS; local-as must be another one")
            }
        }
        if let local = neighbor.localAddress, let field = fields["local-address"] {
            if local.family != address.family {
                field.error("\(local) is not of the family of \(address)")
            } else if !networks.isOwn(local) {
                let own = networks.addresses.filter { $0.family == address.family }.prefix(4).map { "\($0)" }
                field.error("\(local) is no address of the router\(own.isEmpty ? "" : "; it has \(own.joined(separator: ", "))")")
            }
        }
        if neighbor.isReflectorClient, isOther {
            (fields["route-reflector-client"] ?? place)
                .error(
                    "only an internal neighbor is a client (RFC 4456 §6); AS \(neighbor.remoteAS) is not ours, \(bgp.routerAS)")
        }
        if neighbor.overridesAS, !isExternal, bgp.routerAS != .zero {
            (fields["as-override"] ?? place).error("an internal neighbor gets paths as they are; only an external one has this")
        }
        if neighbor.nextHopSelfReflected, !neighbor.nextHopSelf {
            (fields["next-hop-self-reflected"] ?? place).error("'next-hop-self-reflected' needs 'next-hop-self: true'")
        }
        if neighbor.role != nil, !isExternal, bgp.routerAS != .zero {
            (fields["role"] ?? place).error("a role is towards another AS (RFC 9234 §4); this neighbor is internal")
        } else if neighbor.role == nil, neighbor.roleStrict {
            (fields["role-strict"] ?? place).error("'role-strict' needs 'role': what we are to the neighbor")
        }
        GracefulRestartText.check(neighbor, fields, place, isExternal: isExternal)
        for family in neighbor.families where family.family.addressFamily.map({ !networks.hasAddress(of: $0) }) ?? false {
            if family.extendedNextHop, networks.hasAddress(of: .ipv6) { continue }
            (fields["families"] ?? place).warn(
                "no interface has an address of \(family.family), so there is no next hop to announce")
        }
        for family in neighbor.families where family.extendedNextHop && family.family.canExtendNextHop {
            // The routing table has next hops of the prefix's own family (`UnicastFamily.change`).
            (fields["families"] ?? place).warn(
                "routes of \(family.family) with an IPv6 next hop are kept and passed on, but packets are not forwarded by them "
                    + "here; do not put this router in their way (next-hop-self, external neighbors)")
        }
        if isExternal, bgp.ebgpRequiresPolicy, !neighbor.isShutdown {
            let missing = [("import", neighbor.importPolicies.isEmpty), ("export", neighbor.exportPolicies.isEmpty)]
            for (key, isMissing) in missing where isMissing && fields[key] == nil {
                place.warn(
                    "without '\(key)' nothing is \(key == "import" ? "accepted from" : "sent to") this external neighbor "
                        + "(RFC 8212); write \(key): accept-all if that is not wanted")
            }
        }
    }
}
