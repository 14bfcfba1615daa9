import Machine
import Records

/// A place among the beats of the twin. Each start of its process counts them from 1.
public struct TwinBeat: Sendable, Hashable {
    /// The start's nonce.
    public var start: UInt64
    public var sequence: UInt64

    /// Whether the newest beat of the twin is this one or a later one: of another start all are later.
    func isReached(by newest: Beat) -> Bool { newest.bootNonce != start || newest.sequence >= sequence }
}

/// Both directions of the beats: when to send ours, on which paths, and what is heard of the twin on any of them.
///
/// It answers three questions of everybody who judges the twin: how long has it been silent (`silentSince`), which of our
/// beats has it read (`answered`, `answeredAt`), and was this controller itself awake (`attentiveFrom`). A controller that
/// did not run for a while has heard nothing because it did not listen, so silence is counted from its wake.
///
/// Every beat costs the same on every path, so the paths are paced apart: the redundancy link always, the segments seldom
/// while the link speaks and as often as the link once it does not (Docs/mastership.md, "What we send on your LAN").
public struct TwinWatch: Sendable {
    public enum Path: Sendable, Hashable { case link, segment }

    /// What a beat was to us.
    public enum Hearing: Sendable, Hashable {
        /// The newest statement of the twin.
        case new
        /// The same, from another start of the twin's process than the one before: what that held is gone.
        case newStart
        /// Nothing new: a repetition, or late by another path.
        case old
        /// Authentic, but from a start that nobody has vouched for, and no answer to us: it may be a recording.
        case unproven
    }

    /// What is to be sent now.
    public struct Due: Sendable, Hashable {
        public var sequence: UInt64
        public var onLink: Bool
        public var onSegments: Bool
    }

    public let interval: Duration
    public let detectionTime: Duration
    /// How long a silence of the twin lasts before this controller gives it up: the detection time, or more where beats are
    /// often late (`BeatRhythm`). What lets the *other* speak, our own lease, never hangs on it.
    public private(set) var patience: Duration
    /// What those whom the router must not be silent to leave for waiting; less than the detection time counts as that.
    public var patienceMaximum: Duration? {
        didSet { if patienceMaximum != oldValue { patience = bounded(patience) } }
    }
    private var rhythm = BeatRhythm()
    private let nonce: UInt64

    // MARK: the twin
    public private(set) var twinNonce: UInt64 = 0
    /// Starts that others have replaced: they never count again. The newest sixteen.
    private var retired: [UInt64] = []
    public private(set) var newest: Beat?
    /// When the twin last said that it is the holder. Kept when another start of it is heard: what the one before had sent may
    /// still be on its way.
    private var heldAt: Instant?
    public private(set) var received: UInt64 = 0
    /// On any path, and on the redundancy link.
    public private(set) var heardAt: Instant?
    public private(set) var linkHeardAt: Instant?
    /// The newest of our beats that the twin has read, and when that one left.
    public private(set) var answered: UInt64 = 0
    public private(set) var answeredAt: Instant?

    // MARK: ourselves
    public private(set) var sequence: UInt64 = 0
    /// When each of the newest 256 beats left, by sequence.
    private var sentAt: [Instant] = Array(repeating: .zero, count: 256)
    private var isRunning = false
    private var ranAt: Instant?
    /// The first beat after the newest time in which this controller did not run, and when it ran again.
    public private(set) var attentiveFrom: UInt64 = 0
    public private(set) var wokeAt: Instant?
    private var linkDue: Instant = .zero
    private var segmentDue: Instant = .zero
    private var lastSent: Instant?
    /// The greatest lead of the twin's clock over ours, in nanoseconds, and when it was seen. A beat that took longer shows a
    /// smaller one; a greater one shows that our clock stood still while the twin's went on.
    private var lead: (nanoseconds: Int64, at: Instant)?
    private var standstill: Duration?
    /// Something is undecided between the two: the segments speak as often as the link.
    public var isUrgent = false

    /// Segments while the link speaks.
    public static let segmentInterval: Duration = .milliseconds(200)
    /// The link when nobody has answered for long, and segments then.
    static let lonelyInterval: Duration = .milliseconds(100)
    static let lonelySegmentInterval: Duration = .seconds(1)
    /// After so long without the twin its return is no surprise that needs haste.
    static let lonelyAfter: Duration = .seconds(3)
    /// No two answers sooner than this share of the interval.
    private static let answerShare = 4

