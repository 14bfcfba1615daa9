import Machine

/// What the twin did while something was silent here: advertisements of it that we missed, ours that it heard, frames of
/// others to groups.
struct PortTally: Sendable, BitwiseCopyable, Hashable {
    static let maximum = 1 << 20
    var missed = 0
    var ours = 0
    var others = 0
    /// Reports in which `others` grew: a single burst is one.
    var sightings = 0

    mutating func add(missed: Int, ours: Int, others: Int) {
        self.missed = min(self.missed + missed, Self.maximum)
        self.ours = min(self.ours + ours, Self.maximum)
        self.others = min(self.others + others, Self.maximum)
        if others > 0 { sightings = min(sightings + 1, Self.maximum) }
    }
}

/// How many advertisements of the twin went missing between two frames of others that came in.
///
/// Only what is missing *between* two frames shows that the port heard while the twin was silent. A frame just before
/// a fault shows nothing, so the first counts only once two are missing; nor does the first frame after a fault, which may
/// come before the first advertisement.
struct MissedAmong: Sendable, BitwiseCopyable {
    private var first: Int?
    private(set) var missed = 0

    mutating func note(missed count: Int) {
        if let first { missed = count - first } else if count >= 2 { first = count }
    }
}

/// A verdict that is easily reached and slowly left.
struct LatchedVerdict: Sendable, BitwiseCopyable {
    private(set) var isSet = false
    /// Since when it looks well again.
    private(set) var goodSince: Instant?
    /// What proved it, for words.
    private(set) var tally = PortTally()
    private(set) var silence = Duration.zero
    /// The newest proof.
    private(set) var provenAt: Instant = .zero

    mutating func set(_ tally: PortTally, silence: Duration, at now: Instant) {
        isSet = true
        provenAt = now
        goodSince = nil
        self.tally = tally
        self.silence = silence
    }

    /// No proof at this moment: well again after the recovery time, if it looks good for so long.
    mutating func consider(looksGood: Bool, recoveryTime: Duration, at now: Instant) {
        guard isSet else { return }
        guard looksGood else {
            goodSince = nil
            return
        }
        if goodSince == nil { goodSince = now }
        if let goodSince, now >= goodSince + recoveryTime { clear() }
    }

    /// Something was heard, after a silence that was too long or not.
    mutating func heard(afterSilence: Bool, at now: Instant) {
        guard isSet, afterSilence || goodSince == nil else { return }
        goodSince = now
    }

    mutating func clear() { self = LatchedVerdict() }
}

/// One port as this controller sees it. The rows are those of `PortJudge`.
struct PortEvidence: Sendable {
    /// Silence of so long ends a trial of a port that was bad, and the word "good".
    static let lately = Duration.seconds(1)
    /// Groups of a family that the twin has not heard for so long cannot be compared any more.
    static let comparesFor = Duration.seconds(60)
    /// What makes a family of groups usual: frames of the newest one to two minutes.
    static let usualFrames = 4

    private(set) var isUp = true
    /// Carrier came back then, and is on trial.
    private var upSince: Instant?
    private(set) var totals = FrameCounts()
    /// All frames of others; and those to groups, by family.
    private var rhythm = FrameRhythm(window: .seconds(8))
    private var groupRhythms = InlineArray<3, FrameRhythm>(repeating: FrameRhythm(window: .seconds(60)))

    private var othersAt: Instant?
    private var groupAt = InlineArray<3, Instant?>(repeating: nil)
    private var twinAt: Instant?
    private var twinSequence: UInt64 = 0
    /// Silences are counted from here at the earliest.
    private var from: Instant?
    /// Nothing at all since carrier came.
    private var isVirgin = true

    private(set) var advertisedAt: Instant?
    private var sent: UInt8 = 0
    private var heard: UInt8 = 0

    /// The twin's newest words on this port, and when groups of a family grew there.
    private(set) var twin: PortReport.Port?
    private var twinGroupAt = InlineArray<3, Instant?>(repeating: nil)
    private var sinceTwin = PortTally()
    private var sinceAnybody = PortTally()
    private var sinceGroup = InlineArray<3, PortTally>(repeating: PortTally())
    /// Frames to groups of others among which the twin's advertisements are missing; and those of the advertisements'
    /// own kind (neither IPv4 nor IPv6).
    private var groupsAmong = MissedAmong()
    private var kinAmong = MissedAmong()
    /// Of `sinceAnybody.others`, by family.
    private var sinceAnybodyGroups = InlineArray<3, Int>(repeating: 0)
    /// When the twin's words showed that it hears us.
    private var heardByTwinAt: Instant?

