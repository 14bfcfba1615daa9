import Machine
import Records
import Wire

/// One connection that is open, opening or closing: RFC 9293's TCB.
///
/// Positions are 64-bit stream offsets, not sequence numbers: octet 0 follows the SYN, so our SYN is at -1, and a FIN is the
/// octet after the last. Nothing here wraps; `distance` brings a sequence number next to a known offset.
///
/// By concern: `+Handshake` (opening), `+Receive` (RFC 9293 §3.10.7.4, in its order), `+Acknowledgment` (SND.UNA, windows,
/// RTT), `+Recovery` (loss), `+LossProbe`, `+Output` (what leaves at the end of a batch), `+Timers`.
struct Connection: Sendable {
    // MARK: who

    let connection: ConnectionID
    let slot: Int32
    /// Complete once established. Its peer's half is filled when the peer's SYN comes.
    var identity: ConnectionIdentity
    var state: TCPState
    let signature: MD5Signature?
    /// The stack removes it when it sees this.
    var isGone = false
    /// In the stack's list of those that have something to do at the end of the batch.
    var isQueued = false

    // MARK: send

    /// What is not acknowledged: `stream.start` is SND.UNA once established.
    var stream: TransmitStream
    /// SND.UNA; -1 until our SYN is acknowledged.
    var sendUnacknowledged: Int64
    /// SND.NXT. After a timeout it goes back to SND.UNA.
    var sendNext: Int64
    /// The highest offset that we, or the twin before us, may have sent. An ACK above it is of data never sent.
    var sendMaximum: Int64
    /// SND.WND in octets.
    var sendWindow: Int
    /// The largest window that the peer ever offered: RFC 5961 §5.2, and Max(SND.WND) of RFC 9293 §3.8.6.2.1.
    var sendWindowMaximum: Int
    /// SND.WL1 and SND.WL2; `nil` until the first segment after a restore, whose window is taken as it is.
    var windowUpdate: (sequence: Int64, acknowledgment: Int64)?
    /// Octets of payload that fit beside the fixed options.
    var segmentSize: Int
    /// The MSS that our interface bears, without options.
    var localSegmentSize: Int
    /// RFC 8201 and RFC 1191: the MTU that an ICMP error told, as an MSS.
    var pathSegmentSize = Int.max
    /// While a path that fell silent is searched for what it carries.
    var pathSearch: PathSearch?
    var congestion: CongestionControl
    /// The congestion window was what stopped the last output.
    var isCongestionLimited = false
    var timeout: RetransmissionTimeout
    /// RFC 6298 §3 (Karn): one segment at a time is timed, and none that was sent twice.
    var timed: (end: Int64, at: Instant)?
    var lastSent: Instant
    /// Probes of a shut window since it shut. They back off by themselves: that a peer does not read says nothing of the
    /// path, and what is lost after the window opened is sent again after RTO, not after the last pause between probes.
    var probes = 0
    /// Since when data waits without progress.
    var stalledSince: Instant?

    // MARK: loss

    var scoreboard = SACKScoreboard()
    var duplicates = 0
    var inRecovery = false
    /// RecoveryPoint of RFC 6675, "recover" of RFC 6582.
    var recoveryPoint: Int64 = -1
    /// SND.UNA when the retransmission timer last went off: RFC 5681 §3.1 reduces ssthresh once for a segment that times out
    /// again and again.
    var timedOutAt = Int64.min
    /// Timeouts of that octet, and none since.
    var timeoutsInARow = 0
    /// With SACK: what was sent and not acknowledged, and in which order it arrives (RFC 8985).
    var sent = SentSegments()
    var rack = RACK()
    /// What the last recovery can be taken back to.
    var undo: RecoveryUndo?
    var reduction: RateReduction?
    /// RFC 5682: whether a timeout is being found out to have been for nothing.
    var forward = ForwardRecovery.off
    var lossProbe: LossProbe?
    /// RFC 8985 §7.3: a round trip was measured since the last probe.
    var isMeasuredSinceProbe = false
    /// RFC 8985 §7.2: SND.UNA has moved, or something new was sent, since PTO was last set.
    var isProbeDue = false
    /// The first unacknowledged segment is to be sent again with the next output, whatever the windows say.
    var isRetransmissionDue = false
    var retransmittedSegments: UInt64 = 0

    // MARK: receive