    public init(nonce: UInt64, interval: Duration, lostMaximum: Int) {
        self.nonce = nonce
        self.interval = interval
        detectionTime = interval * lostMaximum
        patience = detectionTime
    }

    private func bounded(_ patience: Duration) -> Duration {
        max(detectionTime, min(patience, patienceMaximum ?? patience))
    }

    /// What silence must exceed the detection time by, before anybody else may speak: for clocks that drift by up to a
    /// hundredth, and for frames on their way into a device.
    public var margin: Duration { max(detectionTime / 10, .milliseconds(2)) }
    /// A beat of our own that is later than this counts as not having run.
    public var pauseMaximum: Duration { interval * 2 }

    public mutating func start(at now: Instant) {
        isRunning = true
        ranAt = now
        linkDue = now
        segmentDue = now
        wokeAt = now
    }

    /// This controller runs. Returns how long it did not, if that was too long.
    public mutating func ran(at now: Instant) -> Duration? {
        guard isRunning, let before = ranAt else { return nil }
        ranAt = now
        guard lastSent != nil, now > linkDue + pauseMaximum else { return nil }
        linkDue = now
        attentiveFrom = sequence + 1
        wokeAt = now
        return now - before
    }

    /// A path is there again on which nothing could be heard: silence counts from now on.
    public mutating func listensAnew(at now: Instant) { if isRunning { wokeAt = now } }

    // MARK: hearing

    /// The start of the twin that we know was heard a moment ago: it runs, and nobody else can be it. A process that was
    /// started again needs longer than the beats that are missing meanwhile.
    public func isKnownStartHeard(at now: Instant) -> Bool {
        guard twinNonce != 0, newest != nil, let heardAt else { return false }
        return now - heardAt < interval * 3
    }

    /// Whether the twin was the router a moment ago, so that frames of the router that come in may be its last ones.
    public func wasHolder(within duration: Duration, at now: Instant) -> Bool {
        heldAt.map { now <= $0 + duration } ?? false
    }

    /// A new channel's handshake vouches for the twin's start.
    public mutating func vouched(_ twin: UInt64, at now: Instant) {
        if twin != twinNonce { replaceTwin(twin) }
        heardAt = now
        linkHeardAt = now
        linkDue = now
    }

    private mutating func replaceTwin(_ nonce: UInt64) {
        if twinNonce != 0 {
            if retired.count == 16 { retired.removeFirst() }
            retired.append(twinNonce)
        }
        twinNonce = nonce
        lead = nil
        newest = nil
        answered = 0
        // What the process before had read proves nothing of this one.
        answeredAt = nil
    }

    public mutating func hear(_ beat: Beat, on path: Path, at now: Instant) -> Hearing {
        guard isRunning else { return .old }
        if isLonely(at: now) { linkDue = min(linkDue, now) }
        let answersUs = beat.echoNonce == nonce && beat.echo > 0 && beat.echo <= sequence && beat.echo + 256 > sequence
        var isNewStart = false
        if beat.bootNonce != twinNonce {
            // An echo of one of our newest beats cannot have been recorded before that one left.
            guard answersUs, !retired.contains(beat.bootNonce), !isKnownStartHeard(at: now) else { return .unproven }
            isNewStart = twinNonce != 0
            replaceTwin(beat.bootNonce)
        } else if let newest, beat.sequence <= newest.sequence {
            return .old
        }
        newest = beat
        if beat.isHolder { heldAt = now }
        compareClocks(beat, at: now)
        received += 1
        if !isNewStart, let silentSince {
            rhythm.note(pause: now - silentSince, detectionTime: detectionTime, at: now)
            patience = bounded(rhythm.patience(detectionTime: detectionTime, at: now))
        }
        heardAt = now
        if path == .link { linkHeardAt = now }
        if answersUs, beat.echo > answered {
            answered = beat.echo
            answeredAt = max(answeredAt ?? .zero, sentAt[Int(beat.echo & 255)])
        }
        // While the link is silent the twin's lease, or ours, hangs on these answers.
        if beat.flags.contains(.asks) || path == .segment && isLinkSilent(at: now) { answerSoon(at: now) }
        return isNewStart ? .newStart : .new
    }

