import Machine
import Records
import Wire

/// TCP for a router's own sessions: RFC 9293 without a kernel, without I/O and without a clock.
///
/// Segments come in by `receive`, everything else by `handle`; what follows are effects: segments to wrap and send, records
/// for the log, events. The same inputs at the same times give the same effects. Where to read on:
///
/// - `TCPInput`, `TCPConfiguration`, `TCPStatus`: what is said to the stack and by it, its bounds, what it shows.
/// - `TCPStack+Demultiplex`: which connection, half-open entry or listener a segment is for, and RST for the rest.
/// - `TCPStack+Listen`: listeners and half-open connections. `TCPStack+Restore`: becoming the stack of an image.
/// - `Packet/`: header, options, checksum, the MD5 signature and the place of TCP-AO.
/// - `Connection/`: one connection, by concern.
///
/// What is not as in an ordinary TCP:
///
/// **Acknowledgements wait.** Octets in order become a record (`.tcpReceived`) at the end of the batch. They are acknowledged
/// only once that record is committed, stored on both controllers; likewise the peer's FIN and the SYN of a connection that
/// we open. So a peer never holds an acknowledgement for what could be lost, and its own retransmission is what brings back
/// what died with an active. The window counts from what is acknowledged: a standby that is slow slows the peer down, and
/// memory stays bounded by `receiveBuffer` per connection. Duplicate ACKs wait likewise, since an acknowledgement that
/// lags, with SACK blocks above it, reads as loss.
///
/// **The stream is derived.** What we send was written by the engine, on both controllers. A restored connection
/// starts at the last offset that the log says was acknowledged, accepts acknowledgements of all that its twin may have
/// sent, and goes on from there; congestion window and round-trip time begin anew (DESIGN §4). Timestamps are router time
/// and an offset from the connection's identity, so they never go back.
///
/// **Peers are known.** A listener is for one remote address. A SYN from anybody else gets RST. Half-open connections are
/// bounded per listener and give way oldest first; they are in no record, but a peer that completes the handshake of a
/// twin brings back what its SYN said (`TCPStack+Listen`). Connections, TIME-WAIT, reassembly and scoreboard are bounded, too.
///
/// Where RFCs leave a choice: Reno (RFC 5681) with RACK (RFC 8985; 6582 without SACK), no Nagle but corking until the end of a
/// batch, PAWS and timestamps always offered, urgent data read as data (RFC 6093), ICMP errors soft (RFC 5927), challenge
/// ACKs limited per connection (RFC 5961 §7).
public struct TCPStack: Sendable {
    public let configuration: TCPConfiguration
    public var counters: TCPCounters { shared.counters }

    var shared: StackShared
    var interfaces: [InterfaceConfiguration] = []

    // MARK: connections

    /// By slot. Slots are used again; `owners` tells whose one is.
    var connections: [Connection?] = []
    var owners: [ConnectionID] = []
    var freeSlots: [Int32] = []
    /// The deadline in `timers` of each slot; a connection's own may be later, never earlier.
    var registered: [Int64] = []
    /// Looked up, never iterated. Slots, or the complement of a half-open entry's.
    var flows: [FlowKey: Int32] = [:]
    var slotOf: [ConnectionID: Int32] = [:]
    var liveConnections = 0
    /// Slots with something to do at the end of the batch, in order.
    var queue: [Int32] = []
    /// Oldest first; may name slots that are in use by others since.
    var timeWaits: [(slot: Int32, connection: ConnectionID)] = []
    var timers = TimerTable<Int32>()

    // MARK: listeners

    var listeners: [Listener] = []
    var listenerIndex: [ListenerKey: Int32] = [:]
    /// Those that listen to a range, by our end (`remote` is the same in all keys), the longest prefix first.
    var rangeIndex: [ListenerKey: [Int32]] = [:]
    var halfOpen: [HalfOpen?] = []
    var freeHalfOpen: [Int32] = []
    /// Half-open entries of each listener, oldest first.
    var backlogs: [[Int32]] = []
    var halfOpenCount = 0
    var halfOpenSerial: UInt64 = 0
    var nextAccepted = ConnectionID(2)
    var initialSequence = InitialSequence(secret: 0)
    /// When this stack became that of an image.
    var restoredAt: Instant?
    /// The connections of that image and those accepted soon after, whatever became of them: what they say completes no
    /// handshake of a twin. Looked up, never iterated.
    var knownFlows: Set<FlowKey> = []
    static let knownFlowsMaximum = 65_536

