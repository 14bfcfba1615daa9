import Machine
import Records

/// Numbers of the judge of ports. Both controllers must have the same.
public struct PortJudgePolicy: Hashable, Sendable {
    /// How often a controller advertises on each port of its own accord.
    public var advertisementInterval = Duration.milliseconds(100)
    /// How often it does where either of the two is suspicious.
    public var fastInterval = Duration.milliseconds(10)
    /// A suspicion calls for fast advertisements for so long at most; then the ordinary ones have to do.
    public var callMaximum = Duration.seconds(1)
    /// How often neighbours are asked while one of the two is suspicious, and while a port is known to be unanswered.
    public var questionInterval = Duration.milliseconds(20)
    public var slowQuestionInterval = Duration.milliseconds(250)
    /// What the twin says is counted only from this long after we heard somebody: heartbeats and frames take different
    /// ways, and what both heard at one moment must not look like something that only the twin heard.
    public var settleTime = Duration.milliseconds(40)
    /// The shortest silence of others that is suspicious.
    public var silenceMinimum = Duration.milliseconds(100)
    /// A port whose others are usually silent for longer than this is not judged by their silence.
    public var usualSilenceMaximum = Duration.seconds(4)
    /// From suspicion to proof.
    public var proofTime = Duration.milliseconds(60)
    /// Advertisements of the twin that must be missing.
    public var missedMinimum = 5
    /// Frames by which a witness must have heard somebody.
    public var witnessMinimum = 3
    /// The shortest silence of everybody that makes a port deaf which nobody is known to hear; three times what is usual,
    /// if that is longer.
    public var aloneMinimum = Duration.milliseconds(400)
    /// A report that is older says nothing, and what was counted before counts no more.
    public var freshTime = Duration.milliseconds(100)
    /// A judge that was not asked for so long has slept with its process; frames may lie unread.
    public var stallMinimum = Duration.milliseconds(50)
    /// How long a port that was bad must be good.
    public var recoveryTime = Duration.seconds(2)
    /// How long the twin must be better before a change of role. As long as the detection time of heartbeats: a segment
    /// that loses its carrier on both sides is noticed on both within it.
    public var steadyTime = Duration.milliseconds(50)
    public var holdOffMinimum = Duration.seconds(2)
    public var holdOffMaximum = Duration.seconds(60)
    public init() {}

    /// A twin that was not heard for so long is late.
    var lateAfter: Duration { advertisementInterval * 3 / 2 }
}

