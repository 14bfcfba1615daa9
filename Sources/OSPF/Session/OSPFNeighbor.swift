import Machine
import Records
import Wire

/// RFC 2328 §10.1, without Attempt, which only NBMA networks know.
public enum OSPFNeighborState: UInt8, Hashable, Comparable, Sendable, CaseIterable, LosslessStringConvertible {
    case down = 0
    case `init` = 1
    case twoWay = 2
    case exStart = 3
    case exchange = 4
    case loading = 5
    case full = 6

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String {
        switch self {
        case .down: "Down"
        case .`init`: "Init"
        case .twoWay: "2-Way"
        case .exStart: "ExStart"
        case .exchange: "Exchange"
        case .loading: "Loading"
        case .full: "Full"
        }
    }
}

/// RFC 2328 §10.2
enum OSPFNeighborEvent: Hashable, Sendable, CustomStringConvertible {
    case helloReceived
    case twoWayReceived
    case negotiationDone
    case exchangeDone
    case badLSReq
    case loadingDone
    case adjOK
    case seqNumberMismatch
    case oneWayReceived
    /// For a reason that the event log names.
    case killNbr(String)
    case inactivityTimer
    case llDown

    var description: String {
        switch self {
        case .helloReceived: "HelloReceived"
        case .twoWayReceived: "2-WayReceived"
        case .negotiationDone: "NegotiationDone"
        case .exchangeDone: "ExchangeDone"
        case .badLSReq: "BadLSReq"
        case .loadingDone: "LoadingDone"
        case .adjOK: "AdjOK?"
        case .seqNumberMismatch: "SeqNumberMismatch"
        case .oneWayReceived: "1-WayReceived"
        case .killNbr(let reason): reason
        case .inactivityTimer: "no Hello within RouterDeadInterval"
        case .llDown: "interface down"
        }
    }
}

/// A small number for a neighbour, given again after it is gone.
struct NeighborIndex: Hashable, Comparable, Sendable {
    var value: UInt32
    init(_ value: UInt32) { self.value = value }
    static func < (a: Self, b: Self) -> Bool { a.value < b.value }
}

/// What tells one Database Description packet from the next (RFC 2328 §10.6).
struct DatabaseDescriptionMark: Hashable, Sendable {
    var flags: UInt8
    var options: UInt32
    var sequence: UInt32
}

/// RFC 2328 §10: the neighbor data structure.
struct OSPFNeighbor: Sendable {
    var interface: InterfaceID
    var routerID: UInt32
    var address: IPAddress
    /// RFC 5340: the Interface ID of its Hellos.
    var interfaceNumber: UInt32 = 0
    var state = OSPFNeighborState.down
    var priority: UInt8 = 0
    var options: UInt32 = 0
    var dr: UInt32 = 0
    var bdr: UInt32 = 0
    /// When RouterDeadInterval is over unless a Hello comes.
    var deadDeadline = Instant.zero

    // RFC 2328 §10: the exchange.
    /// Whether we are the master of it.
    var isMaster = false
    var ddSequence: UInt32 = 0
    var lastReceived: DatabaseDescriptionMark?
    /// The last one sent, without header, for §10.8's repetition; empty for none.
    var lastDescription: [UInt8] = []
    /// Whether the one sent last had the M-bit.
    var hasMore = false
    /// §10 "Database summary list": LSAs with handles from here to `summaryEnd` are still to be described.
    var summaryNext: UInt32 = 0
    var summaryEnd: UInt32 = 0

    var requests = RequestList()
    var retransmissions = RetransmissionList()

    /// RFC 3623 §3: until when we help; `nil` while we do not.
    var graceDeadline: Instant?
    /// RFC 5880's word for it, once BFD was asked to watch.
    var isBFDWanted = false
    var isBFDUp = false
    /// By packet type: the highest sequence number of RFC 2328 §D.4.3, RFC 7474 §3 and RFC 7166 §4.1.
    var sequences = [UInt64](repeating: 0, count: 6)
    /// When the state last changed.
    var changed = Instant.zero

    // Not state that a peer would notice.
    var stateChanges: UInt64 = 0
    var lastReason = ""

    init(interface: InterfaceID, routerID: UInt32, address: IPAddress) {
        self.interface = interface
        self.routerID = routerID
        self.address = address
    }

    /// What our LSAs and the flooding say of it: RFC 3623 §3.1 has a helper announce a full adjacency all the time.
    var isAdjacent: Bool { state == .full || graceDeadline != nil }
}

/// RFC 2328 §10 "Link state request list": LSAs that the neighbour described and we do not have.
struct RequestList: SnapshotPart, Sendable {
    private struct Item: Sendable {
        var header: LSAHeader
        var stamp: UInt64
    }
    private var queue = Queue<Item>()
    /// What is wanted of each key; looked up, never iterated.
    private var wanted: [LSAKey: Item] = [:]
    private var nextStamp: UInt64 = 0
    /// How many of the next ones the last Link State Request asked for and did not get.
    var outstanding = 0

    var count: Int { wanted.count }
    var isEmpty: Bool { wanted.isEmpty }

    func header(of key: LSAKey) -> LSAHeader? { wanted[key]?.header }

    mutating func insert(_ header: LSAHeader) {
        guard wanted[header.key] == nil else {
            wanted[header.key]?.header = header
            return
        }
        nextStamp += 1
        let item = Item(header: header, stamp: nextStamp)
        wanted[header.key] = item
        queue.append(item)
    }

    mutating func remove(_ key: LSAKey) {
        guard wanted.removeValue(forKey: key) != nil else { return }
        if outstanding > 0 { outstanding -= 1 }
        if wanted.isEmpty { removeAll() }
    }

    private func isAlive(_ item: Item) -> Bool { wanted[item.header.key]?.stamp == item.stamp }

    /// The first ones of the list that are still wanted.
    mutating func next(_ limit: Int) -> [LSAKey] {
        while let oldest = queue.first, !isAlive(oldest) { queue.removeFirst(1) }
        var keys: [LSAKey] = []
        var at = 0
        while at < queue.count, keys.count < limit {
            if isAlive(queue[at]) { keys.append(queue[at].header.key) }
            at += 1
        }
        return keys
    }

    mutating func removeAll() {
        queue.removeAll()
        wanted.removeAll()
        outstanding = 0
    }

    func mix(into digest: inout StateDigest) { digest.mix(UInt64(wanted.count) << 32 | UInt64(outstanding)) }

    func write(to writer: inout SnapshotWriter) {
        let alive = queue.filter { isAlive($0) }
        writer.writeList(alive) { item, w in (wanted[item.header.key]?.header ?? item.header).write(to: &w) }
        writer.write(UInt64(outstanding))
    }

    init() {}

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        for header in try reader.readList({ r throws(DecodeError) in try LSAHeader(from: &r) }) { insert(header) }
        outstanding = Int(clamping: try reader.read(UInt64.self))
    }
}

extension LSAKey: Fielded {
    public static var blank: Self { .init(type: .router, linkStateID: 0, advertisingRouter: 0) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&type, "LS type")
        try visitor.field(&linkStateID)
        try visitor.field(&advertisingRouter)
    }
}

extension LSAHeader: Fielded {
    public static var blank: Self { .init(age: 0, options: 0, key: .blank, sequence: 0, checksum: 0, length: 0) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&age)
        try visitor.field(&options)
        try visitor.field(&key)
        try visitor.field(&sequence)
        try visitor.field(&checksum)
        try visitor.field(&length)
    }
}
