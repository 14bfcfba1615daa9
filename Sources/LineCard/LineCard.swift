import BFD
import Machine
import Records
import TCP
import Wire

/// The router's side of the wire, without I/O: frames in, frames and records out.
///
/// It owns the router's addresses. Ethernet II with 802.1Q, ARP (RFC 826, 5227), Neighbor Discovery (RFC 4861, as far as
/// a router with static addresses needs it), IPv4 (RFC 791) and IPv6 (RFC 8200) with reassembly, ICMP and ICMPv6, and
/// `TCPStack` above. Nothing of the kernel's stack takes part, so a dead process leaves nobody behind who could reset a
/// connection (DESIGN §7).
///
/// Nothing in here is replicated: `.takeOver` rebuilds it from engine state alone (DESIGN §4), where neighbours are noted. It is silent until then,
/// and after `.standDown`.
///
/// Files: `LineCard+Receive` (a frame's way in), `+IPv4`, `+IPv6`, `+ICMP`, `+ARP`, `+NeighborDiscovery`, `+Neighbors`
/// (resolution), `+Transmit` (a segment's way out), `+Packets` (those of routing protocols), `+BFD`, `+Announcements`
/// (take-over and conflicts), `+Probe` (start-up test).
///
/// Choices where the RFCs leave one:
/// - Weak host model (RFC 1122 §3.3.4.2): a packet to any of our addresses is taken on any interface, and its connection
///   belongs to the interface that has the address. A multihop peer may reach us by any network.
/// - No duplicate address detection of our own while speaking: at take-over the twin's addresses *are* ours. Conflicts
///   are defended (RFC 5227 §2.4 (c)) and reported.
/// - What we send is never larger than the MTU and always has complete checksums, whatever the sender's offloads; what
///   we take may be a super-frame with unfinished checksums (DESIGN §10).
public struct LineCard: Sendable {
    enum Mode {
        case silent, probing, speaking
    }
    enum Timer: Hashable, Sendable {
        case announce(Int)
        case neighbor(Int)
        case reassembly
        case probe
    }

    /// How long `.probeAddresses` takes.
    public static let probeTime = Duration.milliseconds(400)
    /// Echo requests answered in a second; more than any operator's ping, less than a flood.
    public static let echoesPerSecond = 1000
    /// RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f).
    public static let errorsPerSecond = 100
    /// Frames of ARP, ND and MLD that we answer on one interface in a second: of neighbours that we send to, and of
    /// whoever else asks, so that a flood on one network is heard on no other, and strangers do not silence us towards
    /// those that we talk to.
    public static let answersPerSecond = 1000
    /// How often in a second a neighbour that is found makes us look for connections that wait for it. Each look is at all
    /// connections, and whoever invents addresses must not make us look all the time.
    public static let resumptionsPerSecond = 100
    /// Packets of one routing protocol on one interface: a database of a thousand routers comes faster than it needs to,
    /// and a flood does not fill the log.
    public static let packetsPerSecond = 20_000
    /// Neighbours of which the log is told in a second that they are somewhere else: all of a full cache at once, and then
    /// no more than a liar on the network is worth.
    public static let notesPerSecond = 100
    public static let packetBurst = 5_000

