import Machine
import Records
import Wire

/// Bidirectional Forwarding Detection, as it runs on the line card: packets and the clock in, packets and reports out.
///
/// What each file holds:
/// - `BFDInstance.swift`: inputs, effects, the table of sessions, timers, reports to the engine.
/// - `BFDInstance+Receive.swift`: RFC 5880 §6.8.6, step by step, and which session a packet belongs to.
/// - `BFDInstance+Transmit.swift`: RFC 5880 §6.8.3 and §6.8.7: intervals, Poll Sequences, packets.
/// - `BFDConfiguration.swift`: profiles, and which session follows which.
/// - `Packet/`: the control packet, its authentication.
/// - `Session/`: one session's variables.
///
/// Standards: RFC 5880 (asynchronous mode; demand mode as a neighbour may ask for it, never asked for by us; no echo
/// function: we announce a Required Min Echo RX Interval of 0), RFC 5881 (one hop, IPv4 and IPv6), RFC 5883 (several
/// hops), all five kinds of authentication. RFC 5882 is the business of the engine, which tells clients.
///
/// The machine is not part of the engine: milliseconds are kept where the packets are (DESIGN §4). The engine says which
/// sessions there are (`BFDSessionChange`) and is told of every transition and every change of what was negotiated
/// (`BFDReport`), which is a record and so reaches the twin. Packets are no records and wait for none. Should the
/// controller die between a packet and its report, then the twin goes on with a session that is one transition behind;
/// RFC 5880's three-way handshake makes that good in a round trip without leaving Up, because an end that is Up ignores
/// Init, and an end in Init takes Up for an answer.
///
/// Taking over: sessions go on with the same discriminators, source ports and intervals, transmit at once, and give the
/// neighbour a full Detection Time from then on.
///
/// Authentication sequence numbers must not go back at a take-over, and a neighbour accepts only the next 3 × Detect Mult
/// of them (RFC 5880 §6.7.3), so no block of them can be reserved in a record. Ours are a function of the router's time,
/// which both controllers have: one for each shortest gap between two packets since a moment that the twin knows
/// (`BFDSequenceClock`). The few packets that go out between two periodic ones are counted into a slack, above which the
/// twin starts.
///
/// Where the RFCs leave a choice: bfd.RemoteMinRxInterval becomes 1 again when bfd.RemoteDiscr becomes 0, since a
/// neighbour that said "send nothing" and left would never hear of us again; bfd.LocalDiag becomes 0 when a session comes
/// up; a Poll Sequence belongs to one pair of intervals, later changes wait for its end (§6.8.3, choice 3); intervals are
/// polled for only while Up, since before that they take effect with the next packet anyway.
public struct BFDInstance: Sendable {
    enum TimerKind: UInt32 {
        case transmit = 0
        case receive = 1
        case report = 2
    }

    /// Sessions that are wanted, at most. Those on their way out do not count, and are as many again at most.
    public static let sessionsMaximum = 4096

    /// By slot; `nil` where it is free.
    var sessions = Arena<Session?>()
    /// Looked up, never iterated.
    var byDiscriminator: [UInt32: Int] = [:]
    var byPeer: [BFDPeer: Int] = [:]
    var timers = TimerTable<UInt32>()
    var random: RandomNumbers
    public internal(set) var counters = BFDCounters()
    /// Where the discriminator of the session is noted whose packet is looked into, so that a signal handler can tell whose
    /// packet was fatal.
    public var progress = ProgressMark()

    public init(seed: UInt64) { random = RandomNumbers(seed: seed) }

    public var nextDeadline: Instant? { timers.next }
    /// Whether any session is wanted.
    public var isInUse: Bool { !byPeer.isEmpty }

    // MARK: inputs

    /// Goes on with these sessions where another controller left them; those before are forgotten.
    public mutating func restore(_ list: [BFDSession], at now: Instant, into effects: inout [BFDEffect]) {
        sessions = Arena()
        byDiscriminator = [:]
        byPeer = [:]
        timers.removeAll()
        for session in list { add(session, at: now, into: &effects) }
    }