    /// For strangers.
    var resets: TokenBucket
    /// For configured peers, by the position of their listener.
    var answers: [TokenBucket] = []
    var dropEvents: TokenBucket

    public init(configuration: TCPConfiguration = TCPConfiguration()) {
        self.configuration = configuration
        shared = StackShared(configuration)
        resets = TokenBucket(perSecond: configuration.resetsPerSecond)
        dropEvents = TokenBucket(perSecond: configuration.dropEventsPerSecond)
    }

    /// Applies one input and appends what follows from it.
    public mutating func handle(_ input: TCPInput, at now: Instant, into effects: inout [TCPEffect]) {
        switch input {
        case .interfaces(let list):
            setInterfaces(list)
        case .listeners(let list):
            setListeners(list)
        case .connect(let request):
            connect(request, at: now, into: &effects)
        case .send(let connection, let bytes):
            guard let slot = slot(of: connection), connections[slot]!.accept(bytes) else {
                shared.counters.staleInputs += 1
                return
            }
            enqueue(slot)
        case .finish(let connection):
            guard let slot = slot(of: connection) else {
                shared.counters.staleInputs += 1
                return
            }
            connections[slot]!.finish()
            enqueue(slot)
        case .abort(let connection):
            guard let slot = slot(of: connection) else {
                shared.counters.staleInputs += 1
                return
            }
            connections[slot]!.sendReset(now: now, &shared, &effects)
            remove(slot)
        case .logged(let index):
            _ = shared.pending.log(index)
        case .committed(let index):
            committed(upTo: index)
        case .applied(let index):
            applied(upTo: index)
        case .endOfBatch:
            endOfBatch(at: now, into: &effects)
        case .time:
            fireTimers(at: now, into: &effects)
        case .restore(let image):
            restore(image, at: now, into: &effects)
        case .unreachable(let error):
            unreachable(error, at: now, into: &effects)
        case .neighborUnreachable(let interface, let address):
            neighborUnreachable(interface, address, at: now, into: &effects)
        case .pathIsBack(let list):
            pathIsBack(list, at: now)
        }
    }

    /// When the stack next wants `.time`. It may ask too early, never too late.
    public var nextDeadline: Instant? { timers.next }

    /// All connections in order of their number; for display.
    public func connectionStatuses() -> [TCPConnectionStatus] {
        connections.compactMap { $0?.status(configuration: configuration) }.sorted { $0.connection < $1.connection }
    }

    /// Connections whose peer has not answered for a timeout or more, in order of their slots: those that wait for a timer
    /// which backs off. Whoever knows the ways tells them by `.pathIsBack` when there is one again.
    public func stalledConnections() -> [(connection: ConnectionID, tuple: ConnectionTuple)] {
        var list: [(connection: ConnectionID, tuple: ConnectionTuple)] = []
        for slot in connections.indices where connections[slot]?.isStalledByPath == true {
            list.append((owners[slot], connections[slot]!.identity.tuple))
        }
        return list
    }

    /// Connections in SYN-RECEIVED of a passive open.
    public var halfOpenConnections: Int { halfOpenCount }

    // MARK: turns

    /// Records first, for their answers may come before the frames that carry the acknowledgements; then frames.
    private mutating func endOfBatch(at now: Instant, into effects: inout [TCPEffect]) {
        var i = 0
        while i < queue.count {
            let slot = Int(queue[i])
            connections[slot]?.flushBatch(&shared, &effects)
            connections[slot]?.flushReport(now: now, isForced: false, &shared, &effects)
            i += 1
        }
        i = 0
        while i < queue.count {
            let slot = Int(queue[i])
            i += 1
            guard connections[slot] != nil else { continue }
            connections[slot]!.isQueued = false
            connections[slot]!.output(now: now, &shared, &effects)
            settle(slot, at: now)
        }
        queue.removeAll(keepingCapacity: true)
        shared.pending.trim()
    }