/// Judges the router's ports (one port: one interface, a device and a VLAN of it) on this controller and on its twin, and
/// says when the twin should be the router instead.
///
/// **The problem.** A port may have carrier and yet hear nothing, or be heard by nobody: a fibre with one broken strand, a
/// media converter, a blocked switch port, a VLAN that was taken off one port, a filter that swallows multicast or one
/// address family. BFD ends after 900 ms and BGP after 9 s while a standby that hears and is heard stands by. Heartbeats
/// on the redundancy link say nothing of it, and carrier neither.
///
/// **The witnesses.** On every port each controller advertises itself by small frames to a group (`Advertisement`), which
/// reach the twin through the same segment on which the router's neighbours are. And it counts frames of third parties.
/// Each heartbeat carries what was sent and heard (`PortReport`), so each controller compares: what did the twin send that
/// I did not hear, what did it hear, and has it heard me?
///
/// **Suspicion.** The twin's advertisements are late (1.5 intervals), or a port that usually hears others is silent for
/// longer than usual (9/8 of its usual longest silence and 20 ms, at least 100 ms). Then the controller advertises fast and
/// calls for fast advertisements, by heartbeat and by its own advertisements, since either way may be cut. A twin that is
/// heard after others fell silent answers that suspicion: the LAN is quiet. Suspicion costs a few small frames.
///
/// **Verdicts.** Of a port with carrier, while reports are fresh. "The twin is missing": 60 ms after suspicion began, at
/// least five of its advertisements were sent and not heard. What is *our inward* verdict is ours to find; what is our
/// outward verdict is the twin's to find, as the twin's is ours.
///
/// | row | the twin's advertisements | others heard here | the twin has heard | verdict |
/// |---|---|---|---|---|
/// | 1 | come | any | any | both work here; a quiet LAN is no fault |
/// | 2 | missing | nobody, though usually, and they fell silent together with the twin | ours (3) | **we are deaf** |
/// | 3 | missing | nobody, though usually groups of a family | of these groups (3), and ours (3) | **we are deaf** |
/// | 3 | missing | the same for 400 ms or three times the usual silence | of these groups, not ours | **we are deaf** |
/// | 4 | missing | nobody since carrier, nor the twin, for 2 s | others (5) | **we are deaf** |
/// | 5 | missing (5) between two frames | groups | ours (3) | **the twin is mute** |
/// | 6 | missing | groups | others, not ours | split behind the switches: unknown |
/// | 7 | missing | groups | nobody | the twin finds row 3 by itself; of its outward side nothing is known |
/// | 8 | missing | to us alone, no groups, though usually | ours (3), groups (4) | **we are partly deaf**: multicast |
/// | 9 | missing | to us alone, and groups are not usual | ours | twin mute, or multicast lost where there is none: unknown |
/// | 10 | missing | nobody, and nobody usually | ours | twin mute, or we are deaf on a quiet LAN: unknown |
/// | 11 | missing | nobody, but others fell silent long before or after the twin did | ours | as row 10: unknown |
/// | 12 | missing | nobody, though usually | nobody | the segment may be dead: unknown, until the twin hears somebody |
/// | 13 | come | some groups, none of one family, though usually | ours (3), that family (4) | **we are partly deaf**: family |
/// | 14 | (report is stale) | any | ? | nothing new; an old verdict stays, no change of role |
/// | 15 | (twin has no carrier, or sends none) | any | any | nothing, but for rows 8 and 13 if it sends none |
/// | 16 | (no carrier here) | | | **no carrier** |
/// | 17 | any, while one of the two is suspicious | no answer to our questions (5 in 120 ms) | answers to its own | **unanswered** |
///
/// Row 2 is how an active that loses its input finds out on a LAN where nobody speaks to groups: two independent sources fall
/// silent at one moment, which has one cause, and that is here. It takes twice the suspicious silence, for by chance a twin
/// falls mute while others pause; where groups are usual, one that the twin heard and we did not takes the place of time. It is
/// why the order of silences matters (row 11): a twin that was mute before the LAN became quiet must not make us deaf. Row 5
/// needs a frame to a
/// group, not one to us: what the twin sends goes to a group, and only another such frame shows that these come in.
/// It also needs the twin's word that it hears us, or else the segment may be split (row 6). Where frames
/// of the advertisement's own kind (neither IPv4 nor IPv6) are usual, one of those must have come in, too.
///
/// Who hears nobody and is heard by nobody (the second row 3: a cable or a VLAN that is cut both ways) may also be the more
/// silent side of a split segment, which is why that takes longer. Should that side be silent for so long, then the
/// router is of more use on the other one.
///
/// Row 17 (`PortTrial`) decides what the others leave unknown, and mostly before them: while one of the two is suspicious
/// both ask neighbours that answered the active lately, as any host does that looks for its neighbour. Which direction
/// fails it does not say, nor need it.
///
/// **What is usual** (`FrameRhythm`) is learned from many frames, never from one, and not while the twin is missing. A
/// controller that becomes the standby forgets it, since frames to the router no longer come its way.
///
/// **Sleep.** After a gap between two calls the judge begins its counts anew: its process slept, and frames may lie in a
/// buffer. The same when the capture lost frames (`lostFrames`), when reports stopped for a while, and when carrier comes.
///
/// **Getting well.** A port that was bad counts as bad until it was good for 2 s: carrier without a flap, somebody heard
/// with no silence of a second, the twin heard again. So a port that flaps is simply bad.
///
/// **Changing roles.** Points: 4 for each port that works or of which nothing bad is proven, 2 if partly deaf, 0 if it
/// does not work, for whatever reason. The twin should be the router when its sum has been greater for the detection time,
/// while reports are fresh, its copy is in lock step, and `RoleDamper` allows it. Equal sums change nothing, so nothing
/// moves back by itself.
///
/// **Bounds.** 4096 ports; 64 of them are judged in full, any others by their carrier. Nothing allocates after a port was
/// first seen, except reports and words.
///
/// A value without clock or I/O; all times are on this controller's own clock, and no time of the twin's is used. It lives
/// on the thread that owns mastership. Call `tick` at `nextDeadline`, and give it every heartbeat's report.
///
/// Files: `PortEvidence` (one port: the table above), `PortJudge+Comparison` (scores, words, change of role),
/// `PortTrial` (row 17), `PortHealth` (words and the report), `FrameCounts`, `FrameRhythm`, `RoleDamper`.
public struct PortJudge: Sendable {
    /// What an interface can be.
    public static let portsMaximum = 4096

