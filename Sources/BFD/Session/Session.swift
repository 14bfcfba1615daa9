import Machine
import Records
import Wire

/// One session: the state variables of RFC 5880 §6.8.1 and when which timer is due. `BFDInstance` moves it.
struct Session: Sendable {
    var peer: BFDPeer
    var discriminator: UInt32
    var sourcePort: UInt16
    var parameters: BFDSessionParameters
    /// What the twin knows or is about to be told.
    var status: BFDStatus
    /// What the twin was told last.
    var reported: BFDStatus

    /// What our packets say: bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval. While a Poll Sequence is under way
    /// they stay, so that its Final is about one pair of values (RFC 5880 §6.8.3).
    var announcedMinTx: UInt32
    var announcedMinRx: UInt32
    /// A Poll Sequence is being transmitted.
    var isPolling = false
    /// RFC 5880 §6.8.3, choice 3: after a Poll Sequence a packet with the F bit clear must come before the next begins.
    var awaitsClearFinal = false
    /// The neighbour polled; the next packet has the F bit.
    var owesFinal = false

    /// When a packet last counted as received; `nil` when that is longer ago than anything that depends on it.
    var heardAt: Instant?
    var sentAt: Instant?
    /// When the timers wake up. The receive timer may do so early: it is not moved for every packet.
    var transmitAt: Instant?
    var receiveAt: Instant?

    /// The number in the packet sent last.
    var sentSequence: UInt32 = 0
    /// After a take-over the neighbour's numbers are known to be above what the twin was told, not how far.
    var windowIsOpen = false
    /// Packets since the twin heard of bfd.RcvAuthSeq.
    var packetsSinceReport = 0

    /// Set while the session is on its way out: it tells the neighbour AdminDown until then (RFC 5880 §6.8.16).
    var endsAt: Instant?

    /// Every packet may cost a record; a neighbour that talks faster than any negotiation allows is not listened to.
    var packetGuard = RateLimit(perSecond: 400, burst: 200)
    /// A neighbour that changes its mind with every packet does not fill the log.
    var reportGuard = RateLimit(perSecond: 10, burst: 20)
    var reportIsPending = false

    var counters = BFDSessionCounters()

    init(_ session: BFDSession, random: inout RandomNumbers) {
        peer = session.peer
        discriminator = session.discriminator
        sourcePort = session.sourcePort
        parameters = session.parameters
        status = session.status
        reported = session.status
        announcedMinTx = Self.slow(session.parameters.desiredMinTx)
        announcedMinRx = session.parameters.requiredMinRx
        sentSequence = UInt32(truncatingIfNeeded: random.next())
    }

    /// RFC 5880 §6.8.3: "not less than one second" while the session is not Up.
    static func slow(_ interval: UInt32) -> UInt32 { max(interval, 1_000_000) }

    var isMultihop: Bool { peer.interface == nil }

    /// bfd.DesiredMinTxInterval as the operator and the state want it.
    var wantedMinTx: UInt32 { status.state == .up ? parameters.desiredMinTx : Self.slow(parameters.desiredMinTx) }

    /// RFC 5880 §6.8.2, §6.8.7: the greater of the two ends' wishes, in nanoseconds.
    var transmitInterval: Int64 { Int64(max(status.transmitInUse, status.remoteMinRx)) * 1000 }

    /// RFC 5880 §6.8.4, in nanoseconds; 0 before the neighbour spoke.
    var detectionTime: Int64 {
        Int64(status.remoteMultiplier) * Int64(max(status.receiveInUse, status.remoteDesiredMinTx)) * 1000
    }

    /// RFC 5880 §6.6: the neighbour asked us to be silent.
    var demandIsActive: Bool { status.remoteDemand && status.state == .up && status.remoteState == .up }

    /// RFC 5880 §6.8.7, the three rules about what MUST NOT be transmitted periodically.
    var transmitsPeriodically: Bool {
        if endsAt != nil { return true }
        if parameters.isPassive, status.remoteDiscriminator == 0 { return false }
        if status.remoteMinRx == 0 { return false }
        return !demandIsActive || isPolling
    }

