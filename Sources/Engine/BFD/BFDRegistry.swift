import BFD
import Machine
import Records
import Routing
import Wire

/// Who asks for BFD sessions and hears of them (RFC 5882).
enum BFDClient: Hashable, Comparable, Sendable {
    case bgp
    case staticRoutes
    case interior(InteriorGatewayID)

    /// The order in which clients are told.
    var number: UInt8 {
        switch self {
        case .bgp: 0
        case .staticRoutes: 1
        case .interior(let id): 16 + id.rawValue
        }
    }
    init?(number: UInt8) {
        switch number {
        case 0: self = .bgp
        case 1: self = .staticRoutes
        default:
            guard number >= 16, let id = InteriorGatewayID(rawValue: number - 16) else { return nil }
            self = .interior(id)
        }
    }
    static func < (a: Self, b: Self) -> Bool { a.number < b.number }

    var name: String {
        switch self {
        case .bgp: "BGP"
        case .staticRoutes: "static"
        case .interior(let id):
            switch id {
            case .ospf: "OSPF"
            case .ospfv3: "OSPFv3"
            case .ospfv3IPv4: "OSPFv3 IPv4"
            case .isis: "IS-IS"
            case .rip: "RIP"
            case .ripng: "RIPng"
            }
        }
    }
}

/// What a client is told: the session of this peer came up, or went down after it had been up.
struct BFDNews: Hashable, Sendable {
    var client: BFDClient
    var peer: BFDPeer
    var isUp: Bool
}

/// A session and who asked for it, for management.
public struct BFDClientSession: Sendable {
    public var session: BFDSession
    public var clients: [String]
    /// What clients were told last; `nil` while there is nothing to tell.
    public var isUp: Bool?
}

/// The BFD sessions of the router, as both controllers know them: who wants them, their numbers, and what the line card
/// reported last. The machine that runs them is `BFDInstance`, on the line card of the active.
struct BFDRegistry: Sendable {
    struct Interest: Hashable, Sendable {
        var client: BFDClient
        /// The profile that the client names.
        var profile: String?
    }
    struct Entry: Hashable, Sendable {
        var peer: BFDPeer
        var discriminator: UInt32
        var sourcePort: UInt16
        var parameters: BFDSessionParameters
        var status: BFDStatus
        /// Ascending by client; never empty.
        var interests: [Interest]
        /// What clients may rely on: the session is up, or went down after it had been up. `nil`: BFD has nothing to say,
        /// because it never came up or because either end shut it down (RFC 5882 §3.2, §4.2).
        var isUp: Bool?
        /// It was up some time.
        var wasUp = false
        /// How often a report of it was fatal to a controller.
        var faults: UInt32 = 0
        /// Until when the line card has no such session for that.
        var heldUntil: Instant?

        /// A static route follows its session: in the table once it came up, and out of it while it is down. One that was
        /// shut down says nothing about the path.
        var isUsable: Bool { isUp ?? wasUp }
    }

    /// Ascending by peer.
    private(set) var entries: [Entry] = []
    /// Looked up, never iterated.
    private var peers: [UInt32: BFDPeer] = [:]
    private var random: RandomNumbers
    /// Whether the pair has a standby in lock step.
    private var isRedundant = false
    /// Entries that are held: derived.
    private var heldCount = 0
    private var configuration = BFDConfiguration()
    private var interfaceNames: [String] = []
    /// For the line card, not yet taken.
    private var changes: [BFDSessionChange] = []
    private var entriesDigest = StateDigest()

    init(seed: UInt64) { random = RandomNumbers(seed: seed) }

    var digest: StateDigest {
        var digest = entriesDigest
        digest.mix(random.state)
        if isRedundant { digest.mix(1) }
        return digest
    }

    // MARK: clients