    public let policy: PortJudgePolicy
    /// What operators call the ports, by `InterfaceID`; for words only. May be shorter than the ports.
    public var names: [String] = []

    var ports: [PortEvidence] = []
    /// The newest report and when it came.
    var twin: PortReport?
    var reportedAt: Instant?
    public internal(set) var damper: RoleDamper
    /// Since when the twin has been better without a break.
    var betterSince: Instant?
    /// What `damper` was before the change that is under way.
    var damperBefore: RoleDamper?
    /// The newest call with a time, and the newest in which verdicts were reached.
    private var calledAt: Instant?
    private var consideredAt: Instant?

    /// - Parameter portCount: ports that are known from the beginning; others are added when they are first named.
    public init(portCount: Int = 0, policy: PortJudgePolicy = PortJudgePolicy()) {
        self.policy = policy
        damper = RoleDamper(holdOffMinimum: policy.holdOffMinimum, holdOffMaximum: policy.holdOffMaximum)
        ports = Array(repeating: PortEvidence(), count: min(max(portCount, 0), Self.portsMaximum))
    }

    public var portCount: Int { ports.count }

    // MARK: what is heard

    /// The position of a port, made if it is new; `nil` beyond what an interface can be.
    private mutating func position(_ id: InterfaceID) -> Int? {
        let i = Int(id.value)
        guard i < Self.portsMaximum else { return nil }
        while ports.count <= i { ports.append(PortEvidence()) }
        return i
    }

    /// Notices that the process slept; every verb with a time begins with it.
    private mutating func awake(at now: Instant) {
        if let calledAt, now - calledAt > policy.stallMinimum { beginAnew(at: now) }
        calledAt = max(calledAt ?? now, now)
    }

    private mutating func beginAnew(at now: Instant) {
        for i in ports.indices { ports[i].beginAnew(at: now) }
    }

    /// The carrier of a port, as it is and whenever it changes.
    public mutating func carrier(_ id: InterfaceID, isUp: Bool, at now: Instant) {
        awake(at: now)
        guard let i = position(id) else { return }
        ports[i].carrier(isUp: isUp, at: now)
        consider(at: now)
    }

    /// Frames of third parties that came in, counted over a burst. Not those of the router itself (from the virtual MAC
    /// address), not advertisements. Constant time, and no allocation for a known port.
    public mutating func noteFrames(_ id: InterfaceID, _ counts: FrameCounts, at now: Instant) {
        awake(at: now)
        guard let i = position(id), counts.total > 0 else { return }
        ports[i].note(counts, policy, at: now)
    }