    var mode = Mode.silent
    var interfaces: [Interface] = []
    /// Interfaces without carrier, by position. Survives `.standDown`: it is the host's state, not the router's.
    var isDown: [Bool] = []
    var gateways: [Gateway] = []
    /// Which routing protocols' packets the engine wants, ascending.
    var subscriptions: [PacketSubscription] = []
    var neighbors = NeighborCache()
    var reassembly = Reassembly()
    var tcp = TCPStack()
    var bfd: BFDInstance
    var bfdEffects: [BFDEffect] = []
    /// See `BFDInstance.progress`.
    public var sessionProgress: ProgressMark {
        get { bfd.progress }
        set { bfd.progress = newValue }
    }
    var timers = TimerTable<Timer>()
    var probe: Probe?
    var random: RandomNumbers
    var echoes = TokenBucket(perSecond: echoesPerSecond)
    var errors = TokenBucket(perSecond: errorsPerSecond)
    var resumptions = TokenBucket(perSecond: resumptionsPerSecond)
    var notes = TokenBucket(perSecond: notesPerSecond, burst: NeighborCache.entriesMaximum)
    /// RFC 791 identification and RFC 8200 §4.5 fragment identification of what we send in fragments.
    var identification: UInt32
    var tcpEffects: [TCPEffect] = []
    /// Records given out and not yet logged.
    var unlogged = UnloggedRecords()
    /// Where headers are written before they are laid over a segment's headroom; kept for its capacity.
    var headerScratch: [UInt8] = []
    public internal(set) var counters = LineCardCounters()

    /// `seed` decides nothing that a peer must not guess; sequence numbers come from the engine.
    public init(seed: UInt64) {
        random = RandomNumbers(seed: seed)
        identification = UInt32(truncatingIfNeeded: random.next())
        bfd = BFDInstance(seed: random.next())
    }

    public var isSpeaking: Bool { mode == .speaking }

    /// When the line card next wants `.time`.
    public var nextDeadline: Instant? {
        guard mode != .silent else { return nil }
        var next = timers.next
        if let other = tcp.nextDeadline { next = min(next ?? other, other) }
        if let other = bfd.nextDeadline { next = min(next ?? other, other) }
        return next
    }

    public mutating func handle(_ input: LineCardInput, at now: Instant, into effects: inout [LineCardEffect]) {
        switch input {
        case .takeOver(let image): takeOver(image, at: now, into: &effects)
        case .standDown: standDown()
        case .link(let id, let isUp): setLink(id, isUp, at: now, into: &effects)
        case .probeAddresses(let list): startProbe(list, at: now, into: &effects)
        case .time:
            guard mode != .silent else { return }
            // First what others wait for with milliseconds.
            if isSpeaking { fireBFD(at: now, into: &effects) }
            fireTimers(at: now, into: &effects)
            if isSpeaking { toTCP(.time, at: now, into: &effects) }
        default:
            guard isSpeaking else { return }
            switch input {
            case .engine(let effect): apply(effect, at: now, into: &effects)
            case .logged(let index):
                // TCP counts its own records only: the number of another's would let it acknowledge too early.
                if unlogged.takeFirst() { toTCP(.logged(index), at: now, into: &effects) }
            case .committed(let index): toTCP(.committed(index), at: now, into: &effects)
            case .applied(let index): toTCP(.applied(index), at: now, into: &effects)
            case .endOfBatch: toTCP(.endOfBatch, at: now, into: &effects)
            case .gateways(let list): replaceGateways(list, at: now, into: &effects)
            case .takeOver, .standDown, .link, .probeAddresses, .time: break
            }
        }
    }

    private mutating func apply(_ effect: EngineEffect, at now: Instant, into effects: inout [LineCardEffect]) {
        switch effect {
        case .interfaces(let list): replaceInterfaces(list, at: now, into: &effects)
        case .listeners(let list): toTCP(.listeners(list), at: now, into: &effects)
        case .gateways(let list): replaceGateways(list, at: now, into: &effects)
        case .tcpConnect(let request): toTCP(.connect(request), at: now, into: &effects)
        case .tcpSend(let connection, let bytes): toTCP(.send(connection, bytes), at: now, into: &effects)
        case .tcpFinish(let connection): toTCP(.finish(connection), at: now, into: &effects)
        case .tcpAbort(let connection): toTCP(.abort(connection), at: now, into: &effects)
        case .subscriptions(let list): subscribe(to: list, into: &effects)
        case .bfdSessions(let list): changeBFD(list, at: now, into: &effects)
        case .send(let packet): send(packet, at: now, into: &effects)
        case .event: break  // Not for the wire.
        }
    }