    /// A client wants a peer watched; asking again changes the profile it names.
    /// - Returns: whether the session is up already; `nil` when nothing is known yet.
    @discardableResult
    mutating func want(_ peer: BFDPeer, _ client: BFDClient, profile: String? = nil) -> Bool? {
        let place = place(of: peer)
        let interest = Interest(client: client, profile: profile)
        guard place < entries.count, entries[place].peer == peer else {
            guard entries.count < BFDInstance.sessionsMaximum else { return nil }
            insert(peer, interest, at: place)
            return nil
        }
        let at = entries[place].interests.firstIndex { $0.client >= client } ?? entries[place].interests.count
        if at < entries[place].interests.count, entries[place].interests[at].client == client {
            guard entries[place].interests[at] != interest else { return entries[place].isUp }
            change(place) { $0.interests[at] = interest }
        } else {
            change(place) { $0.interests.insert(interest, at: at) }
        }
        adoptParameters(place)
        return entries[place].isUp
    }

    mutating func unwant(_ peer: BFDPeer, _ client: BFDClient) {
        let place = place(of: peer)
        guard place < entries.count, entries[place].peer == peer,
            let at = entries[place].interests.firstIndex(where: { $0.client == client })
        else { return }
        if entries[place].interests.count == 1 {
            entriesDigest.remove(Self.hash(entries[place]))
            if entries[place].heldUntil == nil {
                peers[entries[place].discriminator] = nil
                changes.append(.remove(entries[place].discriminator))
            } else {
                heldCount -= 1
            }
            entries.remove(at: place)
        } else {
            change(place) { $0.interests.remove(at: at) }
            adoptParameters(place)
        }
    }

    /// What a client asked for, ascending by peer.
    func peers(of client: BFDClient) -> [BFDPeer] {
        entries.filter { $0.interests.contains { $0.client == client } }.map(\.peer)
    }

    func isWanted(_ discriminator: UInt32, by client: BFDClient) -> Bool {
        guard let peer = peers[discriminator], let entry = self[peer] else { return false }
        return entry.interests.contains { $0.client == client }
    }

    subscript(peer: BFDPeer) -> Entry? {
        let place = place(of: peer)
        return place < entries.count && entries[place].peer == peer ? entries[place] : nil
    }

    // MARK: configuration

    mutating func configure(_ configuration: BFDConfiguration, interfaces: [InterfaceConfiguration]) {
        self.configuration = configuration
        interfaceNames = interfaces.map(\.name)
        for place in entries.indices { adoptParameters(place) }
    }

    private func parameters(_ peer: BFDPeer, _ interests: [Interest]) -> BFDSessionParameters {
        let name = peer.interface.flatMap { Int($0.value) < interfaceNames.count ? interfaceNames[Int($0.value)] : nil }
        return configuration.parameters(
            for: peer, interface: name, requested: interests.first { $0.profile != nil }?.profile)
    }

    private mutating func adoptParameters(_ place: Int) {
        let wanted = parameters(entries[place].peer, entries[place].interests)
        guard wanted != entries[place].parameters else { return }
        change(place) { $0.parameters = wanted }
        if entries[place].heldUntil == nil { changes.append(.set(session(entries[place]))) }
    }

    // MARK: the line card

    /// Takes a report and says what clients are told of it.
    mutating func apply(_ report: BFDReport) -> [BFDNews] {
        guard let peer = peers[report.discriminator] else { return [] }
        let place = place(of: peer)
        guard place < entries.count, entries[place].peer == peer else { return [] }
        let before = entries[place].isUp
        change(place) { entry in
            entry.status = report.status
            switch report.status.state {
            case .up: (entry.isUp, entry.wasUp) = (true, true)
            case .adminDown: entry.isUp = nil
            case .down, .initializing:
                // RFC 5882 §3.2: a neighbour in AdminDown has withdrawn BFD, which is no failure of the path.
                if report.status.remoteState == .adminDown {
                    entry.isUp = nil
                } else if entry.isUp == true {
                    entry.isUp = false
                }
            }
        }
        guard let isUp = entries[place].isUp, isUp != before else { return [] }
        return entries[place].interests.map { BFDNews(client: $0.client, peer: peer, isUp: isUp) }
    }

