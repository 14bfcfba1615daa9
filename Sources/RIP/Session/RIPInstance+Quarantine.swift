import Machine
import Records
import Routing
import Wire

/// What becomes of a neighbour whose packet killed a controller (DESIGN §7), and of what it says again, as RIP does every
/// half a minute.
///
/// Its routes go in place of the process, and it is held down until somebody could survive it in another form
/// (`FatalMemory`). What was fatal is remembered: each entry of a response by its octets and the next hop that it stands
/// under, another packet by all of it, both with their sender. An entry that is known is passed over; the others of its
/// packet count. Two fatal entries of one destination make this destination known, whatever is said of it.
extension RIPInstance {
    /// Whether the whole packet is one that was fatal.
    func isFatal(_ packet: ReceivedPacket, at now: Instant) -> Bool {
        fatal.isKnown(Self.form(of: packet, FatalMemory.name(packet.source, on: packet.interface)), at: now)
    }

    private static func form(of packet: ReceivedPacket, _ source: UInt64) -> FatalForm {
        FatalForm(exact: [seededHash(packet.bytes.span.bytes, seed: source)])
    }

    /// - Parameters:
    ///   - entry: twenty octets.
    ///   - nextHop: RIPng's, as the entry before said it.
    static func form(
        of entry: ArraySlice<UInt8>, nextHop: IPv6Address?, from source: UInt64, version: RIPVersion
    ) -> FatalForm {
        let at = entry.startIndex
        let via = nextHop.map { seededHash($0.high, $0.low, seed: source) } ?? source
        var destination = StateDigest(source)
        switch version {
        // Address and mask; prefix and its length.
        case .v2: destination.mix(Array(entry[(at + 4)..<(at + 12)]).span.bytes)
        case .ng: destination.mix((Array(entry[at..<(at + 16)]) + [entry[at + 18]]).span.bytes)
        }
        return FatalForm(exact: [seededHash(Array(entry).span.bytes, seed: via)], common: destination.value)
    }

    /// Whether this entry of a neighbour's response was fatal.
    func isFatal(_ entry: ArraySlice<UInt8>, nextHop: IPv6Address? = nil, from index: UInt32, at now: Instant) -> Bool {
        guard let neighbor = neighbor(index) else { return false }
        let source = FatalMemory.name(.ip(neighbor.address), on: neighbor.interface)
        return fatal.isKnown(Self.form(of: entry, nextHop: nextHop, from: source, version: version), at: now)
    }

    /// Entries of a response by their lengths alone, without those that hold authentication or a next hop.
    private func forms(of packet: ReceivedPacket, _ source: UInt64, at now: Instant) -> [FatalForm] {
        let bytes = packet.bytes
        guard bytes.count >= RIPFormat.headerLength, bytes[0] == RIPFormat.response else { return [] }
        var forms: [FatalForm] = []
        var end = bytes.count
        var nextHop: IPv6Address?
        var at = RIPFormat.headerLength
        while at + RIPFormat.entryLength <= end {
            let entry = bytes[at..<(at + RIPFormat.entryLength)]
            at += RIPFormat.entryLength
            switch version {
            case .v2 where entry.prefix(2).elementsEqual([0xff, 0xff]):
                // RFC 4822 §2.2: behind the length that this entry says there is a digest.
                let length = Int(entry[entry.startIndex + 4]) << 8 | Int(entry[entry.startIndex + 5])
                if entry.dropFirst(2).prefix(2).elementsEqual([0, 3]), length >= at { end = min(end, length) }
                continue
            case .ng where entry.last == RIPFormat.nextHopMetric:
                let high = entry.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
                let low = entry.dropFirst(8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
                let address = IPv6Address(high: high, low: low)
                nextHop = address.isLinkLocal ? address : nil
                continue
            default: break
            }
            let form = Self.form(of: entry, nextHop: nextHop, from: source, version: version)
            // What is known already was not looked into, and not counted.
            if fatal.isEmpty || !fatal.isKnown(form, at: now) { forms.append(form) }
        }
        return forms
    }

    /// This packet killed the other controller: its sender's routes go, and it is held down.
    /// - Parameter message: which entry of it, from 1; 0: any of them.
    mutating func fault(_ packet: ReceivedPacket, message: Int, at now: Instant, into effects: inout [Effect]) {
        guard configuration != nil, packet.packetProtocol == version.packetProtocol else { return }
        let position = Int(packet.interface.value)
        if position < interfaces.count { interfaces[position].counters.count(.fault) }
        let source = FatalMemory.name(packet.source, on: packet.interface)
        var forms = forms(of: packet, source, at: now)
        if message > 0 { forms = message <= forms.count ? [forms[message - 1]] : [] }
        if forms.isEmpty { forms = [Self.form(of: packet, source)] }
        fatal.learn(forms, from: packet.source, on: packet.interface, at: now)
        effects.append(
            event(
                .alarm,
                "neighbor \(packet.source) on \(name(packet.interface)) is held down: a packet of it could not be "
                    + "processed. It may come back when the pair is redundant again, after "
                    + "\(FatalMemory.holdMaximum.inMilliseconds / 60_000) minutes, or when it is cleared"))
        guard let address = packet.source.ip, let index = findNeighbor(packet.interface, address) else { return }
        removeNeighbor(index, reason: "a packet of it was fatal", at: now, into: &effects)
    }

    // MARK: the operator

    /// Routes go and are asked for again. What was remembered of the neighbour as fatal is forgotten.
    /// - Parameter text: its address; empty: all of them; `nil`: all of them, and nothing is forgotten.
    mutating func clear(_ text: String?, at now: Instant, into effects: inout [Effect]) {
        guard configuration != nil else { return }
        let name = text.flatMap { $0.isEmpty ? nil : NeighborName($0) }
        var asked: [InterfaceID] = []
        for index in neighborOrder {
            guard let neighbor = neighbor(index),
                name.map({ $0.matches(neighbor.address, on: self.name(neighbor.interface)) }) ?? true
            else { continue }
            if !asked.contains(neighbor.interface) { asked.append(neighbor.interface) }
            removeNeighbor(index, reason: "cleared by the operator", at: now, into: &effects)
        }
        if text != nil {
            let meant = fatal.sources.filter { source in name.map { isNamed(source, $0) } ?? true }
            for source in meant where !asked.contains(source.interface) { asked.append(source.interface) }
            fatal.forget { meant.contains($0) }
        }
        for id in asked { requestTable(on: id, at: now, into: &effects) }
    }

    private func isNamed(_ source: FatalMemory.Source, _ name: NeighborName) -> Bool {
        source.address.ip.map { name.matches($0, on: self.name(source.interface)) } ?? false
    }

    /// Whether a neighbour, or somebody who is held down, has this address, with `%` and the interface if need be.
    public func knows(_ text: String) -> Bool {
        let name = NeighborName(text)
        return neighborOrder.contains { index in
            neighbor(index).map { name.matches($0.address, on: self.name($0.interface)) } ?? false
        } || fatal.sources.contains { isNamed($0, name) }
    }

    /// Addresses of the neighbours, and of those who are held down.
    public var neighborNames: [String] {
        var names = neighborOrder.compactMap { neighbor($0).map { "\($0.address)" } }
        for source in fatal.sources where !names.contains("\(source.address)") { names.append("\(source.address)") }
        return names
    }
}