    private var suspiciousSince: Instant?
    private var twinCalledAt: Instant?

    private(set) var deaf = LatchedVerdict()
    private(set) var partlyDeaf = InlineArray<3, LatchedVerdict>(repeating: LatchedVerdict())
    private(set) var twinMute = LatchedVerdict()
    private(set) var unanswered = LatchedVerdict()
    private(set) var trial = PortTrial()

    // MARK: what is heard

    private func later(_ a: Instant?, _ b: Instant?) -> Instant? {
        guard let a else { return b }
        guard let b else { return a }
        return max(a, b)
    }
    /// From when silence is counted: of the twin, of others, of everybody, of a family of groups.
    private var twinFrom: Instant? { later(twinAt, from) }
    private var othersFrom: Instant? { later(othersAt, from) }
    private var anybodyFrom: Instant? { later(later(twinAt, othersAt), from) }
    private func groupFrom(_ family: Int) -> Instant? { later(groupAt[family], from) }

    mutating func carrier(isUp: Bool, at now: Instant) {
        guard isUp != self.isUp else { return }
        self.isUp = isUp
        upSince = isUp ? now : nil
        isVirgin = true
        // Without carrier nothing is heard, and what was found before says nothing about the port that comes back; it is
        // on trial anyway. What was found of the twin's output stays.
        deaf.clear()
        unanswered.clear()
        for family in 0..<GroupFamily.count { partlyDeaf[family].clear() }
        beginAnew(at: now)
    }

    mutating func beginAnew(at now: Instant) {
        from = now
        sinceTwin = PortTally()
        sinceAnybody = PortTally()
        sinceAnybodyGroups = InlineArray(repeating: 0)
        groupsAmong = MissedAmong()
        kinAmong = MissedAmong()
        suspiciousSince = nil
        trial.beginAnew()
        rhythm.pause()
        for family in 0..<GroupFamily.count {
            sinceGroup[family] = PortTally()
            groupRhythms[family].pause()
        }
    }

    mutating func asked(at now: Instant) { if isUp { trial.ask(at: now) } }
    mutating func answered(at now: Instant) { trial.answer(at: now) }

    mutating func forgetUsual() {
        rhythm.forget()
        for family in 0..<GroupFamily.count { groupRhythms[family].forget() }
    }

    mutating func forgetTwin() {
        twin = nil
        twinSequence = 0
        twinCalledAt = nil
        heardByTwinAt = nil
        twinGroupAt = InlineArray(repeating: nil)
    }

    mutating func note(_ counts: FrameCounts, _ policy: PortJudgePolicy, at now: Instant) {
        // A silence in which the twin was missing, too, is perhaps a fault: not something to get used to.
        let learns = sinceAnybody.missed < policy.missedMinimum
        totals.add(counts)
        deaf.heard(afterSilence: isLate(later(twinAt, othersAt), at: now), at: now)
        rhythm.note(Int(min(counts.total, 1 << 20)), learns: learns, at: now)
        sinceAnybody = PortTally()
        sinceAnybodyGroups = InlineArray(repeating: 0)
        isVirgin = false
        othersAt = now
        guard counts.groups > 0 else { return }
        groupsAmong.note(missed: sinceTwin.missed)
        if counts.groupOther > 0 { kinAmong.note(missed: sinceTwin.missed) }
        for family in 0..<GroupFamily.count where counts[family] > 0 {
            groupRhythms[family].note(Int(min(counts[family], 1 << 20)), learns: learns, at: now)
            groupAt[family] = now
            sinceGroup[family] = PortTally()
        }
    }

    mutating func heardTwin(sequence: UInt64, callsForFast: Bool, _ policy: PortJudgePolicy, at now: Instant) -> Bool {
        guard sequence > twinSequence else { return false }
        twinSequence = sequence
        heard &+= 1
        isVirgin = false
        deaf.heard(afterSilence: isLate(later(twinAt, othersAt), at: now), at: now)
        twinMute.heard(afterSilence: isLate(twinAt, at: now), at: now)
        twinAt = now
        sinceTwin = PortTally()
        sinceAnybody = PortTally()
        sinceAnybodyGroups = InlineArray(repeating: 0)
        groupsAmong = MissedAmong()
        kinAmong = MissedAmong()
        if callsForFast { twinCalledAt = now }
        return true
    }

