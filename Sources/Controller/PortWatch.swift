import Machine
import Records
import Redundancy
import Wire

/// What this controller hears on each of its ports, and which neighbours it asks when something is suspicious; `PortJudge` judges.
struct PortWatch {
    /// Who hears and is heard better on the segments.
    var judge: PortJudge
    /// Frames of this burst that the judge has not been told of, by interface.
    private var frameTally: [FrameCounts] = []
    private var hasFrameTally = false
    /// Whether an answer to a question was among them, by interface.
    private var answered: [Bool] = []
    /// Neighbours to ask, by interface; whose turn it is to be told of, and to be asked on each.
    private var stations: [[IPAddress]] = []
    private var stationsLearntAt: Instant = .zero
    private var stationTurn = 0
    private var questionTurns: [Int] = []
    /// What was said last of each port of ours.
    private var points: [Int] = []

    private static let learningInterval: Duration = .seconds(1)

    init(judge: PortJudge) { self.judge = judge }

    /// Those that beats tell the twin of.
    var reportedCount: Int { min(judge.portCount, PortReport.portsMaximum) }

    /// Those on which a neighbour is known to ask.
    var askableCount: Int { min(stations.count, judge.portCount) }

    // MARK: frames

    /// The judge counts what the segments bring by itself; it is told once per burst.
    mutating func count(_ frame: RawSpan, on interface: InterfaceID) {
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

    /// The end of a burst.
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

    // MARK: neighbours

    func isLearningDue(at now: Instant) -> Bool { now >= stationsLearntAt + Self.learningInterval }

    /// The neighbours that answer the active, by interface.
    mutating func learn(_ found: [[IPAddress]], at now: Instant) {
        stationsLearntAt = now
        for (i, found) in found.enumerated() where !found.isEmpty {
            while stations.count <= i { stations.append([]) }
            stations[i] = found
        }
    }

    /// The same, as the active tells its twin of them.
    mutating func learn(_ station: PortReport.Station) {
        let i = Int(station.interface)
        while stations.count <= i { stations.append([]) }
        if station.place < stations[i].count {
            stations[i][Int(station.place)] = station.address
        } else {
            stations[i].append(station.address)
        }
    }

    /// The next one to tell the twin of, in turn.
    mutating func nextStation() -> PortReport.Station? {
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

    /// Whom to ask now on one of our ports, if anybody.
    mutating func nextQuestion(_ i: Int, at now: Instant) -> IPAddress? {
        guard i < askableCount, !stations[i].isEmpty else { return nil }
        let id = InterfaceID(UInt16(i))
        guard let due = judge.nextQuestion(id, at: now), due <= now else { return nil }
        judge.asked(id, at: now)
        // Each in turn: a silence of `PortTrial` is that of all of them.
        while questionTurns.count <= i { questionTurns.append(0) }
        questionTurns[i] = (questionTurns[i] + 1) % stations[i].count
        return stations[i][questionTurns[i]]
    }

    // MARK: words

    /// Ports of which something else is to be said than before, with what is thought of each.
    mutating func takeNews(at now: Instant) -> [(id: InterfaceID, health: PortHealth)] {
        var news: [(id: InterfaceID, health: PortHealth)] = []
        while points.count < reportedCount { points.append(PortHealth.pointsMaximum) }
        for i in 0..<reportedCount {
            let id = InterfaceID(UInt16(i))
            let health = judge.health(id, at: now)
            guard health.points != points[i] else { continue }
            points[i] = health.points
            news.append((id, health))
        }
        return news
    }

    /// Empty while all ports are thought to work on both controllers.
    func trouble(at now: Instant) -> [String] {
        (0..<reportedCount).compactMap { i in
            let id = InterfaceID(UInt16(i))
            let points = min(judge.health(id, at: now).points, judge.twinHealth(id, at: now).points)
            return points == PortHealth.pointsMaximum ? nil : judge.words(id, at: now)
        }
    }
}