    public mutating func apply(_ change: BFDSessionChange, at now: Instant, into effects: inout [BFDEffect]) {
        switch change {
        case .set(let session):
            guard let slot = byDiscriminator[session.discriminator] else {
                return add(session, at: now, into: &effects)
            }
            configure(slot, session.parameters, at: now, into: &effects)
        case .remove(let discriminator):
            if let slot = byDiscriminator[discriminator] { retire(slot, at: now, into: &effects) }
        }
    }

    /// Fires the timers that are due.
    public mutating func fire(at now: Instant, into effects: inout [BFDEffect]) {
        while let key = timers.popDue(at: now) {
            let slot = Int(key >> 2)
            guard slot < sessions.capacity, sessions[slot] != nil, let kind = TimerKind(rawValue: key & 3) else { continue }
            switch kind {
            case .transmit:
                sessions[slot]?.transmitAt = nil
                transmitTimer(slot, at: now, into: &effects)
            case .receive:
                sessions[slot]?.receiveAt = nil
                receiveTimer(slot, at: now, into: &effects)
            case .report:
                sessions[slot]?.reportIsPending = false
            }
            settle(slot, at: now, into: &effects)
        }
    }

    // MARK: the table

    private mutating func add(_ wanted: BFDSession, at now: Instant, into effects: inout [BFDEffect]) {
        guard wanted.discriminator != 0, byDiscriminator.count < Self.sessionsMaximum else { return }
        if let slot = byDiscriminator[wanted.discriminator] { remove(slot) }
        // The neighbour hears one of us only; what the one before had to say is said by this one.
        let before = byPeer[wanted.peer].flatMap { sessions[$0] }
        if let slot = byPeer[wanted.peer] { remove(slot) }
        var session = Session(wanted, random: &random)
        let isNew = session.status.sequence.since == .zero
        // To the neighbour it is the same session, and the numbers go on: others are outside its window for twice its
        // Detection Time (RFC 5880 §6.7.3).
        if let before, before.parameters.authentication?.type == session.parameters.authentication?.type {
            session.sentSequence = before.sentSequence
        }
        // A full Detection Time from here on, whatever of it had passed.
        if session.status.remoteDiscriminator != 0 { session.heardAt = now }
        session.announcedMinTx = session.status.transmitInUse
        session.announcedMinRx = session.status.receiveInUse
        session.isPolling = session.status.state == .up && !session.status.isPolled
        if session.parameters.authentication != nil {
            if !isNew { session.sentSequence = session.sequenceClock(at: now) &+ UInt32(session.sequenceSlack) }
            session.windowIsOpen = session.status.receivedSequence != nil
            if session.windowIsOpen, session.heardAt == nil { session.heardAt = now }
            session.restartSequence(at: now)
        }
        if session.parameters.isShutdown != (session.status.state == .adminDown) {
            session.status.state = session.parameters.isShutdown ? .adminDown : .down
            session.status.diagnostic = session.parameters.isShutdown ? .administrativelyDown : .none
        }
        let slot = Int(sessions.insert(session))
        byDiscriminator[session.discriminator] = slot
        byPeer[session.peer] = slot
        adoptIntervals(slot, at: now)
        scheduleReceive(slot, at: now)
        // At once: after a take-over the neighbour's Detection Time is running, and a new session has no reason to wait.
        if sessions[slot]?.transmitsPeriodically == true { setTransmit(slot, at: now) }
        settle(slot, at: now, into: &effects)
    }