    private mutating func committed(upTo index: LogIndex) {
        let follows = shared.pending.followsApplied
        while let entry = shared.pending.nextCommitted(upTo: index) {
            let slot = Int(entry.slot)
            guard entry.offset != .min, owners[slot] == entry.connection, connections[slot] != nil else { continue }
            connections[slot]!.committed(upTo: entry.offset, followsApplied: follows)
            enqueue(slot)
        }
    }

    private mutating func applied(upTo index: LogIndex) {
        shared.pending.beginFollowingApplied()
        while let entry = shared.pending.nextApplied(upTo: index) {
            let slot = Int(entry.slot)
            guard entry.offset != .min, owners[slot] == entry.connection, connections[slot] != nil else { continue }
            connections[slot]!.applied(upTo: entry.offset)
            enqueue(slot)
        }
    }

    private mutating func fireTimers(at now: Instant, into effects: inout [TCPEffect]) {
        // A timer that is set for `now` while we fire waits for the next `.time`: no peer can keep us here.
        var limit = timersAtMost
        while limit > 0, let key = timers.popDue(at: now) {
            limit -= 1
            if key < 0 {
                halfOpenTimedOut(Int(~key), at: now, into: &effects)
                continue
            }
            let slot = Int(key)
            registered[slot] = .max
            guard connections[slot] != nil else { continue }
            connections[slot]!.fire(now: now, &shared, &effects)
            settle(slot, at: now)
        }
    }

    /// RFC 6069 has the reasoning: what was lost while there was no way says nothing of congestion or of the round trip, so
    /// the back-off is taken back as well.
    private mutating func pathIsBack(_ list: [ConnectionID], at now: Instant) {
        var resumed = 0
        for connection in list {
            guard let slot = slot(of: connection), connections[slot]!.isStalledByPath else { continue }
            connections[slot]!.resume(at: now + configuration.resumedPause * (resumed / configuration.resumedConnections))
            resumed += 1
            settle(slot, at: now)
        }
    }

    private var timersAtMost: Int { connections.count + halfOpen.count + 1 }

    // MARK: slots

    func slot(of connection: ConnectionID) -> Int? {
        guard let slot = slotOf[connection] else { return nil }
        return Int(slot)
    }

    mutating func enqueue(_ slot: Int) {
        guard !connections[slot]!.isQueued else { return }
        connections[slot]!.isQueued = true
        queue.append(Int32(slot))
    }

    /// A free slot, without its connection yet.
    mutating func reserveSlot() -> Int32 {
        if let slot = freeSlots.popLast() { return slot }
        connections.append(nil)
        owners.append(ConnectionID(0))
        registered.append(.max)
        return Int32(connections.count - 1)
    }

    mutating func insert(_ connection: Connection) {
        let slot = Int(connection.slot)
        owners[slot] = connection.connection
        flows[FlowKey(connection.identity.tuple)] = connection.slot
        slotOf[connection.connection] = connection.slot
        connections[slot] = connection
        liveConnections += 1
    }

    /// After anything happened to a connection: it may be over, or have another deadline.
    mutating func settle(_ slot: Int, at now: Instant) {
        if connections[slot]!.isGone {
            remove(slot)
            return
        }
        if connections[slot]!.state == .timeWait, slotOf[owners[slot]] != nil { becameTimeWait(slot) }
        guard let next = Self.next(of: &connections[slot]!.timers), next.nanoseconds < registered[slot] else { return }
        registered[slot] = next.nanoseconds
        timers.set(Int32(slot), at: next)
    }

    /// In place: to read through the optional would copy the whole connection.
    private static func next(of timers: inout TimerSlots) -> Instant? { timers.next }