    /// A machine that is paused without its clock finds nothing when it wakes: its own time has no gap. The twin's has.
    private mutating func compareClocks(_ beat: Beat, at now: Instant) {
        let seen = beat.clock.nanoseconds - now.nanoseconds
        guard let known = lead else {
            lead = (seen, now)
            return
        }
        // What clocks part by: crystals a ten-thousandth, one that is being corrected twice a thousandth at most.
        let slack = max(0, (now - known.at).inNanoseconds / 500)
        if seen > known.nanoseconds + slack + pauseMaximum.inNanoseconds {
            standstill = .nanoseconds(seen - known.nanoseconds)
            attentiveFrom = sequence + 1
            wokeAt = now
            lead = (seen, now)
        } else if seen >= known.nanoseconds - slack {
            lead = (seen, now)
        }
    }

    /// How long this machine's clock stood still, once after it was found.
    public mutating func takeStandstill() -> Duration? {
        defer { standstill = nil }
        return standstill
    }

    private mutating func answerSoon(at now: Instant) {
        let soon = max(now, (lastSent ?? .zero) + interval / Self.answerShare)
        linkDue = min(linkDue, soon)
        segmentDue = min(segmentDue, soon)
    }

    /// Whether the twin has read a beat that we sent after we last failed to run.
    public var isAnsweredSinceWake: Bool { answered >= attentiveFrom }

    /// Since when the twin has been silent on every path while we listened; `nil` before it was ever heard.
    public var silentSince: Instant? {
        guard let heardAt else { return nil }
        return max(heardAt, wokeAt ?? heardAt)
    }

    /// Whether the twin was heard on no path for so long. One that was never heard is silent once we have listened that long.
    public func isSilent(for duration: Duration, at now: Instant) -> Bool {
        now >= (silentSince ?? wokeAt ?? .zero) + duration
    }
    public func silenceEnds(after duration: Duration) -> Instant { (silentSince ?? wokeAt ?? .zero) + duration }

    /// Two and a half beats are missing on the redundancy link.
    public func isLinkSilent(at now: Instant) -> Bool {
        guard let linkHeardAt else { return true }
        return now >= linkHeardAt + interval * 5 / 2
    }

    public func isLonely(at now: Instant) -> Bool { isSilent(for: Self.lonelyAfter, at: now) }

    // MARK: sending

    private func pace(at now: Instant) -> (link: Duration, segments: Duration) {
        if isLonely(at: now), !isUrgent { return (Self.lonelyInterval, Self.lonelySegmentInterval) }
        return (interval, isUrgent || isLinkSilent(at: now) ? interval : Self.segmentInterval)
    }

    /// What is due, or is wanted at once; it is counted as sent now.
    /// - Parameter isForced: something changed that the twin should know: on the link, and where that is silent everywhere.
    public mutating func takeDue(at now: Instant, isForced: Bool = false) -> Due? {
        guard isRunning else { return nil }
        let pace = pace(at: now)
        // A link that has just fallen silent calls for the segments now, not at their old pace.
        let segmentDue = min(self.segmentDue, (lastSentOnSegments ?? .zero) + pace.segments)
        let onLink = isForced || linkDue <= now
        let onSegments = segmentDue <= now || isForced && (isUrgent || isLinkSilent(at: now))
        guard onLink || onSegments else { return nil }
        sequence += 1
        sentAt[Int(sequence & 255)] = now
        lastSent = now
        // Keeps the beat, but neither makes up for beats that were slept through nor saves those that were forced.
        if onLink { linkDue = min(max(linkDue + pace.link, now + pace.link / 2), now + pace.link) }
        if onSegments {
            self.segmentDue = min(max(segmentDue + pace.segments, now + pace.segments / 2), now + pace.segments)
            lastSentOnSegments = now
        }
        return Due(sequence: sequence, onLink: onLink, onSegments: onSegments)
    }
    private var lastSentOnSegments: Instant?

    /// When `takeDue` is wanted next. The segments' pace may quicken earlier: the link's beat finds out.
    public var nextDeadline: Instant? { isRunning ? min(linkDue, segmentDue) : nil }
}
