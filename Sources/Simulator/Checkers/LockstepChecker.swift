import Engine
import Machine
import Records

/// Both engines, at equal indices of one history: equal records, equal effects, equal digests.
///
/// A history is named by the mastership record that began it. What a dead active had applied and its twin never stored is
/// another history under the same indices, and is not compared.
struct LockstepChecker {
    private struct Place: Comparable {
        var history: Epoch
        var index: LogIndex
        static func < (a: Self, b: Self) -> Bool { a.history != b.history ? a.history < b.history : a.index < b.index }
    }
    private struct Seen {
        var by: ControllerID
        var hash: UInt64
    }

    private var digests = SortedTable<Place, (by: ControllerID, digest: EngineDigest)>()
    private var effects = SortedTable<Place, Seen>()
    private var records = SortedTable<Place, Seen>()
    /// Of each controller's engine.
    private var history = [Epoch.zero, Epoch.zero]
    /// Of each snapshot that was taken, so that who restores it goes on in the same history.
    private var snapshots = SortedTable<LogIndex, Epoch>()
    /// How many comparisons were made: a checker that never compared has checked nothing.
    private(set) var comparisons = 0

    mutating func engine(_ work: EngineWork, _ report: EngineReport, of node: ControllerNode, in simulation: Simulation) {
        let me = Int(node.id.rawValue)
        switch (work, report) {
        case (.apply(let list), .applied(let upTo, let wishes, _, let digest, _)):
            var at = wishes.startIndex
            for record in list {
                if case .mastership(_, let epoch, _) = record.body { history[me] = epoch }
                let place = Place(history: history[me], index: record.index)
                comparisons += Self.compare(&records, place, Self.hash(record), node, in: simulation, "records")
                var hash: UInt64 = 0
                while at < wishes.endIndex, wishes[at].index == record.index {
                    hash = seededHash(hash, Self.hash(wishes[at].effect), seed: 1)
                    at += 1
                }
                comparisons += Self.compare(&effects, place, hash, node, in: simulation, "effects")
            }
            if at != wishes.endIndex { simulation.find("\(node.id): effects of no record that was given") }
            let place = Place(history: history[me], index: upTo)
            if let other = digests[place], other.by != node.id {
                comparisons += 1
                if other.digest != digest {
                    simulation.find(
                        "engines differ at index \(upTo) of epoch \(history[me]): \(node.id) \(digest), \(other.by) \(other.digest)"
                    )
                }
            } else {
                digests[place] = (node.id, digest)
            }
        case (.snapshot, .snapshot(let snapshot)):
            snapshots[snapshot.index] = history[me]
        case (.restore, .restored(let upTo, _, let digest, _)):
            guard let epoch = snapshots[upTo] else {
                return simulation.find("\(node.id) restored a snapshot at \(upTo) that nobody took")
            }
            history[me] = epoch
            if let other = digests[Place(history: epoch, index: upTo)], other.digest != digest {
                simulation.find("\(node.id): the engine restored at \(upTo) has \(digest), the one that grew up \(other.digest)")
            }
        default: break
        }
    }

    /// Returns how many comparisons it made.
    private static func compare(
        _ table: inout SortedTable<Place, Seen>, _ place: Place, _ hash: UInt64, _ node: ControllerNode,
        in simulation: Simulation, _ what: String
    ) -> Int {
        if let other = table[place], other.by != node.id {
            if other.hash != hash {
                simulation.find(
                    "\(what) of index \(place.index) in epoch \(place.history) differ between \(node.id) and \(other.by)")
            }
            return 1
        } else {
            table[place] = Seen(by: node.id, hash: hash)
            return 0
        }
    }

