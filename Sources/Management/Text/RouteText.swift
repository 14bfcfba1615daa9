import Foundation

extension RoutesView {
    /// What the marks in front of a route mean.
    public static let legend =
        "* best, > in the forwarding table, s stale; C connected, S static, B BGP, O OSPF, O3 OSPFv3, I IS-IS, R RIP, RN RIPng, A aggregate"

    private static func mark(_ path: Path) -> String {
        let letter =
            switch path.protocol {
            case "connected": "C"
            case "static": "S"
            case "bgp": "B"
            case "ospfv3": "O3"
            case "ripng": "RN"
            default: String(path.protocol.prefix(1)).uppercased()
            }
        return letter + (path.isBest ? "*" : " ") + (path.isInstalled ? ">" : " ") + (path.bgp?.stale == nil ? "" : "s")
    }

    private static func via(_ path: Path) -> String {
        var text = path.nextHop.map { "via \($0)" } ?? (path.protocol == "connected" ? "directly connected" : "")
        if let interface = path.interface { text += (text.isEmpty ? "" : " ") + "on \(interface)" }
        if let note = path.note { text += (text.isEmpty ? "" : ", ") + note }
        return text
    }

    /// One line for each way of a path that has several.
    private static func ways(_ path: Path) -> [String] {
        guard let all = path.nextHops, all.count > 1 else { return [via(path)] }
        return all.map { "via \($0)" }
    }

    /// One line for each path, and for each of its next hops.
    public var lines: [String] {
        var table = TextTable([
            ("", .left), ("Prefix", .left), ("Next hop", .left), ("Dist", .right), ("Metric", .right), ("Tag", .right),
            ("LocPrf", .right), ("MED", .right),
            ("AS path", .left),
        ])
        for route in routes {
            for path in route.paths {
                let origin =
                    switch path.bgp?.origin {
                    case "igp": " i"
                    case "egp": " e"
                    case .some: " ?"
                    case nil: ""
                    }
                let ways = Self.ways(path)
                table.append([
                    Self.mark(path), route.prefix, ways[0] + (path.bgp?.pathID.map { ", path \($0)" } ?? ""), "\(path.distance)",
                    path.metric.map { "\($0)" } ?? "", path.tag.map { "\($0)" } ?? "",
                    path.bgp?.localPreference.map { "\($0)" } ?? "", path.bgp?.med.map { "\($0)" } ?? "",
                    (path.bgp.map { $0.asPath + origin } ?? "").trimmingPrefix(" ").description,
                ])
                for way in ways.dropFirst() { table.append(["", "", way, "", "", "", "", "", ""]) }
            }
        }
        return table.lines
    }

    /// All that is known of each path.
    public var detailLines: [String] {
        var lines: [String] = []
        for route in routes {
            lines.append("\(route.prefix), \(Words.count(route.paths.count, "path", "paths"))")
            for path in route.paths {
                var state: [String] = []
                if path.isBest { state.append("best") }
                if path.isInstalled { state.append("in the forwarding table") }
                if let stale = path.bgp?.stale { state.append(stale == "yes" ? "stale" : "stale \(stale)") }
                if let lost = path.bgp?.lostBy { state.append("lost by \(lost)") }
                lines.append(
                    "  \(Self.mark(path)) \(path.protocol)\(path.kind.map { " \($0)" } ?? ""), distance \(path.distance)"
                        + (path.metric.map { ", metric \($0)" } ?? "") + (path.tag.map { ", tag \($0)" } ?? "")
                        + (state.isEmpty ? "" : ", " + state.joined(separator: ", ")))
                let age = path.age.map { ", \(Words.upTime($0)) old" } ?? ""
                lines += Self.ways(path).filter { !$0.isEmpty }.map { "      \($0)\(age)" }
                if let backup = path.backup, !backup.isEmpty { lines.append("      backup " + backup.joined(separator: ", ")) }
                if let group = path.group {
                    let ways = path.ways ?? []
                    lines.append(
                        "      group \(group): " + (ways.isEmpty ? "packets are dropped" : ways.joined(separator: ", ")))
                }
                guard let bgp = path.bgp else { continue }
                lines.append(
                    "      from \(bgp.neighbor ?? "ourselves")\(bgp.neighborID.map { " (\($0))" } ?? "")"
                        + (bgp.pathID.map { ", path identifier \($0)" } ?? ""))
                lines.append(
                    "      AS path \(bgp.asPath.isEmpty ? "empty" : bgp.asPath), origin \(bgp.origin)"
                        + (bgp.weight.map { ", weight \($0)" } ?? "")
                        + (bgp.localPreference.map { ", local preference \($0)" } ?? "") + (bgp.med.map { ", MED \($0)" } ?? ""))
                if !bgp.communities.isEmpty { lines.append("      communities " + bgp.communities.joined(separator: " ")) }
                if !bgp.largeCommunities.isEmpty {
                    lines.append("      large communities " + bgp.largeCommunities.joined(separator: " "))
                }
                if let extended = bgp.extendedCommunities {
                    lines.append("      extended communities " + extended.joined(separator: " "))
                }
                if let originator = bgp.originatorID {
                    let clusters = bgp.clusterList.map { ", clusters " + $0.joined(separator: " ") } ?? ""
                    lines.append("      originator \(originator)\(clusters)")
                }
                if let marked = bgp.onlyToCustomer { lines.append("      only to customers, says AS \(marked)") }
                if let rpki = bgp.rpki { lines.append("      origin \(rpki) in the RPKI") }
                if let aggregator = bgp.aggregator { lines.append("      aggregated by \(aggregator)") }
                if bgp.atomicAggregate { lines.append("      atomic aggregate") }
                if !bgp.unknown.isEmpty { lines.append("      unknown attributes " + bgp.unknown.joined(separator: ", ")) }
            }
        }
        return lines
    }
}