    /// RCV.NXT
    var receiveNext: Int64
    /// In order, not yet in a record.
    var received: [UInt8] = []
    /// How long the last record was: the next begins with that much room, so that it does not grow by doubling.
    var expectedRecord = 0
    /// `.tcpReceived` records on their way to being committed.
    var uncommittedRecords = 0
    /// What may be acknowledged: everything before it is in records that are committed. -1 while even the peer's SYN is not.
    var receiveCommitted: Int64
    /// What the engine has consumed.
    var receiveApplied: Int64
    /// The right edge of the window as advertised; it never moves left.
    var receiveEdge: Int64
    /// Octets that the peer may have in our hands; see `tuneReceiveBuffer`.
    var receiveBuffer: Int
    /// Where RCV.NXT was, and when, when a round trip was last looked at.
    var receiveMark: (offset: Int64, at: Instant)
    /// Last.ACK.sent of RFC 7323 §4.3, as an offset.
    var lastAcknowledgmentSent: Int64
    var reassembly: ReassemblyQueue
    /// Where the peer's FIN lies, once it came in any order.
    var finOffset: Int64?
    var peerFinished = false
    /// Our FIN went out while the acknowledgement of the peer's waited for its commit.
    var finWithoutAcknowledgment = false
    /// The largest payload the peer sends in one segment, for "every second segment".
    var peerSegment: Int
    /// An ACK goes out with the next output.
    var acknowledgeNow = false
    /// An ACK goes out when this much is committed: what filled a hole (RFC 5681 §4.2).
    var acknowledgeAt: Int64?
    /// RFC 2883: octets that came a second time, for the next ACK to tell. Where they begin and end.
    var duplicated: (start: Int64, end: Int64)?
    /// Out-of-order segments that each want a duplicate ACK (RFC 5681 §4.2).
    var duplicateAcknowledgments = 0
    /// ACKs that a restored connection still sends.
    var restoredAcknowledgments = 0
    var challenges: TokenBucket

    // MARK: timestamps

    /// TS.Recent and when it was taken (RFC 7323 §5.5).
    var timestampRecent: UInt32 = 0
    var timestampRecentAt: Instant
    /// The newest TSval in sequence, for the record.
    var timestampNewest: UInt32 = 0

    // MARK: reports

    /// The offset of the last `.tcpAcknowledged`.
    var reported: UInt64
    var timers = TimerSlots()
    var handshakeRetries = 0
    /// The twin may have sent this SYN before us, and more after it.
    var isRestoredConnect = false

    var segmentsIn: UInt64 = 0
    var segmentsOut: UInt64 = 0
    /// The last soft ICMP error, for display only.
    var softErrors: UInt64 = 0

    init(
        _ connection: ConnectionID, slot: Int32, identity: ConnectionIdentity, state: TCPState,
        stream: TransmitStream, localSegmentSize: Int, now: Instant, configuration: TCPConfiguration
    ) {
        self.connection = connection
        self.slot = slot
        self.identity = identity
        self.state = state
        self.stream = stream
        signature = MD5Signature(key: identity.options.md5Key)
        sendUnacknowledged = Int64(clamping: stream.start)
        sendNext = sendUnacknowledged
        sendMaximum = sendUnacknowledged
        sendWindow = 0
        sendWindowMaximum = 0
        self.localSegmentSize = localSegmentSize
        segmentSize = localSegmentSize
        congestion = CongestionControl(initial: 0, configuration)
        timeout = RetransmissionTimeout(
            initial: configuration.retransmissionTimeoutInitial, minimum: configuration.retransmissionTimeoutMinimum,
            maximum: configuration.retransmissionTimeoutMaximum)
        lastSent = now
        receiveNext = 0
        receiveCommitted = -1
        receiveApplied = 0
        receiveEdge = 0
        receiveBuffer = configuration.receiveBuffer
        receiveMark = (0, now)
        lastAcknowledgmentSent = -1
        reassembly = ReassemblyQueue(maximum: configuration.reassemblyIslands)
        peerSegment = min(536, localSegmentSize)
        challenges = TokenBucket(perSecond: configuration.challengesPerSecond)
        timestampRecentAt = now
        reported = stream.start
        setSegmentSize()
        congestion = CongestionControl(
            initial: CongestionControl.initialWindow(segment: segmentSize, configuration), configuration)
    }

    /// The identity is known now: what fits into a segment follows (RFC 6691: options come out of the MSS).
    mutating func setSegmentSize() {
        let options = OutgoingSegment.optionLength(
            timestamps: identity.timestamps, blocks: 0, signed: signature != nil)
        segmentSize = min(localSegmentSize, Int(identity.peerMaximumSegmentSize), pathSegmentSize) - options
    }

    // MARK: names of positions

    var isSynchronized: Bool { state != .synSent && state != .synReceived }
    /// Offset after the last octet written; a FIN lies there.
    var dataEnd: Int64 { Int64(clamping: stream.end) }
    /// Offset after all that is to be sent, FIN included.
    var sendEnd: Int64 { dataEnd + (stream.isFinished ? 1 : 0) }
    var inFlight: Int64 { sendNext - sendUnacknowledged }

