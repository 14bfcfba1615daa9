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
    let address: IPAddress
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

extension RIPNeighbor {
    func digest(into digest: inout StateDigest) {
        digest.mix(UInt64(interface.value) << 16 | UInt64(version) << 8 | (bfdWasUp ? 1 : 0) | (isLimitReported ? 2 : 0))
        digest.mix(address)
        digest.mix(UInt64(bitPattern: firstHeard.nanoseconds))
        digest.mix(UInt64(bitPattern: lastHeard.nanoseconds))
        digest.mix(UInt64(routeCount))
        if let bfdLocal { digest.mix(bfdLocal) }
        digest.mix(UInt64(bitPattern: ignoredUntil?.nanoseconds ?? -1))
        for entry in sequences { digest.mix(UInt64(entry.key) << 32 | UInt64(entry.number)) }
    }

    func write(to writer: inout SnapshotWriter) {
        writer.write(interface.value)
        address.write(to: &writer)
        writer.write(version)
        writer.write(firstHeard)
        writer.write(lastHeard)
        writer.write(routeCount)
        writer.write(bfdLocal)
        writer.write(bfdWasUp)
        writer.write(ignoredUntil)
        writer.write(isLimitReported)
        writer.writeList(sequences) { entry, w in
            w.write(entry.key)
            w.write(entry.number)
        }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let interface = InterfaceID(try reader.read())
        let address = try IPAddress(from: &reader)
        let version: UInt8 = try reader.read()
        self.init(interface: interface, address: address, version: version, at: try reader.readInstant())
        lastHeard = try reader.readInstant()
        routeCount = try reader.read()
        bfdLocal = try reader.readOptionalAddress()
        bfdWasUp = try reader.readBool()
        ignoredUntil = try reader.readOptionalInstant()
        isLimitReported = try reader.readBool()
        sequences = try reader.readList { r throws(DecodeError) in
            let key: UInt8 = try r.read()
            return Sequence(key: key, number: try r.read())
        }
    }
}