    mutating func sentAdvertisement(at now: Instant) {
        advertisedAt = now
        // What is sent without carrier was not sent.
        if isUp { sent &+= 1 }
    }

    // MARK: the twin's words

    /// - Parameter previousAt: when the report before this one came; what grew since then belongs to a silence only if
    ///   that had settled by then.
    mutating func report(
        _ news: PortReport.Port?, isContinuous: Bool, previousAt: Instant?, _ policy: PortJudgePolicy, at now: Instant
    ) {
        defer { twin = news }
        guard let news, let old = twin, isContinuous, let previousAt else { return }
        let missed = Int(news.sent &- old.sent)
        let ours = Int(news.heard &- old.heard)
        if ours > 0 { heardByTwinAt = now }
        // A part is missed only while the rest comes in and the twin hears us: not while the segment is split, and not
        // what was missed until it healed.
        let isWhole =
            !isLate(later(twinAt, othersAt), at: now)
            && heardByTwinAt.map { now <= $0 + policy.lateAfter + policy.advertisementInterval } ?? false
        var groups = 0
        let anybodySettled = anybodyFrom.map { previousAt >= $0 + policy.settleTime } ?? false
        func hasSettled(_ since: Instant?) -> Bool { since.map { previousAt >= $0 + policy.settleTime } ?? false }
        for family in 0..<GroupFamily.count {
            let grown = Int(news.group(family) &- old.group(family))
            groups += grown
            if grown > 0 { twinGroupAt[family] = now }
            if anybodySettled {
                sinceAnybodyGroups[family] = min(sinceAnybodyGroups[family] + grown, PortTally.maximum)
            }
            if isWhole, hasSettled(groupFrom(family)) { sinceGroup[family].add(missed: missed, ours: ours, others: grown) }
        }
        if hasSettled(twinFrom) { sinceTwin.add(missed: missed, ours: ours, others: groups) }
        if anybodySettled { sinceAnybody.add(missed: missed, ours: ours, others: groups) }
    }

    func callsForFast(_ policy: PortJudgePolicy, at now: Instant) -> Bool {
        suspiciousSince.map { now < $0 + policy.callMaximum } ?? false
    }

    func advertisesFast(isTwinFresh: Bool, _ policy: PortJudgePolicy, at now: Instant) -> Bool {
        guard isUp else { return false }
        if callsForFast(policy, at: now) || isTwinFresh && twin?.callsForFast ?? false { return true }
        return twinCalledAt.map { now < $0 + policy.lateAfter } ?? false
    }

    func report(_ policy: PortJudgePolicy, at now: Instant) -> PortReport.Port {
        var port = PortReport.Port()
        port.inward = inward(at: now)
        port.twinOutward = twinOutward(at: now)
        port.isUp = isUp
        port.callsForFast = callsForFast(policy, at: now)
        port.trial = trial.outcome(at: now)
        port.sent = sent
        port.heard = heard
        port.groupIPv4 = UInt16(truncatingIfNeeded: totals.groupIPv4)
        port.groupIPv6 = UInt16(truncatingIfNeeded: totals.groupIPv6)
        port.groupOther = UInt16(truncatingIfNeeded: totals.groupOther)
        return port
    }

    // MARK: words

    var hasSteadyCarrier: Bool { isUp && upSince == nil }

    func inward(at now: Instant) -> InwardHealth {
        if !hasSteadyCarrier { return .noCarrier }
        if deaf.isSet { return .deaf }
        if unanswered.isSet { return .unanswered }
        for family in 0..<GroupFamily.count where partlyDeaf[family].isSet { return .partlyDeaf }
        return isLate(later(twinAt, othersAt), at: now) ? .unknown : .good
    }

    func twinOutward(at now: Instant) -> OutwardHealth {
        if twinMute.isSet { return .mute }
        return isLate(twinAt, at: now) ? .unknown : .good
    }

    private func isLate(_ since: Instant?, at now: Instant) -> Bool { since.map { now >= $0 + Self.lately } ?? true }