    /// What the line card is to change, since the last call.
    mutating func takeChanges() -> [BFDSessionChange] {
        defer { changes = [] }
        return changes
    }

    var clientSessions: [BFDClientSession] {
        entries.map { BFDClientSession(session: session($0), clients: $0.interests.map(\.client.name), isUp: $0.isUp) }
    }

    /// For a line card that begins: ascending by discriminator.
    var sessions: [BFDSession] {
        entries.filter { $0.heldUntil == nil }.map(session).sorted { $0.discriminator < $1.discriminator }
    }

    private func session(_ entry: Entry) -> BFDSession {
        BFDSession(
            peer: entry.peer, discriminator: entry.discriminator, sourcePort: entry.sourcePort,
            parameters: entry.parameters, status: entry.status)
    }

    /// DESIGN §8: a stale copy resumes nothing. Sessions begin under new discriminators; clients take it for no failure.
    mutating func startAnew(_ isMeant: (BFDPeer) -> Bool = { _ in true }) {
        let before = entries.filter { isMeant($0.peer) }
        for entry in before {
            let place = place(of: entry.peer)
            if entry.heldUntil == nil {
                changes.append(.remove(entry.discriminator))
                peers[entry.discriminator] = nil
            } else {
                heldCount -= 1
            }
            entriesDigest.remove(Self.hash(entry))
            entries.remove(at: place)
            for (n, interest) in entry.interests.enumerated() {
                if n == 0 {
                    insert(entry.peer, interest, at: place)
                } else {
                    want(entry.peer, interest.client, profile: interest.profile)
                }
            }
        }
    }

    // MARK: what was fatal

    /// A report of this session killed the other controller: the line card has no such session until somebody could survive
    /// the next one (`FatalMemory.hold`). Clients take that for no failure, as a shutdown.
    /// - Returns: with whom it is; `nil` if there is none.
    mutating func hold(_ discriminator: UInt32, at now: Instant) -> BFDPeer? {
        guard let peer = peers[discriminator] else { return nil }
        let place = place(of: peer)
        guard place < entries.count, entries[place].peer == peer else { return nil }
        peers[discriminator] = nil
        heldCount += 1
        changes.append(.remove(discriminator))
        let isRedundant = isRedundant
        change(place) { entry in
            entry.faults = min(entry.faults + 1, 1 << 16)
            entry.heldUntil = now + FatalMemory.hold(entry.faults, isRedundant)
            entry.isUp = nil
            entry.status = BFDStatus()
        }
        return peer
    }

    mutating func note(isRedundant: Bool, at now: Instant) {
        guard isRedundant != self.isRedundant else { return }
        self.isRedundant = isRedundant
        for place in entries.indices where entries[place].heldUntil != nil {
            change(place) { $0.heldUntil = now + FatalMemory.hold($0.faults, isRedundant) }
        }
    }

    var nextDeadline: Instant? {
        guard heldCount > 0 else { return nil }
        var next: Instant?
        for entry in entries { if let until = entry.heldUntil { next = min(next ?? until, until) } }
        return next
    }

    /// Sessions that may come back begin anew, under another discriminator.
    mutating func release(at now: Instant) {
        guard let next = nextDeadline, next <= now else { return }
        for place in entries.indices {
            guard let until = entries[place].heldUntil, until <= now else { continue }
            heldCount -= 1
            let discriminator = newDiscriminator()
            let status = Self.initialStatus(entries[place].parameters)
            change(place) { entry in
                entry.heldUntil = nil
                entry.discriminator = discriminator
                entry.status = status
            }
            peers[discriminator] = entries[place].peer
            changes.append(.set(session(entries[place])))
        }
    }

    /// RFC 5880 §6.8.1: not zero, unique, and better hard to guess.
    private mutating func newDiscriminator() -> UInt32 {
        var discriminator: UInt32 = 0
        while discriminator == 0 || peers[discriminator] != nil {
            discriminator = UInt32(truncatingIfNeeded: random.next() >> 32)
        }
        return discriminator
    }

