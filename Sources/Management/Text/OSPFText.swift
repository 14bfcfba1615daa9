import OSPF
import Records
import Wire

extension OSPFView {
    /// - Parameter detail: as in the query.
    public func lines(detail: Bool = false) -> [String] {
        guard isConfigured else { return ["the router does not speak this OSPF"] }
        if let summary { return summary.lines }
        if let neighbors { return Self.lines(neighbors, detail: detail) }
        if let interfaces { return Self.lines(interfaces, detail: detail) }
        if let lsas { return Self.lines(lsas) }
        if let routes { return Self.lines(routes) }
        if let spf { return spf.lines }
        return []
    }

    private static func lines(_ neighbors: [OSPFNeighborView], detail: Bool) -> [String] {
        if neighbors.isEmpty { return ["no neighbors"] }
        if detail { return Array(neighbors.map(\.lines).joined(separator: [""])) }
        var table = TextTable([
            ("Router ID", .left), ("Pri", .right), ("State", .left), ("Up", .right), ("Dead", .right),
            ("Address", .left), ("Interface", .left), ("Area", .left), ("RXmt", .right), ("Rqst", .right),
        ])
        for neighbor in neighbors {
            table.append([
                "\(neighbor.routerID)", "\(neighbor.priority)",
                "\(neighbor.state)" + (neighbor.role == "-" ? "" : "/\(neighbor.role)"), Words.upTime(neighbor.stateAge),
                "\(Int(neighbor.deadTime.seconds))", "\(neighbor.address)", neighbor.interface, "\(neighbor.area)",
                "\(neighbor.retransmissions)", "\(neighbor.requests)",
            ])
        }
        return table.lines
    }

    private static func lines(_ interfaces: [OSPFInterfaceView], detail: Bool) -> [String] {
        if interfaces.isEmpty { return ["OSPF runs on no interface"] }
        if detail { return Array(interfaces.map(\.lines).joined(separator: [""])) }
        var table = TextTable([
            ("Interface", .left), ("Area", .left), ("State", .left), ("Network", .left), ("Address", .left),
            ("Cost", .right), ("Pri", .right), ("DR", .left), ("Backup", .left), ("Full/Nbrs", .right),
        ])
        func text(_ value: (any CustomStringConvertible)?) -> String { value?.description ?? "-" }
        for interface in interfaces {
            table.append([
                interface.name, "\(interface.area)", interface.isPassive ? "passive" : "\(interface.state)",
                "\(interface.network)",
                text(interface.address), "\(interface.cost)", "\(interface.priority)",
                text(interface.designatedRouter), text(interface.backupDesignatedRouter),
                "\(interface.fullNeighbors)/\(interface.neighbors)",
            ])
        }
        return table.lines
    }

    private static func lines(_ lsas: [OSPFLSAView]) -> [String] {
        if lsas.isEmpty { return ["no LSAs"] }
        var lines: [String] = []
        var start = lsas.startIndex
        while start < lsas.endIndex {
            let end = lsas[start...].firstIndex { $0.database != lsas[start].database } ?? lsas.endIndex
            if !lines.isEmpty { lines.append("") }
            lines.append("Database of \(lsas[start].database)")
            var table = TextTable([
                ("Type", .left), ("Link State ID", .left), ("Adv router", .left), ("Age", .right), ("Seq", .left),
                ("Checksum", .left), ("Octets", .right), ("", .left),
            ])
            for lsa in lsas[start..<end] {
                table.append([
                    lsa.type, "\(lsa.linkStateID)", "\(lsa.advertisingRouter)", "\(lsa.age)", lsa.sequence, lsa.checksum,
                    "\(lsa.length)", lsa.isOwn ? "own" : "",
                ])
            }
            let rows = table.lines
            lines.append("  " + rows[0])
            for (lsa, row) in zip(lsas[start..<end], rows.dropFirst()) {
                lines.append("  " + row)
                for statement in lsa.contents ?? [] { lines.append("      " + statement) }
            }
            start = end
        }
        return lines
    }

