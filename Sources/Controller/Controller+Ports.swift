import LineCard
import Machine
import Records
import Redundancy
import Wire

// Which of the two controllers hears and is heard better on the segments (`PortWatch`), and what follows from it.

extension Controller {
    /// Asks neighbours where one of the two controllers is suspicious.
    mutating func askStations(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard !availability.isOffline else { return }
        for i in 0..<min(interfaces.count, ports.askableCount) {
            guard let address = ports.nextQuestion(i, at: now) else { continue }
            outputs.append(.ask(InterfaceID(UInt16(i)), SegmentQuestion.frame(for: address, vlan: interfaces.vlan(of: i))))
        }
    }

    /// A beat of the twin came in on this segment: newer by another path or not, it shows that the segment carries it.
    mutating func heardOnSegment(_ beat: Beat, _ report: PortReport?, on interface: InterfaceID, at now: Instant) {
        guard beat.pairID == configuration.pairID, beat.controller != configuration.id, beat.bootNonce == watch.twinNonce
        else { return }
        let i = Int(interface.value)
        let calls = report.map { i < $0.ports.count && $0.ports[i].callsForFast } ?? false
        ports.judge.heardTwinAdvertisement(interface, sequence: beat.sequence, callsForFast: calls, at: now)
    }

    /// A twin of another release may say it in a way that we do not read; then it says nothing.
    static func report(of beat: Beat) -> PortReport? {
        guard !beat.ports.isEmpty else { return nil }
        var reader = ByteReader(beat.ports.span.bytes)
        return try? PortReport(from: &reader)
    }

    /// What our next beat says of our ports.
    mutating func portReport(at now: Instant) -> [UInt8] {
        guard ports.judge.portCount > 0 else { return [] }
        var writer = ByteWriter(capacity: 64)
        var report = ports.judge.report(at: now)
        if role.isActive {
            if ports.isLearningDue(at: now) {
                ports.learn(lineCard.answeringNeighbors(limit: PortReport.stationsMaximum), at: now)
            }
            report.station = ports.nextStation()
        }
        report.encode(into: &writer)
        return writer.bytes
    }

    /// Whether any segment needs beats as often as the redundancy link has them.
    func isAnyPortSuspicious(at now: Instant) -> Bool {
        for i in 0..<ports.reportedCount
        where ports.judge.advertisesFast(InterfaceID(UInt16(i)), at: now) && interfaces.advertises(on: i) { return true }
        return false
    }

    /// The twin hears or is heard where we are not, for longer than a flap: it should be the router.
    mutating func considerPorts(at now: Instant, into outputs: inout [ControllerOutput]) {
        for (id, health) in ports.takeNews(at: now) where health.inward != .noCarrier {
            // A carrier that comes and goes is said elsewhere.
            let severity: Event.Severity = health.points == PortHealth.pointsMaximum ? .notice : .alarm
            note(severity, "srm", ports.judge.words(id, at: now), into: &outputs)
        }
        guard role.isReading, switchovers.fromActive == nil, log?.sender.phase == .redundant,
            let why = ports.judge.takeHandover(isTwinReady: true, at: now)
        else { return }
        if let problem = beginSwitchover("interface failure: \(why)", at: now, into: &outputs) {
            ports.judge.handoverDidNotBegin(at: now)
            complain(
                .ports, .warning, "no switchover after an interface failure (\(why)): \(problem)", at: now, into: &outputs)
        }
    }
}