    private static func initialStatus(_ parameters: BFDSessionParameters) -> BFDStatus {
        var status = BFDStatus()
        status.transmitInUse = max(1_000_000, parameters.desiredMinTx)
        status.receiveInUse = parameters.requiredMinRx
        return status
    }

    // MARK: the table

    /// Where the peer is or would be.
    private func place(of peer: BFDPeer) -> Int {
        entries.sortedIndex { $0.peer < peer }
    }

    private mutating func insert(_ peer: BFDPeer, _ interest: Interest, at place: Int) {
        let discriminator = newDiscriminator()
        // RFC 5881 §4: "SHOULD be unique among all BFD sessions on the system."
        var port = UInt16(truncatingIfNeeded: random.next()) & 0x3fff | BFDPort.sources.lowerBound
        while entries.contains(where: { $0.sourcePort == port }) {
            port = port == BFDPort.sources.upperBound ? BFDPort.sources.lowerBound : port + 1
        }
        let parameters = parameters(peer, [interest])
        let entry = Entry(
            peer: peer, discriminator: discriminator, sourcePort: port, parameters: parameters,
            status: Self.initialStatus(parameters), interests: [interest])
        entries.insert(entry, at: place)
        peers[discriminator] = peer
        entriesDigest.add(Self.hash(entry))
        changes.append(.set(session(entry)))
    }

    private mutating func change(_ place: Int, _ body: (inout Entry) -> Void) {
        entriesDigest.remove(Self.hash(entries[place]))
        body(&entries[place])
        entriesDigest.add(Self.hash(entries[place]))
    }

    private static func hash(_ entry: Entry) -> UInt64 {
        var digest = StateDigest(0xbfd)
        entry.mix(into: &digest)
        return digest.value
    }
}

extension BFDRegistry {
    static let section = SnapshotSection(12, "bfd", schemas: 2...2)

    /// Parameters follow from the configuration, which the engine's snapshot holds anyway.
    func write(to writer: inout SnapshotWriter) {
        writer.write(random.state)
        writer.write(isRedundant)
        writer.writeList(entries) { entry, w in entry.write(to: &w) }
    }

    init(from reader: inout SnapshotReader, configuration: RouterConfiguration) throws(DecodeError) {
        self.init(seed: try reader.read())
        isRedundant = try reader.readBool()
        self.configuration = configuration.bfd ?? BFDConfiguration()
        interfaceNames = configuration.interfaces.map(\.name)
        entries = try reader.readList { r throws(DecodeError) in try Entry(from: &r) }
        for place in entries.indices {
            guard place == 0 || entries[place - 1].peer < entries[place].peer, !entries[place].interests.isEmpty,
                entries[place].heldUntil != nil
                    || peers.updateValue(entries[place].peer, forKey: entries[place].discriminator) == nil
            else { throw DecodeError("BFD sessions", at: reader.position, .badValue) }
            if entries[place].heldUntil != nil { heldCount += 1 }
            entries[place].parameters = parameters(entries[place].peer, entries[place].interests)
            entriesDigest.add(Self.hash(entries[place]))
        }
    }
}

extension BFDRegistry.Interest: Fielded {
    static var blank: Self { .init(client: .bgp, profile: nil) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        visitor.begin()
        var number = client.number
        try visitor.number(&number)
        if visitor.isReading {
            if let known = BFDClient(number: number) { client = known } else { try visitor.require(false, "BFD client") }
        }
        try visitor.field(&profile)
    }
}

extension BFDRegistry.Entry: Fielded {
    static var blank: Self {
        .init(
            peer: .blank, discriminator: 0, sourcePort: 0, parameters: BFDSessionParameters(), status: BFDStatus(),
            interests: [])
    }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&peer)
        try visitor.field(&discriminator)
        try visitor.field(&sourcePort)
        visitor.derived(parameters)
        try visitor.list(&interests)
        try visitor.field(&isUp)
        try visitor.field(&wasUp)
        try visitor.field(&faults)
        try visitor.require(faults <= 1 << 16, "BFD session")
        try visitor.field(&heldUntil)
        try visitor.field(&status)
    }
}
