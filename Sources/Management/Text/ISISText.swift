import ISIS
import Records
import Wire

extension ISISView {
    /// - Parameter detail: as in the query.
    public func lines(detail: Bool = false) -> [String] {
        guard isConfigured else { return ["the router does not speak IS-IS"] }
        if let summary { return summary.lines }
        if let neighbors { return Self.lines(neighbors, detail: detail) }
        if let interfaces { return Self.lines(interfaces) }
        if let lsps { return Self.lines(lsps) }
        if let routes { return Self.lines(routes) }
        if let paths { return Self.lines(paths) }
        if let hostnames { return Self.lines(hostnames) }
        return []
    }

    private static func lines(_ neighbors: [ISISAdjacencyView], detail: Bool) -> [String] {
        if neighbors.isEmpty { return ["no neighbors"] }
        if detail { return Array(neighbors.map(\.lines).joined(separator: [""])) }
        var table = TextTable([
            ("System", .left), ("Interface", .left), ("Level", .left), ("State", .left), ("Up", .right), ("Hold", .right),
            ("Address", .left),
        ])
        for neighbor in neighbors {
            table.append([
                neighbor.hostname ?? "\(neighbor.system)", neighbor.interface, "\(neighbor.levels)", "\(neighbor.state)",
                neighbor.upFor.map(Words.upTime) ?? "-", "\(Int(neighbor.holdTimeLeft.seconds))",
                neighbor.addresses.first.map { "\($0)" } ?? "\(neighbor.station)",
            ])
        }
        return table.lines
    }

    private static func lines(_ interfaces: [ISISInterfaceView]) -> [String] {
        if interfaces.isEmpty { return ["IS-IS runs on no interface"] }
        var table = TextTable([
            ("Interface", .left), ("State", .left), ("Network", .left), ("Level", .left), ("Metric", .right),
            ("Priority", .right), ("Hello", .right), ("Adjacencies", .right), ("Lost", .right), ("Waiting", .right),
            ("LAN", .left),
        ])
        for interface in interfaces {
            let state = !interface.isUp ? "down" : interface.isPassive ? "passive" : "up"
            for level in interface.levels {
                table.append([
                    interface.name, state, interface.network, "\(level.level)", "\(level.metric)", "\(level.priority)",
                    Words.span(level.helloInterval), "\(level.adjacencies)", "\(interface.adjacencyLosses)",
                    "\(level.waiting)", level.lan.map { "\($0)" + (level.isDesignated ? " (us)" : "") } ?? "-",
                ])
            }
        }
        return table.lines
    }

    private static func lines(_ lsps: [ISISDatabaseView]) -> [String] {
        var lines: [String] = []
        for level in Level.allCases {
            let list = lsps.filter { $0.level == level }
            if list.isEmpty { continue }
            if !lines.isEmpty { lines.append("") }
            lines.append("Level \(level.rawValue) link state database, \(Words.count(list.count, "LSP", "LSPs"))")
            var table = TextTable([
                ("LSP ID", .left), ("Name", .left), ("Sequence", .right), ("Checksum", .right), ("Lifetime", .right),
                ("Octets", .right), ("ATT/OL", .left),
            ])
            func hexadecimal(_ value: some FixedWidthInteger, _ digits: Int) -> String {
                let text = String(value, radix: 16)
                return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
            }
            for lsp in list {
                table.append([
                    "\(lsp.id)" + (lsp.isOwn ? " *" : ""), lsp.hostname ?? "", hexadecimal(lsp.sequence, 8),
                    hexadecimal(lsp.checksum, 4), lsp.isPurged ? "purged" : "\(lsp.remainingLifetime)", "\(lsp.octets)",
                    "\(lsp.isAttached ? 1 : 0)/\(lsp.isOverloaded ? 1 : 0)",
                ])
            }
            let rows = table.lines
            lines.append(rows[0])
            for (lsp, row) in zip(list, rows.dropFirst()) {
                lines.append(row)
                lines += (lsp.contents ?? []).map { "    " + $0 }
            }
        }
        return lines.isEmpty ? ["no LSPs"] : lines
    }

