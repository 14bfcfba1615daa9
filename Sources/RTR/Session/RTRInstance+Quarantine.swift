import Machine
import Records
import Routing
import Wire

/// What becomes of a cache whose input killed a controller (DESIGN §7), and of the same input when it comes again.
///
/// Its session ends in place of the process, and it is held down until somebody could survive it (`FatalMemory`); other
/// caches are asked meanwhile. What it said is known by its octets: a payload or key is passed over as if it had not been
/// said, anything else ends the session.
extension RTRInstance {
    /// A record of this connection would have killed the router.
    /// - Parameters:
    ///   - octets: what it brought of the stream.
    ///   - message: which of the PDUs that end in them, from 1; 0: any of them.
    mutating func fault(
        _ connection: ConnectionID, _ octets: [UInt8], message: Int, at now: Instant, into effects: inout [Effect]
    ) {
        guard let number = number(of: connection), let cache = cache(number) else {
            effects.append(.event(Event(.alarm, "rpki", "a quarantined record belongs to no cache")))
            return
        }
        var forms: [FatalForm] = []
        let buffer = cache.partial + octets
        var position = 0, count = 0
        while buffer.count - position >= PDUHeader.size {
            let length = buffer[(position + 4)..<(position + 8)].reduce(0) { $0 << 8 | Int($1) }
            guard length >= PDUHeader.size, buffer.count - position >= length else { break }
            count += 1
            if message == 0 || message == count {
                forms.append(FatalForm(exact: [Self.digest(buffer[position..<(position + length)])]))
            }
            position += length
        }
        let address = PacketAddress.ip(cache.configuration.address)
        // As many as are remembered, or none that is new would be.
        fatal.learn(Array(forms.suffix(FatalMemory.itemsMaximum)), from: address, on: Self.anywhere, at: now)
        event(
            .alarm, number,
            "quarantined: a message of this cache could not be processed; it is not asked until the pair is redundant again, for "
                + "\(FatalMemory.holdMaximum.inMilliseconds / 60_000) minutes at most, or until it is cleared", into: &effects)
        end(number, "quarantined", after: .seconds(Int(FatalMemory.holdMaximum.inMilliseconds / 1000)), at: now, into: &effects)
        if let until = heldUntil(number, at: now) { timers.set(.retry(number), at: until) }
    }

    /// A cache is no neighbour on an interface.
    static let anywhere = InterfaceID(0)

    /// Who is held down may come back when somebody could survive it.
    mutating func noteRedundancy(_ isRedundant: Bool, at now: Instant) {
        fatal.note(isRedundant: isRedundant, at: now)
        guard !fatal.isEmpty else { return }
        for number in caches.indices where cache(number)?.state == .waiting {
            if let until = heldUntil(number, at: now) { timers.set(.retry(number), at: until) }
        }
    }

    /// Until when the cache is not asked for what it did; `nil`: it may be.
    func heldUntil(_ number: Int, at now: Instant) -> Instant? {
        guard !fatal.isEmpty, let address = cache(number)?.configuration.address else { return nil }
        return fatal.sources.first { $0.address == .ip(address) && $0.heldUntil > now }?.heldUntil
    }

    func isFatal(_ octets: ArraySlice<UInt8>, at now: Instant) -> Bool { fatal.isKnown(Self.digest(octets), at: now) }

    /// Without the flags, which differ when it is said again.
    private static func digest(_ octets: ArraySlice<UInt8>) -> UInt64 {
        var whole = Array(octets)
        switch PDUType(rawValue: whole[1]) {
        case .ipv4Prefix, .ipv6Prefix: if whole.count > 8 { whole[8] = 0 }
        case .routerKey: whole[2] = 0
        default: break
        }
        return seededHash(whole.span.bytes, seed: 0x7270_6b69)
    }

    /// A PDU that was fatal before.
    mutating func skip(_ header: PDUHeader, _ number: Int) throws(RTRFault) {
        caches[number]!.counters.quarantined &+= 1
        switch PDUType(rawValue: header.type) {
        case .ipv4Prefix, .ipv6Prefix, .routerKey: return
        default: throw RTRFault(.internalError, "a message that could not be processed before came again")
        }
    }
}
