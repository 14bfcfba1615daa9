import Foundation

extension VersionView {
    public var lines: [String] {
        var table = TextTable([("Between the two", .left), ("Known here", .right), ("Spoken", .right)])
        for format in formats {
            table.append([
                format.name, format.oldest == format.newest ? "\(format.newest)" : "\(format.oldest) to \(format.newest)",
                format.agreed.map { "\($0)" } ?? "-",
            ])
        }
        return [
            "lockstep \(release), controller \(controller.uppercased()) (\(name)), pid \(pid)",
            "  started  \(Words.time(ManagementTime.text(started))) UTC",
            "  formats  management \(management), datastore tables \(tables), introduction \(introduction)",
        ] + table.lines
    }
}

extension RedundancyView {
    private func describe(_ controller: Controller) -> String {
        var text = "\(controller.id.uppercased()) (\(controller.name)) \(controller.state)"
        if let since = controller.since { text += " since \(Words.time(ManagementTime.text(since))) UTC" }
        if let release = controller.release { text += ", release \(release)" }
        return text
    }

    public var lines: [String] {
        var rows: [(String, String)] = []
        rows.append(("this", describe(local)))
        rows.append(("twin", peer.map(describe) ?? "none configured"))
        rows.append(("epoch", "\(epoch), arbiter \(arbiter)"))
        if isReady {
            rows.append(("redundant", "yes, the twin can take over without losing a session"))
        } else {
            rows.append(("redundant", notReady.isEmpty ? "NO" : "NO: " + notReady[0]))
            for reason in notReady.dropFirst() { rows.append(("", "    " + reason)) }
        }
        if let blocked { rows.append(("blocked", blocked)) }
        if let channel {
            var text = channel.isConnected ? "connected" : "NOT connected"
            if let since = channel.since { text += " since \(Words.time(ManagementTime.text(since))) UTC" }
            rows.append(("channel", text + ", \(channel.local) to \(channel.peer), \(channel.security)"))
            var beat = "every \(Words.span(channel.heartbeatInterval)), \(channel.heartbeatMultiplier) missed mean dead"
            if let last = channel.lastHeartbeat { beat += "; last \(Words.span(last)) ago" }
            rows.append(("heartbeat", beat))
            if let median = channel.acknowledgementMedian {
                rows.append(
                    (
                        "standby delay",
                        "median \(Words.span(median))"
                            + (channel.acknowledgement99.map { ", p99 \(Words.span($0))" } ?? "")
                    ))
            }
        }
        rows.append(("log", "appended \(log.appended), committed \(log.committed), applied \(log.applied)"))
        if let stored = log.peerStored {
            rows.append(
                (
                    "",
                    "twin stored \(stored)" + (log.peerApplied.map { ", applied \($0)" } ?? "")
                        + "; held for it \(Words.count(log.held, "record", "records")), \(Words.octets(UInt64(max(0, log.heldOctets))))"
                ))
        }
        for part in parts {
            rows.append(
                (
                    part.name == parts.first?.name ? "parts" : "",
                    "\(part.name): \(part.isRedundant ? "redundant" : "NOT redundant")\(part.reason.map { ", \($0)" } ?? "")"
                ))
        }
        if let bulk = lastBulkUpdate {
            rows.append(
                (
                    "bulk update",
                    "\(Words.time(ManagementTime.text(bulk.finished))) UTC, \(Words.octets(UInt64(max(0, bulk.octets))))"
                        + " in \(Words.span(bulk.duration)), longest engine pause \(Words.span(bulk.longestEnginePause))"
                ))
        }
        if let last = lastSwitchover { rows.append(("switchover", last.headline)) }
        for alarm in alarms { rows.append(("ALARM", alarm)) }
        let width = rows.map(\.0.count).max() ?? 0
        return ["pair \(pair)"]
            + rows.map { label, text in
                "  " + label + String(repeating: " ", count: width - label.count + 2) + text
            }
    }
}

extension StepView {
    public var line: String {
        let time = String(Int((elapsed.seconds * 1e6).rounded()))
        let milliseconds = time.count > 3 ? time.dropLast(3) : "0"
        let micro = String(repeating: "0", count: max(0, 3 - time.count)) + time.suffix(3)
        let text = "\(milliseconds).\(micro)"
        return String(repeating: " ", count: max(0, 10 - text.count)) + "\(text) ms  \(name)\(detail.map { ": \($0)" } ?? "")"
    }
}

extension SwitchoverView {
    public var headline: String {
        "\(Words.time(ManagementTime.text(started))) UTC, \(kind), \(from.uppercased()) to \(to.uppercased()), \(outcome)"
            + " in \(Words.span(duration)), epoch \(epoch)\(reason.isEmpty ? "" : ": \(reason)")"
    }
    public var lines: [String] { [headline] + steps.map(\.line) }
}

extension EventsView.Entry {
    public var line: String {
        func pad(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(0, width - text.count)) }
        return
            "\(Words.time(ManagementTime.text(time)))  \(controller.uppercased())  \(pad(severity, 7))  \(pad(component, 9))  \(message)"
    }
}

extension EventsView {
    public var lines: [String] {
        events.map(\.line) + (dropped > 0 ? ["(\(dropped) events were dropped: the disk was away or too slow)"] : [])
    }
}
