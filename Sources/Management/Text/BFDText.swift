import BFD
import Wire

extension BFDView {
    /// `show bfd`: one line for each session.
    public var lines: [String] {
        if sessions.isEmpty { return ["nobody asks for BFD sessions"] }
        var table = TextTable([
            ("Peer", .left), ("Local", .left), ("Interface", .left), ("State", .left), ("Remote", .left),
            ("Transmit", .right), ("Detection", .right), ("Clients", .left), ("Diagnostic", .left),
        ])
        for session in sessions {
            table.append([
                "\(session.remote)", "\(session.local)", session.interface ?? "multihop", "\(session.state)",
                "\(session.remoteState)",
                Self.time(session.transmitInterval), Self.time(session.detectionTime),
                session.clients.joined(separator: ", "), session.diagnostic == "none" ? "" : session.diagnostic,
            ])
        }
        let up = sessions.count { $0.state == .up }
        return table.lines + ["", "\(Words.count(sessions.count, "session", "sessions")), \(up) up"]
    }

    /// `show bfd sessions`: all about each.
    public var detailLines: [String] {
        if sessions.isEmpty { return ["nobody asks for BFD sessions"] }
        return Array(sessions.map(\.lines).joined(separator: [""]))
    }

    /// `show bfd counters`
    public var counterLines: [String] {
        if counters.isEmpty { return ["the sessions run on the active controller; ask there"] }
        var table = TextTable([
            ("Peer", .left), ("Received", .right), ("Sent", .right), ("Dropped", .right), ("Up", .right), ("Down", .right),
        ])
        for session in sessions {
            guard let counters = session.counters else { continue }
            table.append([
                "\(session.remote)", "\(counters.packetsIn)", "\(counters.packetsOut)", "\(counters.drops)",
                "\(counters.timesUp)", "\(counters.timesDown)",
            ])
        }
        return table.lines + [""] + counters.map { "\($0.name): \($0.count)" }
    }

    static func time(_ microseconds: UInt64) -> String {
        microseconds == 0 ? "-" : Words.span(TimeSpan(.microseconds(Int64(clamping: microseconds))))
    }
}

extension BFDSessionView {
    public var lines: [String] {
        var lines = ["BFD session with \(remote)\(interface.map { " on \($0)" } ?? ", several hops"), from \(local)"]
        func add(_ text: String) { lines.append("  " + text) }
        add("state \(state), the neighbor says \(remoteState); for \(clients.joined(separator: ", "))")
        add("diagnostic: \(diagnostic), the neighbor's: \(remoteDiagnostic)")
        let remoteNumber = remoteDiscriminator == 0 ? "unknown" : "\(remoteDiscriminator)"
        add("discriminators: local \(localDiscriminator), remote \(remoteNumber)")
        func time(_ microseconds: UInt32) -> String { BFDView.time(UInt64(microseconds)) }
        add("our wishes: transmit \(time(desiredTransmit)), receive \(time(requiredReceive)), multiplier \(multiplier)")
        if remoteDiscriminator != 0 {
            add(
                "the neighbor's: transmit \(time(remoteDesiredTransmit)), receive \(time(remoteRequiredReceive)), "
                    + "multiplier \(remoteMultiplier)")
        }
        add(
            "in use: a packet every \(BFDView.time(transmitInterval)), down after \(BFDView.time(detectionTime)) of silence"
                + (isPolling ? "; polling" : ""))
        if let authentication { add("authentication: \(authentication)") }
        if let counters {
            add(
                "packets: \(counters.packetsIn) received, \(counters.packetsOut) sent, \(counters.drops) dropped; "
                    + "up \(Words.count(Int(clamping: counters.timesUp), "time", "times")), down \(counters.timesDown)")
        }
        return lines
    }
}