    mutating func remove(_ slot: Int) {
        guard connections[slot] != nil else { return }
        let key = FlowKey(connections[slot]!.identity.tuple)
        if flows[key] == Int32(slot) { flows[key] = nil }
        if slotOf[owners[slot]] == Int32(slot) { slotOf[owners[slot]] = nil }
        shared.receiveGrowth -= connections[slot]!.receiveBuffer - configuration.receiveBuffer
        // The slot stays in `queue` until the end of the batch, which passes over it.
        connections[slot] = nil
        owners[slot] = ConnectionID(0)
        timers.cancel(Int32(slot))
        registered[slot] = .max
        freeSlots.append(Int32(slot))
        liveConnections -= 1
    }

    /// The engine knows this connection no more; its number means nothing from here on. The oldest beyond the bound goes.
    private mutating func becameTimeWait(_ slot: Int) {
        slotOf[owners[slot]] = nil
        timeWaits.append((Int32(slot), owners[slot]))
        guard timeWaits.count > configuration.timeWaitMaximum else { return }
        let oldest = timeWaits.removeFirst()
        let old = Int(oldest.slot)
        if owners[old] == oldest.connection, connections[old] != nil, connections[old]!.state == .timeWait { remove(old) }
    }

    // MARK: opening

    private mutating func connect(_ request: ConnectRequest, at now: Instant, into effects: inout [TCPEffect]) {
        // A restored stack knows its pending connects already.
        guard slotOf[request.connection] == nil else { return }
        if let flow = flows[FlowKey(request.tuple)] {
            if flow < 0 {
                forgetHalfOpen(Int(~flow))
            } else if connections[Int(flow)]!.state == .timeWait {
                remove(Int(flow))
            } else {
                refuse(request, "\(request.tuple) is in use", into: &effects)
                return
            }
        }
        guard liveConnections < configuration.connectionsMaximum else {
            refuse(request, "there are \(liveConnections) connections already", into: &effects)
            return
        }
        let identity = ConnectionIdentity(
            tuple: request.tuple, initialSendSequence: request.initialSendSequence, initialReceiveSequence: 0,
            peerMaximumSegmentSize: request.tuple.remote.family == .ipv4 ? 536 : 1220, peerWindowShift: nil,
            windowShift: configuration.windowShift, selectiveAcknowledgment: false, timestamps: false,
            timestampOffset: request.timestampOffset, options: request.options)
        let slot = reserveSlot()
        var connection = Connection(
            request.connection, slot: slot, identity: identity, state: .synSent, stream: TransmitStream(),
            localSegmentSize: segmentSize(of: request.tuple, request.options), now: now, configuration: configuration)
        connection.sendUnacknowledged = -1
        connection.sendNext = -1
        connection.sendMaximum = -1
        connection.timers.set(.lifetime, at: now + configuration.connectTimeout)
        insert(connection)
        connections[Int(slot)]!.sendSYN(now: now, &shared, &effects)
        settle(Int(slot), at: now)
    }

    private mutating func refuse(_ request: ConnectRequest, _ why: String, into effects: inout [TCPEffect]) {
        effects.append(.event(Event(.warning, "tcp", "cannot open \(request.connection): \(why)")))
        effects.append(.record(.tcpClosed(request.connection, .refused)))
        shared.pending.append(slot: 0, connection: request.connection)
    }

    // MARK: interfaces

    private mutating func setInterfaces(_ list: [InterfaceConfiguration]) {
        interfaces = list
        for slot in connections.indices where connections[slot] != nil {
            let size = segmentSize(of: connections[slot]!.identity.tuple, connections[slot]!.identity.options)
            connections[slot]!.localSegmentSize = size
            connections[slot]!.setSegmentSize()
        }
    }

    /// The MSS that we announce: RFC 9293 §3.7.1, the MTU less 40 or 60 octets, or what is configured if that is less.
    func segmentSize(of tuple: ConnectionTuple, _ options: TransportOptions) -> Int {
        let index = Int(tuple.interface.value)
        let mtu = index < interfaces.count ? Int(interfaces[index].mtu) : 1500
        let headers = tuple.local.family == .ipv4 ? 40 : 60
        var size = max(mtu - headers, Int(PeerOffer.segmentSizeMinimum))
        if options.maximumSegmentSize > 0 {
            size = min(size, max(Int(options.maximumSegmentSize), Int(PeerOffer.segmentSizeMinimum)))
        }
        return size
    }
}

extension TCPStack: Machine {}
