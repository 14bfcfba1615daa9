import Machine
import Records

/// The ports of one controller, summed up.
public struct PortScore: Hashable, Sendable, CustomStringConvertible {
    /// Ports that are compared.
    public var ports = 0
    /// Ports that work, and ports that work in part.
    public var working = 0
    public var partly = 0
    /// See `PortHealth.points`.
    public var points = 0
    public init() {}

    mutating func add(_ health: PortHealth) {
        ports += 1
        points += health.points
        if health.points == PortHealth.pointsMaximum { working += 1 } else if health.points > 0 { partly += 1 }
    }

    public var description: String {
        "\(working) of \(ports) ports work" + (partly == 0 ? "" : ", \(partly) in part")
    }
}

/// Whose ports work better, and why.
public struct PortComparison: Hashable, Sendable {
    public enum Better: Hashable, Sendable { case ours, twins, neither }
    public var better: Better
    public var ours: PortScore
    public var twins: PortScore
    /// For the event log: the scores, and what is wrong with each port on which the two differ. Empty when the twin is
    /// not known.
    public var why: String
}

extension PortJudge {
    // MARK: findings

    /// What is found of a port of ours: inward by us, outward by the twin as long as it speaks.
    public func health(_ id: InterfaceID, at now: Instant) -> PortHealth {
        let i = Int(id.value)
        guard i < ports.count else { return PortHealth() }
        return PortHealth(
            inward: ports[i].inward(at: now),
            outward: isTwinFresh(at: now) ? ports[i].twin?.twinOutward ?? .unknown : .unknown)
    }

    /// What is found of the twin's port: inward by the twin, outward by us.
    public func twinHealth(_ id: InterfaceID, at now: Instant) -> PortHealth {
        let i = Int(id.value)
        guard i < ports.count else { return PortHealth() }
        return PortHealth(
            inward: isTwinFresh(at: now) ? ports[i].twin?.inward ?? .unknown : .unknown,
            outward: ports[i].twinOutward(at: now))
    }

    /// Points of the ports that are not reported one by one.
    var otherPoints: Int {
        var points = 0
        for i in PortReport.portsMaximum..<max(ports.count, PortReport.portsMaximum) where ports[i].hasSteadyCarrier {
            points += PortHealth.pointsMaximum
        }
        return points
    }

    // MARK: comparison

    /// The sums of both over the ports that both know. Old words of the twin count: the caller asks whether it is fresh.
    private var scores: (ours: PortScore, twins: PortScore) {
        var ours = PortScore(), twins = PortScore()
        guard let twin else { return (ours, twins) }
        for i in 0..<min(ports.count, twin.ports.count, PortReport.portsMaximum) {
            // Whether something was heard lately makes no difference to the points, so any time will do.
            ours.add(PortHealth(inward: ports[i].inward(at: .zero), outward: twin.ports[i].twinOutward))
            twins.add(PortHealth(inward: twin.ports[i].inward, outward: ports[i].twinOutward(at: .zero)))
        }
        // A sum is comparable only over as many ports.
        let others = ports.count - PortReport.portsMaximum
        if others > 0, others == Int(twin.otherPorts) {
            ours.ports += others
            ours.points += otherPoints
            ours.working += otherPoints / PortHealth.pointsMaximum
            twins.ports += others
            twins.points += Int(twin.otherPoints)
            twins.working += Int(twin.otherPoints) / PortHealth.pointsMaximum
        }
        return (ours, twins)
    }

    var isTwinBetter: Bool {
        let (ours, twins) = scores
        return twins.points > ours.points
    }

