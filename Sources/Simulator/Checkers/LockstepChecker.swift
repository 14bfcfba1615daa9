import Engine
import Machine
import Records

/// Both engines, at equal indices: equal digests, and equal effects for each record.
struct LockstepChecker {
    private struct Applied {
        var by: ControllerID
        var digest: EngineDigest
    }
    /// Looked up, never iterated. Bounded by forgetting what is far behind.
    private var digests: [LogIndex: Applied] = [:]
    private var effects: [LogIndex: (by: ControllerID, hash: UInt64)] = [:]
    /// Indices before this one are forgotten; a fresh take-over begins a new history.
    private var generationStart = LogIndex.zero

    mutating func engine(_ report: EngineReport, of node: ControllerNode, in simulation: Simulation) {
        guard case .applied(let upTo, let list, let digest, _) = report else { return }
        if let other = digests[upTo], other.by != node.id {
            if other.digest != digest {
                simulation.find("engines differ at index \(upTo): \(node.id) \(digest), \(other.by) \(other.digest)")
            }
        } else {
            digests[upTo] = Applied(by: node.id, digest: digest)
        }
        var place = list.startIndex
        while place < list.endIndex {
            let index = list[place].index
            var hash: UInt64 = 0
            while place < list.endIndex, list[place].index == index {
                hash = seededHash(hash, Self.hash(list[place].effect), seed: 1)
                place += 1
            }
            if let other = effects[index], other.by != node.id {
                if other.hash != hash { simulation.find("effects of record \(index) differ between \(node.id) and \(other.by)") }
            } else {
                effects[index] = (node.id, hash)
            }
        }
    }

    /// A controller whose copy was stale begins anew: indices come again with other records.
    mutating func beginAnew() {
        digests.removeAll()
        effects.removeAll()
    }

    private static func hash(_ effect: EngineEffect) -> UInt64 {
        switch effect {
        case .tcpSend(let id, let slice):
            return seededHash(UInt64(id.value), seededHash(slice.span.bytes, seed: 2), seed: 3)
        case .tcpConnect(let request): return seededHash(UInt64(request.connection.value), UInt64(request.initialSendSequence), seed: 4)
        case .tcpFinish(let id): return seededHash(UInt64(id.value), 0, seed: 5)
        case .tcpAbort(let id): return seededHash(UInt64(id.value), 0, seed: 6)
        case .interfaces(let list): return seededHash(UInt64(list.count), 0, seed: 7)
        case .listeners(let list): return seededHash(UInt64(list.count), 0, seed: 8)
        case .gateways(let list): return seededHash(UInt64(list.count), 0, seed: 9)
        case .event: return 10
        }
    }
}