    private static func lines(_ routes: [OSPFRouteView]) -> [String] {
        if routes.isEmpty { return ["no routes"] }
        var table = TextTable([
            ("Prefix", .left), ("Kind", .left), ("Area", .left), ("Cost", .right), ("From", .left), ("Tag", .right),
            ("Next hops", .left),
        ])
        for route in routes {
            table.append([
                "\(route.prefix)", route.kind, "\(route.area)",
                route.type2Cost.map { "\($0) (\(route.cost))" } ?? "\(route.cost)", "\(route.advertisingRouter)",
                route.tag == 0 ? "-" : "\(route.tag)", route.nextHops.joined(separator: ", "),
            ])
        }
        return table.lines
    }
}

extension OSPFSummaryView {
    public var lines: [String] {
        var lines = ["OSPFv\(version) for \(family), router ID \(routerID)"]
        var traits: [String] = []
        if isBorderRouter { traits.append("area border router") }
        if isStubRouter { traits.append("stub router (RFC 6987)") }
        if !traits.isEmpty { lines.append("  " + traits.joined(separator: ", ")) }
        lines.append("  \(routes) routes, \(externalLSAs) AS external LSAs, \(calculations) calculations of routes")
        var table = TextTable([
            ("Area", .left), ("Kind", .left), ("Interfaces", .right), ("Full", .right), ("LSAs", .right),
        ])
        for area in areas {
            table.append(["\(area.id)", area.kind, "\(area.interfaces)", "\(area.fullNeighbors)", "\(area.lsas)"])
        }
        return lines + [""] + table.lines
    }
}

extension OSPFNeighborView {
    public var lines: [String] {
        var lines = ["Neighbor \(routerID), address \(address), interface \(interface), area \(area)"]
        lines.append(
            "  state \(state)\(role == "-" ? "" : ", \(role)") for \(Words.upTime(stateAge)), priority \(priority)")
        lines.append("  dead in \(Words.span(deadTime))\(bfd.map { ", BFD \($0)" } ?? "")")
        if let graceTime { lines.append("  restarts, helped for another \(Words.span(graceTime))") }
        lines.append("  \(retransmissions) LSAs to be acknowledged, \(requests) asked for")
        let reason = lastReason.isEmpty ? "" : ", last: \(lastReason)"
        lines.append("  \(stateChanges) changes of state\(reason)")
        return lines
    }
}

extension OSPFInterfaceView {
    public var lines: [String] {
        var lines = ["\(name), area \(area), \(network)\(isPassive ? ", passive" : "")"]
        lines.append("  state \(state), cost \(cost), priority \(priority)\(address.map { ", address \($0)" } ?? "")")
        if let designatedRouter {
            lines.append("  designated router \(designatedRouter), backup \(backupDesignatedRouter.map { "\($0)" } ?? "none")")
        }
        if let helloDue { lines.append("  next Hello in \(Words.span(helloDue))") }
        lines.append("  \(Words.count(neighbors, "neighbor", "neighbors")), \(fullNeighbors) full")
        func list(_ head: String, _ counters: [Counter]) {
            if counters.isEmpty { return }
            lines.append("  \(head): " + counters.map { "\($0.count) \($0.name)" }.joined(separator: ", "))
        }
        list("received", received)
        list("sent", sent)
        list("dropped", dropped)
        return lines
    }
}

extension OSPFCalculationView {
    public var lines: [String] {
        var lines: [String] = []
        if runs.isEmpty {
            lines.append("no calculation since this controller began")
        } else {
            var table = TextTable([
                ("Ago", .right), ("Waited", .right), ("LSAs changed", .right), ("Routes changed", .right),
            ])
            for run in runs {
                table.append([Words.upTime(run.age), Words.span(run.delay), "\(run.changes)", "\(run.routes)"])
            }
            lines += table.lines
        }
        if routers.isEmpty { return lines }
        var table = TextTable([("Area", .left), ("Router", .left), ("Distance", .right), ("", .left)])
        for router in routers {
            var traits: [String] = []
            if router.isBorderRouter { traits.append("border") }
            if router.isBoundaryRouter { traits.append("boundary") }
            table.append(["\(router.area)", "\(router.routerID)", "\(router.distance)", traits.joined(separator: ", ")])
        }
        return lines + [""] + table.lines
    }
}
