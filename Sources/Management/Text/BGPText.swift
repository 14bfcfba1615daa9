import BGP
import Wire

extension BGPSummaryView {
    public var lines: [String] {
        var lines = ["BGP router identifier \(routerID.map { "\($0)" } ?? "none"), local AS \(routerAS)"]
        for table in tables { lines.append("  \(table.family): \(table.prefixes) prefixes, \(table.paths) paths") }
        lines.append("  \(attributeSets) attribute sets, \(Words.octets(UInt64(memory))) of tables")
        if neighbors.isEmpty { return lines + ["no neighbors are configured"] }
        var table = TextTable([
            ("Neighbor", .left), ("AS", .right), ("MsgRcvd", .right), ("MsgSent", .right), ("OutQ", .right),
            ("Up/Down", .right), ("State", .left), ("PfxRcd", .right), ("PfxAcc", .right), ("PfxSnt", .right),
            ("Description", .left),
        ])
        for neighbor in neighbors {
            let isUp = neighbor.state == .established
            func sum(_ value: (BGPFamilyView) -> Int?) -> String {
                let counts = neighbor.families.filter(\.isNegotiated).map(value)
                return isUp && !counts.contains(nil) ? "\(counts.reduce(0) { $0 &+ ($1 ?? 0) })" : "-"
            }
            table.append([
                (neighbor.isDynamic ? "*" : "") + "\(neighbor.address)", "\(neighbor.remoteAS)", "\(neighbor.messagesReceived)",
                "\(neighbor.messagesSent)",
                "\(neighbor.queued)", neighbor.stateAge.map(Words.upTime) ?? "never",
                "\(neighbor.state)" + (neighbor.reason.map { " (\($0))" } ?? ""), sum(\.received), sum(\.accepted),
                sum(\.advertised), neighbor.description,
            ])
        }
        let up = neighbors.count { $0.state == .established }
        return lines + [""] + table.lines + ["", "\(Words.count(neighbors.count, "neighbor", "neighbors")), \(up) established"]
    }
}

extension BGPNeighborsView {
    public var lines: [String] {
        neighbors.isEmpty
            ? ["no neighbors are configured"] : Array(neighbors.map(\.lines).joined(separator: [""]))
    }
}