    /// Who is better at this moment; neither while the twin's report is not fresh.
    public func comparison(at now: Instant) -> PortComparison {
        guard isTwinFresh(at: now) else {
            return PortComparison(better: .neither, ours: PortScore(), twins: PortScore(), why: "")
        }
        let (ours, twins) = scores
        let better: PortComparison.Better =
            ours.points == twins.points ? .neither : ours.points > twins.points ? .ours : .twins
        var why = "\(ours) here, \(twins) there"
        var told = 0
        for i in ports.indices.prefix(PortReport.portsMaximum) {
            let id = InterfaceID(UInt16(i))
            guard i < twin?.ports.count ?? 0, health(id, at: now).points != twinHealth(id, at: now).points else { continue }
            told += 1
            // A line for the log, not a table.
            if told <= 4 { why += "; " + words(id, at: now) }
        }
        if told > 4 { why += "; and \(told - 4) more" }
        return PortComparison(better: better, ours: ours, twins: twins, why: why)
    }

    /// What is wrong with a port, here or at the twin, in words; that all is well, if it is.
    public func words(_ id: InterfaceID, at now: Instant) -> String {
        let i = Int(id.value)
        guard i < ports.count else { return "interface \(i) is not known" }
        let name = i < names.count && !names[i].isEmpty ? "port \(names[i]) (interface \(i))" : "interface \(i)"
        let ours = health(id, at: now), twins = twinHealth(id, at: now)
        var parts = ports[i].inwardWords(at: now)
        if ours.outward == .mute { parts.append("is not heard: the twin hears others and we hear the twin") }
        parts += ports[i].twinOutwardWords()
        switch twins.inward {
        case .unknown, .good: break
        case .partlyDeaf: parts.append("hears only a part at the twin")
        case .deaf: parts.append("does not hear at the twin")
        case .noCarrier: parts.append("has no carrier at the twin")
        case .unanswered: parts.append("is not answered by neighbours at the twin")
        }
        return name + " " + (parts.isEmpty ? "works" : parts.joined(separator: ", "))
    }

    // MARK: change of role

    /// Asked of the active after each call that may have changed something: why the twin should be the router now, once.
    /// The hold-off of the next change begins with the answer; if the change does not begin, say so by
    /// `handoverDidNotBegin`.
    /// - Parameter isTwinReady: the twin's copy is in lock step, so that a graceful switchover can begin.
    public mutating func takeHandover(isTwinReady: Bool, at now: Instant) -> String? {
        guard isTwinReady, isTwinFresh(at: now), let betterSince, now >= betterSince + policy.steadyTime,
            isTwinBetter, damper.allows(at: now)
        else { return nil }
        damperBefore = damper
        damper.noteChange(at: now)
        self.betterSince = nil
        return comparison(at: now).why
    }

    /// The change of role that was asked for could not even begin: it does not count, and is asked for again a little
    /// later. To be said at once: the next report tells the twin of the hold-off.
    public mutating func handoverDidNotBegin(at now: Instant) {
        guard let before = damperBefore else { return }
        damper = before
        damper.postpone(until: now + .milliseconds(250))
        damperBefore = nil
    }
}

extension PortEvidence {
    func inwardWords(at now: Instant) -> [String] {
        switch inward(at: now) {
        case .unknown, .good: return []
        case .unanswered:
            return [
                "is not answered: neighbours are silent for \(unanswered.silence.inMilliseconds) ms, while they answer the twin"
            ]
        case .noCarrier: return [isUp ? "has a carrier that came back only now" : "has no carrier"]
        case .deaf:
            return [
                "does not hear: nothing for \(deaf.silence.inMilliseconds) ms while the twin sent \(deaf.tally.missed) "
                    + "advertisements, and heard \(deaf.tally.others) frames of others and \(deaf.tally.ours) of ours"
            ]
        case .partlyDeaf:
            return GroupFamily.allCases.filter { partlyDeaf[$0.rawValue].isSet }.map {
                let verdict = partlyDeaf[$0.rawValue]
                return "hears no groups of \($0.words): nothing for \(verdict.silence.inMilliseconds) ms while the twin "
                    + "heard \(verdict.tally.others) frames"
            }
        }
    }

    func twinOutwardWords() -> [String] {
        guard twinMute.isSet else { return [] }
        return [
            "is not heard from the twin: \(twinMute.tally.missed) of its advertisements are missing in "
                + "\(twinMute.silence.inMilliseconds) ms while others are heard and the twin heard \(twinMute.tally.ours) of ours"
        ]
    }
}
