import Machine

/// Bounds and times of the stack. They are the box's own, not a peer's: nothing here changes what a connection is, so two
/// controllers may differ.
public struct TCPConfiguration: Sendable {
    /// Octets left free in front of each segment for the headers below: Ethernet 14, 802.1Q 4, IPv6 40.
    public var headroom = 58

    // MARK: receiving

    /// Octets a peer may have in our hands that are not yet stored on both controllers. It bounds memory per connection
    /// and covers a 1 Gbit/s peer for 8 ms of standby delay. A multiple of `1 << windowShift`.
    public var receiveBuffer = 1 << 20
    /// What it grows to for a peer that fills it within a round trip: 335 Mbit/s over 100 ms.
    public var receiveBufferMaximum = 4 << 20
    /// Octets by which all connections together may have grown; who comes later stays as he is.
    public var receiveGrowthMaximum = 512 << 20
    /// RFC 7323 §2: 65,535 << 6 covers `receiveBufferMaximum` with a grain of 64 octets.
    public var windowShift: UInt8 = 6
    /// Islands of out-of-order octets per connection; octets are bounded by the window. An island is an allocation, and a
    /// peer with more than this many holes in one window is better served by retransmitting.
    public var reassemblyIslands = 256
    /// RFC 9293 §3.8.6.3 allows 500 ms; 40 ms is below every retransmission timer in use.
    public var delayedAcknowledgment = Duration.milliseconds(40)

    // MARK: sending

    /// RFC 6298 §2.1
    public var retransmissionTimeoutInitial = Duration.seconds(1)
    /// RFC 6298 §2.4 says 1 s, for the clocks of 1988. 200 ms is what every peer in the field uses and is longer than any
    /// delayed ACK in use.
    public var retransmissionTimeoutMinimum = Duration.milliseconds(200)
    /// RFC 6298 §2.5 allows a bound of 60 s or more.
    public var retransmissionTimeoutMaximum = Duration.seconds(60)
    /// The first timeout of a restored connection. Its frames may fall on a switch that still learns, and the LAN is near.
    public var retransmissionTimeoutRestored = Duration.milliseconds(250)
    /// RFC 6928 §2: at most ten segments and 14,600 octets (more only if two segments are more).
    public var initialWindowSegments = 10
    public var initialWindowOctets = 14_600
    /// What fills long fat paths, and is no slower than Reno on short ones.
    public var congestionAlgorithm = CongestionAlgorithm.cubic
    /// RFC 8985 §7.2 has no least PTO. On a LAN two round trips are shorter than what a peer that is busy, or a pair itself, may
    /// need for an ACK; this is what the first draft of tail loss probes had.
    public var probeTimeoutMinimum = Duration.milliseconds(10)
    /// RFC 8985 §7.2, TLP.max_ack_delay: how long a peer may keep the ACK of less than two segments. What common systems do; as
    /// long as the least RTO, so that a probe goes in place of the first timeout at the latest.
    public var peerDelayedAcknowledgment = Duration.milliseconds(200)
    /// The congestion window stops growing here; it is more than any LAN path holds.
    public var congestionWindowMaximum = 8 << 20
    /// ACKs that a restored connection sends at once: one to announce ourselves and the three
    /// duplicates of RFC 5681 §3.2, so that the peer resends at once what died with the old active.
    public var restoredAcknowledgments = 4

    /// How many connections send again at once when a path is back, and how long the next as many wait. A thousand
    /// sessions behind one cable are back within 130 ms, at fewer than a hundred Mbit/s of full segments.
    public var resumedConnections = 8
    public var resumedPause = Duration.milliseconds(1)

    // MARK: giving up

    /// RFC 9293 §3.8.3: without progress for this long the connection ends, unanswered or with the window shut
    /// (RFC 6429 lets a system refuse to serve a zero window for ever).
    public var userTimeout = Duration.minutes(5)
    /// RFC 9293 §3.8.3 (R2 for SYN): at least three minutes.
    public var connectTimeout = Duration.minutes(3)
    /// How long FIN-WAIT-2 waits for a peer that is silent.
    public var finWaitTimeout = Duration.seconds(60)
    /// 2 MSL with an MSL of 30 s: no segment lives longer on the paths of routing sessions.
    public var timeWait = Duration.seconds(60)
    /// Connections kept in TIME-WAIT; beyond that the oldest goes.
    public var timeWaitMaximum = 1024

    // MARK: the door

    /// Established and opening connections.
    public var connectionsMaximum = 16_384
    /// Half-open connections per listener. A listener is for one remote address, so this is all spoofed SYNs that fit
    /// between a real SYN and its ACK; then the oldest gives way.
    public var backlogPerListener = 64
    /// Half-open connections of all listeners.
    public var backlogMaximum = 4096
    /// SYN-ACKs sent again before a half-open connection is forgotten: 1, 2, 4, 8, 16 s.
    public var synAcknowledgmentRetries = 4
    /// RSTs per second to strangers' segments, all strangers together.
    public var resetsPerSecond = 200
    /// RSTs, challenge ACKs and repeated SYN-ACKs per second to segments of one configured peer that belong to no connection
    /// beyond its handshake. Each peer has its own, so that a flood in one's name, or of strangers, silences no other.
    public var answersPerPeerPerSecond = 20
    /// RFC 5961 §7, but per connection: a bound shared by all connections can be observed from outside.
    public var challengesPerSecond = 10
    /// Events per second about dropped segments (wrong signature, TTL).
    public var dropEventsPerSecond = 1

    // MARK: records

    /// Octets in one `.tcpReceived`.
    public var recordOctetsMaximum = 65_536
    /// Records of one connection that may wait for their commit before small ones are held back to be joined, and what is
    /// not small then. Together they bound the records of a connection to `recordsUncommitted` and one for each
    /// `recordOctetsCrowded` of its window.
    public var recordsUncommitted = 64
    public var recordOctetsCrowded = 4096
    /// Acknowledged octets that make a `.tcpAcknowledged` at once.
    public var acknowledgedReportOctets = 32 << 10
    /// The longest that acknowledged octets wait for a `.tcpAcknowledged`.
    public var acknowledgedReportDelay = Duration.milliseconds(5)

    public init() {}
}