extension TCPView {
    public var lines: [String] {
        var table = TextTable([
            ("Connection", .left), ("Local", .left), ("Remote", .left), ("State", .left), ("InFlight", .right),
            ("Unsent", .right), ("Uncommitted", .right), ("Cwnd", .right), ("RTT", .right), ("RTO", .right), ("Rexmit", .right),
            ("Options", .left),
        ])
        for connection in connections {
            table.append([
                "#\(connection.id)", connection.local, connection.remote, connection.state, "\(connection.inFlight)",
                "\(connection.unsent)", "\(connection.uncommitted)", connection.congestionWindow.map { "\($0)" } ?? "-",
                connection.smoothedRoundTrip.map(Words.span) ?? "-", connection.retransmissionTimeout.map(Words.span) ?? "-",
                connection.retransmissions.map { "\($0)" } ?? "-", connection.options.joined(separator: ", "),
            ])
        }
        var lines = connections.isEmpty ? ["no connections"] : table.lines
        if !listeners.isEmpty { lines += ["", "listening for"] + listeners.map { "  " + $0 } }
        let counted = dropped.filter { $0.count > 0 }
        if !counted.isEmpty { lines += ["", "segments dropped"] + counted.map { "  \($0.name): \($0.count)" } }
        return lines
    }
}

extension InterfacesView {
    public var lines: [String] {
        if interfaces.isEmpty { return ["no interfaces are configured"] }
        var lines: [String] = []
        for interface in interfaces {
            if !lines.isEmpty { lines.append("") }
            lines.append(
                "\(interface.name) is \(interface.isUp ? "up" : "DOWN")"
                    + (interface.device.map { ", device \($0)" } ?? ", no device of this host is bound to it")
                    + (interface.vlan == 0 ? "" : ", VLAN \(interface.vlan)"))
            lines.append("  MAC \(interface.mac), MTU \(interface.mtu)")
            lines.append("  addresses \(interface.addresses.joined(separator: ", "))")
            lines.append(
                "  received \(interface.framesReceived) frames, \(Words.octets(interface.octetsReceived));"
                    + " sent \(interface.framesSent) frames, \(Words.octets(interface.octetsSent))")
            let counted = interface.dropped.filter { $0.count > 0 }
            if !counted.isEmpty { lines.append("  dropped " + counted.map { "\($0.name) \($0.count)" }.joined(separator: ", ")) }
            lines += interface.adjacencies.map { "  " + $0 }
        }
        return lines
    }
}

extension ConfigurationHistoryView {
    public var lines: [String] {
        if revisions.isEmpty { return ["no configuration was applied yet"] }
        var table = TextTable([("Revision", .right), ("Time (UTC)", .left), ("Author", .left), ("Comment", .left)])
        for revision in revisions {
            table.append([
                "\(revision.isInForce ? "* " : "  ")\(revision.revision)", Words.time(ManagementTime.text(revision.time)),
                revision.author, revision.comment,
            ])
        }
        return table.lines
    }
}