    // MARK: verdicts

    /// The silence of others that is suspicious, if there is one.
    private func silenceLimit(_ policy: PortJudgePolicy, at now: Instant) -> Duration? {
        guard let usual = rhythm.usualSilence(at: now), usual <= policy.usualSilenceMaximum else { return nil }
        return max(policy.silenceMinimum, usual * 9 / 8 + .milliseconds(20))
    }

    private func twinIsLateAt(_ policy: PortJudgePolicy) -> Instant? {
        guard twin?.isUp ?? false else { return nil }
        return twinFrom.map { $0 + policy.lateAfter }
    }

    /// When the silence of others becomes suspicious; `nil` when the twin was heard after that: the LAN is quiet.
    private func othersAreLateAt(_ policy: PortJudgePolicy, at now: Instant) -> Instant? {
        guard let limit = silenceLimit(policy, at: now), let othersFrom else { return nil }
        let late = othersFrom + limit
        if let twinAt, twinAt >= late { return nil }
        return late
    }

    mutating func judge(isFresh: Bool, _ policy: PortJudgePolicy, at now: Instant) {
        guard isUp else {
            suspiciousSince = nil
            return
        }
        if let upSince, now >= upSince + policy.recoveryTime { self.upSince = nil }
        guard isFresh, let twin else {
            suspiciousSince = nil
            recover(policy, at: now)
            return
        }
        let isSuspicious =
            twinIsLateAt(policy).map { now >= $0 } ?? false || othersAreLateAt(policy, at: now).map { now >= $0 } ?? false
        if !isSuspicious {
            suspiciousSince = nil
        } else if suspiciousSince == nil {
            suspiciousSince = now
        }
        let isProven = suspiciousSince.map { now >= $0 + policy.proofTime } ?? false
        // Row 15: a twin without carrier sends nothing, whatever it counts.
        let isTwinMissing = isProven && twin.isUp && sinceTwin.missed >= policy.missedMinimum

        if isTwinMissing, isDeaf(policy, at: now) {
            deaf.set(sinceAnybody, silence: anybodyFrom.map { now - $0 } ?? .zero, at: now)
        }
        // Row 17. Nothing else need be known, for the same was asked of the same at the same time.
        if twin.isUp, twin.trial == .answered, trial.outcome(at: now) == .unanswered {
            unanswered.set(PortTally(), silence: trial.firstAskedAt.map { now - $0 } ?? .zero, at: now)
        }
        if isTwinMissing, isTwinMute(policy, at: now) {
            twinMute.set(sinceTwin, silence: twinFrom.map { now - $0 } ?? .zero, at: now)
        }
        for family in 0..<GroupFamily.count where isPartlyDeaf(family, policy, at: now) {
            partlyDeaf[family].set(sinceGroup[family], silence: groupFrom(family).map { now - $0 } ?? .zero, at: now)
        }
        recover(policy, at: now)
    }

    /// Rows 2, 3 and 4; the twin is missing.
    private func isDeaf(_ policy: PortJudgePolicy, at now: Instant) -> Bool {
        guard let anybodyFrom, now >= anybodyFrom + policy.silenceMinimum,
            sinceAnybody.missed >= policy.missedMinimum
        else { return false }
        if isVirgin {
            // Row 4. Who never heard anybody has nothing to compare with, so it takes more.
            return now >= anybodyFrom + policy.recoveryTime && sinceAnybody.others >= policy.witnessMinimum + 2
        }
        // Row 3. Unless the twin hears us, this may be the side of a split segment that speaks more seldom: it gets longer.
        let limit = silenceLimit(policy, at: now)
        let isHeard = sinceAnybody.ours >= policy.witnessMinimum
        if isHeard || now >= anybodyFrom + max(policy.aloneMinimum, (limit ?? policy.aloneMinimum) * 3),
            sinceAnybody.others >= policy.witnessMinimum, sinceAnybody.sightings > 1
        {
            for family in 0..<GroupFamily.count
            where isUsual(family, at: now) && sinceAnybodyGroups[family] >= policy.witnessMinimum { return true }
        }
        // Row 2. The times of the frames themselves, not of what was begun anew: it is the order that proves.
        guard isHeard, let limit, let twinAt, let othersAt, let othersFrom, now >= othersFrom + limit
        else { return false }
        // A twin that is mute, and others who pause at the same moment, look alike. Where groups are usual the twin must have
        // heard one that we did not; where they are not, the pause must be twice what is suspicious.
        let groupsAreUsual = (0..<GroupFamily.count).contains { isUsual($0, at: now) }
        guard groupsAreUsual ? sinceAnybody.others > 0 : now >= othersFrom + limit * 2 else { return false }
        return twinAt + policy.lateAfter + policy.advertisementInterval >= othersAt && othersAt + limit >= twinAt
    }