    func sequence(ofSent offset: Int64) -> UInt32 {
        identity.initialSendSequence &+ 1 &+ UInt32(truncatingIfNeeded: offset)
    }
    func sequence(ofReceived offset: Int64) -> UInt32 {
        identity.initialReceiveSequence &+ 1 &+ UInt32(truncatingIfNeeded: offset)
    }
    func receivedOffset(_ sequence: UInt32) -> Int64 {
        receiveNext + distance(from: self.sequence(ofReceived: receiveNext), to: sequence)
    }
    func sentOffset(_ sequence: UInt32) -> Int64 {
        sendUnacknowledged + distance(from: self.sequence(ofSent: sendUnacknowledged), to: sequence)
    }
    /// Our TSval: router time in milliseconds plus the connection's offset, so it goes on over a take-over.
    func timestamp(at now: Instant) -> UInt32 { Self.timestamp(at: now, offset: identity.timestampOffset) }
    static func timestamp(at now: Instant, offset: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ offset
    }

    // MARK: records

    /// Emits a record of this connection; `offset` is what it lets us acknowledge.
    func emit(_ body: RecordBody, offset: Int64 = .min, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        out.append(.record(body))
        shared.pending.append(slot: slot, connection: connection, offset: offset)
    }

    /// Ends the connection with its record. The stack removes it.
    mutating func end(_ reason: ConnectionEnd, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard !isGone else { return }
        flushReceived(&shared, &out)
        if state != .timeWait { emit(.tcpClosed(connection, reason), &shared, &out) }
        isGone = true
        timers.cancelAll()
    }

    func status(configuration: TCPConfiguration) -> TCPConnectionStatus {
        TCPConnectionStatus(
            connection: connection, tuple: identity.tuple, state: state,
            sendUnacknowledged: UInt64(max(0, sendUnacknowledged)), sendNext: UInt64(max(0, sendNext)),
            sendEnd: stream.end, sendWindow: sendWindow, receiveNext: UInt64(max(0, receiveNext)),
            heldBack: Int(max(0, receiveNext - max(0, receiveCommitted))),
            receiveWindow: Int(max(0, receiveEdge - max(0, receiveCommitted))), outOfOrderOctets: reassembly.octets,
            congestionWindow: congestion.window,
            slowStartThreshold: congestion.threshold == .max ? nil : congestion.threshold,
            maximumSegmentSize: segmentSize,
            smoothedRoundTripTime: timeout.smoothed.map { .nanoseconds($0) }, retransmissionTimeout: timeout.current,
            backoffs: timeout.backoffs, retransmittedSegments: retransmittedSegments, inRecovery: inRecovery,
            selectiveAcknowledgment: identity.selectiveAcknowledgment, timestamps: identity.timestamps,
            authenticated: signature != nil, softErrors: softErrors, octetsIn: UInt64(max(0, receiveNext)),
            octetsOut: UInt64(max(0, sendMaximum)),
            segmentsIn: segmentsIn, segmentsOut: segmentsOut)
    }
}

// What the stack asks of a connection besides segments and time.
extension Connection {
    /// Appends octets to the stream. False when FIN was asked for already.
    mutating func accept(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard !stream.isFinished else { return false }
        stream.append(bytes)
        return true
    }

    /// RFC 9293 §3.10.4, CLOSE: FIN goes after what was written.
    mutating func finish() {
        guard !stream.isFinished else { return }
        stream.finish()
        switch state {
        case .established: state = .finWait1
        case .closeWait: state = .lastAck
        default: break
        }
    }

    /// RFC 5927 §4.1: whether a quoted sequence number is of something unacknowledged.
    func isInFlight(_ sequence: UInt32) -> Bool {
        let offset = sentOffset(sequence)
        return offset >= sendUnacknowledged && offset < sendMaximum
    }

    /// RFC 1191, RFC 8201 within bounds: an MTU below what every link of the family bears is a lie (IPv6: 1280; IPv4: 552,
    /// the floor that others have settled on). What is in flight is cut anew.
    mutating func reducePath(mtu: Int) -> Bool {
        let isIPv4 = identity.tuple.local.family == .ipv4
        let size = max(mtu, isIPv4 ? 552 : 1280) - (isIPv4 ? 40 : 60)
        let before = segmentSize
        guard size < pathSegmentSize, isSynchronized else { return false }
        pathSegmentSize = size
        pathSearch = nil
        setSegmentSize()
        guard segmentSize < before else { return false }
        // Not a sign of congestion (RFC 5927 §7): the windows stay.
        recoveryPoint = min(recoveryPoint, sendUnacknowledged)
        forgetSent()
        return true
    }

    /// RFC 6191 §2: in TIME-WAIT a SYN with a later timestamp, or without timestamps a higher sequence number.
    func mayReopen(_ h: SegmentHeader) -> Bool {
        if identity.timestamps, h.hasTimestamps {
            return distance(from: timestampRecent, to: h.timestampValue) > 0
        }
        return distance(from: sequence(ofReceived: receiveNext), to: h.sequence) > 0
    }
}
