import Machine
import Records
import TCP
import Wire

/// Connections as the log knows them: identity, stream positions, and what was generated but not yet acknowledged
/// (FIG. 25). From this alone a line card goes on with a connection.
struct TransportTable: Sendable {
    struct Connection: Sendable {
        fileprivate(set) var connection: ConnectionID
        fileprivate(set) var owner: ConnectionOwner
        fileprivate(set) var identity: ConnectionIdentity
        var receivedOffset: UInt64 = 0
        var peerFinished = false
        var peerTimestamp: UInt32 = 0
        var stream = TransmitStream()
    }

    /// In order of establishment; the order is part of the state.
    private(set) var connections: [Connection] = []
    private(set) var pendingConnects: [ConnectRequest] = []
    /// Those that ended in order, oldest first: a peer whose last acknowledgement was lost asks again, and whoever is active
    /// then must know what to say. Bounded in number and, by `timeWait`, in age.
    private(set) var timeWaits: [LineCardImage.TimeWait] = []
    /// Looked up, never iterated.
    private var places: [ConnectionID: Int] = [:]
    /// The next odd number, for a connection that the engine asks for.
    private(set) var nextRequested = ConnectionID(1)
    /// The next even number, which the line card gives.
    private(set) var nextAccepted = ConnectionID(2)
    /// Of all that was received and generated, in order.
    private(set) var digest = StateDigest()
    /// Key of RFC 6528's function; random per pair.
    private(set) var sequenceSecret: UInt64
    /// The hash of the slice hashed last: a slice that goes to a hundred connections is hashed once.
    private var lastHashed: (slice: ArraySlice<UInt8>, hash: UInt64)? = nil

    static let timeWaitsMaximum = 1024
    /// 2 MSL, as the line card has it.
    static let timeWait = TCPConfiguration().timeWait

    init(sequenceSecret: UInt64) { self.sequenceSecret = sequenceSecret }

    func connection(_ id: ConnectionID) -> Connection? { places[id].map { connections[$0] } }

    /// Whose the connection is, established or asked for; `nil`: there is none of this number.
    func owner(of id: ConnectionID) -> ConnectionOwner? {
        if let place = places[id] { return connections[place].owner }
        return pendingConnects.first { $0.connection == id }?.owner
    }

    // MARK: records

    mutating func establish(_ id: ConnectionID, _ identity: ConnectionIdentity, _ owner: ConnectionOwner) {
        pendingConnects.removeAll { $0.connection == id }
        guard places[id] == nil else { return }
        noteAccepted(id)
        timeWaits.removeAll { $0.identity.tuple == identity.tuple }
        places[id] = connections.count
        connections.append(Connection(connection: id, owner: owner, identity: identity))
        digest.mix(UInt64(id.value) << 32 | UInt64(identity.initialSendSequence))
        digest.mix(
            UInt64(identity.initialReceiveSequence) << 32 | UInt64(owner.instance.value) << 16 | UInt64(owner.endpoint.value))
    }

    /// A connection that nobody wants any more. Its number is not given again.
    mutating func refuse(_ id: ConnectionID) {
        noteAccepted(id)
        digest.mix(~UInt64(id.value))
    }

    private mutating func noteAccepted(_ id: ConnectionID) {
        if id.value & 1 == 0 { nextAccepted = max(nextAccepted, ConnectionID(id.value &+ 2)) }
    }

    /// - Returns: whose it is, here and below; `nil` for a connection that is gone.
    @discardableResult
    mutating func received(_ id: ConnectionID, _ bytes: [UInt8], peerTimestamp: UInt32) -> ConnectionOwner? {
        guard let place = places[id] else { return nil }
        connections[place].receivedOffset += UInt64(bytes.count)
        connections[place].peerTimestamp = peerTimestamp
        digest.mix(UInt64(id.value))
        digest.mix(bytes.span.bytes)
        return connections[place].owner
    }

    mutating func acknowledged(_ id: ConnectionID, _ offset: UInt64) -> ConnectionOwner? {
        guard let place = places[id] else { return nil }
        connections[place].stream.acknowledge(upTo: offset)
        digest.mix(offset)
        return connections[place].owner
    }

    @discardableResult
    mutating func peerFinished(_ id: ConnectionID) -> ConnectionOwner? {
        guard let place = places[id] else { return nil }
        connections[place].peerFinished = true
        return connections[place].owner
    }