    /// Row 5; the twin is missing.
    private func isTwinMute(_ policy: PortJudgePolicy, at now: Instant) -> Bool {
        guard groupsAmong.missed >= policy.missedMinimum, sinceTwin.ours >= policy.witnessMinimum else { return false }
        // Advertisements are neither IPv4 nor IPv6. Where others send such frames, too, one of them must have come in, or
        // the twin has heard none either: else it may be that kind which is lost here.
        let kin = GroupFamily.other.rawValue
        guard isUsual(kin, at: now), let twinFrom else { return true }
        return kinAmong.missed >= policy.missedMinimum || sinceGroup[kin].others == 0 && now >= twinFrom + Self.lately
    }

    /// Rows 8 and 13.
    private func isPartlyDeaf(_ family: Int, _ policy: PortJudgePolicy, at now: Instant) -> Bool {
        // Something else must have come in since, or this is no part.
        guard !deaf.isSet, let since = groupFrom(family), let heardAt = later(twinAt, othersAt),
            heardAt > since + policy.settleTime, now >= since + policy.recoveryTime / 4
        else { return false }
        let tally = sinceGroup[family]
        return tally.others > policy.witnessMinimum && tally.sightings >= policy.witnessMinimum
            && tally.ours >= policy.witnessMinimum && isUsual(family, at: now)
    }

    private func isUsual(_ family: Int, at now: Instant) -> Bool {
        groupRhythms[family].frames(at: now) >= Self.usualFrames
    }

    private mutating func recover(_ policy: PortJudgePolicy, at now: Instant) {
        let anybodyAt = later(twinAt, othersAt)
        deaf.consider(
            looksGood: !isLate(anybodyAt, at: now) && sinceAnybody.missed < policy.missedMinimum,
            recoveryTime: policy.recoveryTime, at: now)
        unanswered.consider(
            looksGood: trial.isAnswered(within: Self.lately, at: now), recoveryTime: policy.recoveryTime, at: now)
        twinMute.consider(
            looksGood: !isLate(twinAt, at: now) && sinceTwin.missed < policy.missedMinimum,
            recoveryTime: policy.recoveryTime, at: now)
        for family in 0..<GroupFamily.count where partlyDeaf[family].isSet {
            // Heard again since; or the twin does not hear it any more either.
            let isHeard = groupAt[family].map { $0 > partlyDeaf[family].provenAt } ?? false
            let isOver = twinGroupAt[family].map { now >= $0 + Self.comparesFor } ?? true
            partlyDeaf[family].consider(looksGood: isHeard || isOver, recoveryTime: policy.recoveryTime, at: now)
        }
    }

    // MARK: time

    /// Moves `next` forward to whatever of this port is due after `now`, if that is earlier.
    func deadline(isFresh: Bool, _ policy: PortJudgePolicy, after now: Instant, into next: inout Instant) {
        guard isUp else { return }
        func at(_ since: Instant?, _ wait: Duration = .zero, _ next: inout Instant) {
            guard let since else { return }
            let due = since + wait
            if due > now, due < next { next = due }
        }
        at(upSince, policy.recoveryTime, &next)
        at(deaf.goodSince, policy.recoveryTime, &next)
        at(twinMute.goodSince, policy.recoveryTime, &next)
        at(unanswered.goodSince, policy.recoveryTime, &next)
        for family in 0..<GroupFamily.count { at(partlyDeaf[family].goodSince, policy.recoveryTime, &next) }
        guard isFresh, twin != nil else { return }
        at(trial.silenceEnds, .zero, &next)
        if let suspiciousSince {
            at(suspiciousSince, policy.proofTime, &next)
        } else {
            at(twinIsLateAt(policy), .zero, &next)
            at(othersAreLateAt(policy, at: now), .zero, &next)
        }
    }
}
