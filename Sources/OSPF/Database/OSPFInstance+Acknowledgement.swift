import Machine
import Records
import Routing
import Wire

/// RFC 2328 §13.5 and §13.7: Link State Acknowledgments, sent and received.
extension OSPFInstance {
    /// Table 19 of §13.5, for an LSA that was not flooded back out of its interface.
    ///
    /// - Parameter isDuplicate: it was taken for an implied acknowledgement.
    mutating func acknowledge(
        _ header: LSAHeader, isDuplicate: Bool, from neighbor: OSPFNeighbor, _ index: NeighborIndex, on id: InterfaceID,
        at now: Instant
    ) {
        guard let interface = interface(id) else { return }
        if interface.state == .backup {
            // The Backup only acknowledges what comes from the DR; the DR's flooding answers for the rest.
            guard identity(of: neighbor) == interface.dr else { return }
        } else if isDuplicate {
            return
        }
        interfaces[Int(id.value)]?.delayedAcknowledgements.append(header)
        let timer = OSPFTimer(.delayedAcknowledgement, UInt32(id.value))
        let room = acknowledgementRoom(interface)
        if interface.delayedAcknowledgements.count + 1 >= room {
            timers.set(timer, at: now)
        } else if !timers.isRunning(timer) {
            // Less than any RxmtInterval, so that nobody repeats meanwhile.
            timers.set(timer, at: now + Self.acknowledgementDelay)
        }
    }

    static let acknowledgementDelay = Duration.milliseconds(500)

    /// Headers that fit one packet.
    func acknowledgementRoom(_ interface: OSPFInterface) -> Int { max(1, room(on: interface) / LSAHeader.size) }

    mutating func sendDelayedAcknowledgements(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), !interface.delayedAcknowledgements.isEmpty else { return }
        interfaces[Int(id.value)]?.delayedAcknowledgements = []
        guard interface.speaks else { return }
        // §13.5: to where a flooded LSA would go.
        sendAcknowledgement(
            interface.delayedAcknowledgements, on: id, to: floodDestination(interface), at: now, into: &effects)
    }

    /// §13.5: a direct acknowledgement goes to the neighbour alone.
    mutating func sendDirectAcknowledgements(at now: Instant, into effects: inout [Effect]) {
        guard !directAcknowledgements.isEmpty else { return }
        let waiting = directAcknowledgements
        directAcknowledgements.removeAll(keepingCapacity: true)
        // One input brings LSAs of one neighbour; still the order of arrival is kept for whatever comes.
        var start = 0
        while start < waiting.count {
            var end = start
            while end < waiting.count, waiting[end].neighbor == waiting[start].neighbor { end += 1 }
            if let neighbor = neighbor(waiting[start].neighbor), let interface = interface(neighbor.interface) {
                sendAcknowledgement(
                    waiting[start..<end].map(\.header), on: neighbor.interface,
                    to: unicast(to: neighbor, on: interface), at: now, into: &effects)
            }
            start = end
        }
    }

    private mutating func sendAcknowledgement(
        _ headers: [LSAHeader], on id: InterfaceID, to destination: IPAddress, at now: Instant, into effects: inout [Effect]
    ) {
        guard let interface = interface(id) else { return }
        let room = acknowledgementRoom(interface)
        var start = 0
        while start < headers.count {
            let end = min(start + room, headers.count)
            var writer = ByteWriter(capacity: (end - start) * LSAHeader.size)
            for header in headers[start..<end] { header.write(to: &writer, version: version) }
            send(.linkStateAcknowledgment, writer.bytes, on: id, to: destination, at: now, into: &effects)
            start = end
        }
    }

    // MARK: §13.7

    mutating func receiveAcknowledgement(
        _ headers: [LSAHeader], from index: NeighborIndex, on id: InterfaceID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index), let interface = interface(id) else { return }
        guard neighbor.state >= .exchange else { return drop(.neighborState, on: id) }
        for header in headers {
            guard let database = databaseID(of: header.key.type, on: interface),
                let handle = self.database.handle(of: header.key, in: database), let entry = self.database[handle],
                entry.retransmissions > 0
            else { continue }
            // Only the instance that is on the list; an acknowledgement of another says nothing.
            if header.recency(against: entry.header(at: now)) == .same { _ = removeRetransmission(handle, index) }
        }
    }
}
