import Machine
import Records
import Wire

/// A router that sends us responses. RIP has no adjacencies: a neighbour is whoever was heard within the timeout.
struct RIPNeighbor: Sendable {
    /// The newest sequence number under a key (RFC 4822 §2.2).
    struct Sequence: Equatable, Sendable {
        var key: UInt8
        var number: UInt32
    }

    var interface: InterfaceID
    private(set) var address: IPAddress
    /// Of its last response.
    var version: UInt8
    var firstHeard: Instant
    var lastHeard: Instant
    /// Routes that it holds in the table.
    var routeCount: UInt32 = 0
    /// A BFD session was asked for with this address of ours.
    var bfdLocal: IPAddress?
    /// BFD has said that the neighbour is up.
    var bfdWasUp = false
    /// RFC 5882 §4.2: BFD lost it. Its responses are not believed until then, or until BFD is up again.
    var ignoredUntil: Instant?
    /// An event told that it exceeds the limit of routes.
    var isLimitReported = false
    /// One for each key, at most as many as keys are configured.
    var sequences: [Sequence] = []

    // Not state.
    var responses: UInt64 = 0
    /// RFC 1724 §4 rip2PeerRcvBadPackets, rip2PeerRcvBadRoutes.
    var badPackets: UInt64 = 0
    var badRoutes: UInt64 = 0

    init(interface: InterfaceID, address: IPAddress, version: UInt8, at now: Instant) {
        self.interface = interface
        self.address = address
        self.version = version
        firstHeard = now
        lastHeard = now
    }

    var bfdPeer: BFDPeer? { bfdLocal.map { BFDPeer(interface: interface, local: $0, remote: address) } }

    /// RFC 4822 §2.2: numbers under one key do not decrease.
    func isReplay(_ sequence: (key: UInt8, number: UInt32)) -> Bool {
        sequences.contains { $0.key == sequence.key && sequence.number < $0.number }
    }

    /// - Parameter keys: those configured; what was remembered of others is forgotten.
    mutating func note(_ sequence: (key: UInt8, number: UInt32), keys: [UInt64]) {
        sequences.removeAll { $0.key == sequence.key || !keys.contains(UInt64($0.key)) }
        sequences.append(Sequence(key: sequence.key, number: sequence.number))
    }
}

extension RIPNeighbor.Sequence: Fielded {
    static var blank: Self { .init(key: 0, number: 0) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&key)
        try visitor.field(&number)
    }
}

extension RIPNeighbor: Fielded {
    static var blank: Self { .init(interface: InterfaceID(0), address: .blank, version: 0, at: .zero) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&address)
        try visitor.field(&version)
        try visitor.field(&firstHeard)
        try visitor.field(&lastHeard)
        try visitor.field(&routeCount)
        try visitor.field(&bfdLocal)
        try visitor.field(&bfdWasUp)
        try visitor.field(&ignoredUntil)
        try visitor.field(&isLimitReported)
        try visitor.list(&sequences)
        visitor.derived(responses)
        visitor.derived(badPackets)
        visitor.derived(badRoutes)
    }
}