    private mutating func configure(
        _ slot: Int, _ parameters: BFDSessionParameters, at now: Instant, into effects: inout [BFDEffect]
    ) {
        guard let before = sessions[slot]?.parameters, before != parameters else { return }
        sessions[slot]?.parameters = parameters
        if before.authentication?.type != parameters.authentication?.type {
            sessions[slot]?.status.receivedSequence = nil
            sessions[slot]?.windowIsOpen = false
            sessions[slot]?.restartSequence(at: now)
        }
        // RFC 5880 §6.8.16
        if before.isShutdown != parameters.isShutdown {
            enter(
                parameters.isShutdown ? .adminDown : .down, parameters.isShutdown ? .administrativelyDown : .none, slot,
                at: now, into: &effects)
        }
        adoptIntervals(slot, at: now)
        rescheduleTransmit(slot, at: now)
        settle(slot, at: now, into: &effects)
    }

    /// RFC 5880 §6.8.16: the neighbour hears AdminDown for a Detection Time, so that it takes this for no failure.
    private mutating func retire(_ slot: Int, at now: Instant, into effects: inout [BFDEffect]) {
        guard let session = sessions[slot], session.endsAt == nil else { return }
        byDiscriminator[session.discriminator] = nil
        guard session.status.remoteDiscriminator != 0, session.status.state != .down else { return remove(slot) }
        // At the pace of before: slower packets would miss the Detection Time.
        sessions[slot]?.endsAt =
            now + .nanoseconds(min(session.transmitInterval, 1_000_000_000) * Int64(session.parameters.multiplier))
        sessions[slot]?.isPolling = false
        sessions[slot]?.status.state = .adminDown
        sessions[slot]?.status.diagnostic = .administrativelyDown
        cancel(slot, .receive)
        transmit(slot, at: now, into: &effects)
    }

    mutating func remove(_ slot: Int) {
        guard let session = sessions[slot] else { return }
        if byDiscriminator[session.discriminator] == slot { byDiscriminator[session.discriminator] = nil }
        if byPeer[session.peer] == slot { byPeer[session.peer] = nil }
        cancel(slot, .transmit)
        cancel(slot, .receive)
        cancel(slot, .report)
        sessions.remove(UInt32(slot))
    }

    // MARK: transitions

    /// The state machine's arrows end here (RFC 5880 §6.2).
    mutating func enter(
        _ state: BFDState, _ diagnostic: BFDDiagnostic, _ slot: Int, at now: Instant, into effects: inout [BFDEffect]
    ) {
        guard let before = sessions[slot]?.status.state else { return }
        sessions[slot]?.status.diagnostic = diagnostic
        guard before != state else { return }
        sessions[slot]?.status.state = state
        if state == .up { sessions[slot]?.counters.timesUp += 1 }
        if before == .up {
            sessions[slot]?.counters.timesDown += 1
            // What was polled for is said by every packet from here on.
            sessions[slot]?.isPolling = false
            sessions[slot]?.awaitsClearFinal = false
            sessions[slot]?.status.isPolled = true
        }
        adoptIntervals(slot, at: now)
        // RFC 5880 §6.8.7: "in order to more rapidly communicate a change in state".
        if let session = sessions[slot], !(session.parameters.isPassive && session.status.remoteDiscriminator == 0) {
            if session.hasSequence(at: now) { transmit(slot, at: now, into: &effects) }
        }
        rescheduleTransmit(slot, at: now)
    }

    // MARK: timers

    static func key(_ slot: Int, _ kind: TimerKind) -> UInt32 { UInt32(truncatingIfNeeded: slot) << 2 | kind.rawValue }

    func isRunning(_ slot: Int, _ kind: TimerKind) -> Bool { timers.isRunning(Self.key(slot, kind)) }

    mutating func cancel(_ slot: Int, _ kind: TimerKind) {
        timers.cancel(Self.key(slot, kind))
        switch kind {
        case .transmit: sessions[slot]?.transmitAt = nil
        case .receive: sessions[slot]?.receiveAt = nil
        case .report: sessions[slot]?.reportIsPending = false
        }
    }

    mutating func setTransmit(_ slot: Int, at time: Instant) {
        sessions[slot]?.transmitAt = time
        timers.set(Self.key(slot, .transmit), at: time)
    }