    /// Longest prefix first, so that the first match is the best.
    private func sorted(_ list: [Gateway]) -> [Gateway] {
        list.sorted {
            $0.prefix.length != $1.prefix.length
                ? $0.prefix.length > $1.prefix.length
                : $0.prefix != $1.prefix ? $0.prefix < $1.prefix : $0.nextHop < $1.nextHop
        }
    }

    // MARK: roles

    private mutating func takeOver(_ image: LineCardImage, at now: Instant, into effects: inout [LineCardEffect]) {
        standDown()
        mode = .speaking
        gateways = sorted(image.gateways)
        subscriptions = image.subscriptions
        interfaces = []
        for i in image.interfaces.indices.prefix(Int(UInt16.max)) {
            interfaces.append(Interface(id: InterfaceID(UInt16(i)), image.interfaces[i]))
        }
        noteSubscriptions()
        recall(image.neighbors)
        // Announce first: a switch that learns the port late loses the very segments that resume the sessions.
        for i in interfaces.indices { startAnnouncing(i, at: now, into: &effects) }
        bfd.restore(image.bfdSessions, at: now, into: &bfdEffects)
        fireBFD(at: now, into: &effects)
        toTCP(.restore(image), at: now, into: &effects)
        toTCP(.endOfBatch, at: now, into: &effects)
    }

    private mutating func standDown() {
        mode = .silent
        interfaces = []
        gateways = []
        subscriptions = []
        neighbors = NeighborCache()
        reassembly = Reassembly()
        tcp = TCPStack(configuration: tcp.configuration)
        tcpEffects = []
        unlogged = UnloggedRecords()
        let progress = bfd.progress
        bfd = BFDInstance(seed: random.next())
        bfd.progress = progress
        bfdEffects = []
        timers.removeAll()
        probe = nil
    }

    /// Neighbours and announcements of interfaces that stay as they are go on undisturbed.
    private mutating func replaceInterfaces(
        _ list: [InterfaceConfiguration], at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let before = interfaces
        interfaces = []
        var changed: [Int] = []
        for i in list.indices.prefix(Int(UInt16.max)) {
            if i < before.count, before[i].configuration == list[i] {
                interfaces.append(before[i])
            } else {
                interfaces.append(Interface(id: InterfaceID(UInt16(i)), list[i]))
                changed.append(i)
            }
        }
        noteSubscriptions()
        for i in changed { forgetNeighbors(of: InterfaceID(UInt16(i))) }
        for i in list.count..<max(list.count, before.count) {
            forgetNeighbors(of: InterfaceID(UInt16(i)))
            timers.cancel(.announce(i))
        }
        toTCP(.interfaces(list), at: now, into: &effects)
        for i in changed { startAnnouncing(i, at: now, into: &effects) }
    }

    // MARK: link

    /// A loopback is always up, whatever position it had before.
    func isUp(_ id: InterfaceID) -> Bool {
        let i = Int(id.value)
        return i >= isDown.count || !isDown[i] || i < interfaces.count && interfaces[i].isLoopback
    }

    private mutating func setLink(_ id: InterfaceID, _ up: Bool, at now: Instant, into effects: inout [LineCardEffect]) {
        let i = Int(id.value)
        while isDown.count <= i { isDown.append(false) }
        guard isDown[i] == up else { return }
        isDown[i] = !up
        guard isSpeaking, i < interfaces.count, !interfaces[i].isLoopback else { return }
        // Whoever was behind the cable may be somebody else when it comes back.
        forgetNeighbors(of: id)
        if up {
            startAnnouncing(i, at: now, into: &effects)
            resumeConnections(at: now, into: &effects) { way, _ in way == i }
        } else {
            timers.cancel(.announce(i))
        }
    }