    /// An authentic advertisement of the twin came in on this port. False for one that is not newer than what this port
    /// has heard of that twin: repeated by a stranger or by a loop.
    /// - Parameters:
    ///   - sequence: grows with every advertisement of one start of the twin.
    ///   - callsForFast: what `callsForFast` was on the twin's side when it left.
    @discardableResult
    public mutating func heardTwinAdvertisement(
        _ id: InterfaceID, sequence: UInt64, callsForFast: Bool, at now: Instant
    ) -> Bool {
        awake(at: now)
        guard let i = position(id) else { return false }
        return ports[i].heardTwin(sequence: sequence, callsForFast: callsForFast, policy, at: now)
    }

    /// The capture of this port has lost frames: silence proves nothing for a while.
    public mutating func lostFrames(_ id: InterfaceID, at now: Instant) {
        awake(at: now)
        guard let i = position(id) else { return }
        ports[i].beginAnew(at: now)
    }

    // MARK: questions

    /// How often to ask a neighbour on this port now; `nil` while there is no reason to.
    public func questionInterval(_ id: InterfaceID, at now: Instant) -> Duration? {
        let i = Int(id.value)
        guard i < min(ports.count, PortReport.portsMaximum), ports[i].isUp else { return nil }
        if advertisesFast(id, at: now) { return policy.questionInterval }
        return ports[i].unanswered.isSet ? policy.slowQuestionInterval : nil
    }

    /// When the next question is due on this port; `nil` while there is no reason to ask.
    public func nextQuestion(_ id: InterfaceID, at now: Instant) -> Instant? {
        guard let interval = questionInterval(id, at: now) else { return nil }
        return ports[Int(id.value)].trial.askedAt.map { $0 + interval } ?? now
    }

    /// A question has left on this port.
    public mutating func asked(_ id: InterfaceID, at now: Instant) {
        awake(at: now)
        if let i = position(id) { ports[i].asked(at: now) }
    }

    /// A neighbour's answer to a question came in on this port.
    public mutating func answered(_ id: InterfaceID, at now: Instant) {
        awake(at: now)
        if let i = position(id) { ports[i].answered(at: now) }
    }

    // MARK: the twin

    /// The report of a heartbeat that is newer than those before it.
    public mutating func twinReport(_ report: PortReport, at now: Instant) {
        awake(at: now)
        let isContinuous = reportedAt.map { now <= $0 + policy.freshTime } ?? false
        if !isContinuous { beginAnew(at: now) }
        for i in 0..<min(ports.count, PortReport.portsMaximum) {
            ports[i].report(
                i < report.ports.count ? report.ports[i] : nil, isContinuous: isContinuous, previousAt: reportedAt, policy,
                at: now)
        }
        twin = report
        reportedAt = now
        damper.adopt(level: report.damperLevel, remaining: report.holdOff, at: now)
        consider(at: now)
    }

    /// The channel closed, or another process is at its other end: its counters begin anew.
    public mutating func forgetTwin(at now: Instant) {
        awake(at: now)
        twin = nil
        reportedAt = nil
        betterSince = nil
        for i in ports.indices { ports[i].forgetTwin() }
        beginAnew(at: now)
    }

    /// Whether what the twin said last still counts.
    public func isTwinFresh(at now: Instant) -> Bool { reportedAt.map { now <= $0 + policy.freshTime } ?? false }

    /// This controller became the router, or is it no longer.
    public mutating func roleChanged(isActive: Bool, at now: Instant) {
        awake(at: now)
        for i in ports.indices {
            if !isActive { ports[i].forgetUsual() }
            ports[i].beginAnew(at: now)
        }
        betterSince = nil
        damperBefore = nil
    }

    // MARK: advertising

    /// An advertisement has left on this port.
    public mutating func sentAdvertisement(_ id: InterfaceID, at now: Instant) {
        awake(at: now)
        guard let i = position(id) else { return }
        ports[i].sentAdvertisement(at: now)
    }