    private static func hash(_ record: Record) -> UInt64 {
        let time = UInt64(bitPattern: record.time.nanoseconds)
        switch record.body {
        case .time: return seededHash(time, 1, seed: 0)
        case .tcpAccepted(let id, _): return seededHash(time, UInt64(id.value), seed: 2)
        case .tcpConnected(let id, _): return seededHash(time, UInt64(id.value), seed: 3)
        case .tcpReceived(let id, let bytes, _):
            return seededHash(time, seededHash(bytes.span.bytes, seed: UInt64(id.value)), seed: 4)
        case .tcpAcknowledged(let id, let offset): return seededHash(time, UInt64(id.value) << 32 ^ offset, seed: 5)
        case .tcpPeerFinished(let id): return seededHash(time, UInt64(id.value), seed: 6)
        case .tcpClosed(let id, let end): return seededHash(time, UInt64(id.value) << 8 | UInt64(end.rawValue), seed: 7)
        case .interfaceState(let id, let isUp): return seededHash(time, UInt64(id.value) << 1 | (isUp ? 1 : 0), seed: 8)
        case .configure(let revision, let bytes): return seededHash(time, seededHash(bytes.span.bytes, seed: revision), seed: 9)
        case .command: return seededHash(time, 10, seed: 0)
        case .mastership(let id, let epoch, let fresh):
            return seededHash(time, epoch.value << 2 | UInt64(id.rawValue) << 1 | (fresh ? 1 : 0), seed: 11)
        case .quarantined(let poison):
            switch poison {
            case .connection(let id, _, _): return seededHash(time, UInt64(id.value), seed: 12)
            case .packet(let packet, let message): return seededHash(time, packet.fingerprint, seed: 13 + UInt64(message) << 8)
            case .session(let discriminator): return seededHash(time, UInt64(discriminator), seed: 17)
            case .timers(let number, let body):
                return seededHash(hash(Record(index: record.index, time: record.time, body: body)), UInt64(number), seed: 18)
            case .other: return seededHash(time, 0, seed: 12)
            }
        case .redundancy(let isRedundant): return seededHash(time, isRedundant ? 1 : 0, seed: 16)
        case .packetReceived(let packet): return seededHash(time, packet.fingerprint, seed: 14)
        case .bfd(let report):
            return seededHash(time, UInt64(report.discriminator) << 8 | UInt64(report.status.state.rawValue), seed: 15)
        case .memoryExhausted: return seededHash(time, 0, seed: 17)
        case .neighbor(let binding): return seededHash(time, binding.mac.raw << 16 | UInt64(binding.interface.value), seed: 19)
        }
    }

    private static func hash(_ effect: EngineEffect) -> UInt64 {
        switch effect {
        case .tcpSend(let id, let slice):
            return seededHash(UInt64(id.value), seededHash(slice.span.bytes, seed: 2), seed: 3)
        case .tcpConnect(let request):
            return seededHash(UInt64(request.connection.value), UInt64(request.initialSendSequence), seed: 4)
        case .tcpFinish(let id): return seededHash(UInt64(id.value), 0, seed: 5)
        case .tcpAbort(let id): return seededHash(UInt64(id.value), 0, seed: 6)
        case .interfaces(let list): return seededHash(UInt64(list.count), 0, seed: 7)
        case .listeners(let list): return seededHash(UInt64(list.count), 0, seed: 8)
        case .gateways(let list): return seededHash(UInt64(list.count), 0, seed: 9)
        case .send(let packet):
            return seededHash(
                UInt64(packet.interface.value) << 32 | UInt64(packet.packetProtocol.rawValue),
                seededHash(packet.bytes.span.bytes, seed: UInt64(packet.hopLimit)), seed: 11)
        case .subscriptions(let list): return seededHash(UInt64(list.count), 0, seed: 12)
        case .bfdSessions(let list):
            var hash = UInt64(list.count)
            for change in list {
                switch change {
                case .set(let session):
                    hash = seededHash(
                        hash,
                        UInt64(session.discriminator) << 32 | UInt64(session.sourcePort) << 8
                            | UInt64(session.status.state.rawValue), seed: 13)
                    hash = seededHash(hash, UInt64(session.parameters.desiredMinTx), seed: 13)
                case .remove(let discriminator): hash = seededHash(hash, UInt64(discriminator), seed: 17)
                }
            }
            return hash
        case .event(let event): return seededHash(Array(event.message.utf8).span.bytes, seed: 10)
        }
    }
}