    @discardableResult
    mutating func close(_ id: ConnectionID, _ end: ConnectionEnd, at now: Instant) -> ConnectionOwner? {
        let asked = pendingConnects.first { $0.connection == id }?.owner
        if asked != nil { pendingConnects.removeAll { $0.connection == id } }
        guard let place = places.removeValue(forKey: id) else { return asked }
        let closed = connections.remove(at: place)
        if end == .finished, closed.stream.isFinished, closed.peerFinished {
            let spent = timeWaits.prefix { now - $0.since >= Self.timeWait }.count
            timeWaits.removeFirst(max(spent, timeWaits.count + 1 - Self.timeWaitsMaximum))
            timeWaits.append(
                LineCardImage.TimeWait(
                    connection: id, identity: closed.identity, sentOffset: closed.stream.end,
                    receivedOffset: closed.receivedOffset, peerTimestamp: closed.peerTimestamp, since: now))
            digest.mix(closed.stream.end)
        }
        for later in place..<connections.count { places[connections[later].connection] = later }
        digest.mix(~UInt64(id.value))
        return closed.owner
    }

    /// Everything gone, as after a takeover by a stale controller; numbers are not given again.
    mutating func reset() {
        connections.removeAll()
        pendingConnects.removeAll()
        timeWaits.removeAll()
        places.removeAll()
        digest.mix(0)
    }

    // MARK: effects

    /// A request to connect, with the sequence number that RFC 6528 §3 asks for.
    mutating func connect(
        _ owner: ConnectionOwner, tuple: ConnectionTuple, options: TransportOptions, at now: Instant
    ) -> ConnectRequest {
        let id = nextRequested
        nextRequested = ConnectionID(id.value &+ 2)
        let start = InitialSequence(secret: sequenceSecret)
        let request = ConnectRequest(
            connection: id, owner: owner, tuple: tuple, initialSendSequence: start.number(for: tuple, at: now),
            timestampOffset: start.timestampOffset(for: tuple), options: options)
        pendingConnects.append(request)
        return request
    }

    /// Whether there was such a connection.
    mutating func send(_ id: ConnectionID, _ slice: ArraySlice<UInt8>) -> Bool {
        guard let place = places[id], !connections[place].stream.isFinished else { return false }
        connections[place].stream.append(slice)
        digest.mix(UInt64(id.value) << 32 | UInt64(slice.count))
        digest.mix(hash(slice))
        return true
    }

    mutating func finish(_ id: ConnectionID) -> Bool {
        guard let place = places[id], !connections[place].stream.isFinished else { return false }
        connections[place].stream.finish()
        return true
    }

    private mutating func hash(_ slice: ArraySlice<UInt8>) -> UInt64 {
        if let last = lastHashed, last.slice.startIndex == slice.startIndex, last.slice.endIndex == slice.endIndex,
            Self.isSameStorage(last.slice, slice)
        {
            return last.hash
        }
        let value = seededHash(slice.span.bytes, seed: 0x7a45)
        lastHashed = (slice, value)
        return value
    }

    /// Only spares work; holding `last.slice` keeps its storage from being given to another.
    private static func isSameStorage(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Bool {
        unsafe a.withUnsafeBufferPointer { a in unsafe b.withUnsafeBufferPointer { b in unsafe a.baseAddress == b.baseAddress } }
    }

    // MARK: the line card's image

    func fill(_ image: inout LineCardImage, at now: Instant) {
        image.timeWaits = timeWaits.filter { now - $0.since < Self.timeWait }
        image.pendingConnects = pendingConnects
        image.nextAcceptedConnection = nextAccepted
        image.sequenceSecret = sequenceSecret
        image.connections = connections.map {
            LineCardImage.Connection(
                connection: $0.connection, identity: $0.identity, receivedOffset: $0.receivedOffset,
                peerFinished: $0.peerFinished, peerTimestamp: $0.peerTimestamp, stream: $0.stream)
        }
    }
}

extension TransportTable.Connection: Fielded {
    static var blank: Self { .init(connection: ConnectionID(0), owner: .blank, identity: .blank) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&connection, \.value, ConnectionID.init)
        try visitor.field(&owner)
        try visitor.field(&identity)
        try visitor.field(&receivedOffset)
        try visitor.field(&peerFinished)
        try visitor.field(&peerTimestamp)
        try visitor.part(&stream)
    }
}

extension TransportTable: Fielded {
    static let section = SnapshotSection(3, "transport", schemas: 1...1)
    static var blank: Self { .init(sequenceSecret: 0) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.list(&connections)
        try visitor.list(&pendingConnects)
        try visitor.list(&timeWaits, maximum: Self.timeWaitsMaximum)
        try visitor.field(&nextRequested, \.value, ConnectionID.init)
        try visitor.field(&nextAccepted, \.value, ConnectionID.init)
        try visitor.field(&digest, \.value, StateDigest.init)
        try visitor.field(&sequenceSecret)
        visitor.derived(lastHashed)
        visitor.derived(places)
        guard visitor.isReading else { return }
        for (place, connection) in connections.enumerated() { places[connection.connection] = place }
        try visitor.require(places.count == connections.count, "connection table")
    }
}