    /// Sets the timer that notices silence, unless it wakes up early enough anyway.
    mutating func scheduleReceive(_ slot: Int, at now: Instant) {
        guard let session = sessions[slot], let heard = session.heardAt else { return }
        let due = heard + .nanoseconds(session.detectionTime)
        if let armed = session.receiveAt, armed <= due { return }
        sessions[slot]?.receiveAt = due
        timers.set(Self.key(slot, .receive), at: due)
    }

    private mutating func receiveTimer(_ slot: Int, at now: Instant, into effects: inout [BFDEffect]) {
        guard let session = sessions[slot], session.endsAt == nil, let heard = session.heardAt else { return }
        let detection = session.detectionTime
        guard now >= heard + .nanoseconds(detection) else { return scheduleReceive(slot, at: now) }
        // RFC 5880 §6.8.1: "If a period of a Detection Time passes without the receipt of a valid, authenticated BFD
        // packet from the remote system, this variable MUST be set to zero."
        sessions[slot]?.status.remoteDiscriminator = 0
        sessions[slot]?.status.remoteMinRx = 1
        sessions[slot]?.status.remoteDemand = false
        sessions[slot]?.status.remoteState = .down
        // RFC 5880 §6.8.4
        if session.status.state == .up || session.status.state == .initializing {
            enter(.down, .detectionTimeExpired, slot, at: now, into: &effects)
        }
        rescheduleTransmit(slot, at: now)
        // bfd.AuthSeqKnown becomes 0 after twice the Detection Time. The intervals of the moment count: they are slow now.
        let forgets = heard + .nanoseconds(2 * max(detection, sessions[slot]?.detectionTime ?? 0))
        guard now >= forgets || session.status.receivedSequence == nil else {
            sessions[slot]?.receiveAt = forgets
            return timers.set(Self.key(slot, .receive), at: forgets)
        }
        sessions[slot]?.status.receivedSequence = nil
        sessions[slot]?.windowIsOpen = false
        sessions[slot]?.heardAt = nil
    }

    // MARK: reports

    /// Tells the engine what changed, at once unless the neighbour makes it change all the time.
    mutating func settle(_ slot: Int, at now: Instant, into effects: inout [BFDEffect]) {
        guard let session = sessions[slot], session.endsAt == nil, !session.reportIsPending else { return }
        guard session.packetsSinceReport >= Self.packetsPerReport || !session.status.agrees(with: session.reported) else {
            return
        }
        guard sessions[slot]?.reportGuard.take(at: now) == true else {
            sessions[slot]?.reportIsPending = true
            return timers.set(Self.key(slot, .report), at: session.reportGuard.next(after: now))
        }
        sessions[slot]?.reported = session.status
        sessions[slot]?.packetsSinceReport = 0
        effects.append(.report(BFDReport(discriminator: session.discriminator, status: session.status)))
    }

    /// How often the twin hears of bfd.RcvAuthSeq: what it does not know could be played again to it, once.
    static let packetsPerReport = 1024
}

extension BFDStatus {
    /// Equal, but for the number that every packet changes.
    func agrees(with other: BFDStatus) -> Bool {
        var mine = self
        if mine.receivedSequence != nil, other.receivedSequence != nil { mine.receivedSequence = other.receivedSequence }
        return mine == other
    }
}

/// What BFD asks of the line card.
public enum BFDEffect: Sendable, Equatable {
    case transmit(BFDTransmission)
    /// An input of the engine.
    case report(BFDReport)
}

/// A packet to go out: UDP to port 3784 or 4784, TTL 255 (RFC 5881 §4, §5; RFC 5883 §5).
public struct BFDTransmission: Sendable, Equatable {
    public var peer: BFDPeer
    public var sourcePort: UInt16
    public var bytes: [UInt8]
}

/// UDP ports.
public enum BFDPort {
    /// RFC 5881 §4
    public static let singleHop: UInt16 = 3784
    /// RFC 5883 §5
    public static let multihop: UInt16 = 4784
    /// RFC 5881 §4: 49152 through 65535.
    public static let sources: ClosedRange<UInt16> = 49152...65535
}