extension BGPNeighborView {
    public var lines: [String] {
        var lines = [
            "BGP neighbor \(summary.address), remote AS \(summary.remoteAS), local AS \(localAS), \(kind)"
                + (summary.description.isEmpty ? "" : ", \"\(summary.description)\"")
        ]
        func add(_ text: String) { lines.append("  " + text) }
        let age =
            summary.stateAge.map { (summary.state == .established ? ", up " : ", down ") + Words.upTime($0) } ?? ", never up"
        add("state \(summary.state)\(age)\(summary.reason.map { " (\($0))" } ?? "")")
        if !groups.isEmpty { add("peer group \(groups.joined(separator: ", "))") }
        if let range { add("came by itself from \(range)") }
        if isShutdown { add("administratively shut down") }
        if let routerID { add("router identifier \(routerID)") }
        if let localAddress {
            add(
                "local \(localAddress)\(localPort.map { " port \($0)" } ?? ""), remote \(summary.address)"
                    + (remotePort.map { " port \($0)" } ?? ""))
        }
        if let holdTime {
            add(
                "hold time \(holdTime == 0 ? "off" : "\(holdTime) s"), keepalive \(keepaliveInterval.map { $0 == 0 ? "off" : "\($0) s" } ?? "-")"
                    + " (configured hold time \(configuredHoldTime) s)")
        } else {
            add("configured hold time \(configuredHoldTime) s")
        }
        var traits: [String] = []
        if isReflectorClient { traits.append("route reflector client") }
        if passive { traits.append("passive") }
        if hasPassword { traits.append("TCP MD5") }
        if minimumHopLimit > 0 { traits.append("TTL security, at least \(minimumHopLimit)") }
        if multihop > 0 { traits.append("multihop \(multihop)") }
        if role != nil || remoteRole != nil {
            add("our role \(role ?? "none"), the neighbor says \(remoteRole ?? "none") (RFC 9234)")
        }
        if !traits.isEmpty { add(traits.joined(separator: ", ")) }
        add(gracefulRestart.text)
        add("established \(establishedCount) times, dropped \(droppedCount)")
        if let lastError { add("last error: \(lastError)\(lastErrorAge.map { ", \(Words.upTime($0)) ago" } ?? "")") }
        for (count, text) in [
            (counters.martians, "unusable: % announcements of groups, loopback or our own addresses were ignored"),
            (counters.beyondLimit, "beyond the limit: % announcements of prefixes were ignored"),
            (counters.reflectionLoops, "loops: % announcements came back by reflection and are not chosen (RFC 4456)"),
            (counters.routeLeaks, "route leaks: % announcements were to go to customers only and are not chosen (RFC 9234)"),
            (counters.quarantined, "quarantined: % messages were fatal to a controller before and were not looked at again"),
            (counters.malformedUpdates, "malformed: % updates were treated as RFC 7606 asks"),
            (counters.restarts, "restarts: % times the session ended and its routes were kept"),
            (counters.staleRoutesRemoved, "stale: % routes were not announced again and went"),
        ] where count > 0 { add(text.replacing("%", with: "\(count)")) }
        func policy(_ name: String, _ list: [String], _ isMissing: Bool) {
            add(
                "\(name) policy \(list.isEmpty ? "none" : list.joined(separator: ", "))"
                    + (isMissing ? ": no route passes without one (RFC 8212)" : ""))
        }
        policy("import", importPolicies, importIsMissing)
        policy("export", exportPolicies, exportIsMissing)
        if !capabilitiesSent.isEmpty { add("capabilities sent: " + capabilitiesSent.joined(separator: ", ")) }
        if !capabilitiesReceived.isEmpty { add("capabilities received: " + capabilitiesReceived.joined(separator: ", ")) }

        var messages = TextTable([("Messages", .left), ("Received", .right), ("Sent", .right)])
        let kinds: [(String, KeyPath<NeighborCounters.Direction, UInt64>)] = [
            ("open", \.opens), ("update", \.updates), ("notification", \.notifications), ("keepalive", \.keepalives),
            ("route-refresh", \.routeRefreshes), ("total", \.messages),
        ]
        for (name, key) in kinds {
            messages.append([name, "\(counters.received[keyPath: key])", "\(counters.sent[keyPath: key])"])
        }
        lines += messages.lines.map { "    " + $0 }
        if !summary.families.isEmpty {
            var table = TextTable([
                ("Family", .left), ("Negotiated", .left), ("Received", .right), ("Accepted", .right), ("Best", .right),
                ("Sent", .right), ("Limit", .right),
            ])
            for family in summary.families {
                table.append([
                    "\(family.family)", family.isNegotiated ? "yes" : "no", "\(family.received)",
                    family.accepted.map { "\($0)" } ?? "-",
                    family.best.map { "\($0)" } ?? "-", "\(family.advertised)",
                    family.maximumPrefixes == 0 ? "-" : "\(family.maximumPrefixes)",
                ])
            }
            lines += table.lines.map { "    " + $0 }
            for family in summary.families where family.isNegotiated {
                var agreed: [String] = []
                if family.addPathReceive { agreed.append("several paths of a prefix are received (RFC 7911)") }
                if let paths = family.addPathSend { agreed.append("at most \(paths) paths of a prefix are sent (RFC 7911)") }
                if family.extendedNextHop { agreed.append("IPv6 next hops (RFC 8950)") }
                if !agreed.isEmpty { add("\(family.family): " + agreed.joined(separator: ", ")) }
            }
            for family in summary.families where family.stale > 0 || family.isRefreshing {
                let why = family.isRefreshing ? ", the neighbor says all again (RFC 7313)" : ""
                let long = family.isLongLivedStale ? " for long (RFC 9494)" : ""
                let time = family.staleFor.map { ", for \(Words.upTime($0)) at most" } ?? ""
                add("\(family.family): \(family.stale) routes are stale\(long)\(why)\(time)")
            }
        }
        return lines
    }
}

extension BGPRestartView {
    /// One line.
    var text: String {
        var words = ["graceful restart \(mode)"]
        if !isNegotiated {
            words.append("not agreed on")
        } else if preserved.isEmpty {
            words.append("the neighbor only helps")
        } else {
            let time = restartTime.map { ", \(Int($0.seconds)) s" } ?? ""
            words.append("the neighbor preserves \(preserved.joined(separator: ", "))\(time)")
        }
        if hasNotification { words.append("NOTIFICATION included (RFC 8538)") }
        if isRestarting { words.append("it has restarted") }
        if !longLived.isEmpty { words.append("long-lived \(longLived.joined(separator: ", "))") }
        if let awaitedFor { words.append("it is awaited for \(Words.upTime(awaitedFor))") }
        return words.joined(separator: "; ")
    }
}