    private mutating func replaceGateways(_ list: [Gateway], at now: Instant, into effects: inout [LineCardEffect]) {
        // Routes are many, and connections that wait for one are few.
        let stalled = tcp.stalledConnections()
        let before = stalled.map { way(of: $0.tuple) }
        gateways = sorted(list)
        var back: [ConnectionID] = []
        for (place, connection) in stalled.enumerated() {
            guard let now = way(of: connection.tuple) else { continue }
            if before[place].map({ $0 != now }) ?? true { back.append(connection.connection) }
        }
        if !back.isEmpty { toTCP(.pathIsBack(back), at: now, into: &effects) }
    }

    /// By which interface, if it has carrier, and to which neighbour the packets of a connection go.
    private func way(of tuple: ConnectionTuple) -> (interface: Int, nextHop: IPAddress)? {
        let home = Int(tuple.interface.value)
        guard let way = route(to: tuple.remote, home: home < interfaces.count ? home : nil), isUp(interfaces[way.interface].id)
        else { return nil }
        return way
    }

    /// Tells TCP that there is a way again to those peers that have not answered lately and whose packets go this way now.
    mutating func resumeConnections(
        at now: Instant, into effects: inout [LineCardEffect], by isBack: (_ interface: Int, _ nextHop: IPAddress) -> Bool
    ) {
        let back = tcp.stalledConnections().filter { way(of: $0.tuple).map { isBack($0.interface, $0.nextHop) } ?? false }
        if !back.isEmpty { toTCP(.pathIsBack(back.map(\.connection)), at: now, into: &effects) }
    }

    // MARK: timers

    private mutating func fireTimers(at now: Instant, into effects: inout [LineCardEffect]) {
        while let timer = timers.popDue(at: now) {
            switch timer {
            case .announce(let i): announce(i, at: now, into: &effects)
            case .neighbor(let slot): neighborTimer(slot, at: now, into: &effects)
            case .reassembly:
                counters[.fragmentTimeout] += UInt64(reassembly.expire(at: now))
                if let next = reassembly.nextDeadline { timers.set(.reassembly, at: next) }
            case .probe: probeTimer(at: now, into: &effects)
            }
        }
    }

    // MARK: TCP

    mutating func toTCP(_ input: TCPInput, at now: Instant, into effects: inout [LineCardEffect]) {
        tcp.handle(input, at: now, into: &tcpEffects)
        if !tcpEffects.isEmpty { drainTCP(at: now, into: &effects) }
    }

    /// Sends on what TCP asked for. Sending may tell TCP something in turn (a neighbour that does not answer is told by a
    /// timer, never from here), so the list is taken first.
    mutating func drainTCP(at now: Instant, into effects: inout [LineCardEffect]) {
        var list = tcpEffects
        tcpEffects = []
        for k in list.indices {
            switch list[k] {
            case .transmit(var transmission):
                // The list lets go of its reference, so that the octets have one owner who may write headers into them.
                list[k] = .record(.time)
                var bytes: [UInt8] = []
                swap(&bytes, &transmission.bytes)
                transmit(transmission, consume bytes, at: now, into: &effects)
            case .record(let body):
                unlogged.append(isTCP: true)
                effects.append(.record(body))
            case .event(let event): effects.append(.event(event))
            }
        }
        list.removeAll(keepingCapacity: true)
        if tcpEffects.isEmpty { tcpEffects = list }
    }
}

extension LineCard: Machine {}

/// Whose the records are that wait for their index: those of TCP and others, in order. They come in runs.
struct UnloggedRecords {
    private var runs: [(isTCP: Bool, count: Int)] = []
    private var first = 0

    mutating func append(isTCP: Bool) {
        if first < runs.count, runs[runs.count - 1].isTCP == isTCP {
            runs[runs.count - 1].count += 1
        } else {
            runs.append((isTCP, 1))
        }
    }

    /// Whether the oldest is one of TCP's.
    mutating func takeFirst() -> Bool {
        guard first < runs.count else { return false }
        let isTCP = runs[first].isTCP
        runs[first].count -= 1
        if runs[first].count == 0 { first += 1 }
        if first == runs.count {
            runs.removeAll(keepingCapacity: true)
            first = 0
        }
        return isTCP
    }
}
