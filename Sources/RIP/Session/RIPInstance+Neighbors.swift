import Machine
import Records
import Wire

/// Who is heard, who is lost, and what BFD says of it.
extension RIPInstance {
    /// Where the neighbour stands in the order, or would stand.
    private func place(_ interface: InterfaceID, _ address: IPAddress) -> (position: Int, isFound: Bool) {
        let place = neighborOrder.sortedIndex {
            neighbor($0).map { ($0.interface, $0.address) < (interface, address) } ?? false
        }
        guard place < neighborOrder.count, let other = neighbor(neighborOrder[place]) else { return (place, false) }
        return (place, other.interface == interface && other.address == address)
    }

    func findNeighbor(_ interface: InterfaceID, _ address: IPAddress) -> UInt32? {
        let (position, isFound) = place(interface, address)
        return isFound ? neighborOrder[position] : nil
    }

    /// Sorts all neighbours anew, after their interfaces got other numbers or a snapshot was read.
    mutating func orderNeighbors() {
        let present = neighbors.indices.compactMap { position in neighbors[position].map { (UInt32(position), $0) } }
        neighborOrder = present.sorted { ($0.1.interface, $0.1.address) < ($1.1.interface, $1.1.address) }.map(\.0)
    }

    /// `nil` when the interface has as many neighbours as it may have.
    mutating func findOrAddNeighbor(
        _ id: InterfaceID, _ address: IPAddress, _ messageVersion: UInt8, at now: Instant, into effects: inout [Effect]
    ) -> UInt32? {
        let (position, isFound) = place(id, address)
        if isFound { return neighborOrder[position] }
        guard let configuration, let interface = interface(id) else { return nil }
        var count = 0
        for index in neighborOrder where neighbor(index)?.interface == id { count += 1 }
        guard count < Int(configuration.limits.neighborsPerInterface) else { return nil }
        var fresh = RIPNeighbor(interface: id, address: address, version: messageVersion, at: now)
        if interface.rip?.bfd == true { fresh.bfdLocal = interface.source(for: address) }
        let index: Int
        if let free = neighbors.firstIndex(where: { $0 == nil }) {
            index = free
            neighbors[free] = fresh
        } else {
            index = neighbors.count
            neighbors.append(fresh)
        }
        neighborOrder.insert(UInt32(index), at: position)
        timers.set(.neighbor(UInt32(index)), at: now + .seconds(Int(configuration.timers.timeout)))
        effects.append(event(.notice, "neighbor \(address) on \(interface.settings.name) is heard"))
        if let peer = fresh.bfdPeer { effects.append(.bfd(peer, isWanted: true)) }
        return UInt32(index)
    }

    /// Nothing was heard for the timeout: the neighbour is forgotten with what is left of its routes.
    mutating func neighborTimerFired(_ index: UInt32, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index), let configuration else { return }
        let end = neighbor.lastHeard + .seconds(Int(configuration.timers.timeout))
        guard end <= now else {
            timers.set(.neighbor(index), at: end)
            return
        }
        removeNeighbor(index, reason: "it was not heard for \(configuration.timers.timeout) s", at: now, into: &effects)
    }

    /// Takes all routes of a neighbour away. One pass over the table.
    mutating func dropRoutes(of index: UInt32, at now: Instant) {
        guard (neighbor(index)?.routeCount ?? 0) > 0 else { return }
        for number in 0..<UInt32(table.capacity) where table.isPresent(number) {
            guard let path = table.path(of: number, from: index) else { continue }
            let before = announcement(number)
            removePath(number, path)
            settle(number, before, at: now)
        }
    }

    mutating func removeNeighbor(_ index: UInt32, reason: String, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index) else { return }
        dropRoutes(of: index, at: now)
        timers.cancel(.neighbor(index))
        if let peer = neighbor.bfdPeer { effects.append(.bfd(peer, isWanted: false)) }
        effects.append(
            event(.notice, "neighbor \(neighbor.address) on \(name(neighbor.interface)) is gone: \(reason)"))
        let (position, isFound) = place(neighbor.interface, neighbor.address)
        if isFound { neighborOrder.remove(at: position) }
        neighbors[Int(index)] = nil
        while let last = neighbors.last, last == nil { neighbors.removeLast() }
    }

    mutating func removeNeighbors(
        on id: InterfaceID, reason: String, at now: Instant, into effects: inout [Effect]
    ) {
        for index in neighborOrder where neighbor(index)?.interface == id {
            removeNeighbor(index, reason: reason, at: now, into: &effects)
        }
    }

    /// RFC 5882 §4.2: only a change from up to down means anything.
    mutating func setBFD(_ peer: BFDPeer, isUp: Bool, at now: Instant, into effects: inout [Effect]) {
        guard let id = peer.interface, let configuration, let index = findNeighbor(id, peer.remote),
            let neighbor = neighbor(index), neighbor.bfdPeer == peer
        else { return }
        if isUp {
            neighbors[Int(index)]?.bfdWasUp = true
            neighbors[Int(index)]?.ignoredUntil = nil
            return
        }
        guard neighbor.bfdWasUp else { return }
        neighbors[Int(index)]?.bfdWasUp = false
        neighbors[Int(index)]?.ignoredUntil = now + .seconds(Int(configuration.timers.timeout))
        effects.append(event(.notice, "neighbor \(peer.remote) on \(name(id)) is down: BFD lost it"))
        dropRoutes(of: index, at: now)
    }
}
