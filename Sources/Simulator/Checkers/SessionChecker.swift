import Wire

/// What the peers saw: no session was dropped, every stream was a valid one, and in the end each peer holds exactly what
/// a router that never failed would have told it.
struct SessionChecker {
    private var reported = 0

    mutating func look(at simulation: Simulation) {
        var count = 0
        for i in simulation.stations.indices {
            count += simulation.stations[i].speaker.violations.count + simulation.stations[i].violations.count
        }
        guard count > reported else { return }
        reported = count
        // BFD's word is the cause of what follows from it.
        for station in simulation.stations { for sentence in station.violations { simulation.find(sentence) } }
        for station in simulation.stations { for sentence in station.speaker.violations { simulation.find(sentence) } }
    }

    /// Whether every speaker holds what it should.
    static func areViewsRight(_ simulation: Simulation) -> Bool {
        let speakers = simulation.stations.map(\.speaker)
        for speaker in speakers {
            guard speaker.state == .established else { return false }
            let expected = expectedView(of: speaker, among: speakers)
            guard expected.count == speaker.learnt.count else { return false }
            for (prefix, path) in expected where speaker.learnt[prefix] != path { return false }
        }
        return true
    }

    mutating func finish(_ simulation: Simulation) {
        for station in simulation.stations {
            let speaker = station.speaker
            guard speaker.state == .established else {
                simulation.find("AS \(speaker.asNumber): the session is not up in the end")
                continue
            }
            if !station.isWatchedOrNeedNotBe {
                simulation.find("AS \(speaker.asNumber): the BFD session is not up in the end")
            }
            let expected = Self.expectedView(of: speaker, among: simulation.stations.map(\.speaker))
            let actual = speaker.view
            if expected.count != actual.count
                || !zip(expected, actual).allSatisfy({ $0.prefix == $1.prefix && $0.path == $1.path })
            {
                simulation.find(Self.difference(speaker, expected: expected, actual: actual))
            }
        }
    }

    /// Best path as RFC 4271 §9.1.2.2 has it where only path length and identifier can differ; nothing goes back to
    /// where it came from.
    static func expectedView(
        of speaker: BGPSpeaker, among all: [BGPSpeaker]
    ) -> [(prefix: UInt64, path: BGPSpeaker.Path)] {
        // Of the router on that speaker's LAN.
        let routerAddress = speaker.address.raw & 0xffff_ff00 | 1
        var best = SortedTable<UInt64, BGPSpeaker>()
        for candidate in all where candidate.state == .established {
            for (prefix, tail) in candidate.announcements {
                guard let holder = best[prefix], let held = holder.announced[prefix] else {
                    best[prefix] = candidate
                    continue
                }
                if (tail.count, candidate.identifier) < (held.count, holder.identifier) { best[prefix] = candidate }
            }
        }
        return best.keys.compactMap { prefix in
            guard let winner = best[prefix], let tail = winner.announced[prefix], winner.asNumber != speaker.asNumber,
                !tail.contains(speaker.asNumber)
            else { return nil }
            return (
                prefix,
                BGPSpeaker.Path(
                    asPath: [RouterPlan.routerAS, winner.asNumber] + tail, nextHop: routerAddress)
            )
        }
    }

    static func difference(
        _ speaker: BGPSpeaker, expected: [(prefix: UInt64, path: BGPSpeaker.Path)],
        actual: [(prefix: UInt64, path: BGPSpeaker.Path)]
    ) -> String {
        for (prefix, path) in expected {
            guard let found = speaker.learnt[prefix] else {
                return "AS \(speaker.asNumber): \(BGPSpeaker.text(prefix)) is missing in the end"
            }
            if found != path {
                return "AS \(speaker.asNumber): \(BGPSpeaker.text(prefix)) is \(found) in the end, not \(path)"
            }
        }
        for (prefix, path) in actual where !expected.contains(where: { $0.prefix == prefix }) {
            return "AS \(speaker.asNumber): \(BGPSpeaker.text(prefix)) is left over in the end: \(path)"
        }
        return "AS \(speaker.asNumber): the views differ"
    }
}