    /// RFC 5880 §6.8.7: reduced by 0 to 25 %, and with a multiplier of 1 by at least 10 %.
    func jittered(_ interval: Int64, _ random: inout RandomNumbers) -> Int64 {
        let highest = parameters.multiplier == 1 ? 900 : 1000
        return interval / 1000 * Int64(random.number(in: 750...highest))
    }

    // MARK: sequence numbers

    /// How many more packets than its clock allows a session may have sent: answers to polls and changes of state. The
    /// twin starts above them. A neighbour accepts a number at most 3 × Detect Mult ahead (RFC 5880 §6.7.3); Detect
    /// Mult − 1 packets may be lost on the way, each worth 4/3 of a tick, so Detect Mult − 1 are left. Whether the
    /// neighbour means our Detect Mult or its own the RFC does not say; the smaller fits both.
    var sequenceSlack: Int32 {
        let theirs = status.remoteMultiplier == 0 ? UInt8.max : status.remoteMultiplier
        return Int32(max(1, min(parameters.multiplier, theirs))) - 1
    }

    func sequenceClock(at now: Instant) -> UInt32 {
        let clock = status.sequence
        let ticks = max(0, (now - clock.since).inNanoseconds) / max(1, clock.quantum)
        return clock.base &+ UInt32(truncatingIfNeeded: ticks)
    }

    /// Whether a packet may go out between two periodic ones, the next of which comes less than a tick later.
    func hasSequence(at now: Instant) -> Bool {
        guard let type = parameters.authentication?.type, type.isMeticulous else { return true }
        return Int32(bitPattern: sentSequence &+ 1 &- sequenceClock(at: now)) < sequenceSlack
    }

    /// bfd.XmitAuthSeq for the packet that goes out now.
    mutating func nextSequence(at now: Instant) -> UInt32 {
        let clock = sequenceClock(at: now)
        guard let type = parameters.authentication?.type, type.isMeticulous else {
            // RFC 5880 §6.7.3: "occasionally incremented", and never back.
            if Int32(bitPattern: clock &- sentSequence) > 0 { sentSequence = clock }
            return sentSequence
        }
        let next = sentSequence &+ 1
        sentSequence = Int32(bitPattern: clock &- next) > 0 ? clock : next
        return sentSequence
    }

    /// Begins a new clock that goes on from the last number with the pace of what is sent from here on.
    mutating func restartSequence(at now: Instant) {
        status.sequence = BFDSequenceClock(
            base: sentSequence, since: now, quantum: max(1, transmitInterval / 1000 * 750))
    }
}

/// At most so many a second, so many at once.
struct RateLimit: Sendable {
    private let interval: Int64
    private let burst: Int64
    private var fullAt: Int64 = 0

    init(perSecond rate: Int64, burst: Int64) {
        interval = 1_000_000_000 / rate
        self.burst = interval * burst
    }

    mutating func take(at now: Instant) -> Bool {
        let base = max(fullAt, now.nanoseconds)
        guard base - now.nanoseconds + interval <= burst else { return false }
        fullAt = base + interval
        return true
    }

    /// When the next one is allowed.
    func next(after now: Instant) -> Instant {
        Instant(nanoseconds: max(now.nanoseconds, fullAt + interval - burst))
    }
}

/// What a session counted on this controller. Not replicated.
public struct BFDSessionCounters: Hashable, Sendable, Codable {
    public var packetsIn: UInt64 = 0
    public var packetsOut: UInt64 = 0
    public var drops: UInt64 = 0
    /// Times that the session came up and left Up.
    public var timesUp: UInt64 = 0
    public var timesDown: UInt64 = 0
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case packetsIn = "packetsReceived"
        case packetsOut = "packetsSent"
        case drops = "packetsDropped"
        case timesUp, timesDown
    }
}
