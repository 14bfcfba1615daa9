import RIP
import Wire

extension RIPView {
    private var title: String { name == "rip" ? "RIP" : "RIPng" }

    public var lines: [String] {
        guard isConfigured else { return ["\(title) is not configured"] }
        if let neighbors { return lines(of: neighbors) }
        if let interfaces {
            return interfaces.isEmpty ? ["no interfaces"] : Array(interfaces.map(\.lines).joined(separator: [""]))
        }
        return routes?.lines ?? []
    }

    private func lines(of neighbors: [RIPNeighborView]) -> [String] {
        if neighbors.isEmpty { return ["no neighbor is heard"] }
        var table = TextTable([
            ("Neighbor", .left), ("Interface", .left), ("Version", .right), ("Known", .right), ("Heard", .right),
            ("Routes", .right), ("Responses", .right), ("BadPackets", .right), ("BadRoutes", .right), ("BFD", .left),
        ])
        for neighbor in neighbors {
            table.append([
                "\(neighbor.address)", neighbor.interface, "\(neighbor.version)", Words.upTime(neighbor.age),
                Words.upTime(neighbor.silence), "\(neighbor.routes)", "\(neighbor.responses)", "\(neighbor.badPackets)",
                "\(neighbor.badRoutes)", neighbor.bfd ?? "-",
            ])
        }
        return table.lines + ["", Words.count(neighbors.count, "neighbor", "neighbors")]
    }
}

extension RIPInterfaceView {
    public var lines: [String] {
        var lines = [
            "\(name) is \(isUp ? "up" : "down")\(isPassive ? ", passive" : ""), \(Words.count(neighbors, "neighbor", "neighbors"))"
        ]
        func add(_ text: String) { lines.append("  " + text) }
        add("metric \(metric)\(metricOffset == 0 ? "" : ", announced with \(metricOffset) more"), split horizon \(splitHorizon)")
        if !send.isEmpty { add("sends version \(send), hears version \(receive), authentication \(authentication)") }
        if let nextUpdate { add("next update in \(Words.span(nextUpdate))") }
        add("sent \(packetsSent) packets: \(regularUpdates) regular and \(triggeredUpdates) triggered updates")
        add("received \(responsesReceived) responses, \(requestsReceived) requests")
        for drop in dropped { add("dropped \(drop.count): \(drop.name)") }
        return lines
    }
}

extension RIPRoutesView {
    public var lines: [String] {
        if routes.isEmpty { return ["no routes"] }
        var table = TextTable([
            ("Prefix", .left), ("Metric", .right), ("Tag", .right), ("Kind", .left), ("Gateway", .left), ("Interface", .left),
            ("Time", .right),
        ])
        for route in routes {
            let first = route.gateways.first
            table.append([
                "\(route.prefix)", "\(route.metric)", "\(route.tag)", "\(route.kind)", first.map { "\($0.address)" } ?? "",
                first?.interface ?? "",
                (first?.timeout ?? route.garbage).map(Words.upTime) ?? "",
            ])
            for other in route.gateways.dropFirst() {
                table.append(["", "", "", "", "\(other.address)", other.interface, Words.upTime(other.timeout)])
            }
        }
        return table.lines + (next == nil ? ["", Words.count(Int(clamping: total), "destination", "destinations")] : [])
    }
}