    private static func lines(_ routes: [ISISRouteView]) -> [String] {
        if routes.isEmpty { return ["no routes"] }
        var table = TextTable([
            ("Prefix", .left), ("Kind", .left), ("Metric", .right), ("Tag", .right), ("Next hops", .left),
        ])
        for route in routes {
            for (i, hop) in route.nextHops.enumerated() {
                table.append(
                    i > 0
                        ? ["", "", "", "", hop]
                        : [
                            "\(route.prefix)", "\(route.kind)" + (route.isExternal ? ", external" : ""), "\(route.metric)",
                            route.tag == 0 ? "-" : "\(route.tag)", hop,
                        ])
            }
        }
        return table.lines
    }

    private static func lines(_ paths: [ISISPathView]) -> [String] {
        var lines: [String] = []
        var rest = paths[...]
        while let first = rest.first {
            let part = rest.prefix { $0.level == first.level && $0.topology == first.topology }
            rest = rest.dropFirst(part.count)
            if !lines.isEmpty { lines.append("") }
            lines.append("Level \(first.level.rawValue), topology \(first.topology), \(Words.count(part.count, "node", "nodes"))")
            var table = TextTable([("Node", .left), ("Name", .left), ("Metric", .right), ("Traits", .left), ("By", .left)])
            for path in part {
                var traits: [String] = []
                if path.isOverloaded { traits.append("overloaded") }
                if path.isAttached { traits.append("attached") }
                let by =
                    path.firstHops.isEmpty ? (path.metric == 0 ? "this router" : "-") : path.firstHops.joined(separator: ", ")
                table.append(["\(path.node)", path.hostname ?? "", "\(path.metric)", traits.joined(separator: ", "), by])
            }
            lines += table.lines
        }
        return lines.isEmpty ? ["no paths"] : lines
    }

    private static func lines(_ hostnames: [ISISHostnameView]) -> [String] {
        if hostnames.isEmpty { return ["no host names"] }
        var table = TextTable([("Level", .left), ("System", .left), ("Name", .left)])
        for entry in hostnames { table.append(["\(entry.level)", "\(entry.system)", entry.hostname]) }
        return table.lines
    }
}

extension ISISAdjacencyView {
    var lines: [String] {
        var lines = [
            "\(hostname ?? "\(system)") on \(interface), \(levels), \(state)" + (upFor.map { " for \(Words.upTime($0))" } ?? "")
        ]
        func add(_ text: String) { lines.append("  " + text) }
        add("system \(system), station \(station), priority \(priority)")
        if !areas.isEmpty { add("areas \(areas.joined(separator: ", "))") }
        if !addresses.isEmpty { add("addresses \(addresses.map(\.description).joined(separator: ", "))") }
        add("hold time \(holdingTime) s, \(Int(holdTimeLeft.seconds)) s left")
        if isMultiTopology { add("IPv6 topology of its own (RFC 5120)") }
        if isRestarting { add("restarting (RFC 5306)") }
        if let bfd { add("BFD \(bfd)") }
        return lines
    }
}

extension ISISSummaryView {
    var lines: [String] {
        var lines = ["IS-IS system \(system)\(hostname.isEmpty ? "" : " (\(hostname))"), \(levels)"]
        func add(_ text: String) { lines.append("  " + text) }
        add("areas \(areas.joined(separator: ", "))")
        add("\(Words.count(adjacenciesUp, "adjacency", "adjacencies")) up")
        if isOverloaded { add("overload bit is set: others route around this router") }
        if isAttached { add("attached bit is set: level 1 leads to other areas through this router") }
        for database in databases {
            add("level \(database.level.rawValue): \(Words.count(database.lsps, "LSP", "LSPs")), \(database.ownLSPs) of our own")
        }
        add("routes: \(ipv4Routes) IPv4, \(ipv6Routes) IPv6")
        add("calculation back-off: \(backoff) (RFC 8405)")
        for run in runs.suffix(5) {
            let what =
                run.levels.isEmpty
                ? "prefixes only" : "paths of level " + run.levels.map { "\($0.rawValue)" }.joined(separator: " and ")
            add("calculated \(Words.span(run.age)) ago: \(what), \(Words.count(run.updates, "route", "routes")) changed")
        }
        if !counters.isEmpty { add(counters.map { "\($0.name) \($0.count)" }.joined(separator: ", ")) }
        if !dropped.isEmpty { add("dropped: " + dropped.map { "\($0.name) \($0.count)" }.joined(separator: ", ")) }
        return lines
    }
}
