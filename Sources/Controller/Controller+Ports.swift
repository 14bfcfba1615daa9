import LineCard
import Machine
import Records
import Redundancy
import Wire

// Which of the two controllers hears and is heard better on the segments (`PortJudge`), and what follows from it.

extension Controller {
    /// The judge counts what the segments bring by itself; it is told once per burst.
    mutating func countFrame(_ frame: RawSpan, on interface: InterfaceID) {
        let i = Int(interface.value)
        guard i < PortJudge.portsMaximum, frame.byteCount >= 18 else { return }
        while frameTally.count <= i {
            frameTally.append(FrameCounts())
            answered.append(false)
        }
        let (high, low) = unsafe (
            UInt16(bigEndian: frame.unsafeLoadUnaligned(as: UInt16.self)),
            UInt32(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: 2, as: UInt32.self))
        )
        var type = unsafe UInt16(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: 12, as: UInt16.self))
        if type == 0x8100 { type = unsafe UInt16(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: 16, as: UInt16.self)) }
        if type == 0x0806 || type == 0x86dd {
            if SegmentQuestion.isQuestion(frame) { return }
            if SegmentQuestion.isAnswer(frame) { answered[i] = true }
        }
        frameTally[i].add(FrameKind(destination: MACAddress(raw: UInt64(high) << 32 | UInt64(low)), etherType: type))
        hasFrameTally = true
    }

    mutating func noteFrames(at now: Instant) {
        guard hasFrameTally else { return }
        hasFrameTally = false
        for i in frameTally.indices where frameTally[i].total > 0 {
            judge.noteFrames(InterfaceID(UInt16(i)), frameTally[i], at: now)
            frameTally[i] = FrameCounts()
            guard answered[i] else { continue }
            answered[i] = false
            judge.answered(InterfaceID(UInt16(i)), at: now)
        }
    }

    // MARK: questions to neighbours

    /// The neighbours to ask: those that answer the active, which tells its twin.
    private mutating func learnStations(at now: Instant) {
        guard role == .active, now >= stationsLearntAt + .seconds(1) else { return }
        stationsLearntAt = now
        for (i, found) in lineCard.answeringNeighbors(limit: PortReport.stationsMaximum).enumerated() where !found.isEmpty {
            while stations.count <= i { stations.append([]) }
            stations[i] = found
        }
    }

    /// The next one to tell the twin of, in turn.
    private mutating func nextStation(at now: Instant) -> PortReport.Station? {
        learnStations(at: now)
        guard role == .active else { return nil }
        let places = min(stations.count, PortReport.portsMaximum) * PortReport.stationsMaximum
        for _ in 0..<places {
            stationTurn = stationTurn + 1 < places ? stationTurn + 1 : 0
            let (i, place) = stationTurn.quotientAndRemainder(dividingBy: PortReport.stationsMaximum)
            if place < stations[i].count {
                return PortReport.Station(interface: UInt8(i), place: UInt8(place), address: stations[i][place])
            }
        }
        return nil
    }

    mutating func learnStation(_ station: PortReport.Station) {
        guard role != .active else { return }
        let i = Int(station.interface)
        while stations.count <= i { stations.append([]) }
        if station.place < stations[i].count {
            stations[i][Int(station.place)] = station.address
        } else {
            stations[i].append(station.address)
        }
    }

    /// Asks neighbours where one of the two controllers is suspicious.
    mutating func askStations(at now: Instant, into outputs: inout [ControllerOutput]) {
        guard !isOffline else { return }
        for i in 0..<min(interfaces.count, stations.count, judge.portCount) where !stations[i].isEmpty {
            let id = InterfaceID(UInt16(i))
            guard let due = judge.nextQuestion(id, at: now), due <= now else { continue }
            judge.asked(id, at: now)
            // Each in turn: a silence of `PortTrial` is that of all of them.
            while questionTurns.count <= i { questionTurns.append(0) }
            questionTurns[i] = (questionTurns[i] + 1) % stations[i].count
            let address = stations[i][questionTurns[i]]
            outputs.append(.ask(id, SegmentQuestion.frame(for: address, vlan: interfaces[i].vlan)))
        }
    }

    /// Whether the pair's beats go out on an interface. Before the interfaces are known they do.
    func advertises(on i: Int) -> Bool { i >= quiet.count || !quiet[i] }

    /// A beat of the twin came in on this segment: newer by another path or not, it shows that the segment carries it.
    mutating func heardOnSegment(_ beat: Beat, _ report: PortReport?, on interface: InterfaceID, at now: Instant) {
        guard beat.pairID == configuration.pairID, beat.controller != configuration.id, beat.bootNonce == watch.twinNonce
        else { return }
        let i = Int(interface.value)
        let calls = report.map { i < $0.ports.count && $0.ports[i].callsForFast } ?? false
        judge.heardTwinAdvertisement(interface, sequence: beat.sequence, callsForFast: calls, at: now)
    }

    /// A twin of another release may say it in a way that we do not read; then it says nothing.
    static func report(of beat: Beat) -> PortReport? {
        guard !beat.ports.isEmpty else { return nil }
        var reader = ByteReader(beat.ports.span.bytes)
        return try? PortReport(from: &reader)
    }

    /// What our next beat says of our ports.
    mutating func portReport(at now: Instant) -> [UInt8] {
        guard judge.portCount > 0 else { return [] }
        var writer = ByteWriter(capacity: 64)
        var report = judge.report(at: now)
        report.station = nextStation(at: now)
        report.encode(into: &writer)
        return writer.bytes
    }

    /// Whether any segment needs beats as often as the redundancy link has them.
    func isAnyPortSuspicious(at now: Instant) -> Bool {
        for i in 0..<min(judge.portCount, PortReport.portsMaximum)
        where judge.advertisesFast(InterfaceID(UInt16(i)), at: now) && advertises(on: i) { return true }
        return false
    }

    /// The twin hears or is heard where we are not, for longer than a flap: it should be the router.
    mutating func considerPorts(at now: Instant, into outputs: inout [ControllerOutput]) {
        sayPorts(at: now, into: &outputs)
        guard role == .active, fromActive == nil, !isReadingStopped, sender?.phase == .redundant,
            let why = judge.takeHandover(isTwinReady: true, at: now)
        else { return }
        if let problem = beginSwitchover("interface failure: \(why)", at: now, into: &outputs) {
            judge.handoverDidNotBegin(at: now)
            complain(
                .ports, .warning, "no switchover after an interface failure (\(why)): \(problem)", at: now, into: &outputs)
        }
    }

    /// Tells the operator what was found, when it changes.
    private mutating func sayPorts(at now: Instant, into outputs: inout [ControllerOutput]) {
        let count = min(judge.portCount, PortReport.portsMaximum)
        while portPoints.count < count { portPoints.append(PortHealth.pointsMaximum) }
        for i in 0..<count {
            let id = InterfaceID(UInt16(i))
            let health = judge.health(id, at: now)
            guard health.points != portPoints[i] else { continue }
            portPoints[i] = health.points
            // A carrier that comes and goes is said elsewhere.
            guard health.inward != .noCarrier else { continue }
            note(health.points == PortHealth.pointsMaximum ? .notice : .alarm, "srm", judge.words(id, at: now), into: &outputs)
        }
    }

    /// In words, for `show redundancy`: empty while all ports are thought to work on both controllers.
    func portTrouble(at now: Instant) -> [String] {
        (0..<min(judge.portCount, PortReport.portsMaximum)).compactMap { i in
            let id = InterfaceID(UInt16(i))
            let points = min(judge.health(id, at: now).points, judge.twinHealth(id, at: now).points)
            return points == PortHealth.pointsMaximum ? nil : judge.words(id, at: now)
        }
    }
}