    /// How often to advertise on this port now.
    public func advertisementInterval(_ id: InterfaceID, at now: Instant) -> Duration {
        advertisesFast(id, at: now) ? policy.fastInterval : policy.advertisementInterval
    }

    /// Whether we or the twin are suspicious of this port.
    public func advertisesFast(_ id: InterfaceID, at now: Instant) -> Bool {
        let i = Int(id.value)
        guard i < ports.count else { return false }
        return ports[i].advertisesFast(isTwinFresh: isTwinFresh(at: now), policy, at: now)
    }

    /// The flag for an advertisement that leaves on this port now.
    public func callsForFast(_ id: InterfaceID, at now: Instant) -> Bool {
        let i = Int(id.value)
        return i < ports.count && ports[i].callsForFast(policy, at: now)
    }

    /// Whether an advertisement should leave on this port now. `sentAdvertisement` moves it on.
    public func isAdvertisementDue(_ id: InterfaceID, at now: Instant) -> Bool {
        let i = Int(id.value)
        guard i < ports.count, ports[i].isUp else { return false }
        return ports[i].advertisedAt.map { now >= $0 + advertisementInterval(id, at: now) } ?? true
    }

    /// When the next advertisement is due on any port, as far as is known at `now`; it may be `now`. Apart from
    /// `nextDeadline`, because not every controller advertises.
    public func nextAdvertisement(at now: Instant) -> Instant? {
        let isFresh = isTwinFresh(at: now)
        var next: Instant?
        for port in ports where port.isUp {
            guard let sent = port.advertisedAt else { return now }
            let isFast = port.advertisesFast(isTwinFresh: isFresh, policy, at: now)
            let due = sent + (isFast ? policy.fastInterval : policy.advertisementInterval)
            if next.map({ due < $0 }) ?? true { next = due }
        }
        return next
    }

    // MARK: time

    public mutating func tick(at now: Instant) {
        awake(at: now)
        consider(at: now)
    }

    /// Reaches the verdicts of all ports, and notes since when the twin is better.
    private mutating func consider(at now: Instant) {
        let isFresh = isTwinFresh(at: now)
        for i in ports.indices {
            ports[i].judge(isFresh: isFresh && i < PortReport.portsMaximum, policy, at: now)
        }
        if isFresh, isTwinBetter {
            if betterSince == nil { betterSince = now }
        } else {
            betterSince = nil
        }
        consideredAt = now
    }

    /// When `tick` is due; always after the newest call that reached verdicts. `nil`: only news can change anything.
    public var nextDeadline: Instant? {
        guard let consideredAt else { return nil }
        var next = Instant.distantFuture
        let isFresh = isTwinFresh(at: consideredAt)
        for i in ports.indices {
            ports[i].deadline(
                isFresh: isFresh && i < PortReport.portsMaximum, policy, after: consideredAt, into: &next)
        }
        func at(_ due: Instant, _ next: inout Instant) { if due > consideredAt, due < next { next = due } }
        // Past the last instant at which the report counts.
        if isFresh, let reportedAt { at(reportedAt + policy.freshTime + .nanoseconds(1), &next) }
        if let betterSince {
            at(betterSince + policy.steadyTime, &next)
            at(damper.until, &next)
        }
        return next == .distantFuture ? nil : next
    }

    // MARK: the report

    /// What the next heartbeat tells the twin.
    public func report(at now: Instant) -> PortReport {
        var report = PortReport()
        report.ports.reserveCapacity(min(ports.count, PortReport.portsMaximum))
        for port in ports.prefix(PortReport.portsMaximum) { report.ports.append(port.report(policy, at: now)) }
        if ports.count > PortReport.portsMaximum {
            report.otherPorts = UInt16(ports.count - PortReport.portsMaximum)
            report.otherPoints = UInt16(otherPoints)
        }
        report.damperLevel = damper.level(at: now)
        report.holdOff = damper.remaining(at: now)
        return report
    }
}
